"""The CSV kernel: golden values, every kind of bad row, and agreement with a plain parser."""

import gzip
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.feeds.errors import FeedError
from engine.feeds.wire import csv_nb as nb
from engine.feeds.wire import csv_rows, stream
from engine.feeds.wire.texts import TEXT_BYTES
from tests.feeds import slow_csv
from tests.feeds.conftest import read_all, same

TRADES = "ts_ns,symbol,price,size,conditions,exchange\n"
QUOTES = "ts_ns,symbol,bid,bid_size,ask,ask_size,exchange\n"
NAN = float("nan")
BLANK = nb.SIZE_BLANK


def test_golden_trades(write, conditions):
    path = write(
        TRADES
        + "1381132800464000000,SPY,167.41,100,ExtendedHours|TradeThroughExempt,P\n"
        + '1381132800465000000,BRK.A,167000.123456,0.5,,\r\n"1381132800466000000","NA",1e2,7,"F I",'
        + "NASDAQ\n\n1381132800467000000,NAN,.5,0,Regular,Q"
    )
    rows, bad, said, _ = read_all(path, nb.TRADES, conditions)
    assert (bad, said) == ([], [])
    at = 1381132800464000000
    assert rows == [
        ("SPY", at, at, ord("P"), 12, (1, 167.41, 100.0, 0, 0)),
        ("BRK.A", at + 10**6, at + 10**6, 0, 7, (1, 167000.123456, 0.5, 0, 0)),
        ("NA", at + 2 * 10**6, at + 2 * 10**6, ord("Q"), 4, (1, 100.0, 7.0, 0, 0)),
        ("NAN", at + 3 * 10**6, at + 3 * 10**6, ord("Q"), 7, (1, 0.5, 0.0, 0, 0)),
    ]


def test_golden_quotes_leave_blank_sides_as_they_were(write, conditions):
    path = write(QUOTES + "1,A,,,183.63,100,Q\n2,A,183.5,,,,\n3,A,0,0,184,4294967294,Z\n4,A,,,,,\n")
    rows, bad, _, _ = read_all(path, nb.QUOTES, conditions)
    assert bad == []
    assert same(
        rows,
        [
            ("A", 1, 1, ord("Q"), 0, (2, NAN, 183.63, BLANK, 100)),
            ("A", 2, 2, 0, 0, (2, 183.5, NAN, BLANK, BLANK)),
            ("A", 3, 3, ord("Z"), 0, (2, 0.0, 184.0, 0, BLANK - 1)),
            ("A", 4, 4, 0, 0, (2, NAN, NAN, BLANK, BLANK)),
        ],
    )


def test_columns_are_found_by_name_in_any_order(write, conditions):
    header = "\ufeffexchange,size,note,recv_ns,symbol,price,ts_ns\r\n"
    path = write(header + "Q,5,hello,20,AB,1.25,10\r\n")
    rows, bad, _, _ = read_all(path, nb.TRADES, conditions)
    assert (rows, bad) == ([("AB", 20, 10, ord("Q"), 7, (1, 1.25, 5.0, 0, 0))], [])


