"""What changed between two rankings of a list, and the next ranking from the one before."""

from collections.abc import Sequence

import msgspec

from engine.toplists.ranking import Row


class Values(msgspec.Struct, frozen=True):
    """The new numbers of a symbol that stays."""

    value: float
    metadata: dict[str, float | None]


class Delta(msgspec.Struct, frozen=True):
    """entered: new rows; left: symbols; moved: new rank by symbol; changed: numbers by symbol."""

    entered: tuple[Row, ...]
    left: tuple[str, ...]
    moved: dict[str, int]
    changed: dict[str, Values]


def delta_between(before: Sequence[Row], after: Sequence[Row]) -> Delta:
    """What turns `before` into `after`."""
    old = {row.symbol: row for row in before}
    new = {row.symbol for row in after}
    stay = [(old[row.symbol], row) for row in after if row.symbol in old]
    return Delta(
        entered=tuple(row for row in after if row.symbol not in old),
        left=tuple(row.symbol for row in before if row.symbol not in new),
        moved={now.symbol: now.rank for was, now in stay if was.rank != now.rank},
        changed={
            now.symbol: Values(now.value, now.metadata)
            for was, now in stay
            if (was.value, was.metadata) != (now.value, now.metadata)
        },
    )


def apply_delta(before: Sequence[Row], delta: Delta) -> tuple[Row, ...]:
    """The ranking after a delta of `before`."""
    gone = set(delta.left)
    rows = list(delta.entered)
    for row in before:
        if row.symbol in gone:
            continue
        numbers = delta.changed.get(row.symbol, Values(row.value, row.metadata))
        place = delta.moved.get(row.symbol, row.rank)
        rows.append(Row(row.symbol, place, numbers.value, numbers.metadata))
    return tuple(sorted(rows, key=lambda row: row.rank))
