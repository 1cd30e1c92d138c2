"""Recordings in temporary files, and where the bundled and the shared ones lie."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import engine.feeds
from engine.feeds.conditions import Conditions
from engine.feeds.wire.csv_rows import CsvRows
from engine.feeds.wire.texts import Tickers

BUNDLED = (
    Path(engine.feeds.__file__).parent / "recordings" / "trades_lean_20131007_20131008.csv.gz"
)


@pytest.fixture(scope="session")
def conditions():
    return Conditions.load()


@pytest.fixture
def write(tmp_path):
    """Write a file (gzip when its name says so) and return its path."""

    def save(content, name="file.csv"):
        raw = content if isinstance(content, bytes) else content.encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return save


def read_all(path, kind, conditions):
    """(rows as tests/feeds/slow_csv gives them, bad line numbers, sentences, reader)."""
    said = []
    tickers = Tickers()
    reader = CsvRows(path, kind, tickers, conditions, said.append)
    rows = []
    while (ticks := reader.read()) is not None:
        assert len(ticks)
        for t in ticks:
            values = (t["kind"], t["a"], t["b"], t["n1"], t["n2"])
            row = (tickers.name(t["sym"]), t["recv_ns"], t["event_ns"], t["exchange"], t["cond"])
            rows.append((*(x if isinstance(x, str) else int(x) for x in row), values))
    bad = [int(s.split(" line ")[1].split(":")[0]) for s in said if " line " in s]
    return rows, bad, said, reader


def same(left, right):
    """True when rows are equal with NaN equal to itself and zeros to zeros of their sign."""
    if len(left) != len(right):
        return False
    for a, b in zip(left, right, strict=True):
        if a[:-1] != b[:-1]:
            return False
        x, y = (np.array(v[-1], np.float64).view(np.int64).tolist() for v in (a, b))
        if x != y:
            return False
    return True


def equal_ticks(left, right):
    """True when two TICK arrays are the same bytes."""
    return len(left) == len(right) and left.tobytes() == right.tobytes()


def all_ticks(provider, limit=997):
    """Everything a provider still has to give."""
    parts = []
    while len(ticks := provider.read(limit)):
        parts.append(ticks.copy())
    return np.concatenate(parts) if parts else provider.read(1)
