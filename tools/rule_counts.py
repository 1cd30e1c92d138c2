"""What the rules of a running engine fired and what was held back, read off its shared memory."""

from collections.abc import Mapping
from pathlib import Path

from engine.config.schema import Config
from engine.rules.counts import CountsReader, RuleCount
from engine.rules.errors import RuleError
from ipc import status_file
from ipc.lock import holder
from shm.errors import ShmError
from shm.segments import opener
from tools.status_read import LIVE_STATES


def running_counts(config: Config) -> dict[str, RuleCount] | None:
    """By rule id the counts of the rules in force; None when no engine runs on the data directory,
    or none can be told yet."""
    data_dir = Path(config.paths.data_dir)
    told = status_file.read(data_dir)
    if holder(data_dir) is None or told is None or told["state"] not in LIVE_STATES:
        return None
    engine = told.get("engine", config.engine.name)
    try:
        counts = CountsReader.attached(opener(engine)).read()
    except (ShmError, RuleError):
        return None
    return None if counts is None else {one.rule_id: one for one in counts.rules()}


def held_back(held: Mapping[str, int]) -> str:
    """Reasons with their counts, those of 0 left out; a dash when nothing was held back."""
    return ", ".join(f"{reason} {count}" for reason, count in held.items() if count) or "-"
