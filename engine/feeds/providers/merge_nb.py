"""Kernel that merges two time-ordered runs of ticks and numbers the result."""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

from engine.domain.records import TICK

FIRST_AT, SECOND_AT, COUNT, POSITION, PAST_END = 0, 1, 2, 3, 4
STATE_WORDS = 5

# Words of a tick seen as int64[8].
_FIELDS = TICK.fields
assert _FIELDS is not None
WORDS = TICK.itemsize // 8
RECV, SRC_POS = _FIELDS["recv_ns"][1] // 8, _FIELDS["src_pos"][1] // 8


@njit(cache=True, nogil=True)
def merge_nb(first, first_ended, second, second_ended, after, start_ns, end_ns, out, state):
    """Merge ticks (int64[n, 8]) by recv_ns into `out`; at equal times the first run goes first.

    Reads from state[FIRST_AT] and state[SECOND_AT], stops when `out` is full, a run that has not
    ended is used up, or a tick reaches end_ns (state[PAST_END]). Every tick gets the next position
    as src_pos; those up to position `after` and those before start_ns are counted but left out.
    """
    i, j, count = state[FIRST_AT], state[SECOND_AT], 0
    position = state[POSITION]
    while count < out.shape[0]:
        left, right = i < first.shape[0], j < second.shape[0]
        if (not left and not first_ended) or (not right and not second_ended):
            break
        if not left and not right:
            break
        if left and (not right or first[i, RECV] <= second[j, RECV]):
            source, k = first, i
            i += 1
        else:
            source, k = second, j
            j += 1
        recv_ns = source[k, RECV]
        if recv_ns >= end_ns:
            state[PAST_END] = 1
            break
        if position > after and recv_ns >= start_ns:
            for word in range(WORDS):
                out[count, word] = source[k, word]
            out[count, SRC_POS] = position
            count += 1
        position += 1
    state[FIRST_AT], state[SECOND_AT], state[COUNT], state[POSITION] = i, j, count, position
