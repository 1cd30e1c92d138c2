"""Runs a program over one slice of symbols, cycle after cycle, on shared planes and rows."""

from typing import NamedTuple

import numpy as np

from engine.rules import opcodes as op
from engine.rules.partial_nb import MOVES, evaluate_some_nb
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
    slice's words: seen, carried (seen in the cycle before, too), closed (a bar closed); late
    uint64[K, slice / 64], those that were looked at last in the cycle of row k of since, int64[K,
    LAST_WORDS]; closes: int64[rows, 2], bars closed when a symbol was looked at last and now, valid
    where closed."""

    columns: np.ndarray
    moments: np.ndarray
    when: np.ndarray
    seen: np.ndarray
    carried: np.ndarray
    closed: np.ndarray
    late: np.ndarray
    since: np.ndarray
    closes: np.ndarray
    first_word: int


class Room(NamedTuple):
    """Private: registers of numbers float64[some, 512], of conditions uint64[tiles, some, 8]; done
    int64[N]: stamp of the tile in which a node was evaluated last; clock int64[1]: newest stamp."""

    numbers: np.ndarray
    bits: np.ndarray
    done: np.ndarray
    clock: np.ndarray


class Look(NamedTuple):
    """A cycle that looks at some symbols only. due: uint64[slice / 64], these; late, since: see
    Cycle, since: T only. Of the cycle before: truth uint64[R, rows / 64], columns; slots: int64[R],
    where each rule stood in it, -1 nowhere. planes: how many of code.planes nodes remember."""

    due: np.ndarray
    late: np.ndarray
    since_ns: np.ndarray
    truth: np.ndarray
    slots: np.ndarray
    columns: np.ndarray
    planes: int = 0


class Packed(NamedTuple):
    """Private: up to 512 symbols anywhere, moved together. cycle: theirs; conditions, values:
    registers that move with them; columns: those that rules read; the rest is room."""

    cycle: Cycle
    conditions: np.ndarray
    values: np.ndarray
    columns: np.ndarray
    symbols: np.ndarray
    numbers: np.ndarray
    bits: np.ndarray
    truth: np.ndarray
    plane: np.ndarray
    origin: np.ndarray
    moves: np.ndarray


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
        self._everyone = np.full((1, end_word - first_word), ~np.uint64(0))

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
        self._reads: Reads | None = None

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
        look: Look | None = None,
    ) -> None:
        """Evaluate cycle n: the roots of all rules to truth, uint64[>= R, rows / 64]. look: it
        looks at some symbols only; None: at all."""
        code = self.program.code
        before_ns = moment.t_ns - 1 if moment.before_ns is None else moment.before_ns
        since_ns, late = np.array([before_ns]), self._everyone
        if look is not None:
            seen, since_ns, late = seen & look.due, look.since_ns, look.late
        self._when[:] = _since(np.array([moment.t_ns]))[0]
        moments_nb(code.moments, moment.session, moment.weekday, moment.minute, self._moments)
        self.cycle = Cycle(
            columns, self._moments, self._when, seen, seen & seen_before, closed, late,
            _since(since_ns), closes, self._first,
        )  # fmt: skip
        self.past = Past(
            self._op_bits[1 - (n & 1)], self._op_bits[n & 1], self._op_rows, self._rows_f,
            self._rings,
        )  # fmt: skip
        if look is None:
            evaluate_rules_nb(code, self.past, self.cycle, self.room, truth, self._end)
            return
        reads, packed = self._pack(columns)
        evaluate_some_nb(
            code, self.past, self.cycle, self.room, packed, look._replace(planes=reads.planes),
            truth, self._end,
        )  # fmt: skip

    def _pack(self, columns: np.ndarray) -> tuple["Reads", Packed]:
        """What rules read of a symbol, and room for those that are looked at."""
        program, rules = self.program, len(self.program.code.bound_first) - 1
        if self._reads is None:
            self._reads = reads_of(program)
            numbers, conditions = self.room.numbers.shape[0], self.room.bits.shape[1]
            self._packed = Packed(
                cycle=self.cycle,
                conditions=self._reads.conditions,
                values=self._reads.values,
                columns=self._reads.columns,
                symbols=np.zeros(op.TILE, np.int64),
                numbers=np.zeros((numbers, op.TILE)),
                bits=np.zeros((conditions, op.TILE_WORDS), np.uint64),
                truth=np.zeros((max(1, rules), op.TILE_WORDS), np.uint64),
                plane=np.zeros(op.TILE_WORDS, np.uint64),
                origin=np.zeros(op.TILE_WORDS, np.uint64),
                moves=np.zeros(MOVES, np.uint64),
            )
            self._few_columns = np.full((columns.shape[0], op.TILE), np.nan)
        few = self.cycle._replace(columns=self._few_columns, first_word=0)
        return self._reads, self._packed._replace(cycle=few)



class Reads(NamedTuple):
    """What the rules of a program read of a symbol: registers of conditions and of numbers that
    every cycle gives, columns; planes: how many of code.planes nodes remember."""

    conditions: np.ndarray
    values: np.ndarray
    columns: np.ndarray
    planes: int


def reads_of(program: Program) -> Reads:
    """See Reads."""
    code = program.code
    given = code.nodes[code.always]
    numeric = np.isin(given[:, op.N_OP], list(op.NUMERIC))
    numbers = np.unique(code.parts >> 1)
    parts = code.nodes[numbers]
    lazy = parts[~np.isin(numbers, code.always)]
    operands = lazy[lazy[:, op.N_OP] != op.MOMENT, op.N_A : op.N_B + 1].reshape(-1)
    operands = operands[operands >= 0]
    kind, at = operands & op.KIND_MASK, operands >> op.KIND_BITS
    asked = (code.gates, lazy[:, op.N_C], lazy[:, op.N_D], parts[:, op.N_TO])
    columns = (code.bound_col, code.unequal_col, at[kind == op.COLUMN])
    of_nodes = code.nodes[:, op.N_STATE].max(initial=-1) + 1  # their states come first
    planes = int(program.state_planes[:of_nodes].sum())
    return Reads(
        np.intersect1d(np.concatenate(asked), given[~numeric, op.N_TO]).astype(np.int64),
        np.intersect1d(at[kind == op.REGISTER], given[numeric, op.N_TO]).astype(np.int64),
        np.unique(np.concatenate(columns)).astype(np.int64),
        planes,
    )


def _since(t_ns: np.ndarray) -> np.ndarray:
    """Times with their whole seconds and minutes, see opcodes."""
    since = np.empty((len(t_ns), op.LAST_WORDS), np.int64)
    since[:, op.L_BEFORE] = t_ns
    since[:, op.L_SECOND], since[:, op.L_MINUTE] = t_ns // NS_PER_SECOND, t_ns // NS_PER_MINUTE
    return since


def new_states(program: Program, before: Program | None) -> np.ndarray:
    """Numbers of the states that `before` did not have in the same slots."""
    known = np.empty(0, np.int64) if before is None else before.state_mark
    return np.flatnonzero(~np.isin(program.state_mark, known))
