"""The board as the front reads it: roles, counters by role, histograms over all roles."""

from engine.domain.tables import EngineTables
from ipc.line import Line, State, waits_for
from shm.board import Board, bucket_upper_ns
from shm.board_nb import BUCKETS, MAX, SUM
from web.deps import Histogram, RoleView, Telemetry

BOUNDS_S = tuple(bucket_upper_ns(bucket) / 1e9 for bucket in range(BUCKETS))
ENDED = (State.DONE, State.STOPPED)


def read_board(
    board: Board, now_ns: int, beat_timeout_ms: int, tables: EngineTables
) -> Telemetry:
    """Copy the board once. A role beats if its last beat is at most beat_timeout_ms old.

    What waits for a role is read off the tables: one that hangs would not tell it.
    """
    roles, counters = [], {}
    for line in board.snapshot():
        words = line.words
        counters[line.name] = line.counters | {
            "worker_queue_depth": max(0, tables.waiting(line.name)),
            "consumer_lag": max(0, tables.behind(line.name)),
        }
        state = _state(int(words[Line.STATE]))
        beat_ns = int(words[Line.BEAT_NS])
        age_ms = (now_ns - beat_ns) / 1e6 if beat_ns else None
        fresh = age_ms is not None and age_ms <= beat_timeout_ms
        other = waits_for(board, int(words[Line.WAITS]))
        roles.append(
            RoleView(
                name=line.name,
                state=state.name.lower(),
                pid=int(words[Line.PID]),
                beat_age_ms=age_ms,
                restarts=int(words[Line.RESTARTS]),
                beating=(fresh and state is State.RUNNING) or state in ENDED,
                waits_for=other,
                waits_ms=max(0, now_ns - int(words[Line.WAITS_NS])) / 1e6 if other else 0.0,
                refused=int(words[Line.REFUSED]),
            )
        )
    histograms = {}
    for number, name in enumerate(board.histogram_names):
        merged = board.merged(number)
        counts = tuple(merged[:BUCKETS].tolist())
        histograms[name] = Histogram(
            BOUNDS_S, counts, float(merged[SUM]) / 1e9, float(merged[MAX]) / 1e9
        )
    return Telemetry(tuple(roles), counters, histograms)


def _state(number: int) -> State:
    try:
        return State(number)
    except ValueError:
        return State.NONE
