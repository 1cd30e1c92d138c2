"""How `tapescan rules explain` looks: a headline, what stands in the way, a table of conditions."""

import datetime
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from engine.alerts.why import Part, Why
from engine.domain.market_hours import NEW_YORK

_MARK = {True: ("yes", "green"), False: ("no", "red"), None: ("unknown", "yellow")}


class Line(NamedTuple):
    """A row: how deep it is indented, and its cells."""

    depth: int
    text: str
    part: Part | None


def render(why: Why, width: int = 80) -> RenderableType:
    """The whole answer, for a terminal of so many columns."""
    parts: list[RenderableType] = [headline(why)]
    parts += [Text(f"  - {one.text}{_until(one.until)}", style="yellow") for one in why.obstacles]
    parts.append(Padding(_table(why), (1, 0)))
    return Group(*parts)


def headline(why: Why) -> Text:
    """One sentence."""
    when = f"cycle {why.n}, {date(why.t)} {clock(why.t)} in New York"
    subject = f"{why.rule_name} ({why.rule_id}, version {why.rule_version}) for {why.symbol}"
    if why.fired:
        said = {"enter": "says enter", "exit": "says exit"}.get(why.event or "", "fires")
        kept = any(not one.prevents for one in why.obstacles)
        said += ", but its alert is kept back" if kept else ""
        style = "bold green"
    elif why.result is True:
        said, style = "holds, but does not fire", "bold yellow"
    else:
        what = "not true" if why.undecided else "false" if why.result is False else "unknown"
        said, style = f"does not fire: its condition is {what}", "bold"
    last = f"; it last fired {clock(why.last_fired)}" if why.last_fired and not why.fired else ""
    return Text(f"{subject} {said} ({when}{last}).", style=style)


def _until(until: str | msgspec.UnsetType) -> str:
    return f" (until {clock(until)})" if until else ""


def _table(why: Why) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("condition", "is", "needs", "so", "how far", "last so"):
        table.add_column(name, overflow="fold")
    for line in lines(why):
        indent = "  " * line.depth
        part = line.part
        if part is None:
            table.add_row(f"{indent}{line.text}")
            continue
        wanted = part.wanted is msgspec.UNSET
        met = None if part.result is None else part.result is wanted
        mark, colour = _undecided(part, wanted) if part.undecided else _MARK[met]
        table.add_row(
            f"{indent}{line.text}", _number(part.left), part.needs or "", Text(mark, style=colour),
            how_far(part, met), clock(part.last_met) if part.last_met and not met else "",
        )  # fmt: skip
    return table


def _undecided(part: Part, wanted: bool) -> tuple[str, str]:
    """What a rule remembers of a condition that only matters as far as it is met."""
    if part.excluded is msgspec.UNSET:
        return "not kept", "yellow"
    return ("no or unknown", "red") if part.excluded is wanted else ("yes or unknown", "yellow")


def lines(why: Why) -> Iterator[Line]:
    """Every row, those below an operator after it."""
    yield from _logic(why.logic, why.explain, 0, top=True)


def _logic(logic: Any, explain: list[Part], depth: int, *, top: bool = False) -> Iterator[Line]:
    if isinstance(logic, int):
        yield from _rows(explain[logic], depth)
        return
    ((word, inner),) = logic.items()
    if word == "not":
        yield from _logic(inner, explain, depth)
        return
    if not (top and word == "all"):
        yield Line(depth, "any of" if word == "any" else "all of", None)
        depth += 1
    for one in inner:
        yield from _logic(one, explain, depth)


def _rows(part: Part, depth: int) -> Iterator[Line]:
    denial = "" if part.wanted is msgspec.UNSET else "not "
    yield Line(depth, denial + part.text, part)
    for below in part.parts or ():
        yield from _rows(below, depth + 1)


def how_far(part: Part, met: bool | None) -> str:
    """The distance, or what an operator remembers."""
    told = list(_told(part))
    if isinstance(part.off, float) and not met and part.off:
        word = "short" if part.off < 0 else "over"
        if isinstance(part.off_pct, float):
            told.insert(0, f"{abs(part.off_pct):.3g} % {word}")
        else:
            told.insert(0, f"{abs(part.off):.6g} {word}")
    if part.gap is True:
        told.append("the window reaches into a gap of the feed")
    return ", ".join(told)


def _told(part: Part) -> Iterator[str]:
    if part.since:
        yield f"since {clock(part.since)}"
    if isinstance(part.count, int):
        yield f"{part.count} so far"
    if part.sample:
        yield f"sample of {clock(part.sample)}"
    if part.was:
        yield f"was {part.was} before"
    if part.disarmed is True:
        yield "held back by its hysteresis"
    if part.taken:
        due = f", next due {clock(part.due)}" if part.due else ""
        yield f"step {len(part.taken)} taken {clock(part.taken[-1])}{due}"
    if part.steps:
        yield f"steps {', '.join(map(clock, part.steps))}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def date(text: str) -> str:
    """The date of an RFC 3339 time in New York."""
    return f"{_local(text):%Y-%m-%d}"


def _local(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f"{text[:26]}+00:00").astimezone(NEW_YORK)


def clock(text: str | msgspec.UnsetType | None) -> str:
    """An RFC 3339 time as a time of day in New York; milliseconds where there are any."""
    if not text:
        return ""
    moment = _local(text)
    shown = f"{moment:%H:%M:%S}"
    return f"{shown}.{moment.microsecond // 1000:03d}" if moment.microsecond else shown
