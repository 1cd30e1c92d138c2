"""The private bitmap and wheel of a worker against entries that are looked up one by one."""

import dataclasses
import os
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.sizes import Sizes
from engine.domain.tables import COOL_WORDS, Columns, EngineTables, allocate
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.pack import pack, unpack
from engine.rules.validate import read_rule
from engine.scan.cooldown import Cooldowns
from engine.scan.cooldown_nb import FREE, FRESH, NO_PLACE, NS_PER_MS, SLOT_NS, WHEEL_SLOTS
from shm.arena import PrivateArena
from tests.scan.world import START_NS

EXAMPLES = 1500 if os.environ.get("TAPESCAN_SOAK") else 150
WORKERS, WORKER, PLACES = 2, 1, 12
SYMBOLS = range(64, 72)  # the first eight of the second slice
TURN_MS = WHEEL_SLOTS * SLOT_NS // NS_PER_MS
IDS = ("a", "b", "c")
COOLDOWNS_MS = (0, 1, 50, 100, 149, 60_000, TURN_MS - 100, TURN_MS, TURN_MS + 1, 5 * TURN_MS)
STEPS_MS = (1, 50, 100, 150, 1000, 59_950, TURN_MS - 100, TURN_MS, TURN_MS + 100, 3 * TURN_MS)


@dataclasses.dataclass
class Looked:
    """Last firings, each judged by its own cooldown when it is asked for; dead ones stay."""

    entries: dict[tuple[str, int], tuple[int, int]] = dataclasses.field(default_factory=dict)

    def cools(self, rule_id: str, symbol: int, t_ns: int) -> bool:
        last_ns, cooldown_ms = self.entries.get((rule_id, symbol), (0, 0))
        return t_ns - last_ns < cooldown_ms * NS_PER_MS

    def live(self, t_ns: int) -> int:
        return sum(self.cools(rule_id, symbol, t_ns) for rule_id, symbol in self.entries)

    def reload(self, cooldowns_ms: dict[str, int], t_ns: int) -> None:
        for (rule_id, symbol), (last_ns, _) in self.entries.items():
            if rule_id in cooldowns_ms and self.cools(rule_id, symbol, t_ns):
                self.entries[rule_id, symbol] = (last_ns, cooldowns_ms[rule_id])


def make_tables() -> EngineTables:
    sizes = Sizes(
        capacity=64 * WORKERS, workers=WORKERS, ring_ticks=16, history_bars=1, seconds=1, minutes=1,
        session_minutes=1, pool_trades=1, max_cooling=PLACES,
    )  # fmt: skip
    return allocate(PrivateArena(), sizes, Columns(1, 1, 1, 1))


def compiled(cooldowns_ms: dict[str, int]) -> CompiledRules:
    condition = {"metric": "last", "op": ">", "value": 0}
    return unpack(pack(compile_rules(
        read_rule({"id": rule_id, "name": "n", "conditions": [condition],
                   "cooldown_sec": cooldown_ms / 1000})
        for rule_id, cooldown_ms in cooldowns_ms.items()
    )))  # fmt: skip


def cooling(cooldowns: Cooldowns, rules: CompiledRules) -> set[tuple[str, int]]:
    """What the bitmap says."""
    bits = np.unpackbits(cooldowns.bits.view(np.uint8), axis=1, bitorder="little")
    return {
        (rules.rules[rule].id, int(local) + SYMBOLS[0])
        for rule, local in zip(*np.nonzero(bits), strict=True)
    }


