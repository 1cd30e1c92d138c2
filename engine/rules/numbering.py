"""Numbers nodes and registers of a program, in order of the rules and of need within a rule."""

from collections.abc import Sequence

import numpy as np

from engine.rules import opcodes as op
from engine.rules.lower import ROW_WORDS, Nodes
from engine.rules.lowered import LoweredRule


def joined(lowered: Sequence[LoweredRule], name: str, dtype: type = np.int32) -> np.ndarray:
    """A field of all rules, one after the other."""
    return np.concatenate([np.empty(0, dtype), *(getattr(one, name) for one in lowered)])


def joined_rows(lowered: Sequence[LoweredRule], name: str, words: int) -> np.ndarray:
    """A table of all rules, one after the other: int32[:, words]."""
    empty = np.empty((0, words), np.int32)
    return np.concatenate([empty, *(getattr(one, name) for one in lowered)])


def firsts(lengths: Sequence[int]) -> np.ndarray:
    """int32[count + 1]: where each of some runs of these lengths begins."""
    return np.cumsum([0, *lengths], dtype=np.int32)


class Numbering:
    """handles: the nodes of a program by number. rows: their words, int32[N, ROW_WORDS]. always:
    numbers of those that run in every cycle. register: of each; registers: how many there are of
    numbers and of conditions. needs: nodes that each rule brings in, shared ones with the first.
    """

    def __init__(self, lowered: Sequence[LoweredRule], nodes: Nodes) -> None:
        wanted = joined(lowered, "nodes")
        unique, first, users = np.unique(wanted, return_index=True, return_counts=True)
        order = np.argsort(first)
        self.handles = unique[order]
        self._number = np.full(len(nodes), -1, np.int32)
        self._number[self.handles] = np.arange(len(self.handles))
        rows = np.frombuffer(nodes.rows.tobytes(), np.int32).reshape(-1, ROW_WORDS)
        self.rows = rows[self.handles]
        ends = np.cumsum([len(one.nodes) for one in lowered])
        self.needs = np.searchsorted(ends, first[order], side="right")
        flags, kept = (np.zeros(len(self.handles), bool) for _ in range(2))
        flags[self._number[wanted[joined(lowered, "always", bool)]]] = True
        kept[self._number[wanted[joined(lowered, "kept", bool)]]] = True
        self.always = np.flatnonzero(flags).astype(np.int32)
        local = joined(lowered, "local")[first[order]]
        self._give_registers(lowered, kept | (users[order] > 1), local)

    def _give_registers(
        self, lowered: Sequence[LoweredRule], own: np.ndarray, local: np.ndarray
    ) -> None:
        """One of its own to each node that others need or that is kept, above all local ones."""
        numeric = np.isin(self.rows[:, 0], list(op.NUMERIC))
        self.register = local.copy()
        counts = []
        for at, kind in enumerate((numeric, ~numeric)):
            begin = max((one.registers[at] for one in lowered), default=0)
            mine = kind & own
            self.register[mine] = begin + np.arange(mine.sum())
            counts.append(begin + int(mine.sum()))
        self.registers = (counts[0], counts[1])

    def numbers_of(self, handles: np.ndarray) -> np.ndarray:
        """Numbers of nodes."""
        found: np.ndarray = self._number[handles]
        return found

    def registers_of(self, handles: np.ndarray) -> np.ndarray:
        """Registers of nodes, -1 for -1."""
        found = np.full(len(handles), -1, np.int32)
        there = handles >= 0
        found[there] = self.register[self._number[handles[there]]]
        return found
