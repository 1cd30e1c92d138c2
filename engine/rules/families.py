"""Parameterised indicators that rules name: their slots in shared memory, and what kernels read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.domain.family import (
    CODES,
    F_CLOSES,
    F_FIELD,
    F_KIND,
    F_LIVE,
    F_RANGES,
    F_ROW,
    F_ROWS,
    F_TIMEFRAME,
    F_WINDOW_S,
    FAMILY_WORDS,
    FIELDS,
    KEEP_EXTREMES,
    KEEP_PRICES,
    MAX_PERIODS,
    SHORT_MINUTES,
    TIMEFRAMES,
    Family,
)
from engine.families.plan import Chosen
from engine.metrics.family_kinds import KINDS
from engine.metrics.registry import COLUMNS, UnknownMetric, resolve
from engine.rules.errors import RuleError
from engine.rules.slots import Slots, assign, key_of, key_table

_FRAMES = {frame: place for place, frame in enumerate(TIMEFRAMES)}
_EXTREMES = ("range_time", "highest_time", "lowest_time")
_PRICES = ("chg_time", "rv")


class Placed(NamedTuple):
    """Families of a program by ascending name. slot: int32[F], of rules.max_families; rows: int32,
    slots of what each remembers, of rules.family_rows, one family after the other."""

    names: tuple[str, ...]
    slot: np.ndarray
    rows: np.ndarray


class Room(NamedTuple):
    """What families may take: columns, and rows of state."""

    families: int
    rows: int


NONE = Placed((), np.zeros(0, np.int32), np.zeros(0, np.int32))


def family_of(name: str) -> Family | None:
    """The family of a canonical name of a metric, None for another metric. Raises UnknownMetric."""
    return resolve(name).family


def place_families(names: Sequence[str], room: Room, before: Placed | None) -> Placed:
    """Give slots to families, by canonical name; those of `before` keep theirs.

    Raises RuleError naming the one that has no room.
    """
    ordered = sorted(names)
    known = {} if before is None else dict(zip(before.names, before.slot.tolist(), strict=True))
    slots = assign(
        [(name.encode(), 1) for name in ordered],
        {name.encode(): (slot,) for name, slot in known.items()},
        room.families,
    )
    if isinstance(slots, int):
        raise RuleError(
            (f"the rules name more than the {room.families} indicators of rules.max_families:"
             f" there is no room for {ordered[slots]}",)
        )  # fmt: skip
    rows = assign(
        [(name.encode(), rows_of(name)) for name in ordered], _rows_of_before(before), room.rows
    )
    if isinstance(rows, int):
        raise RuleError(
            (f"the rules need more than the {room.rows} rows of rules.family_rows: there is no"
             f" room for {ordered[rows]}",)
        )  # fmt: skip
    return Placed(
        tuple(ordered),
        np.array([slot for (slot,) in slots], np.int32),
        np.array([row for some in rows for row in some], np.int32),
    )


def _rows_of_before(before: Placed | None) -> Mapping[bytes, Slots]:
    if before is None:
        return {}
    found, at = {}, 0
    for name in before.names:
        count = rows_of(name)
        found[name.encode()] = tuple(before.rows[at : at + count].tolist())
        at += count
    return found


def rows_of(name: str) -> int:
    """Slots of state that a family of this name takes."""
    family = family_of(name)
    return 0 if family is None else KINDS[family.kind].rows


def are_sound(placed: Placed) -> bool:
    """True when the names are those of families, and every one has its slots."""
    try:
        plain = all(resolve(name).family is not None for name in placed.names)
        plain = plain and all(resolve(name).name == name for name in placed.names)
    except UnknownMetric:
        return False
    return bool(
        plain
        and list(placed.names) == sorted(set(placed.names))
        and len(placed.slot) == len(placed.names)
        and len(set(placed.slot.tolist())) == len(placed.slot)
        and (placed.slot >= 0).all()
        and (placed.rows >= 0).all()
        and len(set(placed.rows.tolist())) == len(placed.rows)
        and len(placed.rows) == sum(map(rows_of, placed.names))
    )


def chosen(placed: Placed) -> Chosen:
    """What the stage of families reads. A family whose slots of state moved begins anew."""
    words = np.zeros((len(placed.names), FAMILY_WORDS), np.int64)
    params = np.zeros((len(placed.names), MAX_PERIODS))
    keys, at = [], 0
    for number, name in enumerate(placed.names):
        family = family_of(name)
        assert family is not None
        _fill_words(words[number], family)
        params[number, : len(family.periods)] = family.periods
        count = rows_of(name)
        words[number, F_ROW], words[number, F_ROWS] = at, count
        keys.append(key_of(b"family", name.encode(), placed.rows[at : at + count].tobytes()))
        at += count
    return Chosen(key_table(keys), placed.slot.copy(), words, params, placed.rows.copy())


def kept_bits(names: Iterable[str]) -> int:
    """Bits of what has to be kept for these metrics, see engine.domain.family; those that are no
    families need nothing."""
    bits = 0
    for family in filter(None, map(family_of, names)):
        if not family.window_s:
            bits |= 1 << _FRAMES[family.timeframe_minutes, family.regular]
        elif family.kind in _EXTREMES:
            bits |= KEEP_EXTREMES
        elif family.kind in _PRICES and family.window_s > SHORT_MINUTES * 60:
            bits |= KEEP_PRICES
    return bits


def _fill_words(words: np.ndarray, family: Family) -> None:
    kind = KINDS[family.kind]
    words[F_KIND] = CODES[family.kind]
    words[F_FIELD] = FIELDS.index(family.field) if family.field else 0
    words[F_LIVE], words[F_WINDOW_S] = family.live, family.window_s
    words[F_TIMEFRAME] = -1
    if family.window_s:
        return
    words[F_TIMEFRAME] = _FRAMES[family.timeframe_minutes, family.regular]
    closes, ranges = kind.closes(family.periods), kind.ranges(family.periods)
    words[F_CLOSES] = closes if family.field in ("", "close") else 0
    words[F_RANGES] = ranges if family.field != "close" else 0


def column_of(name: str, placed: Placed) -> int:
    """The column of a metric under a program's families, -1: a family that it does not name."""
    metric = resolve(name)
    if metric.family is None:
        return metric.column
    at = placed.names.index(metric.name) if metric.name in placed.names else -1
    return COLUMNS + int(placed.slot[at]) if at >= 0 else -1
