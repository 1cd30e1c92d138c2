"""What a rule would have told over recorded days: how many alerts, when, for whom, and how many of
them other rules tell as well. Writes nothing."""

import collections
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from engine.alerts.merge import MergedCycle
from engine.domain.market_hours import exchange_date
from engine.domain.records import NS_PER_MINUTE, NS_PER_SECOND
from engine.domain.sizes import Sizes
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.errors import RuleError
from engine.rules.limits import Limits
from engine.rules.model import Rule
from engine.rules.rule_set import set_faults

EXAMPLES = 10
TOP = 10
OVERLAP_NS = 60 * NS_PER_SECOND


class Count(msgspec.Struct, frozen=True):
    """How many alerts of what: a day (YYYY-MM-DD) or a symbol."""

    of: str
    alerts: int


class Overlap(msgspec.Struct, frozen=True):
    """How many of the rule's alerts have one of another rule for the same symbol within 60 s."""

    rule_id: str
    alerts: int
    share: float | None


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    streams: how many were played; cycles, minutes: in all. per_minute_p95, per_minute_max: alerts
    in a minute, over every minute played; the 95th of 100 in order of size. max_per_min, cap: how
    many alerts these kept back. overlap: share of the alerts near one of any other rule, null
    without alerts or other rules; overlaps: the rules that share most. examples: alerts as they are
    delivered, evenly taken from all of them.
    """

    rule_id: str
    rules: int
    streams: int
    cycles: int
    minutes: int
    alerts: int
    per_day: list[Count]
    per_minute_p95: int
    per_minute_max: int
    symbols: int
    per_symbol: list[Count]
    max_per_min: int
    cap: int
    overlap: float | None
    overlaps: list[Overlap]
    examples: list[Any]


class _Sample:
    """Keeps some of many, evenly: every so many-th, and a wider step whenever there are too
    many."""

    def __init__(self, most: int) -> None:
        self._most, self._step, self._seen = most, 1, 0
        self._kept: list[bytes] = []

    def add(self, document: bytes) -> None:
        if self._seen % self._step == 0:
            self._kept.append(document)
            if len(self._kept) > 2 * self._most:
                self._kept, self._step = self._kept[::2], self._step * 2
        self._seen += 1

    def some(self) -> list[Any]:
        count = min(self._most, len(self._kept))
        places = [at * len(self._kept) // count for at in range(count)]
        return [msgspec.json.decode(self._kept[at]) for at in places]


class PreviewRun:
    """Counts what a rule does among other rules over any number of recordings.

    Raises RuleError where the rules do not go together.
    """

    def __init__(self, rule: Rule, others: Sequence[Rule], limits: Limits) -> None:
        self.rule = msgspec.structs.replace(rule, enabled=True)
        kept = [one for one in others if one.enabled and one.id != rule.id]
        self.rules = sorted([*kept, self.rule], key=lambda one: one.id)
        problems = set_faults(self.rules, limits)
        if problems:
            raise RuleError(tuple(problems))
        self.told_of = frozenset({rule.id})  # alerts of the others are only counted
        self._slot = self.rules.index(self.rule)
        self._streams = self._cycles = self._held = self._capped = 0
        self._days: dict[str, int] = {}
        self._minutes: collections.Counter[int] = collections.Counter()
        self._played: set[int] = set()
        self._sample = _Sample(EXAMPLES)
        # by rule and symbol T of the alerts, in order
        self._times: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
        self._last_n = 0

    def compiled(self, sizes: Sizes) -> CompiledRules:
        """The rules for tables of these sizes. Raises RuleError."""
        return compile_rules(self.rules, sizes)

    def take(self, cycle: MergedCycle) -> None:
        """One more cycle of a recording."""
        if cycle.n <= self._last_n or not self._cycles:
            self._streams += 1
        self._last_n = cycle.n
        self._cycles += 1
        minute = cycle.t_ns // NS_PER_MINUTE
        if minute not in self._played:
            self._played.add(minute)
            self._days.setdefault(f"{exchange_date(cycle.t_ns):%Y-%m-%d}", 0)
        self._held += cycle.held.get(self._slot, 0)
        self._capped += cycle.capped.get(self._slot, 0)
        for alert in cycle.alerts:
            self._times[alert.rule_id, alert.symbol].append(cycle.t_ns)
            if alert.rule_id == self.rule.id:
                self._minutes[minute] += 1
                self._days[f"{exchange_date(cycle.t_ns):%Y-%m-%d}"] += 1
                self._sample.add(alert.document)

    def outcome(self) -> Preview:
        """What came of it so far."""
        mine = {
            symbol: np.array(times) for (rule_id, symbol), times in self._times.items()
            if rule_id == self.rule.id
        }  # fmt: skip
        total = sum(map(len, mine.values()))
        counts = sorted(self._minutes.values(), reverse=True)
        minutes = len(self._played)
        behind = minutes - math.ceil(minutes * 0.95)  # so many minutes have more
        per_symbol = sorted(
            (Count(symbol, len(times)) for symbol, times in mine.items()),
            key=lambda one: (-one.alerts, one.of),
        )
        overlap, overlaps = self._overlaps(mine, total)
        return Preview(
            rule_id=self.rule.id, rules=len(self.rules), streams=self._streams,
            cycles=self._cycles, minutes=minutes, alerts=total,
            per_day=[Count(day, alerts) for day, alerts in sorted(self._days.items())],
            per_minute_p95=counts[behind] if behind < len(counts) else 0,
            per_minute_max=counts[0] if counts else 0,
            symbols=len(per_symbol), per_symbol=per_symbol[:TOP],
            max_per_min=self._held, cap=self._capped, overlap=overlap, overlaps=overlaps,
            examples=self._sample.some() if total else [],
        )  # fmt: skip

    def _overlaps(
        self, mine: dict[str, np.ndarray], total: int
    ) -> tuple[float | None, list[Overlap]]:
        near_any = {symbol: np.zeros(len(times), bool) for symbol, times in mine.items()}
        found: collections.Counter[str] = collections.Counter()
        for (rule_id, symbol), times in self._times.items():
            if rule_id == self.rule.id or symbol not in mine:
                continue
            near = _near(mine[symbol], np.array(times))
            near_any[symbol] |= near
            found[rule_id] += int(near.sum())
        if not total or len(self.rules) == 1:
            return None, []
        shared = sum(int(near.sum()) for near in near_any.values())
        most = sorted(found.items(), key=lambda one: (-one[1], one[0]))[:TOP]
        return shared / total, [Overlap(rule, n, n / total) for rule, n in most if n]


def _near(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool[len(mine)]: which of these times have one of the others, both ascending, within 60 s."""
    first = np.searchsorted(others, mine - OVERLAP_NS, side="left")
    found: np.ndarray = first < np.searchsorted(others, mine + OVERLAP_NS, side="right")
    return found
