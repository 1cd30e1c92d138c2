"""Shared by all tests: threads and the kernel cache are set before numpy and numba are imported;
which tests may run side by side."""

import os
from pathlib import Path

import pytest

from tools import runtime

runtime.prepare()

SOAK = os.environ.get("TAPESCAN_SOAK") == "1"
# Tests here start, kill and time many processes: one after the other, whatever runs beside them.
PROCESSES = ("kills", "engine", "ipc", "shm", "cli")
_TESTS = Path(__file__).parent


@pytest.fixture
def soak() -> bool:
    """True when the long proofs run in full; else tests run a seeded tenth."""
    return SOAK


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups for `pytest -n 2 --dist loadgroup`: the tests of processes, and every other file.

    The longest group comes first, or it would be what the other processor waits for at the end.
    """
    for item in items:
        place = item.path.relative_to(_TESTS)
        group = "processes" if place.parts[0] in PROCESSES else place.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path.relative_to(_TESTS).parts[0] not in PROCESSES)
