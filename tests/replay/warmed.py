"""A process that warms the kernels, then does what roles do and prints what that asked for."""

import gc
import json
import tempfile
from pathlib import Path

from tools import runtime

runtime.prepare()

# numba reads the cache's place when it is imported
from numba.core.dispatcher import Dispatcher  # noqa: E402

from engine.config.schema import Config, EngineSection, FeedSection  # noqa: E402
from engine.feeds.registry import open_provider  # noqa: E402
from engine.feeds.stage import FeedStage  # noqa: E402
from engine.replay.genesis import restore  # noqa: E402
from engine.replay.harness import TO_THE_END, Harness  # noqa: E402
from engine.replay.warm import warm  # noqa: E402
from tests.replay.market import begin, config, recorded, repeated, tables_of  # noqa: E402
from web.reading import read_bars, read_columns, read_head, read_rows  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "engine/feeds/recordings/trades_lean_20131007_20131008.csv.gz"


def signatures() -> set[str]:
    """Every kernel of ours with the types that it is compiled or loaded for in this process."""
    dispatchers = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {
        f"{one.py_func.__module__}.{one.py_func.__qualname__} {signature}"
        for one in dispatchers
        for signature in one.signatures
        if one.py_func.__module__.startswith(("engine.", "shm."))
    }


def market(place: Path) -> None:
    """The simulator with all its kinds of ticks, one and three workers, rules changed on the way,
    late tickers; the tape again, whose arrays are read-only; every stage taken over."""
    told = config(minutes=2)
    genesis = begin(told)
    for workers in (1, 3):
        run = recorded(told, genesis, place / f"{workers}.tape", workers, 30, rules_at=40)
        assert len(run.alerts) > 20
        assert repeated(told, genesis, place / f"{workers}.tape", workers) == (run.alerts, True)
        Harness(run.tables, "takeover")
        assert read_head(run.tables)["n"] == run.n
        read_rows(run.tables, [0, 1])
        read_columns(run.tables, [0, 1])
        read_bars(run.tables, 0, 10)


def recording() -> None:
    """Recorded trades through the feed's stage, with a takeover in the middle."""
    feed = FeedSection(provider="replay", trades=str(RECORDING), speed=0.0)
    told = Config(engine=EngineSection(capacity=64, interval_ms=1000), feed=feed)
    tables = tables_of(told)
    restore(tables, begin(config()))
    ring, names = tables.ticks.rings[0], tables.feed_names[0]
    for _ in range(2):
        provider = open_provider(told, None, None)
        stage = FeedStage(ring, names, provider, 0.0, lambda: 0)
        stage.recover()
        stage.step()
    harness = Harness(tables, "replay")
    harness.run_ticks([], TO_THE_END)


if __name__ == "__main__":
    warm(lambda step: None)
    before = signatures()
    with tempfile.TemporaryDirectory() as name:
        market(Path(name))
    recording()
    print(json.dumps({"warm": len(before), "later": sorted(signatures() - before)}))
