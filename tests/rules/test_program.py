"""The rule program against the interpreter: random rules, streams, versions and deaths."""

import os
import random

import pytest

from engine.rules.normal import normal_form
from engine.rules.tree import Breadth, CrossSection, Node, walk
from tests.rules.machine import Machine, rule_of
from tests.rules.randomly import FLAG, NAMES, VALUES, Trees

STEPS_NS = (250_000_000, 250_000_000, 1_000_000_000, 1_700_000_000, 61_000_000_000)
SOAK = os.environ.get("TAPESCAN_SOAK")
CASES = 20_000 if SOAK else 2_000
FEW = (0.0, 1.0, 2.0)
PLACES = (0, 1, 63, 64, 127, 130, 191)


def play(seed: int) -> None:
    """One case: some rules in some versions over some cycles of some symbols."""
    rng = random.Random(seed)
    remembering = seed % 3 == 0
    trees = Trees(rng, remembering=remembering)
    depths = (1, 1, 2) if remembering else (1, 2, 2, 3)
    pool = [rule_of(trees.cond(rng.choice(depths)), f"r{i}") for i in range(4)]
    # parts of other rules, so that versions and rules share nodes
    pool += [rule_of(rng.choice(pool).condition, f"s{i}", debounce_ms=i * 500) for i in range(2)]
    machine = Machine(seed, rng.choice(([], [1], [1, 2])), rng.choice((0.0, 0.2, 0.5)))
    symbols = rng.sample(PLACES, 3)
    across: list[Node] = [
        node
        for rule in pool
        for node in walk(normal_form(rule.root))
        if isinstance(node, CrossSection | Breadth)
    ]
    t_ns = rng.choice((0, 1, 999_999_999)) + 1_000_000_000_000
    steps, values = rng.choice((STEPS_NS, STEPS_NS[:3])), rng.choice((VALUES, FEW))
    if remembering:
        steps, values = STEPS_NS[:3], FEW
    blindness = rng.choice((0.0, 0.1))
    admitted, waits = 0, seed % 2 == 1
    for n in range(rng.randint(1, 40 if remembering else 20)):
        if n == 0 or rng.random() < 0.1:
            machine.use(sorted(rng.sample(pool, rng.randint(1, 3)), key=lambda rule: rule.id))
        admitted = min(len(symbols), admitted + rng.randint(0, 2))
        there = symbols[:admitted]
        machine.cycle(
            t_ns,
            {s: {name: rng.choice(values) for name in (*NAMES, FLAG)} for s in there},
            {s for s in there if rng.random() < blindness},
            {s: rng.randint(1, 3) for s in there if rng.random() < 0.3},
            (rng.randrange(4), rng.randrange(5), rng.choice((570, 571, 600))),
            {node: {s: rng.choice(values) for s in there} for node in across},
            rng.choice((0.0, 0.5, 0.9)) if waits else 0.0,
        )
        t_ns += rng.choice(steps)


BATCHES = 20


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_program_equals_the_interpreter(batch: int) -> None:
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