BAD_ROWS = {
    "1,A,1,1,": nb.BAD_COLUMNS,
    "1,A,1,1,,Q,": nb.BAD_COLUMNS,
    '1,"A,1,1,,Q': nb.BAD_QUOTES,
    '1,"A"x,1,1,,Q': nb.BAD_QUOTES,
    "x,A,1,1,,Q": nb.BAD_TIME,
    ",A,1,1,,Q": nb.BAD_TIME,
    "-1,A,1,1,,Q": nb.BAD_TIME,
    "9223372036854775808,A,1,1,,Q": nb.BAD_TIME,
    "12345678901234567890,A,1,1,,Q": nb.BAD_TIME,
    "1.5,A,1,1,,Q": nb.BAD_TIME,
    "1,A,,1,,Q": nb.BAD_NUMBER,
    "1,A,1,,,Q": nb.BAD_NUMBER,
    "1,A,nan,1,,Q": nb.BAD_NUMBER,
    "1,A,inf,1,,Q": nb.BAD_NUMBER,
    "1,A,1_0,1,,Q": nb.BAD_NUMBER,
    "1,A, 1,1,,Q": nb.BAD_NUMBER,
    "1,A,1e999,1,,Q": nb.BAD_NUMBER,
    "1,A,1e,1,,Q": nb.BAD_NUMBER,
    "1,A,1.2.3,1,,Q": nb.BAD_NUMBER,
    "1,A,.,1,,Q": nb.BAD_NUMBER,
    "1,A,0x10,1,,Q": nb.BAD_NUMBER,
    "1,A," + "1" * 65 + ",1,,Q": nb.BAD_NUMBER,
    "1,A,0,1,,Q": nb.BAD_PRICE,
    "1,A,-1,1,,Q": nb.BAD_PRICE,
    "1,A,0e5,1,,Q": nb.BAD_PRICE,
    "1,A,1e-999,1,,Q": nb.BAD_PRICE,
    "1,A,1,-1,,Q": nb.BAD_SIZE,
    "1,A,1,-1e3,,Q": nb.BAD_SIZE,
    "1,,1,1,,Q": nb.BAD_SYMBOL,
    "1,A B,1,1,,Q": nb.BAD_SYMBOL,
    "1," + "A" * 25 + ",1,1,,Q": nb.BAD_SYMBOL,
    '1,"A""B",1,1,,Q': nb.BAD_SYMBOL,
    "1,\u00c4,1,1,,Q": nb.BAD_SYMBOL,
    "1,A,1,1," + "x" * (TEXT_BYTES + 1) + ",Q": nb.BAD_TEXT,
    "1,A,1,1,," + "x" * (TEXT_BYTES + 1): nb.BAD_TEXT,
}


@pytest.mark.parametrize(("row", "why"), BAD_ROWS.items())
def test_a_bad_row_is_told_with_line_and_reason_and_left_out(write, conditions, row, why):
    good = "5,OK,1,1,,Q\n"
    path = write(TRADES + good + row + "\n" + good, "bad.csv.gz")
    rows, bad, said, reader = read_all(path, nb.TRADES, conditions)
    assert [r[0] for r in rows] == ["OK", "OK"]
    assert (bad, reader.rows_bad) == ([3], 1)
    assert said == [f"{path} line 3: {csv_rows.WHY[why]}; the row is left out."]
    assert slow_csv.read((TRADES + good + row + "\n" + good).encode())[1] == [3]


@pytest.mark.parametrize("row", ["1,A,-1,1,1,1,Q", "1,A,1,-1,1,1,Q", "1,A,1,1.5,1,1,Q",
                                 "1,A,1,4294967295,1,1,Q", "1,A,1,1,1,1e11,Q"])  # fmt: skip
def test_a_quote_with_an_unusable_side_is_bad(write, conditions, row):
    rows, bad, _, _ = read_all(write(QUOTES + row + "\n"), nb.QUOTES, conditions)
    assert (rows, bad) == ([], [2])


def test_thousands_of_bad_rows_are_all_counted_and_the_first_reported(write, conditions):
    path = write(TRADES + "junk\n" * 5000 + "1,A,1,1,,Q\n")
    rows, bad, said, reader = read_all(path, nb.TRADES, conditions)
    assert len(rows) == 1
    assert reader.rows_bad == 5000
    assert bad == list(range(2, 2 + csv_rows.MAX_REPORTS))
    assert said[-1].endswith("counted, not reported.")


def test_a_row_behind_its_time_is_late_and_taken_in_with_the_one_before(write, conditions):
    path = write(TRADES + "10,A,1,1,,Q\n7,A,2,1,,Q\n11,A,3,1,,Q\n")
    rows, bad, _, reader = read_all(path, nb.TRADES, conditions)
    assert [(r[1], r[2]) for r in rows] == [(10, 10), (10, 7), (11, 11)]
    assert (bad, reader.rows_late, reader.rows_bad) == ([], 1, 0)


