"""How `tapescan status` looks: one table of facts, one of roles."""

from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_COLOURS = {
    "running": "green", "done": "green", "starting": "yellow", "stopping": "yellow",
    "backoff": "yellow", "stopped": "dim", "crashed": "bold red", "failed": "bold red",
    "never": "dim",
}
OLD_BEAT_MS = 2000
LONG_WAIT_MS = 1000  # within a cycle roles wait for each other all the time
WIDE = 110
MAX_NAMED = 3


def headline(status: dict[str, Any]) -> Text:
    """One sentence about the engine as a whole."""
    state = status["state"]
    told = {
        "never": f"No engine has run on {status['data_dir']}.",
        "starting": f"{status['engine']} is starting (process {status['pid'] or 'unknown'}): "
                    "it compiles what is not compiled yet and prepares the stream.",
        "running": f"{status['engine']} is running (process {status['pid']}).",
        "stopping": f"{status['engine']} is stopping: {status['reason']}",
        "stopped": f"{status['engine']} is stopped: {status['reason']}",
        "failed": f"{status['engine']} has failed: {status['reason']}",
        "crashed": f"{status['engine']} has crashed: process {status['pid']} has gone without a "
                   "word. The next `tapescan run` goes on from its tape.",
    }[state]
    text = Text(told, style=_COLOURS[state])
    if status.get("simulated"):
        text.append("  SIMULATED", style="bold magenta")
    return text


def render(status: dict[str, Any], width: int = 80) -> RenderableType:
    """The whole page, for a terminal of so many columns."""
    pairs = 2 if width >= WIDE else 1
    parts: list[RenderableType] = [headline(status)]
    parts += [Text(f"Degraded: {reason}", style="yellow") for reason in status.get("degraded", [])]
    parts.append(Padding(facts(status, pairs), (1, 0)))
    if status["roles"]:
        parts.append(roles(status["roles"], live=status["state"] in {"running", "stopping"}))
    return Group(*parts)


def facts(status: dict[str, Any], pairs: int) -> Table:
    """Names and values, so many pairs a line; what is unknown is left out."""
    table = Table.grid(padding=(0, 2))
    for _ in range(pairs):
        table.add_column(style="dim", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
    known = [(name, value) for name, value in _facts(status) if value is not None]
    lines = -(-len(known) // pairs)
    for row in range(lines):
        cells = [cell for pair in known[row::lines] for cell in pair]
        table.add_row(*cells)
    return table


def _facts(status: dict[str, Any]) -> list[tuple[str, str | None]]:
    depth = status.get("ring_depth")
    latency = status.get("latency") or {}
    live = status["state"] in {"running", "stopping", "starting"}
    return [
        ("page", status.get("url") if live else None),
        ("feed", status.get("provider")),
        ("stream", status.get("stream_id")),
        ("market time", _moment(status.get("t"))),
        ("cycle", _cycle(status)),
        ("absent, strided", _pair(status.get("absent_cycles"), status.get("strided_cycles"))),
        ("up since" if live else "last start", _moment(status.get("started"))),
        ("last word", None if live else _moment(status.get("written"))),
        ("exit code", None if status.get("exit_code") is None else str(status["exit_code"])),
        ("symbols", _number(status.get("symbols"))),
        ("ticks", _number(status.get("ticks"))),
        ("refused, late", _pair(status.get("refused_ticks"), status.get("late_trades"))),
        ("alerts", _number(status.get("alerts"))),
        ("rules version", _number(status.get("rules_version"))),
        ("indicators", _families(status.get("families"))),
        ("scan p50, p99", _quantiles(latency.get("cycle"))),
        ("tick to alert", _quantiles(latency.get("tick_to_alert"))),
        ("ring depth", None if depth is None else _depths(depth)),
        ("errors", _number(status.get("errors"))),
        ("split suspects", _number(status.get("splits_suspected") or None)),
        ("data", status["data_dir"]),
    ]


def _cycle(status: dict[str, Any]) -> str | None:
    if status.get("n") is None:
        return None
    interval_ms = status.get("interval_ms")
    return f"{status['n']:,}" + (f", every {interval_ms} ms" if interval_ms else "")


def _families(families: dict[str, Any] | None) -> str | None:
    """How many indicators the rules name, and which are still being filled."""
    if not families or not families["count"]:
        return None
    warming = families["warming"]
    more = "" if len(warming) <= MAX_NAMED else f" and {len(warming) - MAX_NAMED} more"
    told = f", warming: {', '.join(warming[:MAX_NAMED])}{more}" if warming else ""
    return f"{families['count']}{told}"


def _quantiles(latency: dict[str, Any] | None) -> str | None:
    if not latency or latency["p50_ms"] is None:
        return None
    return f"{latency['p50_ms']:,.2f} ms, {latency['p99_ms']:,.2f} ms"


def _depths(depths: dict[str, int]) -> str:
    told = ", ".join(f"{name} {depth:,}" for name, depth in depths.items())
    return told or "0"


def _number(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _pair(first: int | None, second: int | None) -> str | None:
    return None if first is None or second is None else f"{first:,}, {second:,}"


def _moment(text: str | None) -> str | None:
    return None if text is None else text.replace("T", " ").replace("Z", " UTC")


def roles(rows: list[dict[str, Any]], *, live: bool) -> Table:
    """One line for each role."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2))
    table.add_column("role", no_wrap=True)
    table.add_column("pid", justify="right")
    table.add_column("state")
    table.add_column("beat", justify="right")
    table.add_column("progress", justify="right")
    table.add_column("waits for", no_wrap=True)
    table.add_column("restarts", justify="right")
    table.add_column("last end", style="dim", overflow="fold")
    for row in rows:
        state = str(row["state"]) if live or row["state"] in {"done", "failed"} else "gone"
        restarts = int(row.get("restarts", 0))
        table.add_row(
            row["role"],
            str(row["pid"]) if row["pid"] and live else "-",
            Text(state, style=_COLOURS.get(state, "dim")),
            _beat(row.get("beat_age_ms")) if live else "-",
            f"{row['progress']:,}",
            _wait(row) if live else "",
            Text(str(restarts), style="yellow" if restarts else ""),
            row.get("last_end") or "",
        )
    return table


def _beat(age_ms: int | None) -> Text:
    if age_ms is None:
        return Text("-")
    return Text(f"{age_ms:,} ms", style="bold red" if age_ms > OLD_BEAT_MS else "")


def _wait(row: dict[str, Any]) -> Text:
    """Whose gate keeps the role from going on, when that has lasted."""
    waits_ms = row.get("waits_ms")
    if not row.get("waits_for") or waits_ms is None or waits_ms < LONG_WAIT_MS:
        return Text("")
    return Text(f"{row['waits_for']}, {waits_ms / 1000:,.1f} s", style="yellow")
