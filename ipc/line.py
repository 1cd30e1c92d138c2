"""One role's line on the board, with the words that supervisor and role speak through."""

import enum

from shm import board as words
from shm.board import Board


class State(enum.IntEnum):
    """What a role is doing; STARTING, BACKOFF, FAILED and STOPPED are the supervisor's words."""

    NONE = 0
    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    DONE = 4
    BACKOFF = 5
    FAILED = 6
    STOPPED = 7


class Line:
    """Words of one line of the board.

    The role writes BEAT_NS, PROGRESS, STATE_N, LAG, WAITS_NS, WAITS, REFUSED and, at the turns of
    its life, STATE; the supervisor writes the others, and STATE while the role does not live.
    """

    PID = words.PID
    START_TIME = words.START_TIME
    EPOCH = words.EPOCH
    BEAT_NS = words.BEAT_NS
    PROGRESS = words.PROGRESS
    STATE_N = words.STATE_N
    STATE = words.STATE
    RESTARTS = words.RESTARTS
    STOP = words.AUX
    LAG = words.AUX + 1
    WAITS = words.AUX + 2     # whose gate it waits for: the number of that line + 1, 0 nobody's
    WAITS_NS = words.AUX + 3  # CLOCK_MONOTONIC since when
    REFUSED = words.AUX + 4   # errno with which a disk refuses what it has to keep, 0: none does

    def __init__(self, board: Board, key: str) -> None:
        self.board = board
        self.key = key
        self.number = board.line(key)

    def get(self, word: int) -> int:
        """A word, load-acquire."""
        return self.board.word(self.number, word)

    def set(self, word: int, value: int) -> None:
        """Store a word, release."""
        self.board.set_word(self.number, word, int(value))

    def waits_for(self) -> str:
        """Key of the role whose gate it waits for; empty: nobody's."""
        return waits_for(self.board, self.get(self.WAITS))


def waits_for(board: Board, word: int) -> str:
    """The line that a WAITS word names; empty: none."""
    return board.lines[word - 1] if 0 < word <= len(board.lines) else ""
