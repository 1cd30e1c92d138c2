"""`tapescan rules preview`: what a rule would have told over recorded days, before it is stored."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.replay.open_stream import tape_file
from engine.replay.preview import Preview, PreviewRun
from engine.rules.errors import RuleError
from engine.rules.files import load_rules
from engine.rules.library import find, live, plain
from engine.rules.limits import limits_of
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from tools.cli_backtest import config_for, tell
from tools.explain_view import clock
from tools.options import config_option, entry, load_config
from tools.rule_changes import reading

QUICK_MS = 1_000
_MANY: dict[str, Any] = {"multiple": True, "type": click.Path(exists=True), "metavar": "PATH"}


@click.command()
@click.argument("rule", metavar="FILE-OR-ID")
@click.option("--tape", "tapes", help="A stream recorded by the engine.", **_MANY)
@click.option("--trades", help="Recorded trades, CSV or CSV.gz.", **_MANY)
@click.option("--bars", help="1-minute bars, CSV or CSV.gz.", **_MANY)
@click.option("--interval-ms", metavar="N", help="Time between cycles of recorded trades; default: "
              "the setting, at least 1000, for a quick answer.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def preview(
    rule: str, tapes: Sequence[str], trades: Sequence[str], bars: Sequence[str],
    interval_ms: str | None, as_json: bool, config_path: str | None,
) -> None:
    """Play recordings with the rule in FILE, or the stored rule ID, beside the other stored rules.

    Counts its alerts by day, minute and symbol, says how many of them another rule tells for the
    same symbol within a minute, and shows ten. Nothing is stored. --tape, --trades and --bars can
    be given more than once, and together.
    """
    if not (tapes or trades or bars):
        raise click.UsageError("preview needs at least one of --tape, --trades and --bars.")
    if interval_ms is not None and not trades:
        raise click.UsageError("--interval-ms is for recorded trades: a tape has its own interval, "
                               "bars one cycle a minute.")
    begun = time.monotonic()
    config = load_config(config_path, check_files=False).config
    if trades and interval_ms is None:
        interval_ms = str(max(config.engine.interval_ms, QUICK_MS))
    run = PreviewRun(*_rules(config, rule), limits_of(config))
    for path in tapes:
        entry("engine.replay.backtest:play_tape")(
            tape_file(Path(path)), run.take, rules=run.compiled, told_of=run.told_of
        )
    for name, paths in (("trades", trades), ("bars", bars)):
        for path in paths:
            told = config_for(
                config_path, path, None, interval_ms, name == "bars", check_files=False
            ).config
            compiled = run.compiled(sizes_of(told))
            entry(f"engine.replay.backtest:play_{name}")(
                told, Path(path), run.take, compiled, tell, told_of=run.told_of
            )
    found, seconds = run.outcome(), time.monotonic() - begun
    if as_json:
        document = {**msgspec.to_builtins(found), "seconds": round(seconds, 3)}
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
        return
    Console().print(render(found, seconds))


def _rules(config: Config, named: str) -> tuple[Rule, list[Rule]]:
    """The rule that is meant, and those that are stored. Raises RuleError, UnknownRuleError."""
    limits, path = limits_of(config), Path(named)
    with reading(config) as reader:
        stored = live(reader.newest())
        if not path.exists():
            meant = read_rule(plain(find(reader, named)), limits)
        else:
            found = load_rules(path, limits, whole=False)
            if len(found) != 1:
                raise RuleError((f"{path}: expected one rule to preview, found {len(found)}",))
            meant = found[0]
    return meant, [read_rule(plain(one), limits) for one in stored.values()]


# -- how it looks ----------------------------------------------------------------------------------
def render(found: Preview, seconds: float) -> RenderableType:
    """The whole page."""
    minutes = f"{found.minutes:,} minutes, {found.cycles:,} cycles"
    parts: list[RenderableType] = [
        Text(f"{found.rule_id}: {found.alerts:,} alerts in {minutes}, played in {seconds:.1f} s.",
             style="bold"),
        Text(f"A minute has at most {found.per_minute_max}, and 95 of 100 minutes have at most"
             f" {found.per_minute_p95}."),
    ]
    for count, why in ((found.max_per_min, "max_per_min"), (found.cap, "max_alerts_per_cycle")):
        if count:
            parts.append(Text(f"{count:,} more were kept back by {why}.", style="yellow"))
    if found.overlap is not None:
        rules = ", ".join(f"{one.rule_id} {_percent(one.share)}" for one in found.overlaps[:5])
        parts.append(Text(f"{_percent(found.overlap)} of them lie within a minute of another rule's"
                          f" for the same symbol{': ' + rules if rules else ''}."))
    parts.append(Padding(_counts(found), (1, 0)))
    if found.examples:
        parts.append(_examples(found.examples))
    return Group(*parts)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share * 100:.3g} %"


def _counts(found: Preview) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("day", "alerts", "symbol", "alerts"):
        table.add_column(name, justify="right" if name == "alerts" else "left")
    for at in range(max(len(found.per_day), len(found.per_symbol))):
        cells = []
        for counts in (found.per_day, found.per_symbol):
            there = at < len(counts)
            cells += [counts[at].of, f"{counts[at].alerts:,}"] if there else ["", ""]
        table.add_row(*cells)
    return table


def _examples(examples: list[Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("day", "time", "symbol", "price", "values"):
        table.add_column(name, overflow="fold")
    for one in examples:
        values = ", ".join(f"{name} {_short(value)}" for name, value in one["values"].items())
        event = f" {one['event']}" if "event" in one else ""
        table.add_row(
            one["scan_ts"][:10], clock(one["scan_ts"]), one["symbol"] + event,
            _short(one["price"]), values,
        )
    return table


def _short(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"
