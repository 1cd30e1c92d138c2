"""docs/metrics.md, written from the registry."""

from collections.abc import Sequence

from engine.metrics.entry import SAME, Metric
from engine.metrics.family_docs import family_edges, render_families
from engine.metrics.planned import PLANNED
from engine.metrics.registry import METRICS

_COLUMNS = (
    "name, aliases", "what it is", "unit", "formula", "unknown", "warm-up", "reaches back", "hours",
    "mirror",
)  # fmt: skip

_INTRODUCTION = """\
# Metrics

Every number a rule can name, generated from the registry by `python -m tools.metric_docs`: do not
edit this page. `P` is the last price, `C1` the previous close, `T` the time of the cycle. A name
can be written with blanks inside its brackets: `ema( 20 )`.

**Unknown is unknown.** A value that cannot be computed is `null`, never 0. A condition on an
unknown value is neither true nor false, and a rule whose result is unknown does not fire. Any
metric is unknown while one of its inputs is; the column *unknown* names the other cases.

**Windows** reach from T back to a whole second or minute, and only within the session date
(by default 04:00 to 20:00 exchange time). What counts as the price then is the
last eligible trade the engine had taken in by then. Windows of volume count the same way. A
window shorter than the time between two cycles is unknown: nobody looked in between.

**Gaps**: *reaches back* says how far a window goes: seconds, minutes, bars, or to a moment of the
session date; a value of the moment has none. When it reaches into the newest gap in the symbol's
feed, the condition says so in its alerts: `"gap": true`. Of a gap only the end is kept, so a window
that was over before the gap began is flagged, too. Means that forget by a share a bar (EMA, RSI,
ATR, MACD) reach as far as the bars that carry 99 % of their weight.

**Bars as input** (`backtest --bars`): a bar is applied whole at the end of its minute, one cycle a
minute. It does not tell how many trades there were nor their sizes, so `last_size`, `trades_rth`
and `trades_all` are unknown and a rule that needs one of them does not fire. Volume counts at the
typical price (high + low + close) / 3, which is what every VWAP and `dvol` are made of; such bars
are flagged. Ages of trades, highs and lows are known to the minute only; of a bar the open counts
first, then the high, the low and the close. `max_print_usd`, blocks and trades per second are
unknown.

**Reference data**: what daily bars, usual volumes, floats and sectors rest on and when they are
unknown stands in [reference-data.md](reference-data.md).

**Corrections and cancels** rebuild highs, lows, opening ranges, pullbacks and the largest print
from recent trades; where those do not reach back, sums change and extremes stay. `n_hod` and
`n_lod` count what was printed.

**Mirror**: what stands for the metric when a rule for rising prices is turned into one for falling
prices; *unchanged* for what has no direction, such as volume.

**Sessions**: regular metrics (`hod`, `vwap_rth`, `open` ...) use trades of regular hours only and
keep their value after the close; `_all` means pre-market, regular and after hours.
"""


def _mirror(metric: Metric) -> str:
    if metric.flip == SAME:
        return "unchanged"
    return f"`{metric.flip or '-' + metric.name}`"


def _row(metric: Metric) -> str:
    names = f"`{metric.name}`"
    if metric.aliases:
        names += "<br>" + ", ".join(f"`{alias}`" for alias in metric.aliases)
    sessions = "" if metric.sessions == "all" else metric.sessions
    cells = (
        names, metric.brief, metric.unit, metric.formula, metric.unknown, metric.warm_up,
        metric.reach.text, sessions, _mirror(metric),
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _section(heading: str) -> list[str]:
    lines = ["", f"## {heading}", ""]
    lines += [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    return lines + [_row(metric) for metric in METRICS if metric.group == heading]


def _planned() -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, reason in PLANNED.items():
        by_reason.setdefault(reason, []).append(name)
    lines = ["", "## Not in this release", "", "A rule that names one of these is refused:", ""]
    for reason, names in by_reason.items():
        lines.append(f"- {reason}: " + ", ".join(f"`{name}`" for name in names))
    return lines


def render(edge_cases: Sequence[tuple[str, str]]) -> str:
    """The whole page. edge_cases: (what, decision) of the indicators, from their registry."""
    lines = [_INTRODUCTION.rstrip()]
    for heading in dict.fromkeys(metric.group for metric in METRICS):
        lines += _section(heading)
    lines += render_families()
    lines += ["", "## Where libraries disagree", ""]
    lines += [f"- **{what}**: {decision}" for what, decision in (*edge_cases, *family_edges())]
    lines += _planned()
    return "\n".join(lines) + "\n"
