"""Shared by all tests: threads and the kernel cache are set before numpy and numba are imported."""

import os

import pytest

from tools import runtime

runtime.prepare()

SOAK = os.environ.get("TAPESCAN_SOAK") == "1"


@pytest.fixture
def soak() -> bool:
    """True when the long proofs run in full; else tests run a seeded tenth."""
    return SOAK
