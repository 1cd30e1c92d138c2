"""GET /api/v1/symbols and /api/v1/symbols/{symbol}: who trades, and everything known about one."""

import bisect
from typing import Any

import numpy as np
from aiohttp import web

from engine.domain.records import APPROX_TRADES, FLAG_TYPICAL, NS_PER_MINUTE
from engine.domain.tables import EngineTables
from web.app_state import STATE
from web.movers import COLUMNS
from web.problems import json_response
from web.reading import (
    MetricIndex,
    instant,
    number,
    read_bars,
    read_columns,
    read_rows,
    read_symbol_metrics,
    session_date,
    session_name,
)
from web.schemas import BarsQuery, SymbolsQuery, decode_query

SESSION_KEYS = ("pm", "rth", "ah")
BAR_KEYS = ("t", "open", "high", "low", "close", "volume", "vwap", "trades", "flags")


async def list_symbols(request: web.Request) -> web.Response:
    """Admitted symbols in alphabetical order, with the movers' columns; `search` is a prefix."""
    state = request.app[STATE]
    deps = state.front.deps
    query = decode_query(request.query, SymbolsQuery)
    state.front.refuse_over("max_page_rows", "limit", query.limit)
    prefix = query.search.upper()
    tickers = [str(t) for t in state.directory.tickers() if t.upper().startswith(prefix)]
    start = bisect.bisect_right(tickers, query.cursor) if query.cursor else 0
    page = tickers[start : start + query.limit]
    values = read_columns(deps.tables, [deps.metrics.column(name) for name in COLUMNS.values()])
    data = [_line(ticker, state.directory.id(ticker), values) for ticker in page]
    more = page[-1] if start + query.limit < len(tickers) else None
    return json_response({"data": data, "total": len(tickers), "next_cursor": more})


def _line(ticker: str, symbol: int | None, values: np.ndarray) -> dict[str, Any]:
    cells = {key: None if symbol is None else number(values[row, symbol])
             for row, key in enumerate(COLUMNS)}
    return {"symbol": ticker, **cells}


async def get_symbol(request: web.Request) -> web.Response:
    """All metrics by name (unknown is null), the open minutes, the last final bars, the state."""
    state = request.app[STATE]
    query = decode_query(request.query, BarsQuery)
    state.front.refuse_over("max_page_bars", "bars", query.bars)
    ticker, symbol = state.symbol_asked(request)
    deps = state.front.deps
    return json_response(
        symbol_document(deps.tables, deps.metrics, symbol, ticker, query.bars)
    )


def symbol_document(
    tables: EngineTables, index: MetricIndex, symbol: int, ticker: str, bars: int
) -> dict[str, Any]:
    """Everything about one symbol; row and head are of one cycle, metrics of a near one."""
    head, rows = read_rows(tables, [symbol])
    row, t_ns = rows[0], int(head["t_ns"])
    session = tables.session[0]
    metrics = read_symbol_metrics(tables, symbol)
    reference = tables.reference[symbol]
    return {
        "symbol": ticker,
        "n": int(head["n"]),
        "t": instant(t_ns),
        "session": session_name(session, t_ns),
        "session_date": session_date(session),
        "halted": bool(row["halted"]),
        "blind": bool(row["blind"]),
        "last": number(row["last"]),
        "last_t": instant(int(row["last_event_ns"])),
        "bid": number(row["bid"]),
        "ask": number(row["ask"]),
        "bid_size": number(row["bid_size"]),
        "ask_size": number(row["ask_size"]),
        "prev_close": number(reference["prev_close"]),
        "metrics": {
            name: number(value) for name, value in zip(index.names, metrics, strict=False)
        },
        "units": dict(index.units),
        "sessions": {key: _session(row, at) for at, key in enumerate(SESSION_KEYS)},
        "live_minutes": [_bar(m) for m in row["minutes"] if m["minute"] >= 0],
        "bar_keys": BAR_KEYS,
        "bars": [_bar(bar) for bar in read_bars(tables, symbol, bars)],
    }


def _session(row: np.void, at: int) -> dict[str, float | int | bool | None]:
    volume, approx = float(row["volume"][at]), int(row["approx"])
    return {
        "volume": number(volume),
        "vwap": number(row["pv"][at] / volume) if volume > 0 else None,
        "trades": None if approx & APPROX_TRADES else int(row["trades"][at]),
        "high": number(row["high"][at]),
        "low": number(row["low"][at]),
        "approx": bool(approx >> at & 1),
    }


def _bar(bar: np.void) -> list[Any]:
    """A bar in the order of BAR_KEYS; OHLC null where the minute had no price-eligible trade,
    trades null where nobody counted them."""
    volume, flags = float(bar["volume"]), int(bar["flags"])
    return [
        instant(int(bar["minute"]) * NS_PER_MINUTE),
        number(bar["open"]),
        number(bar["high"]),
        number(bar["low"]),
        number(bar["close"]),
        number(volume),
        number(bar["pv"] / volume) if volume > 0 else None,
        None if flags & FLAG_TYPICAL else int(bar["trades"]),
        flags,
    ]
