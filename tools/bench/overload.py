"""What a stride saves: whole scan cycles that look at every symbol, and those that look at some."""

from typing import Any

import numpy as np

from tools.bench.desk import START_NS, Engine
from tools.bench.figures import figure
from tools.bench.program import Market
from tools.bench.scan import HALF_COOL_S, SELECTIVE, start
from tools.bench.templates import rules_of, templates

SYMBOLS = 10_000
ROUNDS = 24
LATELY = 0.1  # share of the symbols that fired lately, anywhere: they do not wait
LEAST_RATIO = 1.1  # of a stride of 4


def _mark(engine: Engine) -> None:
    """Let some symbols have fired lately, and nobody else whatever fires."""
    chosen = engine.rng.permutation(SYMBOLS)[: round(LATELY * SYMBOLS)]
    engine.tables.scan.fired_ns[:] = 0
    engine.tables.scan.fired_ns[chosen] = 2 * START_NS


def _measure(engine: Engine) -> dict[int, float]:
    """By stride the mean of four cycles in a row, which differ, of the best of each, ms."""
    best = {stride: np.full(4, np.inf) for stride in (1, 2, 4)}
    for _ in range(ROUNDS):
        for stride, times in best.items():
            engine.stride = stride
            engine.cycle_ms()
            for _ in range(4):
                _mark(engine)
                took_ms, phase = engine.cycle_ms(), engine.n % 4
                times[phase] = min(times[phase], took_ms)
    return {stride: float(times.mean()) for stride, times in best.items()}


def _rows(name: str, best: dict[int, float]) -> list[dict[str, Any]]:
    return [
        figure(
            f"overload_{name}_stride_{stride}", best[stride], None, "every symbol in every cycle",
            best[1], least=LEAST_RATIO if stride == 4 else 0.0,
        )
        for stride in (2, 4)
    ]


def run() -> list[dict[str, Any]]:
    """Measure on one core; a tenth of the symbols, anywhere, does not wait."""
    found = []
    for rules in (1_000, 10_000):
        engine, _ = start(SYMBOLS, rules, SELECTIVE, HALF_COOL_S)
        found += _rows(f"{SYMBOLS}x{rules}x3", _measure(engine))
    market = Market()
    market.use(rules_of(templates(market.cells[0], 1_000)))
    market.cycle_ms()
    return found + _rows(f"{SYMBOLS}x1000_operators", _measure(market))
