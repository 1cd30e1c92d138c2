"""Files into the store: kinds known by their header, bad rows told by line, column and value."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from engine.reference.errors import ReferenceDataError
from engine.reference.importing import import_history, import_symbols
from engine.reference.outcome import MAX_TOLD
from engine.storage.reference_stub import MemoryReferenceStore

DIRECTORY = (
    "symbol,name,exchange,sector,industry,country,market_cap,shares,etf,test_issue\n"
    "NA,Nano Labs,NASDAQ,Technology,Semiconductors,China,1,28571220,N,N\n"
    "NAN,Nuveen New York,NYSE,,,,1,0,N,N\n"
    "ZZT,Tick Pilot Test,NYSE,,,,,,N,Y\n"
)


@pytest.fixture
def store() -> MemoryReferenceStore:
    return MemoryReferenceStore()


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_directory_is_taken_in_and_na_is_a_ticker(
    tmp_path: Path, store: MemoryReferenceStore
) -> None:
    path = written(tmp_path, "directory_2025-07-21.csv", DIRECTORY)
    outcome = import_symbols(store, path)
    assert (outcome.kind, outcome.rows, outcome.bad, outcome.changed) == ("symbols", 3, 0, 3)
    found = store.company("NA")
    assert found is not None and (found.sector, found.shares) == ("Technology", 28_571_220)
    assert found.shares_as_of == 20250721 and found.shares_source == path.name
    nan = store.company("NAN")
    assert nan is not None and math.isnan(nan.shares), "0 shares are none that are known"
    test = store.company("ZZT")
    assert test is not None and test.test_issue
    assert import_symbols(store, path).changed == 0


def test_a_date_is_asked_for_when_the_name_of_the_file_has_none(
    tmp_path: Path, store: MemoryReferenceStore
) -> None:
    path = written(tmp_path, "directory.csv", DIRECTORY)
    with pytest.raises(ReferenceDataError, match="say --as-of DATE"):
        import_symbols(store, path)
    assert import_symbols(store, path, as_of=20250101).changed == 3


def test_a_file_of_floats_and_a_list(tmp_path: Path, store: MemoryReferenceStore) -> None:
    text = "symbol,name,shares,float\nA,Agilent,295000000,294000000\nB,Barnes,,\n"
    path = written(tmp_path, "float_2023-08-11.csv", text)
    outcome = import_symbols(store, path, list_name="mine")
    assert (outcome.kind, outcome.changed) == ("floats and list mine", 4)
    found = store.company("A")
    assert found is not None and found.float_shares == 294_000_000
    assert (found.float_as_of, found.float_source) == (20230811, path.name)
    assert store.lists() == {"mine": ["A", "B"]}
    only = written(tmp_path, "members.csv", "symbol,name\nB,Barnes\n")
    with pytest.raises(ReferenceDataError, match="needs --list NAME"):
        import_symbols(store, only)
    assert import_symbols(store, only, list_name="mine").changed == 1
    assert store.lists() == {"mine": ["B"]}


BAD_DAILY = """date,symbol,open,high,low,close,volume
2025-01-02,AAA,10,12,9,11,500
2025-01-02,AAA,10,12,9,13,500
2025-01-32,AAA,10,12,9,11,500
2025-01-03,AAA,ten,12,9,11,500
2025-01-03,,10,12,9,11,500
2025-01-03,AAA,10,12,,11,500
2025-01-03,AAA,10,12,9,-1,500
2025-01-03,AAA,10,12,9,,500
2025-01-03,AAA,10,12,9,inf,500
2025-01-03,AAA,10,12,9,11,-5
2025-01-06,AAA,,,,11,
"""


def test_bad_rows_are_told_by_line_column_and_value_and_left_out(
    tmp_path: Path, store: MemoryReferenceStore
) -> None:
    outcome = import_history(store, written(tmp_path, "d.csv", BAD_DAILY))
    assert (outcome.rows, outcome.bad, outcome.changed) == (11, 9, 2)
    assert outcome.faults == [
        "line 3, column close: '13' is not between low 9 and high 12",
        "line 4, column date: '2025-01-32' is not a date like 2025-11-14",
        "line 5, column open: 'ten' is not a number",
        "line 6, column symbol: '' is not a ticker of 1 to 24 characters",
        "line 7, column low: '' is blank while others are not",
        "line 8, column close: '-1' is not above 0",
        "line 9, column close: '' is not a number",
        "line 10, column close: 'inf' is not a number",
        "line 11, column volume: '-5' is not at least 0",
    ]
    bars = store.daily("AAA", 20260101)
    assert bars["date"].tolist() == [20250102, 20250106]
    assert math.isnan(bars["high"][1]) and math.isnan(bars["volume"][1])


def test_of_many_bad_rows_the_first_are_told_and_all_are_counted(
    tmp_path: Path, store: MemoryReferenceStore
) -> None:
    rows = "".join(f"2025-01-02,S{i},x,1\n" for i in range(100))
    outcome = import_history(store, written(tmp_path, "d.csv", "date,symbol,close,volume\n" + rows))
    assert outcome.bad == 100 and len(outcome.faults) == MAX_TOLD and outcome.changed == 0


def minutes_csv(rows: list[tuple[str, str, str]]) -> str:
    lines = [f"{ts},{symbol},1,1,1,1,{volume}" for ts, symbol, volume in rows]
    return "\n".join(["ts,symbol,open,high,low,close,volume", *lines]) + "\n"


def test_minutes_are_placed_by_new_york_time_in_summer_and_winter(
    tmp_path: Path, store: MemoryReferenceStore
) -> None:
    text = minutes_csv(
        [
            ("2025-01-02T09:00:00Z", "NA", "5"),      # 04:00 in winter
            ("2025-01-03T00:59:00Z", "NA", "7"),      # 19:59 of the same date
            ("2025-07-02T13:30:00Z", "NA", "11"),     # 09:30 in summer
            ("2025-07-02T09:31:00-04:00", "NA", "13"),
        ]
    )
    path = tmp_path / "m.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    outcome = import_history(store, path)
    assert (outcome.kind, outcome.changed) == ("1-minute bars", 2)
    winter, summer = store.day_volumes("NA", 20250101, 20251231)
    assert (winter.date, winter.regular_only, summer.regular_only) == (20250102, False, True)
    assert np.flatnonzero(winter.minutes).tolist() == [0, 959]
    assert [summer.minutes[330], summer.minutes[331]] == [11, 13]
    assert import_history(store, path).changed == 0


def test_bad_minutes_are_told(tmp_path: Path, store: MemoryReferenceStore) -> None:
    text = minutes_csv(
        [
            ("2025-01-02T14:30:00Z", "A", "5"),
            ("2025-01-02T14:30:00Z", "A", "5"),
            ("2025-01-02T14:30:30Z", "A", "5"),
            ("2025-01-02T14:31:00", "A", "5"),
            ("2025-01-02T08:59:00Z", "A", "5"),
            ("2025-01-02T14:32:00Z", "A", ""),
            ("2025-01-03T14:30:00Z", "A", "5"),
            ("2025-01-06T14:30:00Z", "A", "5"),
            ("2025-01-02T14:33:00Z", "A", "5"),
        ]
    )
    outcome = import_history(store, written(tmp_path, "m.csv", text))
    assert outcome.faults == [
        "line 3, column ts: '2025-01-02T14:30:00Z' is there twice for A",
        "line 4, column ts: '2025-01-02T14:30:30Z' is not the start of a minute",
        "line 5, column ts: '2025-01-02T14:31:00' is not an instant like 2025-01-02T09:00:00Z",
        "line 6, column ts: '2025-01-02T08:59:00Z' is not between 04:00 and 20:00 in New York",
        "line 7, column volume: '' is not a number",
        "line 10, column ts: '2025-01-02T14:33:00Z' comes after bars of later dates",
    ]
    assert [one.date for one in store.day_volumes("A", 0, 99999999)] == [
        20250102, 20250103, 20250106,
    ]  # fmt: skip


def test_bars_of_another_length_are_refused_before_anything_is_stored(
    tmp_path: Path, store: MemoryReferenceStore
) -> None:
    rows = [(f"2025-01-02T{14 + i // 12}:{i % 12 * 5:02}:00Z", "A", "1") for i in range(30)]
    with pytest.raises(ReferenceDataError, match="holds bars of 5 minutes, expected bars of one"):
        import_history(store, written(tmp_path, "m.csv", minutes_csv(rows)))
    assert store.coverage() == []


def test_splits_are_written_in_three_ways(tmp_path: Path, store: MemoryReferenceStore) -> None:
    told = {"A": "10", "B": "1:8", "C": "3/2", "D": "0"}
    rows = "".join(f"{ticker},2025-01-02,{ratio}\n" for ticker, ratio in told.items())
    text = "symbol,date,ratio\n" + rows
    outcome = import_history(store, written(tmp_path, "s.csv", text))
    assert [split.ratio for split in store.splits()] == [10, 0.125, 1.5]
    assert outcome.faults == ["line 5, column ratio: '0' is not a ratio like 10, 0.1 or 10:1"]


def test_a_file_that_is_none_of_the_known_ones_is_refused(
    tmp_path: Path, store: MemoryReferenceStore
) -> None:
    with pytest.raises(ReferenceDataError, match="begins with the columns 'a,b', expected date,"):
        import_history(store, written(tmp_path, "x.csv", "a,b\n1,2\n"))
    with pytest.raises(ReferenceDataError, match="cannot be read"):
        import_history(store, tmp_path / "none.csv")
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress(BAD_DAILY.encode() * 5000)[:-200])
    with pytest.raises(ReferenceDataError, match="cannot be read"):
        import_history(store, torn)