def test_a_row_far_ahead_that_makes_all_others_late_is_told_once(write, conditions):
    path = write(TRADES + "10,A,1,1,,Q\n9000000000000000000,B,2,1,,Q\n11,C,3,1,,Q\n12,D,4,1,,Q\n")
    _, bad, said, reader = read_all(path, nb.TRADES, conditions)
    assert said == [
        f"{path}: the row of C at 11 comes after one at 9000000000000000000; it is taken in at "
        "that time, as are others that are late."
    ]
    assert (bad, reader.rows_late, reader.rows_bad) == ([], 2, 0)


def test_an_unknown_condition_is_counted_by_row_and_told_once(write, conditions):
    path = write(TRADES + "1,A,1,1,Hmm,Q\n2,A,1,1,Hmm,Q\n3,A,1,1,F,Q\n")
    rows, _, said, reader = read_all(path, nb.TRADES, conditions)
    assert [r[4] for r in rows] == [4, 4, 7]
    assert reader.unknown_conditions == 2
    assert len(said) == 1
    assert "'Hmm'" in said[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "ts_ns is missing"),
        ("ts_ns,symbol,size,conditions,exchange\n", "price is missing"),
        ("ts_ns,symbol,price,price,size\n", "twice"),
        (b"\xff\xfe\x00\n", "not readable"),
    ],
)
def test_a_wrong_header_is_refused_by_name(write, conditions, content, words):
    with pytest.raises(FeedError, match=words):
        read_all(write(content), nb.TRADES, conditions)


def test_a_missing_file_is_refused_by_name(tmp_path, conditions):
    with pytest.raises(FeedError, match=r"nowhere\.csv"):
        read_all(tmp_path / "nowhere.csv", nb.TRADES, conditions)


