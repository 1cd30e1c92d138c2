"""Turns comparisons of columns with constants into the one that the kernel makes: value > bound.

`x >= c` is `x > c'` with c' the next smaller double; `x < c` is `-x > -c`, a flipped sign bit;
`x == c` is `x >= c and x <= c`; only `x != c` stays apart. NaN is above no bound, whatever its
sign.
"""

from typing import NamedTuple

import numpy as np

from engine.rules.model import OPS

SIGN_BIT = -(2**63)
_ABOVE, _AT_LEAST, _BELOW, _AT_MOST, _EQUAL, _UNEQUAL = range(len(OPS))


class Plan(NamedTuple):
    """Bounds of R rules.

    Those of rule r are [bound_first[r], bound_first[r + 1]): bound_col int32, column;
    bound_sign int64, 0 or SIGN_BIT, to be flipped in the value; bound float64. unequal_first,
    unequal_col, unequal_to are the same for `!=`. All of both must hold.
    """

    bound_first: np.ndarray
    bound_col: np.ndarray
    bound_sign: np.ndarray
    bound: np.ndarray
    unequal_first: np.ndarray
    unequal_col: np.ndarray
    unequal_to: np.ndarray


def plan_leaves(
    rule_of: np.ndarray, column: np.ndarray, op: np.ndarray, constant: np.ndarray, rules: int
) -> Plan:
    """Plan the comparisons of `rules` rules: by comparison its rule (ascending), its column, its
    operator (an index into OPS) and its constant."""
    unequal = op == _UNEQUAL
    lower = (op == _ABOVE) | (op == _AT_LEAST) | (op == _EQUAL)
    upper = (op == _BELOW) | (op == _AT_MOST) | (op == _EQUAL)
    strict = (op == _ABOVE) | (op == _BELOW)
    order = np.argsort(np.concatenate([rule_of[lower], rule_of[upper]]), kind="stable")

    def bounds(which: np.ndarray, sign: float) -> np.ndarray:
        signed = sign * constant[which]
        with np.errstate(over="ignore", under="ignore"):  # below the least double lies -inf
            before = np.nextafter(signed, -np.inf)
        found: np.ndarray = np.where(strict[which], signed, before)
        return found

    def merged(below: np.ndarray, above: np.ndarray) -> np.ndarray:
        both: np.ndarray = np.concatenate([below, above])[order]
        return both

    signs = (np.zeros(lower.sum(), np.int64), np.full(upper.sum(), SIGN_BIT))
    return Plan(
        bound_first=_firsts(merged(rule_of[lower], rule_of[upper]), rules),
        bound_col=merged(column[lower], column[upper]).astype(np.int32),
        bound_sign=merged(*signs),
        bound=merged(bounds(lower, 1.0), bounds(upper, -1.0)),
        unequal_first=_firsts(rule_of[unequal], rules),
        unequal_col=column[unequal].astype(np.int32),
        unequal_to=constant[unequal],
    )


def _firsts(rule_of: np.ndarray, rules: int) -> np.ndarray:
    """int32[rules + 1]: where each rule begins in a sorted array of rule numbers."""
    return np.searchsorted(rule_of, np.arange(rules + 1)).astype(np.int32)
