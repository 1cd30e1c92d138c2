"""Merge the lanes: one cycle when every worker has committed it, in the order (rule id, symbol),
capped, and at most so many alerts of a rule a minute."""

import collections
import dataclasses
from collections.abc import Callable

import numpy as np

from engine.alerts.document import Firing, alert_document
from engine.domain.records import LANE_COUNT_SHIFT, LANE_END, LANE_EXIT, LANE_SYMBOL, NS_PER_MINUTE
from engine.domain.session_clock import DayTime, day_time
from engine.domain.tables import EngineTables
from engine.errors import EngineError
from engine.rules.compiler import CompiledRules
from engine.rules.model import Rule
from engine.rules.pack import unpack
from shm.lane import Lane

_KINDS = (1 << LANE_COUNT_SHIFT) - 1  # bits of the first word that hold the kind

Alerted = Callable[[str, int, int], int]


class RulesLostError(EngineError):
    """Raised when a decided rule set is no longer in the blob; it must not happen while the floor
    is honoured."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"rule set version {version} was decided but is not in shared memory.")


@dataclasses.dataclass(frozen=True)
class MergedAlert:
    """One alert: `document` is its canonical JSON; recv_ns is when the symbol's last tick came
    in."""

    alert_id: str
    rule_id: str
    symbol: str
    recv_ns: int
    document: bytes


@dataclasses.dataclass(frozen=True)
class MergedCycle:
    """What one cycle gave: alerts in order, firings in all (those without an alert included), lane
    positions behind it.

    suppressed: by cooldown. held: by rule slot how many alerts its max_per_min kept back; capped:
    how many the workers committed beyond those of a cycle.
    """

    n: int
    t_ns: int
    rules_version: int
    alerts: list[MergedAlert]
    fired: int
    suppressed: int
    heads: tuple[int, ...]
    held: dict[int, int]
    capped: dict[int, int]


@dataclasses.dataclass(frozen=True)
class _Fired:
    slot: int
    symbol: str
    price: float
    event_ns: int
    rules_version: int
    recv_ns: int
    gaps: int
    left: bool
    values: np.ndarray


def _none_yet(rule_id: str, n: int, from_ns: int) -> int:
    return 0


class MergeStage:
    """Takes cycle n from all lanes; nothing here depends on how many there are.

    alerted: how many alerts a rule had in the stream in cycles before n, from a time on; asked in
    the minute in which the stage begins, of which it has not merged everything itself. told_of: ids
    of the rules whose alerts get a document, None: all; who only counts the others saves the time.
    """

    def __init__(
        self, tables: EngineTables, stream_id: str, alerted: Alerted = _none_yet,
        told_of: frozenset[str] | None = None,
    ) -> None:
        self._told_of = told_of
        self._tables = tables
        self._stream_id = stream_id
        self._alerted = alerted
        self._joined: tuple[int, int] | None = None  # minute and cycle of the first merge
        self._minute = -1
        self._in_minute: dict[str, int] = {}
        self._earlier: dict[str, int] = {}
        self._decoded: dict[int, Rule] = {}
        self._cap = tables.sizes.max_alerts_per_cycle
        self._rules: dict[int, CompiledRules] = {}
        self._peeked: MergedCycle | None = None
        self.crowded = False

    def recover(self) -> int:
        """Finish a release that a kill cut short between two lanes; the last cycle released.

        A lane that is one cycle behind the others still holds what was durable before the first
        head moved.
        """
        self._peeked = None
        ahead = max(_next_n(lane) for lane in self._tables.lanes)
        for lane in self._tables.lanes:
            if _next_n(lane) == ahead:
                continue
            found = self._read_lane(lane.data, lane.head(), lane.tail(), [])
            if found is None or int(found[1][1]) != ahead - 1:
                raise EngineError(
                    f"lane {lane.name} goes on with cycle {_next_n(lane)}, another with {ahead}."
                )
            lane.set_head(found[0])
        return ahead - 1

    def rules(self, version: int) -> CompiledRules:
        """The rule set of a version, unpacked once. Raises RulesLostError."""
        found = self._rules.get(version)
        if found is None:
            content = self._tables.rules.read(version)
            if content is None:
                raise RulesLostError(version)
            found = unpack(content)
            self._rules, self._decoded = {version: found}, {}
        return found

    def _rule(self, version: int, slot: int) -> Rule:
        """One rule of a version, decoded once."""
        rules = self.rules(version)
        if slot not in self._decoded:
            self._decoded[slot] = rules.rules[slot]
        return self._decoded[slot]

    @property
    def waiting(self) -> bool:
        """True when every lane holds a whole cycle."""
        return all(lane.head() < lane.tail() for lane in self._tables.lanes)

    def peek(self) -> MergedCycle | None:
        """The oldest cycle that every lane holds whole, or None. Moves nothing."""
        if self._peeked is None:
            self._peeked = self._gather()
        return self._peeked

    def _gather(self) -> MergedCycle | None:
        ends = []
        fired: list[_Fired] = []
        for lane in self._tables.lanes:
            end = self._read_lane(lane.data, lane.head(), lane.tail(), fired)
            if end is None:
                return None
            ends.append(end)
        n = int(ends[0][1][1])
        if any(int(words[1]) != n for _, words in ends):
            raise EngineError(
                f"the lanes disagree about the next cycle: {[int(w[1]) for _, w in ends]}."
            )
        fired.sort(key=lambda alert: (alert.slot, alert.symbol))
        t_ns = int(ends[0][1][4])
        version = fired[0].rules_version if fired else 0
        kept, held = self._limited(n, t_ns, fired[: self._cap])
        day = day_time(t_ns, self._tables.session[0])
        return MergedCycle(
            n=n,
            t_ns=t_ns,
            rules_version=version,
            alerts=[self._document(n, t_ns, day, alert) for alert in kept],
            fired=sum(int(words[3]) for _, words in ends),
            suppressed=sum(int(words[5]) for _, words in ends),
            heads=tuple(position for position, _ in ends),
            held=held,
            capped=_by_slot(fired[self._cap :]),
        )

    def _limited(
        self, n: int, t_ns: int, fired: list[_Fired]
    ) -> tuple[list[_Fired], dict[int, int]]:
        """Alerts that their rule's max_per_min lets through in this minute of T, and by slot how
        many it does not."""
        minute = t_ns // NS_PER_MINUTE
        if self._joined is None:
            self._joined = (minute, n)
        in_minute = dict(self._in_minute) if minute == self._minute else {}
        kept: list[_Fired] = []
        held: list[_Fired] = []
        for alert in fired:
            limit = int(self.rules(alert.rules_version).max_per_min[alert.slot])
            rule_id = self._rule(alert.rules_version, alert.slot).id
            so_far = in_minute.get(rule_id, 0)
            if limit:
                so_far += self._before_joining(rule_id, minute)
            if limit and so_far >= limit:
                held.append(alert)
                continue
            kept.append(alert)
            in_minute[rule_id] = in_minute.get(rule_id, 0) + 1
        self._minute, self._in_minute = minute, in_minute
        return kept, _by_slot(held)

    def _read_lane(
        self, data: np.ndarray, head: int, tail: int, fired: list[_Fired]
    ) -> tuple[int, np.ndarray] | None:
        """Collect alerts up to the end record; position behind it and its words, or None."""
        mask = len(data) - 1
        position = head
        while position < tail:
            words = data[position & mask]
            kind = int(words[0]) & _KINDS
            if kind == LANE_END:
                return position + 1, words.copy()
            count = int(words[0]) >> LANE_COUNT_SHIFT
            slots = 1 + -(-count // 8)
            values = np.concatenate(
                [data[(position + 1 + i) & mask] for i in range(slots - 1)] or [words[:0]]
            )
            fired.append(
                _Fired(
                    slot=int(words[2]) >> 32,
                    symbol=self._tables.names.get(int(words[2]) & LANE_SYMBOL),
                    price=float(words[3:4].view(np.float64)[0]),
                    event_ns=int(words[4]),
                    rules_version=int(words[5]),
                    recv_ns=int(words[6]),
                    gaps=int(words[7]),
                    left=bool(int(words[2]) & LANE_EXIT),
                    values=values[:count].copy(),
                )
            )
            position += slots
        return None

    def _before_joining(self, rule_id: str, minute: int) -> int:
        """Alerts of a rule in the part of a minute that this stage has not merged itself."""
        assert self._joined is not None
        if minute != self._joined[0]:
            return 0
        if rule_id not in self._earlier:
            first_ns = minute * NS_PER_MINUTE
            self._earlier[rule_id] = self._alerted(rule_id, self._joined[1], first_ns)
        return self._earlier[rule_id]

    def _document(self, n: int, t_ns: int, day: DayTime, alert: _Fired) -> MergedAlert:
        rule = self._rule(alert.rules_version, alert.slot)
        if self._told_of is not None and rule.id not in self._told_of:
            return MergedAlert("", rule.id, alert.symbol, alert.recv_ns, b"")
        fired = Firing(
            rule, alert.symbol, alert.price, n, t_ns, alert.event_ns, alert.values, alert.gaps,
            alert.left,
        )  # fmt: skip
        alert_id, document = alert_document(self._stream_id, fired, day)
        return MergedAlert(alert_id, rule.id, alert.symbol, alert.recv_ns, document)

    def release(self, cycle: MergedCycle) -> None:
        """Move the lane heads behind a cycle: its alerts are durable, the workers may reuse the
        room. A lane holds two full cycles: a worker can only wait for room while less than half
        is free, and `crowded` says so."""
        for lane, head in zip(self._tables.lanes, cycle.heads, strict=True):
            self.crowded = self.crowded or lane.free() <= lane.slots // 2
            lane.set_head(head)
        self._peeked = None


def _by_slot(fired: list[_Fired]) -> dict[int, int]:
    return dict(collections.Counter(alert.slot for alert in fired))


def _next_n(lane: Lane) -> int:
    """The cycle that a lane goes on with: its oldest one, or the one after its last."""
    head, tail = lane.head(), lane.tail()
    if head < tail:
        return int(lane.data[head & (lane.slots - 1)][1])
    return int(lane.data[(tail - 1) & (lane.slots - 1)][1]) + 1 if tail else 1
