"""Recorded bars as ticks: what a bar becomes, and every kind of row that is left out."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from engine.domain.records import (
    COND_BAR,
    COND_HILO,
    COND_LAST,
    COND_VOLUME,
    NS_PER_MINUTE,
)
from engine.feeds.errors import FeedError
from engine.feeds.providers.bars import BarsFile, BarsProvider

HEADER = "ts,symbol,open,high,low,close,volume\n"
GOOD = "2025-01-02T15:00:00Z,NA,10,11,9,10.5,300\n"
AT = 1_735_830_000_000_000_000  # 2025-01-02T15:00:00Z
FAR = 1 << 62

BAD = {
    "x": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,1,1,1": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,1,1,1,": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,1,one,1,5": "is not a time, a symbol and five numbers",
    "2025-01-02 15:00,A,1,1,1,1,5": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:30Z,A,1,1,1,1,5": "is not a time, a symbol and five numbers",
    "2025-13-02T15:00:00Z,A,1,1,1,1,5": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,,1,1,1,1,5": "has no usable symbol ('')",
    f"2025-01-02T15:00:00Z,{'A' * 25},1,1,1,1,5": f"has no usable symbol ('{'A' * 25}')",
    "2025-01-02T15:00:00Z,É,1,1,1,1,5": "has no usable symbol ('É')",
    "2025-01-02T15:00:00Z,A,1,0.9,0.8,0.85,5": "has prices that are no bar",
    "2025-01-02T15:00:00Z,A,1,2,1.5,1.7,5": "has prices that are no bar",
    "2025-01-02T15:00:00Z,A,0,0,0,0,5": "has prices that are no bar",
    "2025-01-02T15:00:00Z,A,-1,1,-1,1,5": "has prices that are no bar",
    "2025-01-02T15:00:00Z,A,nan,1,1,1,5": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,inf,1,1,5": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,1e999,1,1,5": "has prices that are no bar",
    "2025-01-02T15:00:00Z,A,1,1,1,1,1_000": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,1,1,1, 5": "is not a time, a symbol and five numbers",
    "9999-01-01T00:00:00Z,A,1,1,1,1,5": "is not a time, a symbol and five numbers",
    "1969-12-31T23:59:00Z,A,1,1,1,1,5": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A B,1,1,1,1,5": "has no usable symbol ('A B')",
    "2025-01-02T15:00:00Z,A\0B,1,1,1,1,5": "has no usable symbol ('A\\x00B')",
    "2025-01-02T15:00:00Z,A,1,1,1,1,-5": "has no volume",
    "2025-01-02T15:00:00Z,A,1,1,1,1,nan": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,1,1,1,inf": "is not a time, a symbol and five numbers",
    "2025-01-02T15:00:00Z,A,1,1,1,1,1e999": "has no volume",
    "2025-01-02T14:59:00Z,A,1,1,1,1,5": "goes back in time",
}


def read(path: Path, content: str | bytes) -> tuple[BarsFile, list[str]]:
    told: list[str] = []
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return BarsFile(path, told.append), told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"x" * 99, mtime=0)[:10] + b"\xff" * 40, "cannot be read"),
        ((HEADER + GOOD + "x" * 200_000).encode(), "line 3: field larger than field limit"),
    ],
)
def test_a_file_that_cannot_be_taken_apart_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, says: str
) -> None:
    with pytest.raises(FeedError, match=says):
        read(tmp_path / "bars.csv.gz", content)


def test_a_mark_of_the_byte_order_is_no_part_of_the_header(tmp_path: Path) -> None:
    file, told = read(tmp_path / "bars.csv", "\ufeff" + HEADER + GOOD)
    assert (len(file.start), told) == (1, [])


def test_a_bar_becomes_its_prices_and_its_volume_at_the_end_of_its_minute(tmp_path: Path) -> None:
    file, told = read(tmp_path / "bars.csv", HEADER + GOOD)
    ticks = BarsProvider(file, 0, FAR).read(100)
    assert told == []
    assert ticks["a"].tolist() == [10, 11, 9, 10.5, (11 + 9 + 10.5) / 3]
    assert ticks["b"].tolist() == [0, 0, 0, 0, 300]
    both = COND_LAST | COND_HILO
    conditions = [both, COND_HILO, COND_HILO, both, COND_VOLUME]
    assert ticks["cond"].tolist() == [cond | COND_BAR for cond in conditions]
    assert set(ticks["recv_ns"].tolist()) == {AT + NS_PER_MINUTE}
    assert ((ticks["event_ns"] >= AT) & (ticks["event_ns"] < AT + NS_PER_MINUTE)).all()
    assert file.tickers == ["NA"]


@pytest.mark.parametrize(("row", "why"), list(BAD.items()))
def test_a_bad_row_is_told_with_its_line_and_left_out(tmp_path: Path, row: str, why: str) -> None:
    path = tmp_path / "bars.csv"
    later = GOOD.replace("15:00", "15:01")
    file, told = read(path, HEADER + GOOD + row + "\n" + later)
    assert told == [f"{path} line 3 {why}; it is left out."]
    assert file.rows_bad == 1
    assert file.start.tolist() == [AT, AT + NS_PER_MINUTE]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "does not begin with the columns ts,symbol,open,high,low,close,volume"),
        (b"a,b\n1,2\n", "does not begin with the columns"),
        (gzip.compress(HEADER.encode(), mtime=0)[:-4], "cannot be read"),
    ],
    ids=["empty", "other columns", "torn"],  # no time of day in them: two workers collect the same
)
def test_a_file_that_holds_no_bars_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    with pytest.raises(FeedError, match=sentence):
        read(tmp_path / "bars.csv", content)
    with pytest.raises(FeedError, match="cannot be read"):
        BarsFile(tmp_path / "absent.csv", print)


def test_reading_goes_on_behind_any_bar_and_keeps_to_its_range(tmp_path: Path) -> None:
    rows = "".join(GOOD.replace("15:00", f"15:{minute:02}") for minute in range(20))
    file, _ = read(tmp_path / "bars.csv.gz", gzip.compress((HEADER + rows).encode()))
    whole = BarsProvider(file, AT + 5 * NS_PER_MINUTE, AT + 15 * NS_PER_MINUTE).read(10_000).copy()
    assert len(whole) == 10 * 5
    assert (np.diff(whole["src_pos"]) > 0).all()
    for last in range(4, len(whole), 5):
        again = BarsProvider(file, AT + 5 * NS_PER_MINUTE, AT + 15 * NS_PER_MINUTE)
        again.seek(int(whole["src_pos"][last]))
        assert again.read(10_000).tobytes() == whole[last + 1 :].tobytes()
