"""Runs a program over one slice of symbols, cycle after cycle, on shared planes and rows."""

from typing import NamedTuple

import numpy as np

from engine.rules import opcodes as op
from engine.rules.program import Program
from engine.rules.program_nb import evaluate_rules_nb, moments_nb

WORD_BITS = 64
NS_PER_SECOND, NS_PER_MINUTE = 1_000_000_000, 60_000_000_000


class Past(NamedTuple):
    """What is remembered: planes uint64[slots, rows / 64] of the cycle before and of this one; rows
    int64[slots, rows], the same as numbers and as rings uint64[slots, 64, rows / 64] of samples."""

    before: np.ndarray
    now: np.ndarray
    rows: np.ndarray
    rows_f: np.ndarray
    rings: np.ndarray


class Cycle(NamedTuple):
    """One cycle. columns: float64[columns, rows]; moments: uint64[M]; when: see opcodes; of the
    slice's words: seen, carried (seen in the cycle before, too), closed (a bar closed); closes:
    int64[rows, 2], bars closed before this cycle and after it, valid where closed."""

    columns: np.ndarray
    moments: np.ndarray
    when: np.ndarray
    seen: np.ndarray
    carried: np.ndarray
    closed: np.ndarray
    closes: np.ndarray
    first_word: int


class Room(NamedTuple):
    """Private: registers of numbers float64[some, 512], of conditions uint64[tiles, some, 8]; done
    int64[N]: stamp of the tile in which a node was evaluated last; clock int64[1]: newest stamp."""

    numbers: np.ndarray
    bits: np.ndarray
    done: np.ndarray
    clock: np.ndarray


class Moment(NamedTuple):
    """When a cycle is. before_ns: T of the cycle before, None in a stream's first. session: 0 to 2
    pre, regular, after, 3 none of them; weekday: 0 Monday; minute: of the exchange's day."""

    t_ns: int
    before_ns: int | None
    session: int
    weekday: int
    minute: int


class Evaluator:
    """The program of one worker. op_bits: uint64[2, slots, rows / 64]; op_rows: int64[slots, rows];
    its symbols stand in words [first_word, end_word)."""

    def __init__(
        self, op_bits: np.ndarray, op_rows: np.ndarray, first_word: int, end_word: int
    ) -> None:
        self._op_bits, self._op_rows = op_bits, op_rows
        self._first, self._end = first_word, end_word
        words = op_bits.shape[2]
        self._rows_f = op_rows.view(np.float64)
        self._rings = op_rows.view(np.uint64).reshape(len(op_rows), WORD_BITS, words)
        self._when = np.zeros(op.WHEN_WORDS, np.int64)

    def take(self, program: Program) -> None:
        """Make room for a program and run it from now on."""
        tiles = -(-(self._end - self._first) // op.TILE_WORDS)
        numbers, conditions = program.registers.tolist()
        self.program = program
        self.room = Room(
            numbers=np.zeros((max(1, numbers), op.TILE)),
            bits=np.zeros((tiles, max(1, conditions), op.TILE_WORDS), np.uint64),
            done=np.zeros(len(program.code.nodes), np.int64),
            clock=np.zeros(1, np.int64),
        )
        self._moments = np.zeros(len(program.code.moments), np.uint64)

    def forget_new(self, n: int, before: Program | None) -> None:
        """In the first cycle of a version: nothing is known of what `before` did not remember in
        the same slots. before: None when there is no cycle before."""
        code, program = self.program.code, self.program
        planes = self._op_bits[1 - (n & 1)]
        symbols = slice(self._first * WORD_BITS, self._end * WORD_BITS)
        for state in new_states(program, before).tolist():
            first, count = code.states[state, op.S_PLANE], program.state_planes[state]
            planes[code.planes[first : first + count], self._first : self._end] = 0
            first, count = code.states[state, [op.S_ROW, op.S_ROWS]].tolist()
            slots = code.row_slots[first : first + count]
            match program.state_clearing[state]:
                case op.CLEAR_WORDS:
                    self._op_rows[slots, symbols] = 0
                case op.CLEAR_RING:
                    self._rings[slots, :, self._first : self._end] = 0
                case op.CLEAR_NUMBERS:
                    self._rows_f[slots, symbols] = np.nan

    def run(
        self,
        n: int,
        moment: Moment,
        columns: np.ndarray,
        seen: np.ndarray,
        seen_before: np.ndarray,
        closed: np.ndarray,
        closes: np.ndarray,
        truth: np.ndarray,
    ) -> None:
        """Evaluate cycle n: the roots of all rules to truth, uint64[>= R, rows / 64]."""
        code = self.program.code
        self._fill_when(moment)
        moments_nb(code.moments, moment.session, moment.weekday, moment.minute, self._moments)
        self.cycle = Cycle(
            columns, self._moments, self._when, seen, seen & seen_before, closed, closes,
            self._first,
        )  # fmt: skip
        self.past = Past(
            self._op_bits[1 - (n & 1)], self._op_bits[n & 1], self._op_rows, self._rows_f,
            self._rings,
        )  # fmt: skip
        evaluate_rules_nb(code, self.past, self.cycle, self.room, truth, self._end)

    def _fill_when(self, moment: Moment) -> None:
        before_ns = moment.t_ns - 1 if moment.before_ns is None else moment.before_ns
        self._when[:] = (
            moment.t_ns, before_ns, before_ns // NS_PER_SECOND, moment.t_ns // NS_PER_SECOND,
            before_ns // NS_PER_MINUTE, moment.t_ns // NS_PER_MINUTE,
        )  # fmt: skip


def new_states(program: Program, before: Program | None) -> np.ndarray:
    """Numbers of the states that `before` did not have in the same slots."""
    known = np.empty(0, np.int64) if before is None else before.state_mark
    return np.flatnonzero(~np.isin(program.state_mark, known))
