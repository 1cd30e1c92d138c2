"""The trading day in New York time: calendar entries, outer times, DST, weekends."""

import datetime
import subprocess
import sys

import pytest

from engine.domain import market_hours as hours
from engine.domain.records import AH, NS_PER_MINUTE, OUTSIDE, PM, RTH
from engine.replay.calendar_load import load_calendar

UTC = datetime.UTC
DATE = datetime.date


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("calendar")


@pytest.fixture(scope="module")
def days(cache):
    return load_calendar(cache, "XNYS", DATE(2013, 1, 1), DATE(2014, 12, 31))


def utc(*parts):
    return hours.to_ns(datetime.datetime(*parts, tzinfo=UTC))


def session(days, date):
    return hours.session_record(hours.day_of(days, date), hours.OuterTimes(), 100_000_000, 0)


@pytest.mark.parametrize("date", [DATE(2013, 10, 7), DATE(2013, 10, 8)])
def test_the_days_of_the_recording_run_from_four_to_twenty_new_york_time(days, date):
    s = session(days, date)
    assert s["date"][0] == date.year * 10_000 + date.month * 100 + date.day
    assert s["start_ns"][0] == utc(2013, 10, date.day, 8, 0)
    assert s["open_ns"][0] == utc(2013, 10, date.day, 13, 30)
    assert s["close_ns"][0] == utc(2013, 10, date.day, 20, 0)
    assert s["end_ns"][0] == utc(2013, 10, date.day + 1, 0, 0)
    assert s["roll_ns"][0] == utc(2013, 10, date.day + 1, 7, 50)


def test_after_thanksgiving_the_market_closes_early_and_after_hours_end_at_five(days):
    day = hours.day_of(days, DATE(2013, 11, 29))
    s = session(days, day.date)
    assert day.early
    assert s["close_ns"][0] == utc(2013, 11, 29, 18, 0)
    assert s["end_ns"][0] == utc(2013, 11, 29, 22, 0)


@pytest.mark.parametrize("date", [DATE(2013, 11, 28), DATE(2013, 12, 25), DATE(2013, 10, 12)])
def test_a_holiday_or_a_weekend_is_no_trading_day(days, date):
    with pytest.raises(hours.CalendarError, match=str(date)):
        hours.day_of(days, date)


def test_clock_changes_move_the_open_in_utc_only(days):
    for before, after, hour in (
        (DATE(2013, 3, 8), DATE(2013, 3, 11), (14, 13)),
        (DATE(2013, 11, 1), DATE(2013, 11, 4), (13, 14)),
    ):
        for date, expected in zip((before, after), hour, strict=True):
            s = session(days, date)
            assert s["open_ns"][0] == utc(date.year, date.month, date.day, expected, 30)
            assert s["open_ns"][0] - s["start_ns"][0] == 330 * NS_PER_MINUTE


def test_the_roll_after_a_friday_before_a_clock_change_is_at_ten_to_four_local_time(days):
    s = session(days, DATE(2013, 3, 8))
    assert s["roll_ns"][0] == utc(2013, 3, 9, 8, 50)
    assert hours.exchange_date(utc(2013, 3, 10, 7, 49)) == DATE(2013, 3, 9)
    assert hours.exchange_date(utc(2013, 3, 10, 7, 50)) == DATE(2013, 3, 10)


def test_an_instant_before_the_roll_belongs_to_the_day_before(days):
    assert hours.exchange_date(utc(2013, 10, 8, 7, 49, 59)) == DATE(2013, 10, 7)
    assert hours.exchange_date(utc(2013, 10, 8, 7, 50)) == DATE(2013, 10, 8)


def test_a_session_holds_its_first_instant_and_not_its_last(days):
    s = session(days, DATE(2013, 10, 8))
    edges = (("start_ns", OUTSIDE, PM), ("open_ns", PM, RTH), ("close_ns", RTH, AH))
    for field, before, at in (*edges, ("end_ns", AH, OUTSIDE)):
        edge = int(s[field][0])
        assert hours.session_of(s, edge - 1) == before
        assert hours.session_of(s, edge) == at


def test_the_calendar_file_is_read_again_without_a_child(cache, days, monkeypatch):
    def refuse(*_a, **_k):
        raise AssertionError("a child was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    again = load_calendar(cache, "XNYS", DATE(2013, 10, 7), DATE(2013, 10, 8))
    assert [day.date for day in again] == [DATE(2013, 10, 7), DATE(2013, 10, 8)]
    assert again[0] in days


def test_an_unknown_calendar_is_refused_by_name(tmp_path):
    with pytest.raises(hours.CalendarError, match="XNOWHERE"):
        load_calendar(tmp_path, "XNOWHERE", DATE(2013, 1, 1), DATE(2013, 2, 1))


def test_loading_imports_neither_pandas_nor_exchange_calendars():
    code = (
        "import sys, engine.replay.calendar_load, engine.domain.market_hours;"
        "assert not {'pandas', 'exchange_calendars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_times_of_day_are_read_or_refused():
    assert hours.parse_time("04:00") == datetime.time(4, 0)
    with pytest.raises(hours.CalendarError, match="25:00"):
        hours.parse_time("25:00")
