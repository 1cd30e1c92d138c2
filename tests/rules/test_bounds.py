"""The rule kernel against a slow interpreter of three-valued logic."""

import os
import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from engine.metrics.registry import METRICS
from engine.rules.bounds_nb import narrow_nb
from engine.rules.compiler import compile_rules
from engine.rules.evaluator import Evaluator, Moment
from engine.rules.model import OPS, Condition, Rule
from engine.rules.pack import pack, unpack

EXAMPLES = 1000 if os.environ.get("TAPESCAN_SOAK") else 100
NUMBERS = [0.0, -0.0, 1.0, 1.0000000000000002, -1.0, 2.5, 5e-324, 1.7e308, np.inf, -np.inf, np.nan,
           1.7976931348623157e308, -1.7976931348623157e308, -5e-324]  # fmt: skip
EDGES = [5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308]
CONSTANTS = EDGES + [number for number in NUMBERS if np.isfinite(number)]


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
    words = columns.shape[1] // 64
    truth = np.full((len(rules) + 1, words), 0x5555, np.uint64)
    compiled = compile_rules(
        Rule(id=f"r{number:02}", name="n", conditions=tuple(
            Condition(METRICS[column].name, op, constant) for column, op, constant in leaves
        ))
        for number, leaves in enumerate(rules)
    )  # fmt: skip
    evaluator = Evaluator(np.zeros((2, 0, words), np.uint64), np.zeros((0, 64 * words), np.int64),
                          first, end)  # fmt: skip
    evaluator.take(unpack(pack(compiled)).program)
    nobody = np.zeros(end - first, np.uint64)
    evaluator.run(
        1, Moment(1, None, 1, 0, 600), columns, nobody, nobody, nobody, np.zeros((0, 2), np.int64),
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
    narrow = njit(narrow_nb.py_func)  # compiled here: a kernel from the disk cache has no IR
    column, sign, bound = np.zeros(3, np.int32), np.zeros(3, np.int64), np.zeros(3)
    truth, none = np.zeros((1, 1), np.uint64), np.uint64(0)
    narrow(np.zeros((1, 64)), column, sign, bound, 0, 3, truth, 0, 0, 1, none)
    (signature,) = narrow.signatures
    ir = narrow.inspect_llvm(signature)
    assert len(re.findall(r"fcmp o[gl]t <\d+ x double>", ir)) >= 6
    assert not re.search(r"fcmp \w+ double", ir)
