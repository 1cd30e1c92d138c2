"""Shared by the tests of commands: where they run."""

import os
from pathlib import Path

import pytest

from tests.config.places import good_place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a good configuration, and no overrides around."""
    file = good_place(tmp_path)
    file.write_text('[feed]\ntrades = "trades.csv" # recorded\n[paths]\ndata_dir = "state"\n')
    for name in [name for name in os.environ if name.startswith("TAPESCAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
