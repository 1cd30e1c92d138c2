"""What the configured engine would take, put together from registries, tables and rules."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.config import memory
from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.config.stall import recorder_stall
from engine.feeds.registry import is_live
from engine.replay.builder import columns
from engine.rules.compiler import compile_rules
from engine.rules.cost import set_ns
from engine.rules.files import load_rules
from engine.rules.limits import limits_of
from engine.rules.model import Rule
from engine.rules.pack import pack
from engine.rules.publish import publish
from engine.rules.stored import foresee
from ipc.telemetry import create_board
from shm.segments import room


def report(config: Config) -> dict[str, Any]:
    """Memory by group, what more rules could take, processes, free room, what the rings of a live
    stream outlast, the rules that a start would have and those stored, cycle estimate; raises
    RuleError, StorageError."""
    stored = foresee(config, Path(config.paths.data_dir))
    rules: Sequence[Rule]
    if stored is None:
        rules = load_rules(Path(config.rules.path), limits_of(config))
    else:
        rules = stored.rules
    sizes, asked = sizes_of(config), columns()
    # supervisor aside: the feeds, bars, indicators, scan workers, alerts, recorder, web
    keys = [f"role{number}" for number in range(sizes.feeds + sizes.workers + 5)]
    compiled = compile_rules(rules, sizes)
    rows, more = memory.measure(
        sizes, asked, lambda arena: create_board(arena, keys),
        lambda tables: publish(tables, 1, pack(compiled)),
    )  # fmt: skip
    is_recorded = is_live(config) and config.tape.record
    return {
        "memory": rows,
        "more_bytes": more,
        "roles": len(keys),
        "process_bytes": memory.process_bytes(len(keys)),
        "room_bytes": min(room()),
        "rules": len(rules),
        "stored": stored,
        "stall": recorder_stall(config, sizes) if is_recorded else None,
        "cycle": memory.estimate_cycle(config, sizes, asked.metrics, len(rules), set_ns(rules)),
    }
