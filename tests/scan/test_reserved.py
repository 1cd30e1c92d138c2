"""Scan workers touch no memory that was not reserved for the rules in force."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from engine.rules.errors import RuleError
from engine.rules.validate import read_rule
from shm.errors import SegmentError
from shm.segments import SHM_DIR, SharedArena
from tests.kills.operators import OPERATORS
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

RULES = [read_rule(one) for one in OPERATORS]
LATER = ("truth", "op_bits", "op_rows", "family_state", "rules_data")


@pytest.fixture
def arena() -> Iterator[SharedArena]:
    made = SharedArena(f"reserved-{os.getpid()}", 1)
    yield made
    made.unlink_all()


def reserved(arena: SharedArena) -> dict[str, int]:
    """Bytes of memory that each array has which is reserved with the rules."""
    segments = {name: SHM_DIR / f"tapescan-{arena.engine_name}-1-{name}" for name in LATER}
    return {name: path.stat().st_blocks * 512 for name, path in segments.items()}


def play(world: World, cycles: int) -> None:
    random = np.random.default_rng(3)
    names = ("last", "chg_1m_pct", "chg_10s_pct", "vol_1m", "spread_bps", "pos_day")
    for _ in range(cycles):
        symbols = {
            f"S{i}": Symbol(dict(zip(names, random.uniform(-2, 9, 6), strict=True)), bars=i)
            for i in range(150)
        }
        world.prepare(START_NS + (world.n + 1) * SECOND_NS, symbols)
        for stage in world.stages:
            assert stage.run(world.n)
        world.take()


def test_every_operator_stays_within_what_was_reserved_with_its_rules(arena: SharedArena) -> None:
    world = World(2, arena=arena)
    begun = reserved(arena)
    for rules in (RULES[: len(RULES) // 2], RULES, RULES[:1]):
        world.use(rules)
        before = reserved(arena)
        play(world, 70)
        assert reserved(arena) == before
    assert all(before[name] > begun[name] for name in LATER)


def test_rules_without_memory_are_refused_and_those_before_stay(
    arena: SharedArena, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(2, arena=arena)
    world.use(RULES[:1])
    play(world, 2)

    def refuse(name: str, first: int, end: int) -> None:
        raise SegmentError(f"segment '{name}' needs 9.0 MiB, /dev/shm has 1.0 left")

    with monkeypatch.context() as patch:
        patch.setattr(arena, "reserve", refuse)
        with pytest.raises(RuleError, match=r"there is no memory for the rules: segment 'truth'"):
            world.use(RULES)
    assert world.tables.rules.latest() == 1
    world.version = 1
    play(world, 2)
