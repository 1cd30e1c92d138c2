"""`tapescan check-config`: is it good, what does it take, will it keep up."""

from typing import Any

import click

from engine.config.schema import Config
from ipc.policy import EXIT_BAD_CONFIG, EXIT_OK
from tools.options import config_option, entry, load_config

OUTLASTED = "recorder stall outlasted"


@click.command("check-config")
@config_option
def check_config(config_path: str | None) -> int:
    """Check configuration and rules, those that are stored, too; print the memory they take, how
    long a recorder may stand still in a live stream, and an estimate of the cycle.

    Exit code 3 when something is refused, or when a cycle would take longer than the interval.
    Nothing is changed.
    """
    loaded = load_config(config_path)
    where = str(loaded.path) if loaded.path is not None else "built-in defaults"
    report: dict[str, Any] = entry("tools.capacity:report")(loaded.config)
    _memory(report)
    if report["stored"] is not None:
        _stored(report["stored"])
    return _cycle(loaded.config, report, where)


def loaded_rules(count: int) -> str:
    """So many rules, in words."""
    return "1 rule" if count == 1 else f"{count} rules"


def _memory(report: dict[str, Any]) -> None:
    width = max(len(OUTLASTED), *(len(row.what) for row in report["memory"])) + 2
    click.echo("Shared memory")
    for row in report["memory"]:
        click.echo(f"  {row.what:<{width}}{row.nbytes / 1e6:>10.1f} MB")
    total = sum(row.nbytes for row in report["memory"])
    click.echo(f"  {'tables':<{width}}{total / 1e6:>10.1f} MB")
    more = report["more_bytes"]
    click.echo(f"  {'more rules, up to':<{width}}{more / 1e6:>10.1f} MB, when they are used")
    processes = report["process_bytes"]
    told = f"processes ({report['roles'] + 1})"
    click.echo(f"  {told:<{width}}{processes / 1e6:>10.1f} MB, about")
    room = report["room_bytes"]
    click.echo(f"  {'free on this machine':<{width}}{room / 1e6:>10.1f} MB")
    stall = report["stall"]
    if stall is not None:
        told = f"{stall.seconds:>10.1f} s  at {stall.ticks_per_s:,.0f} ticks/s"
        click.echo(f"  {OUTLASTED:<{width}}{told}, {stall.opening_s:.1f} s at the open")
    if total + processes > room:
        click.echo("warning: that is more than is free on this machine now.", err=True)
    if stall is not None and stall.warned:
        click.echo(f"warning: {_short(stall)}", err=True)


def _short(stall: Any) -> str:
    """What a ring too small for the rate costs, and what would do."""
    told = (
        f"a recorder that hangs is replaced within {stall.needed_s:.1f} s, but engine.ring_ticks "
        f"lasts {stall.seconds:.1f} s: one hang or slow disk ends the recording"
    )
    return told + (f"; {stall.enough_ticks} would do." if stall.enough_ticks else ".")


def _stored(found: Any) -> None:
    """The rules in the store, and what rules.path does to them at a start."""
    told = f"{loaded_rules(found.enabled + found.disabled)}, {found.enabled} enabled, " \
           f"{found.disabled} disabled"
    click.echo(f"Stored in {found.path}: {told}; they {'do not ' if found.faults else ''}compile.")
    for fault in found.faults:
        click.echo(f"warning: {fault}", err=True)
    if found.changes:
        changes = "1 change" if found.changes == 1 else f"{found.changes} changes"
        click.echo(f"A start takes in rules.path: {changes}.")


def _cycle(config: Config, report: dict[str, Any], where: str) -> int:
    cycle = report["cycle"]
    interval_ms = config.engine.interval_ms
    click.echo(
        f"Cycle: about {cycle.seconds * 1000:.2f} ms of every {interval_ms} ms, "
        f"{cycle.share:.0%}, with {cycle.assumed}"
    )
    if cycle.refused:
        click.echo(
            f"tapescan: {where}: a cycle of about {cycle.seconds * 1000:.1f} ms does not fit into "
            f"engine.interval_ms = {interval_ms}.", err=True,
        )
        return EXIT_BAD_CONFIG
    if cycle.warned:
        click.echo("warning: a cycle takes more than 40 % of the interval; a busy market may "
                   "leave cycles out.", err=True)
    click.echo(f"{where} is good, {loaded_rules(report['rules'])}.")
    return EXIT_OK
