"""All that the answer to "why, and why not" depends on: one rule, one symbol, one cycle."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from engine.domain.session_clock import DayTime
from engine.rules.model import Rule
from engine.rules.recall import Recall

NS_PER_MS = 1_000_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """What firing looks at beside the condition, as of before the cycle's own firings.

    in_force: the rule is among those of the cycle. known, known_before: the symbol was admitted,
    not blind and no test issue, in this cycle and the one before. new: the cycle before had no rule
    of this content. true_before: the root then. once, disarmed, entered: planes of repeat control
    (disarmed: before what arms it again was looked at). cooled_ns: T of the newest firing that
    began a cooldown, told_ns: of the newest alert, 0 none. left: it left what it had entered, in
    this cycle.
    in_minute: alerts of the rule in this minute so far, None unknown. alerted: whether this firing
    became an alert, None unknown or not yet; limited: if not, max_per_min kept it back, else the
    cap of alerts of a cycle did.
    """

    in_force: bool = True
    known: bool = True
    blind: bool = False
    test_issue: bool = False
    halted: bool = False
    open: bool = True
    known_before: bool = True
    new: bool = False
    true: bool = False
    true_before: bool = False
    once: bool = False
    disarmed: bool = False
    entered: bool = False
    left: bool = False
    cooled_ns: int = 0
    told_ns: int = 0
    in_minute: int | None = None
    alerted: bool | None = None
    limited: bool = False

    def cools_until_ns(self, rule: Rule, t_ns: int) -> int:
        """When the cooldown of an earlier cycle's firing ends, 0 where none stands in the way."""
        due_ns = self.cooled_ns + rule.cooldown_ms * NS_PER_MS
        return due_ns if 0 < self.cooled_ns < t_ns < due_ns else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Met:
    """When conditions were last as the rule wants them, where somebody kept watch: by (tree as
    written, wanted) the cycle and its T in ns."""

    since_n: int = 0
    last: Mapping[tuple[object, bool], tuple[int, int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """A rule and a symbol in cycle n at T = t_ns.

    price, event_ns: of the symbol's last trade and last tick. values: of metrics, by canonical
    name, NaN unknown. reaching: canonical names of those whose window reaches into the symbol's
    newest gap. day: where t_ns lies. recall: what the program remembers after the cycle. met:
    None where nobody kept watch.
    """

    rule: Rule
    symbol: str
    n: int
    t_ns: int
    before_ns: int | None
    day: DayTime
    values: Mapping[str, float]
    reaching: frozenset[str]
    recall: Recall
    scene: Scene
    met: Met | None = None


def bit(words: np.ndarray, symbol: int) -> bool:
    """Whether a symbol's bit is set in a plane, uint64[rows / 64]."""
    return bool(int(words[symbol // 64]) >> symbol % 64 & 1)
