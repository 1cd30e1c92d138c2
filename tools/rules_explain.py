"""`tapescan rules explain`: why a rule fires for a symbol, or why not."""

from pathlib import Path

import click
import msgspec
from rich.console import Console

from engine.alerts.aftermath import with_alerts
from engine.alerts.onlooker import Onlooker
from engine.alerts.sight import Sight, UnseenError
from engine.alerts.why import Why, explain_standing
from engine.config.schema import Config
from engine.replay.open_stream import recall, stream_directory, tape_file
from engine.rules.model import Rule
from engine.rules.stored import stored_rule
from engine.storage.sqlite import ALERTS_NAME, SqliteAlertReader
from shm.segments import opener
from tools.explain_view import render
from tools.options import config_option, entry, load_config
from tools.status_read import LIVE_STATES, StatusReader


@click.command("explain")
@click.argument("rule_id", metavar="RULE")
@click.argument("symbol")
@click.option("--at", default="", metavar="TIME", help="The last cycle at or before it: 09:45:00 "
              "in New York, or RFC 3339 with a zone.")
@click.option("--cycle", "n", type=click.IntRange(1), metavar="N", help="That cycle.")
@click.option("--tape", type=click.Path(exists=True), metavar="DIR",
              help="A recorded stream; default: the running engine, with --at and --cycle its own "
              "recording.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def explain(
    rule_id: str, symbol: str, at: str, n: int | None, tape: str | None, as_json: bool,
    config_path: str | None,
) -> None:
    """Say why RULE fires for SYMBOL, or why not.

    Every condition with its numbers, how far off it is and when it last held; and what else stands
    in the way. A running engine is looked at without disturbing it. A recording is played from its
    beginning up to the cycle, by default to its last one, and then all of it is known; of a
    running engine what its rules remember.
    """
    if at and n:
        raise click.UsageError("--at and --cycle name two cycles: leave one away.")
    config = load_config(config_path, check_files=False).config
    stored = stored_rule(config, Path(config.paths.data_dir), rule_id)
    if tape is None and not at and n is None:
        found = _running(config, rule_id, symbol, stored)
    else:
        file = tape_file(Path(tape)) if tape is not None else _own_tape(config)
        found = entry("engine.replay.why_tape:explain_tape")(
            file, rule_id, symbol, at=at, n=n or 0, stored=stored
        )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    console = Console()
    console.print(render(found, console.width))


def _own_tape(config: Config) -> Path:
    data_dir = Path(config.paths.data_dir)
    stream = recall(data_dir)
    if stream is None:
        raise UnseenError(f"{data_dir} holds no recorded stream; --tape DIR names one.")
    return tape_file(stream_directory(data_dir, stream.stream_id))


def _running(config: Config, rule_id: str, symbol: str, stored: Rule | None) -> Why:
    data_dir = Path(config.paths.data_dir)
    status = StatusReader(data_dir, config.engine.name).read()
    if status["state"] == "starting":
        raise UnseenError(f"the engine on {data_dir} is still starting.")
    if status["state"] not in LIVE_STATES or not status.get("stream_id"):
        raise UnseenError(
            f"no engine runs on {data_dir}; --at, --cycle and --tape DIR explain a recorded cycle."
        )
    sight = Sight.opened(opener(status["engine"]))
    standing = Onlooker(sight, rule_id, symbol, stored).look()
    path = data_dir / ALERTS_NAME
    if path.exists():
        alerts = SqliteAlertReader(path)
        try:
            standing = with_alerts(sight, standing, alerts, status["stream_id"])
        finally:
            alerts.close()
    return explain_standing(standing)
