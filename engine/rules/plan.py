"""Turns the leaves of compiled rules into the one comparison that the kernel makes: value > bound.

`x >= c` is `x > c'` with c' the next smaller double; `x < c` is `-x > -c`, a flipped sign bit;
`x == c` is `x >= c and x <= c`; only `x != c` stays apart. NaN is above no bound, whatever its
sign.
"""

import dataclasses

import numpy as np

from engine.rules.compiler import CompiledRules
from engine.rules.model import OPS

SIGN_BIT = -(2**63)
_ABOVE, _AT_LEAST, _BELOW, _AT_MOST, _EQUAL, _UNEQUAL = range(len(OPS))


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What evaluate_nb takes of R rules.

    Bounds of rule r are [bound_first[r], bound_first[r + 1]): bound_col int32, metric column;
    bound_sign int64, 0 or SIGN_BIT, to be flipped in the value; bound float64. unequal_first,
    unequal_col, unequal_to are the same for `!=`. A rule is true when all of both are.
    """

    bound_first: np.ndarray
    bound_col: np.ndarray
    bound_sign: np.ndarray
    bound: np.ndarray
    unequal_first: np.ndarray
    unequal_col: np.ndarray
    unequal_to: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of it, in the order of evaluate_nb's arguments."""
        return (
            self.bound_first, self.bound_col, self.bound_sign, self.bound,
            self.unequal_first, self.unequal_col, self.unequal_to,
        )  # fmt: skip


def plan_leaves(rules: CompiledRules) -> Plan:
    """Plan the leaves of `rules`."""
    op, rule_of = rules.leaf_op, np.repeat(np.arange(len(rules)), np.diff(rules.rule_first))
    unequal = op == _UNEQUAL
    lower = (op == _ABOVE) | (op == _AT_LEAST) | (op == _EQUAL)
    upper = (op == _BELOW) | (op == _AT_MOST) | (op == _EQUAL)
    strict = (op == _ABOVE) | (op == _BELOW)
    order = np.argsort(np.concatenate([rule_of[lower], rule_of[upper]]), kind="stable")

    def bounds(which: np.ndarray, sign: float) -> np.ndarray:
        constant = sign * rules.leaf_const[which]
        with np.errstate(over="ignore", under="ignore"):  # below the least double lies -inf
            before = np.nextafter(constant, -np.inf)
        found: np.ndarray = np.where(strict[which], constant, before)
        return found

    def merged(below: np.ndarray, above: np.ndarray) -> np.ndarray:
        both: np.ndarray = np.concatenate([below, above])[order]
        return both

    signs = (np.zeros(lower.sum(), np.int64), np.full(upper.sum(), SIGN_BIT))
    return Plan(
        bound_first=_firsts(merged(rule_of[lower], rule_of[upper]), len(rules)),
        bound_col=merged(rules.leaf_col[lower], rules.leaf_col[upper]),
        bound_sign=merged(*signs),
        bound=merged(bounds(lower, 1.0), bounds(upper, -1.0)),
        unequal_first=_firsts(rule_of[unequal], len(rules)),
        unequal_col=rules.leaf_col[unequal],
        unequal_to=rules.leaf_const[unequal],
    )


def _firsts(rule_of: np.ndarray, rules: int) -> np.ndarray:
    """int32[rules + 1]: where each rule begins in a sorted array of rule numbers."""
    return np.searchsorted(rule_of, np.arange(rules + 1)).astype(np.int32)