def test_a_cut_or_damaged_gzip_file_gives_what_came_before_and_says_so(tmp_path, conditions):
    body = (TRADES + "".join(f"{i},A,{i % 97 + 1},1,,Q\n" for i in range(100_000))).encode()
    packed = gzip.compress(body)
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(packed[: len(packed) // 2])
    rows, _, said, _ = read_all(path, nb.TRADES, conditions)
    assert rows
    assert "ends in the middle" in said[-1]
    damaged = bytearray(packed)
    damaged[-6] ^= 0xFF
    path.write_bytes(damaged)
    _, _, said, _ = read_all(path, nb.TRADES, conditions)
    assert "damaged" in said[-1]


def test_gzip_members_one_after_the_other_are_one_file(tmp_path, conditions):
    path = tmp_path / "two.csv.gz"
    first, second = (TRADES + "1,A,1,1,").encode(), b",Q\n2,B,1,1,,"
    path.write_bytes(gzip.compress(first) + gzip.compress(second))
    rows, bad, _, _ = read_all(path, nb.TRADES, conditions)
    assert ([r[0] for r in rows], bad) == (["A", "B"], [])


def test_a_line_without_end_is_bad_and_never_held(write, conditions, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(stream, "MAX_LINE_BYTES", 5000)
    path = write(TRADES + "1,A,1,1,,Q\n" + "x" * 50_000 + "\n2,B,1,1,,Q\njunk\n")
    rows, bad, _, _ = read_all(path, nb.TRADES, conditions)
    assert ([r[0] for r in rows], bad) == (["A", "B"], [3, 5])


def test_more_texts_than_the_tables_hold_are_still_told_apart(write, conditions):
    lines = [f"{i},S{i % 6000},1,1,cond{i % 9000},venue{i % 5000}\n" for i in range(20_000)]
    content = TRADES + "".join(lines)
    rows, bad, _, reader = read_all(write(content), nb.TRADES, conditions)
    assert bad == []
    assert same(rows, slow_csv.read(content.encode())[0])
    assert reader.unknown_conditions == 20_000


def decimal_texts(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        kind = rng.randrange(6)
        if kind == 0:
            yield repr(rng.uniform(0.0001, 10_000))
        elif kind == 1:
            yield f"{rng.uniform(0.01, 1e5):.{rng.randrange(0, 20)}f}"
        elif kind == 2:
            yield repr(np.frombuffer(rng.randbytes(8), np.float64)[0])
        elif kind == 3:
            yield str(rng.getrandbits(rng.randrange(1, 90)))
        elif kind == 4:
            yield "0." + "".join(rng.choices("0123456789", k=rng.randrange(1, 40)))
        else:
            yield f"{rng.getrandbits(53)}.{rng.getrandbits(20)}"


@pytest.mark.soak
def test_prices_equal_float_bit_for_bit(write, conditions, soak):
    texts = list(decimal_texts(200_000 if soak else 20_000, 7))
    content = (TRADES + "".join(f"1,A,{t},{t},,Q\n" for t in texts)).encode()
    rows, _, _, reader = read_all(write(content), nb.TRADES, conditions)
    expected, expected_bad = slow_csv.read(content)
    assert same(rows, expected)
    assert reader.rows_bad == len(expected_bad)
    assert len(rows) > len(texts) // 2


FIELDS = {
    "ts": st.one_of(
        st.integers(0, 2**63 - 1).map(str), st.sampled_from(["", "x", "1e9", "-5", "007"])
    ),
    "symbol": st.one_of(st.sampled_from(["A", "NA", "NAN", "BRK.B", '"A"', '"A,B"', "", "a b"])),
    "number": st.one_of(
        st.floats(allow_nan=True).map(repr),
        st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
        st.sampled_from(["", "0", "1", "100", "+5", "-0", "1.", ".5", "5e3", "1E400", '"7"']),
    ),
    "text": st.sampled_from(["", "Regular", "F I", " ", '"T"', '"a""b"', "Hmm|F", "N  I", "Q"]),
    "junk": st.text(alphabet='0159.,"eE+- AnaT|', max_size=12),
}


@st.composite
def files(draw):
    """A file of trades or quotes with good, odd and broken rows."""
    trades = draw(st.booleans())
    header = TRADES if trades else QUOTES
    middle = ["number"] * (2 if trades else 4)
    shape = ["ts", "symbol", *middle, *(["text"] if trades else []), "text"]
    lines = []
    for _ in range(draw(st.integers(0, 12))):
        cells = [draw(FIELDS[name]) for name in shape]
        if draw(st.integers(0, 3)) == 0:
            cells[draw(st.integers(0, len(cells) - 1))] = draw(FIELDS["junk"])
        lines.append(",".join(cells) + draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n"])))
    body = "".join(lines)
    return trades, header, body.removesuffix("\n") if draw(st.booleans()) else body


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.sampled_from([16, 50, 1 << 20]), st.booleans())
def test_rows_agree_with_a_plain_parser_wherever_chunks_are_cut(
    tmp_path_factory, conditions, file, chunk, packed
):
    trades, header, body = file
    content = (header + body).encode()
    path = tmp_path_factory.mktemp("fuzz") / "f.csv"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_BYTES", chunk)
        rows, bad, _, _ = read_all(path, nb.TRADES if trades else nb.QUOTES, conditions)
    expected, expected_bad = slow_csv.read(content)
    assert bad == expected_bad
    assert same(rows, expected)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=400), st.integers(1, 64))
def test_any_bytes_at_all_are_survived(tmp_path_factory, conditions, junk, chunk):
    path = tmp_path_factory.mktemp("bytes") / "f.csv"
    path.write_bytes(TRADES.encode() + junk + b"\n1381132800464000000,END,1.5,1,,Q\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_BYTES", chunk)
        rows, _, _, _ = read_all(path, nb.TRADES, conditions)
    assert rows[-1][0] == "END"
