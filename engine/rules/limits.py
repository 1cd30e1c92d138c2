"""How much a rule, and a set of rules, may hold and cost."""

import dataclasses

from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain.sizes import Sizes

MAX_TEXT_BYTES = 8 << 10
MAX_METRIC_CHARS = 64
MAX_NESTING = 48  # brackets inside brackets in a text, whether they mean something or not
MAX_SAMPLES = 60  # how far `ago` and `at_least` look back, and every window in bars
MAX_SPELL_MS = 24 * 3_600_000  # the longest window of `within`, `in_row` and a step of a sequence
MIN_STEPS, MAX_STEPS = 2, 8


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds that settings move.

    max_rules: of a set; max_leaves: conditions of a rule in the form `conditions`; max_depth: of a
    tree (a chain of + and -, or of * and /, is one level); max_nodes, max_metrics: of a rule.
    symbols: of one scan worker, interval_ms: between two cycles; max_rule_cost_us and
    max_set_cost_share bound what `cost` estimates from them.
    """

    max_rules: int = Sizes.max_rules
    max_leaves: int = Sizes.max_leaves
    max_depth: int = 16
    max_nodes: int = 256
    max_metrics: int = 64
    symbols: int = 10_000
    interval_ms: int = 100
    max_rule_cost_us: float = 5_000.0
    max_set_cost_share: float = 0.5


DEFAULT_LIMITS = Limits()


def limits_of(config: Config) -> Limits:
    """The limits that the settings ask for."""
    return Limits(
        max_rules=config.rules.max_rules,
        max_leaves=config.rules.max_leaves,
        max_depth=config.rules.max_depth,
        symbols=sizes_of(config).slice_rows,
        interval_ms=config.engine.interval_ms,
        max_rule_cost_us=config.rules.max_rule_cost_us,
        max_set_cost_share=config.rules.max_set_cost_share,
    )
