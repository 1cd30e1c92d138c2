"""How much a rule, and a set of rules, may hold and cost."""

import dataclasses

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
    """

    max_rules: int = Sizes.max_rules
    max_leaves: int = Sizes.max_leaves
    max_depth: int = 16
    max_nodes: int = 256
    max_metrics: int = 64


DEFAULT_LIMITS = Limits()
