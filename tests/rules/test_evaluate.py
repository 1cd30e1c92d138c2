"""The rule kernel against a slow interpreter of three-valued logic."""

import os
import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.evaluate_nb import evaluate_nb
from engine.rules.model import OPS

EXAMPLES = 1000 if os.environ.get("TAPESCAN_SOAK") else 100
NUMBERS = [0.0, -0.0, 1.0, 1.0000000000000002, -1.0, 2.5, 5e-324, 1.7e308, np.inf, -np.inf, np.nan]
CONSTANTS = [number for number in NUMBERS if np.isfinite(number)]


def compare(left: float, op: str, right: float) -> bool | None:
    """One comparison: None is unknown."""
    if np.isnan(left):
        return None
    return {
        ">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right,
        "==": left == right, "!=": left != right,
    }[op]  # fmt: skip


def root(leaves: list[tuple[int, str, float]], values: list[float]) -> bool | None:
    """Kleene's AND: false wins over unknown, unknown over true."""
    results = [compare(values[col], op, constant) for col, op, constant in leaves]
    if False in results:
        return False
    return None if None in results else True


def run(
    rules: list[list[tuple[int, str, float]]], columns: np.ndarray, first: int, end: int
) -> np.ndarray:
    leaves = [leaf for rule in rules for leaf in rule]
    truth = np.full((len(rules) + 1, columns.shape[1] // 64), 0x5555, np.uint64)
    evaluate_nb(
        columns, first, end,
        np.cumsum([0, *map(len, rules)], dtype=np.int32),
        np.array([col for col, _, _ in leaves], np.int32),
        np.array([OPS.index(op) for _, op, _ in leaves], np.uint8),
        np.array([constant for _, _, constant in leaves], np.float64),
        truth,
    )  # fmt: skip
    return truth


LEAF = st.tuples(st.integers(0, 3), st.sampled_from(OPS), st.sampled_from(CONSTANTS))
RULES = st.lists(st.lists(LEAF, min_size=1, max_size=5), max_size=6)


@settings(max_examples=EXAMPLES, deadline=None)
@given(RULES, st.integers(0, 2**32 - 1), st.integers(1, 20), st.data())
def test_the_kernel_equals_a_slow_interpreter(
    rules: list[list[tuple[int, str, float]]], seed: int, words: int, data: st.DataObject
) -> None:
    columns = np.random.default_rng(seed).choice(NUMBERS, (4, words * 64))
    first = data.draw(st.integers(0, words))
    end = data.draw(st.integers(first, words))
    truth = run(rules, columns, first, end)
    bits = np.unpackbits(truth.view(np.uint8), axis=1, bitorder="little").astype(bool)
    for number, leaves in enumerate(rules):
        for symbol in range(first * 64, end * 64):
            expected = root(leaves, columns[:, symbol].tolist())
            assert bits[number, symbol] == (expected is True)
    untouched = np.ones(words, bool)
    untouched[first:end] = False
    assert (truth[:, untouched] == 0x5555).all() and (truth[-1] == 0x5555).all()


def test_unknown_is_true_in_no_comparison() -> None:
    columns = np.full((1, 64), np.nan)
    rules = [[(0, op, 1.0)] for op in OPS]
    assert not run(rules, columns, 0, 1)[:-1].any()


def test_the_loop_compares_whole_vectors() -> None:
    """Scalar compares would cost five times as much; LLVM must keep the vectors it is given."""
    run([[(0, ">", 0.0)]], np.zeros((1, 64)), 0, 1)
    for signature in evaluate_nb.signatures:
        ir = evaluate_nb.inspect_llvm(signature)
        vectors = set(re.findall(r"fcmp (o\w\w) <\d+ x double>", ir))
        assert vectors == {"ogt", "oge", "olt", "ole", "oeq", "one"}
        assert not re.search(r"fcmp \w+ double", ir)
