"""The part of docs/metrics.md about parameterised indicators, from the registry of kinds."""

from engine.domain.family import TIMEFRAME_MINUTES
from engine.metrics.entry import SAME
from engine.metrics.family_kinds import KINDS, MAX_MINUTES, Kind

_FRAMES = " ".join([*(f"`{minutes}m`" for minutes in TIMEFRAME_MINUTES), "`D`"])
_INTRODUCTION = f"""\
## Indicators with numbers of their own

A rule may name any member of these families, such as `ema(34, 5m)`, `bb_upper(20, 2.5)`,
`highest(high, 30m)` or `chg_7m_pct`. It is computed from the moment on that a rule in force names
it, once for all rules that do, and dropped with the last of them. Its first values come from the
bars in memory: all symbols are filled within four seconds, and until its turn a symbol's value is
unknown (`tapescan status` and the rule's page show the family as *warming*). How many there can be
together is `rules.max_families`; what they cost counts in `rules.max_rule_cost_us`.

**Timeframes**: {_FRAMES}; `1m` where none is written.
Bars are put together from the final 1-minute bars, aligned to the clock of the exchange day, and
are new when their last minute is closed. A time without a price has no bar: windows count bars,
not minutes. `D` means official daily bars up to yesterday; until such are loaded its values are
unknown.

**Modes**: a value is that of the newest final bar. `live` as the last argument, as in
`ema(20, 5m, live)`, counts the forming bar as the newest. `_rth` behind the name, as in
`ema_rth(20, 5m)`, means bars of regular hours only.

**Windows in time**: `chg_N_pct` and `vol_N` for any N from `1s` to `15m`, and whole minutes up to
`{MAX_MINUTES}m`; `range_N`, `highest(high, N)`, `lowest(low, N)`, `sum(volume, N)`,
`avg(volume, N)` and `rv(N)` for 1 to {MAX_MINUTES} closed minutes. They lie within the session
date.

**Memory**: of every timeframe that a rule names 256 closes and 64 highs, lows and volumes of a
symbol are kept, which bounds the periods below. A timeframe that no rule named when the stream
began starts with the 1-minute bars in memory (`bars.history_bars`), and windows in time of more
than an hour with the prices of the last hour; streams that begin later have all of the history.
A mean that forgets by a share a bar may have a longer period than a fill can reach back; it is
known when enough bars have come. A symbol that gets more than one bar of a timeframe in one cycle,
as after a pause of the engine, begins again from the bars in memory.

| family | what it is | unit | formula | periods | unknown | warm-up | mirror |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


def _shown(kind: Kind, text: str) -> str:
    names = [f"*{period.name}*" for period in kind.periods]
    return text.format(*names, f="*value*", w="*N*")


def _call(kind: Kind) -> str:
    if kind.name == "chg_time":
        return "chg_N_pct"
    if kind.name in ("vol_time", "range_time"):
        return f"{kind.written}_N"
    arguments = [" or ".join(kind.fields)] if kind.fields else []
    arguments += [period.name for period in kind.periods] or ["N"]
    return f"{kind.written}({', '.join(arguments)})"


def _periods(kind: Kind) -> str:
    told = []
    for period in kind.periods:
        default = "" if period.default is None else f", by default {period.default:g}"
        told.append(f"{period.name} {period.low:g} to {period.high:g}{default}")
    return "; ".join(told) or "N in time"


def _warm_up(kind: Kind) -> str:
    if not kind.periods:
        return "N of the session date"
    low = tuple(float(period.low) for period in kind.periods)
    likely = tuple(
        float(14 if period.default is None else period.default) for period in kind.periods
    )
    shown = ", ".join(f"{value:g}" for value in likely)
    return f"{kind.bars(likely if likely >= low else low)} bars with {shown}"


def _mirror(kind: Kind) -> str:
    if kind.flip == SAME:
        return "unchanged"
    name = _call(kind)
    if kind.flip is None:
        return f"`-{name}`"
    if "{name}" in kind.flip:
        return f"`{kind.flip.format(name=name)}`"
    sign, other = ("-", kind.flip[1:]) if kind.flip.startswith("-") else ("", kind.flip)
    return f"`{sign}{name.replace(kind.written, other, 1)}`"


def _row(kind: Kind) -> str:
    cells = (
        f"`{_call(kind)}`", _shown(kind, kind.brief), kind.unit or "as its value",
        _shown(kind, kind.formula), _periods(kind), kind.unknown, _warm_up(kind), _mirror(kind),
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def render_families() -> list[str]:
    """The lines of the section."""
    return ["", *_INTRODUCTION.splitlines(), *(_row(kind) for kind in KINDS.values())]


def family_edges() -> list[tuple[str, str]]:
    """(what, decision) where libraries disagree or divide 0 by 0."""
    return [(_call(kind), kind.edge) for kind in KINDS.values() if kind.edge]
