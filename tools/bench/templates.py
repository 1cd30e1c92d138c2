"""Rules like those of the templates, said once for us and for the peers of a benchmark."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.metrics.registry import resolve
from engine.rules.model import Rule
from engine.rules.validate import read_rule

COOLDOWN_S = 60.0
LEVELS = ("vwap_rth", "vwap_all", "ema(20)", "ema(50)", "sma(20)", "sma(50)", "sma(200)", "open")
CHANGES = ("chg_pct", "chg_open_pct", "dist_vwap_pct", "pos_day", "move_atr", "dist_ema20_pct")
WINDOWS_MS = (500, 1000, 2000)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """left > factor * right, or `left > factor` where right is empty."""

    left: str
    right: str
    factor: float

    def text(self) -> str:
        """As our language says it."""
        return f"{self.left} > {self.right} * {self.factor!r}" if self.right else (
            f"{self.left} > {self.factor!r}")  # fmt: skip

    def value(self, columns: "Columns") -> Any:
        """As any peer says it: operands that know `>` and `*`."""
        right = columns.now(self.right) * self.factor if self.right else self.factor
        return columns.now(self.left) > right


@dataclasses.dataclass(frozen=True)
class Cross:
    """left crosses above right."""

    left: str
    right: str

    def text(self) -> str:
        """As our language says it."""
        return f"crosses_above({self.left}, {self.right})"

    def value(self, columns: "Columns") -> Any:
        """As any peer says it."""
        was = columns.before(self.left) <= columns.before(self.right)
        return was & (columns.now(self.left) > columns.now(self.right))


@dataclasses.dataclass(frozen=True)
class Template:
    """One rule: `leaf and other`, where `other` is a condition with or without a memory.

    kind: plain, within, in_row or sequence (`leaf`, then `other` within the window). A memory is
    one number a symbol: when the condition was last true (false for in_row), in ms.
    """

    leaf: Leaf
    kind: str
    other: Leaf | Cross
    window_ms: int

    def text(self) -> str:
        """As our language says it."""
        window = f"{self.window_ms}ms"
        if self.kind == "sequence":
            return f"sequence({self.leaf.text()}, {self.other.text()} within {window})"
        other = self.other.text()
        if self.kind != "plain":
            other = f"{self.kind}({other}, {window})"
        return f"{self.leaf.text()} and {other}"

    def value(self, columns: "Columns", state: Any, t: Any, where: Callable[..., Any]) -> Any:
        """(the root, what is remembered next) as any peer says it."""
        leaf, other = self.leaf.value(columns), self.other.value(columns)
        if self.kind == "plain":
            return leaf & other, None
        if self.kind == "within":
            after = where(other, t, state)
            return leaf & (after >= t - self.window_ms), after
        if self.kind == "in_row":
            after = where(other, state, t)
            return leaf & (after < t - self.window_ms), after
        root = other & (state >= t - self.window_ms)
        return root, where(root, -1e18, where(leaf, t, state))

    def start(self, t_ms: float) -> float:
        """What is remembered before the first cycle, t_ms."""
        return t_ms - 0.5 if self.kind == "in_row" else -1e18


class Columns:
    """What the peers call the numbers of this cycle and of the one before."""

    def __init__(self, now: Callable[[str], Any], before: Callable[[str], Any]) -> None:
        self.now = now
        self.before = before


def templates(columns: np.ndarray, count: int) -> list[Template]:
    """`count` rules: a first leaf that is true for some 5 % of the symbols, of a kind in turn."""
    rng = np.random.default_rng(7)
    last = columns[resolve("last").column]
    found = []
    for number in range(count):
        change = CHANGES[number % len(CHANGES)]
        level = LEVELS[int(rng.integers(len(LEVELS)))]
        share = float(rng.uniform(0.93, 0.97))
        leaf = Leaf(change, "", _quantile(columns[resolve(change).column], share))
        ratio = last / columns[resolve(level).column]
        against = Leaf("last", level, _quantile(ratio, float(rng.uniform(0.96, 0.99))))
        kind, other = (
            ("plain", against),
            ("plain", Cross("last", level)),
            ("within", Cross("last", level)),
            ("within", against),
            ("in_row", against),
            ("sequence", Cross("last", level)),
        )[number // len(CHANGES) % 6]
        found.append(Template(leaf, kind, other, WINDOWS_MS[number % len(WINDOWS_MS)]))
    return found


def _quantile(values: np.ndarray, share: float) -> float:
    return float(f"{np.quantile(values, share):.5g}")


def rules_of(made: list[Template]) -> list[Rule]:
    """The same as rules of ours."""
    return [
        read_rule({
            "id": f"t{number:05}", "name": "bench", "where": one.text(),
            "cooldown_sec": COOLDOWN_S,
        })
        for number, one in enumerate(made)
    ]  # fmt: skip


def names() -> tuple[str, ...]:
    """The metrics that the rules name."""
    return ("last", *LEVELS, *CHANGES)
