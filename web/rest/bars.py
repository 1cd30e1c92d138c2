"""GET /api/v1/symbols/{symbol}/bars: history from the bar store, and the bars still in memory."""

import math
from collections.abc import Iterable
from typing import Literal

import msgspec
from aiohttp import web

from engine.domain.market_hours import exchange_date
from engine.domain.records import FLAG_TYPICAL, NS_PER_MINUTE
from engine.domain.tables import EngineTables
from engine.storage.ports import BarRow
from web.app_state import STATE
from web.problems import Problem, json_response
from web.reading import instant, number, read_bars, read_rows
from web.rest.alerts import in_store
from web.schemas import Instant, Positive, decode_query, instant_of

Timeframe = Literal["1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m", "60m", "D"]
MINUTES_OF_DAY = 1_440
MAX_SPAN_MINUTES = 100 * MINUTES_OF_DAY  # looked through for one answer


class HistoryBarsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """from, to: RFC 3339, of starts of minutes, `to` itself not included; null: as far back as 100
    days, and up to now. The newest `limit` bars of that time are answered."""

    since: Instant | None = msgspec.field(default=None, name="from")
    until: Instant | None = msgspec.field(default=None, name="to")
    timeframe: Timeframe = "1m"
    limit: Positive = 200


class BarDocument(msgspec.Struct, frozen=True):
    """t: its start, of a day the date in New York. Prices are null where no trade was eligible;
    vwap, trades: null where unknown. forming: more can still come to it."""

    t: str | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    vwap: float | None
    trades: int | None
    forming: bool


class BarsAnswer(msgspec.Struct, frozen=True):
    """Bars of a symbol, oldest first. t: engine time, null before the first cycle."""

    symbol: str
    timeframe: Timeframe
    t: str | None
    data: list[BarDocument]
    next_cursor: None = None


async def list_bars(request: web.Request) -> web.Response:
    """Final bars of the store and of memory, and the forming one."""
    state = request.app[STATE]
    query = decode_query(request.query, HistoryBarsQuery)
    state.front.refuse_over("max_page_bars", "limit", query.limit)
    ticker, symbol = state.symbol_asked(request)
    tables = state.front.deps.tables
    live, forming, now_ns = _in_memory(tables, symbol, ticker)
    from_ns, to_ns = _span(query, now_ns)
    stored = await in_store(
        state.front, lambda: state.front.deps.bars(ticker, from_ns, to_ns)
    )
    minutes = {bar.minute_ns: bar for bar in (*stored, *live)}
    kept = [minutes[at] for at in sorted(minutes) if from_ns <= at < to_ns]
    bars = _joined(kept, query.timeframe, forming, now_ns)[-query.limit :]
    return json_response(BarsAnswer(ticker, query.timeframe, instant(now_ns), bars))


def _span(query: HistoryBarsQuery, now_ns: int) -> tuple[int, int]:
    """The time that is asked for. Raises Problem 400: it is empty or too long."""
    to_ns = instant_of(query.until, "to")
    to_ns = now_ns + NS_PER_MINUTE if to_ns is None else to_ns
    from_ns = instant_of(query.since, "from")
    minutes = 1 if query.timeframe == "D" else int(query.timeframe[:-1])
    if from_ns is None:
        from_ns = max(0, to_ns - MAX_SPAN_MINUTES * NS_PER_MINUTE)
        if query.timeframe != "D":  # weekends have no bars: look a good deal further back
            span = query.limit * minutes + 5 * MINUTES_OF_DAY
            from_ns = max(from_ns, to_ns - span * NS_PER_MINUTE)
    if from_ns >= to_ns:
        raise Problem(400, "from: expected a time before `to`.")
    if to_ns - from_ns > MAX_SPAN_MINUTES * NS_PER_MINUTE:
        raise Problem(400, "from: expected a time at most 100 days before `to`.")
    return from_ns, to_ns


def _in_memory(
    tables: EngineTables, symbol: int, ticker: str
) -> tuple[list[BarRow], set[int], int]:
    """Bars that the engine holds, oldest first; which minutes are open; engine time."""
    head, rows = read_rows(tables, [symbol])
    open_minutes = [one for one in rows[0]["minutes"] if one["minute"] >= 0]
    final = read_bars(tables, symbol, tables.sizes.history_bars)
    found = [BarRow.of(ticker, one) for one in (*final, *open_minutes)]
    forming = {int(one["minute"]) * NS_PER_MINUTE for one in open_minutes}
    return found, forming, int(head["t_ns"])


def _joined(
    bars: Iterable[BarRow], timeframe: Timeframe, forming: set[int], now_ns: int
) -> list[BarDocument]:
    """Minutes put together to bars of a timeframe, both oldest first."""
    groups: dict[str, list[BarRow]] = {}
    ends: dict[str, int] = {}
    for bar in bars:
        if timeframe == "D":
            key = exchange_date(bar.minute_ns).isoformat()
        else:
            span_ns = int(timeframe[:-1]) * NS_PER_MINUTE
            start_ns = bar.minute_ns // span_ns * span_ns
            key = instant(start_ns) or ""
            ends[key] = start_ns + span_ns
        groups.setdefault(key, []).append(bar)
    today = exchange_date(now_ns).isoformat() if now_ns > 0 else ""
    return [
        _bar(key, group, key == today or ends.get(key, 0) > now_ns
             or any(one.minute_ns in forming for one in group))
        for key, group in groups.items()
    ]  # fmt: skip


def _bar(key: str, group: list[BarRow], forming: bool) -> BarDocument:
    priced = [one for one in group if not math.isnan(one.open)]
    volume, pv = sum(one.volume for one in group), sum(one.pv for one in group)
    uncounted = any(one.flags & FLAG_TYPICAL for one in group)
    return BarDocument(
        t=key,
        open=number(priced[0].open) if priced else None,
        high=max((one.high for one in priced), default=None),
        low=min((one.low for one in priced), default=None),
        close=number(priced[-1].close) if priced else None,
        volume=number(volume),
        vwap=number(pv / volume) if volume > 0 else None,
        trades=None if uncounted else sum(one.trades for one in group),
        forming=forming,
    )
