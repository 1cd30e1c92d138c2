"""What one session date leaves to the next: symbols, last prices, bars, indicators, cooldowns and
the close."""

import numpy as np

from engine.bars.stage import roll_session
from engine.domain import records
from engine.domain.levels import SSR_FALL, SSR_ROUNDING
from engine.domain.tables import EngineTables
from engine.replay.genesis import Genesis, empty_arrays
from engine.scan.cooldown import moved

_QUIET_NS = 5 * 24 * 3600 * records.NS_PER_SECOND  # longer than any holiday weekend
# Arrays with one entry per symbol that go on, and the axis of the symbols.
_GO_ON = (
    ("rows", 0),
    ("indicator_state", 0),
    ("indicator_values", 1),
    ("indicator_closes", 1),
    ("frame_closes", 2),
    ("frame_ranges", 3),
    ("frame_marks", 1),
)

Listed = tuple[list[str], np.ndarray]  # the tickers of a market in order, REFERENCE of each
Carried = tuple[list[str], dict[str, np.ndarray]]  # tickers in order, arrays of a genesis


def begin_date(
    before: Genesis,
    session: np.ndarray,
    yesterday: int,
    empty: EngineTables,
    capacity: int,
    listed: Listed | None = None,
) -> Carried:
    """Tickers and arrays of a new session date that follows the state `before`.

    Last prices, bars, indicators and running cooldowns go on; whatever belongs to a session begins
    anew. prev_close is the official close of the date before or, without a closing record, its last
    regular price; unknown when `before` is not of the date `yesterday` (yyyymmdd). session:
    SESSION[1] of the new date; empty: tables of any size without content. listed: all that the
    market trades, with what it says of them where we do not know better; None: the symbols of
    `before`, as many as there is room for.
    """
    tickers, rolled = before.header.tickers, _rolled(before, session, yesterday)
    if listed is None:
        at = _staying(before, capacity)
        tickers, reference = [tickers[place] for place in at.tolist()], rolled["reference"][at]
    else:
        places = {ticker: place for place, ticker in enumerate(tickers)}
        at = np.array([places.get(ticker, -1) for ticker in listed[0]], np.int64)
        tickers, reference = listed[0], _informed(listed[1], rolled["reference"], at)
    arrays = empty_arrays(empty, tickers, reference)
    arrays["head"]["closed_minute"] = before.arrays["head"]["closed_minute"]
    _place(arrays, rolled, at)
    return tickers, arrays


def _informed(listed: np.ndarray, reference: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What a market says of its symbols, with the closes that we saw in place of its own."""
    informed, known = listed.copy(), at >= 0
    seen = reference["prev_close"][at[known]]
    told = informed["prev_close"][known]
    informed["prev_close"][known] = np.where(np.isnan(seen), told, seen)
    return informed


def _staying(before: Genesis, capacity: int) -> np.ndarray:
    """Places of the symbols that go on: all of them, as long as there is room.

    When there is none, those that were quiet for days before the newest tick make room; of more
    than the capacity those that ticked last go on.
    """
    ticked_ns = before.arrays["rows"]["tick_event_ns"]
    if len(ticked_ns) < capacity:
        return np.arange(len(ticked_ns))
    newest_first = np.argsort(-ticked_ns, kind="stable")[:capacity]
    lately = ticked_ns[newest_first] >= ticked_ns.max() - _QUIET_NS
    return np.sort(newest_first[lately])


def session_of(genesis: Genesis) -> np.ndarray:
    """SESSION[1] of a genesis or of a state."""
    session = np.zeros(1, records.SESSION)
    session[0] = tuple(genesis.header.session)
    return session


def _rolled(before: Genesis, session: np.ndarray, yesterday: int) -> dict[str, np.ndarray]:
    """The arrays of a state, its rows and reference those of the new date."""
    rows, reference = before.arrays["rows"].copy(), before.arrays["reference"].copy()
    restricted = _restriction(rows, reference)
    ended_ns = int(session_of(before)["roll_ns"][0])
    regular = roll_session(rows, max(int(session["start_ns"][0]), ended_ns))
    official = before.arrays["closes"]
    closes = np.where(official["size"] > 0, official["price"], regular)
    known = np.isfinite(closes)
    reference["prev_close"][known] = closes[known]
    reference["flags"] = restricted
    if before.header.date != yesterday:
        reference["prev_close"] = np.nan  # what we know is older than yesterday
        reference["flags"] = 0
    return before.arrays | {"rows": rows, "reference": reference}


def _restriction(rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """REF_SSR_* of the day after: a fall by a tenth in regular hours restricts short sales."""
    low, close = rows["low"][:, records.RTH], reference["prev_close"]
    known = (low > 0) & (close > 0)
    fallen = known & (low <= SSR_FALL * close * (1 + SSR_ROUNDING))
    flags: np.ndarray = known * records.REF_SSR_KNOWN + fallen * records.REF_SSR
    return flags


def _place(arrays: dict[str, np.ndarray], before: dict[str, np.ndarray], at: np.ndarray) -> None:
    """Move what goes on into the arrays of a new genesis.

    at: int64[symbols], place of each symbol in `before`, -1: it was not there.
    """
    known = at >= 0
    old = at[known]
    for name, axis in _GO_ON:
        to, source = arrays[name], before[name]
        if axis == 0:
            to[known] = source[old]
            continue
        same = min(len(to), len(source))  # bars of regular hours may not be kept
        np.moveaxis(to[:same], axis, 0)[known] = np.moveaxis(source[:same], axis, 0)[old]
    now = np.full(len(before["rows"]), -1, np.int64)
    now[old] = np.flatnonzero(known)
    symbols = now[before["bar_symbols"]]
    order = np.argsort(before["bars"]["minute"], kind="stable")  # the newest comes last, and stays
    order = order[symbols[order] >= 0]
    arrays["bars"], arrays["bar_symbols"] = before["bars"][order], symbols[order]
    arrays["cooldowns"] = moved(before["cooldowns"], now)
