"""What a start removes from the stores of alerts and bars."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from engine.config.schema import Config
from engine.errors import EngineError
from engine.storage.pruning import NS_PER_DAY, Prunable, prune_at_start
from engine.storage.sqlite import ALERTS_NAME, SqliteAlertStore, SqliteBarStore
from ipc.logs import Log


def prune_stores(
    config: Config, data_dir: Path, keep: str, now_ns: int, log: Log
) -> dict[str, int]:
    """Remove alerts older than alerts.keep_days and bars older than bars.keep_days, but nothing of
    the open stream `keep`; how many of each. A store that refuses is no reason not to start: that
    is told, and its role tries again."""
    stores: tuple[tuple[str, int, Callable[[Path], Prunable], str], ...] = (
        ("alerts", config.alerts.keep_days, SqliteAlertStore, ALERTS_NAME),
        ("bars", config.bars.keep_days, SqliteBarStore, "bars.db"),
    )
    removed = {}
    for what, keep_days, opened, name in stores:
        removed[what] = 0
        if keep_days == 0 or not (data_dir / name).exists():
            continue
        try:
            with closing(opened(data_dir / name)) as store:
                removed[what] = prune_at_start(store, now_ns - keep_days * NS_PER_DAY, keep)
        except EngineError as error:
            log.warning("not_pruned", store=what, error=str(error))
        else:
            if removed[what]:
                log.info("pruned", store=what, rows=removed[what])
    return removed