def mark(cooldowns: Cooldowns, fired: np.ndarray) -> None:
    """Set the bits of pairs, as the decision that they fire does."""
    for rule, symbol in zip(fired >> 32, (fired & 0xFFFFFFFF) - SYMBOLS[0], strict=True):
        cooldowns.bits[rule, symbol // 64] |= np.uint64(1) << np.uint64(symbol % 64)


def tear(
    cooldowns: Cooldowns, pair: int, rules: CompiledRules, t_ns: int, stores: int
) -> None:
    """The first stores of one more stamp."""
    state = cooldowns._cooling.state
    place = int(state[FREE] if state[FREE] != NO_PLACE else state[FRESH]) * COOL_WORDS
    word = (pair & 0xFFFFFFFF) | int(rules.cooldown_ms[pair >> 32]) << 32
    written = [(2, 0), (1, word), (0, int(rules.rule_uid[pair >> 32])), (2, t_ns)]
    for at, value in written[:stores]:
        cooldowns.table[place + at] = value


RELOAD = st.dictionaries(st.sampled_from(IDS), st.sampled_from(COOLDOWNS_MS), max_size=3)
CYCLE = st.fixed_dictionaries({
    "step_ms": st.sampled_from(STEPS_MS),
    "reload": st.none() | RELOAD,
    "wished": st.sets(st.tuples(st.sampled_from(IDS), st.sampled_from(SYMBOLS)), max_size=12),
    # how many stamps each dying worker makes, and how many stores of one more
    "deaths": st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=2),
    "restart": st.booleans(),
})  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(CYCLE, min_size=1, max_size=12))
def test_bitmap_and_wheel_say_what_looking_up_every_pair_says(cycles: list[dict[str, Any]]) -> None:
    tables, looked = make_tables(), Looked()
    cooldowns, current, t_ns = Cooldowns(tables, WORKER), {"a": 100, "b": 60_000}, START_NS
    rules = compiled(current)
    cooldowns.take(rules, t_ns)
    for cycle in cycles:
        t_ns += cycle["step_ms"] * NS_PER_MS
        if cycle["reload"] is not None:
            current = cycle["reload"]
            rules = compiled(current)
            looked.reload(current, t_ns)
        if cycle["restart"]:
            cooldowns = Cooldowns(tables, WORKER)
        if cycle["restart"] or cycle["reload"] is not None:
            cooldowns.take(rules, t_ns)
        cooldowns.expire(t_ns)
        wanted = [
            (rule_id, symbol) for rule_id, symbol in sorted(cycle["wished"])
            if current.get(rule_id, 0) > 0 and not looked.cools(rule_id, symbol, t_ns)
        ][: PLACES - looked.live(t_ns)]  # fmt: skip
        slots = {rule.id: slot for slot, rule in enumerate(rules.rules)}
        fired = np.array([slots[rule_id] << 32 | symbol for rule_id, symbol in wanted], np.int64)
        for stamps, stores in cycle["deaths"]:
            done = min(stamps, len(fired))
            mark(cooldowns, fired)
            cooldowns.stamp(fired, done, rules, t_ns)
            if done < len(fired):
                tear(cooldowns, int(fired[done]), rules, t_ns, stores)
            cooldowns = Cooldowns(tables, WORKER)
            cooldowns.take(rules, t_ns)
            cooldowns.expire(t_ns)
        expected = {
            (rule_id, symbol) for rule_id in current for symbol in SYMBOLS
            if looked.cools(rule_id, symbol, t_ns)
        }  # fmt: skip
        assert cooling(cooldowns, rules) == expected
        assert cooldowns.room == PLACES - looked.live(t_ns)
        mark(cooldowns, fired)
        cooldowns.stamp(fired, len(fired), rules, t_ns)
        for pair in wanted:
            looked.entries[pair] = (t_ns, current[pair[0]])


def test_a_place_is_used_again_only_when_it_is_dead() -> None:
    tables, rules = make_tables(), compiled({"a": 100, "b": 1000})
    cooldowns = Cooldowns(tables, WORKER)
    cooldowns.take(rules, START_NS)
    fired = np.array([rule << 32 | symbol for rule in (0, 1) for symbol in SYMBOLS[:6]], np.int64)
    mark(cooldowns, fired)
    cooldowns.stamp(fired, len(fired), rules, START_NS)
    assert cooldowns.room == 0
    later = START_NS + 100 * NS_PER_MS
    cooldowns.expire(later)
    assert cooldowns.room == 6
    again = fired[:6]
    mark(cooldowns, again)
    cooldowns.stamp(again, 6, rules, later)
    entries = cooldowns.table.reshape(-1, COOL_WORDS)
    assert sorted(entries[:, 2].tolist()) == [START_NS] * 6 + [later] * 6
    assert (entries[entries[:, 2] == START_NS, 0] == rules.rule_uid[1]).all()


def test_the_other_workers_entries_are_not_looked_at() -> None:
    tables, rules = make_tables(), compiled({"a": 1000})
    tables.scan.cooldowns[0][:] = (int(rules.rule_uid[0]), 5 | 1000 << 32, START_NS - 1)
    cooldowns = Cooldowns(tables, WORKER)
    cooldowns.take(rules, START_NS)
    assert cooldowns.room == PLACES and not cooldowns.bits.any()
