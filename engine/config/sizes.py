"""Sizes of the tables of a configuration."""

from engine.config.schema import Config
from engine.domain.sizes import Sizes


def sizes_of(config: Config) -> Sizes:
    """Sizes of the tables of a configuration."""
    return Sizes(
        capacity=config.engine.capacity,
        workers=config.engine.scan_workers,
        ring_ticks=config.engine.ring_ticks,
        history_bars=config.bars.history_bars,
        pool_trades=config.bars.pool_trades,
        max_rules=config.rules.max_rules,
        max_alerts_per_cycle=config.rules.max_alerts_per_cycle,
        max_cooling=config.rules.max_cooling,
        max_leaves=config.rules.max_leaves,
        rules_bytes=config.rules.max_bytes,
        max_nodes=config.rules.max_nodes,
        op_bit_slots=config.rules.op_bit_slots,
        op_row_slots=config.rules.op_row_slots,
        max_derived=config.rules.max_derived,
        max_families=config.rules.max_families,
        family_rows=config.rules.family_rows,
    )
