"""`tapescan backtest`: what would have fired."""

from pathlib import Path
from typing import Any

import click

from engine.config.load import Loaded
from engine.replay.open_stream import tape_file
from tools.options import config_option, entry, load_config

BARS_INTERVAL_MS = 60_000


@click.command()
@click.option("--trades", type=click.Path(exists=True), help="Recorded trades, CSV or CSV.gz.")
@click.option("--bars", type=click.Path(exists=True), help="1-minute bars, CSV or CSV.gz.")
@click.option("--tape", type=click.Path(exists=True), help="A stream recorded by the engine.")
@click.option("--rules", type=click.Path(exists=True), help="Rule file; default: rules.path.")
@click.option("--interval-ms", metavar="N", help="Time between cycles; default: the setting.")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False), help="Alerts, one JSON object a line."
)
@config_option
def backtest(
    trades: str | None, bars: str | None, tape: str | None, rules: str | None,
    interval_ms: str | None, out: str, config_path: str | None,
) -> int:
    """Run rules over a recording and write every alert, in order.

    The same input gives the same bytes. A tape carries its own rules and interval.
    """
    given = [name for name, value in (("trades", trades), ("bars", bars), ("tape", tape)) if value]
    if len(given) != 1:
        raise click.UsageError("backtest needs one of --trades, --bars and --tape.")
    if tape and (rules or interval_ms):
        raise click.UsageError("a tape carries its own rules and interval: leave --rules and "
                               "--interval-ms away.")
    if bars and interval_ms:
        raise click.UsageError("bars have one cycle a minute: leave --interval-ms away.")
    recording = tape_file(Path(tape)) if tape else Path(trades or bars or "")
    if Path(out).exists() and recording.exists() and recording.samefile(out):
        raise click.UsageError(f"--out {out} is the recording itself; it would be lost.")
    outcome = _run(trades, bars, tape, rules, interval_ms, Path(out), config_path)
    click.echo(f"{outcome.alerts} alerts in {outcome.cycles} cycles of {outcome.stream_id}, "
               f"sha256 {outcome.sha256}")
    if not outcome.ended:
        click.echo("the tape has no end record: it was cut off, all whole cycles were taken.")
    return 0


def _run(
    trades: str | None, bars: str | None, tape: str | None, rules: str | None,
    interval_ms: str | None, out: Path, config_path: str | None,
) -> Any:
    if tape:
        return entry("engine.replay.backtest:backtest_tape")(tape_file(Path(tape)), out)
    loaded = _config(config_path, trades or bars or "", rules, interval_ms, bars is not None)
    name = "backtest_bars" if bars else "backtest_trades"
    recording = Path(trades or bars or "")
    return entry(f"engine.replay.backtest:{name}")(loaded.config, recording, out, _tell)


def _tell(sentence: str) -> None:
    """A bad row, on standard error."""
    click.echo(f"tapescan: {sentence}", err=True)


def _config(
    config_path: str | None, recording: str, rules: str | None, interval_ms: str | None,
    is_bars: bool,
) -> Loaded:
    """The configuration with the recording in the place of the feed: all of it, once."""
    source = "--bars" if is_bars else "--trades"
    overrides: dict[str, tuple[str, object]] = {
        "feed.provider": (source, "replay"),
        "feed.trades": (source, str(Path(recording).absolute())),
        "feed.quotes": (source, ""),
        "feed.history_dates": (source, []),
        "feed.start": (source, ""),
        "feed.end": (source, ""),
        "feed.loop": (source, False),
    }
    if rules is not None:
        overrides["rules.path"] = ("--rules", str(Path(rules).absolute()))
    if is_bars:
        overrides["engine.interval_ms"] = (source, BARS_INTERVAL_MS)
    elif interval_ms is not None:
        overrides["engine.interval_ms"] = ("--interval-ms", interval_ms)
    return load_config(config_path, overrides)
