"""`tapescan run`: start the engine."""

import os
import signal
from pathlib import Path
from types import FrameType

import click

from engine.config.errors import ConfigError
from engine.config.load import find
from tools.options import config_option, entry, load_config

DEMO_SYMBOLS = 10_000
RULES_VARIABLE = "TAPESCAN_RULES__PATH"

# What --demo-market changes: the simulator, at the market's own pace, with room for its symbols and
# rules for a broad market.
DEMO_MARKET: dict[str, object] = {
    "rules.path": str(Path(__file__).resolve().with_name("demo_market_rules.json")),
    "feed.provider": "simulator",
    "feed.speed": 1.0,
    "simulator.symbols": DEMO_SYMBOLS,
    "engine.capacity": DEMO_SYMBOLS,
    "engine.scan_workers": 2,
}


@click.command()
@config_option
@click.option("--demo-market", is_flag=True, help="A simulated market of 10,000 symbols.")
@click.option("--speed", metavar="X", help="Times the recording's pace; 0: as fast as it goes.")
@click.option("--port", metavar="N", help="Port of the page; 0: any free one.")
def run(
    config_path: str | None, demo_market: bool, speed: str | None, port: str | None
) -> int:
    """Start the engine and its page; stop with Ctrl-C (twice: at once)."""
    overrides: dict[str, tuple[str, object]] = {}
    if speed is not None:
        overrides["feed.speed"] = ("--speed", speed)
    if port is not None:
        overrides["web.port"] = ("--port", port)
    no_switch = _no_switch(config_path, overrides)
    if demo_market:
        overrides = _demo_market() | overrides
    loaded = load_config(config_path, overrides)
    file = find(config_path)
    if file is not None:  # a restart of the engine by itself finds the same file
        os.environ["TAPESCAN_CONFIG"] = str(file.absolute())
    signal.signal(signal.SIGTERM, _interrupt)
    arguments = ["--demo-market"] if demo_market else []
    arguments += ["--speed", speed] if speed is not None else []
    arguments += ["--port", port] if port is not None else []
    Path(loaded.config.paths.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    return int(entry("tools.roles:run_engine")(loaded.config, arguments, no_switch))


def _demo_market() -> dict[str, tuple[str, object]]:
    """The overrides of --demo-market; rules that the environment names win over its own."""
    demo = {name: ("--demo-market", value) for name, value in DEMO_MARKET.items()}
    if RULES_VARIABLE in os.environ:
        del demo["rules.path"]
    return demo


def _no_switch(config_path: str | None, overrides: dict[str, tuple[str, object]]) -> str:
    """Why the page cannot switch between recording and demo market; empty when it can."""
    try:
        feed = load_config(config_path, overrides, check_files=False).config.feed
    except ConfigError as error:
        return f"Without --demo-market this configuration is refused: {error}"
    if feed.provider != "replay":
        return f'There is no recording to switch to: feed.provider is "{feed.provider}".'
    if not Path(feed.trades).is_file():
        return f'There is no recording to switch to: feed.trades is "{feed.trades}".'
    return ""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Until the supervisor takes the signals over: unwind, so that no segment is left."""
    raise KeyboardInterrupt
