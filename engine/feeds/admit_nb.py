"""Kernel that turns a provider's ticker numbers into the feed's and puts an ADMIT before a first
tick."""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

from engine.domain.records import TICK, TICK_ADMIT

NEXT, REFUSED = 0, 1
STATE_WORDS = 2
_FIELDS = TICK.fields
assert _FIELDS is not None
# Words of a tick that hold the ticker of an ADMIT.
ID_WORD, A_WORD, B_WORD = (_FIELDS[name][1] // 8 for name in ("id", "a", "b"))
REFUSE = -2  # in number_of: there was no number left; -1: not admitted yet


@njit(cache=True, nogil=True)
def admit_nb(ticks, ticks_words, number_of, names, lengths, capacity, out, out_words, state):
    """Copy ticks to `out` (twice their number) with the feed's numbers; how many were written.

    number_of int32[tickers]: feed's number of a provider's; names int64[tickers, 3]. A ticker
    without a number gets state[NEXT] and an ADMIT record first, if `capacity` allows; else its
    ticks are left out and counted.
    """
    count = 0
    for i in range(ticks.shape[0]):
        source = ticks[i].sym
        number = source
        if source >= 0:
            number = number_of[source]
            if number == -1:
                if state[NEXT] >= capacity:
                    number_of[source] = number = REFUSE
                else:
                    number = state[NEXT]
                    number_of[source] = number
                    state[NEXT] += 1
                    for word in range(out_words.shape[1]):
                        out_words[count, word] = 0
                    out[count].kind = TICK_ADMIT
                    out[count].sym = number
                    out[count].recv_ns = ticks[i].recv_ns
                    out[count].event_ns = ticks[i].event_ns
                    # What lies before it is published: a feed that dies here goes on with this
                    # tick.
                    out[count].src_pos = ticks[i].src_pos - 1
                    out[count].n1 = lengths[source]
                    out_words[count, ID_WORD] = names[source, 0]
                    out_words[count, A_WORD] = names[source, 1]
                    out_words[count, B_WORD] = names[source, 2]
                    count += 1
            if number == REFUSE:
                state[REFUSED] += 1
                continue
        for word in range(out_words.shape[1]):
            out_words[count, word] = ticks_words[i, word]
        out[count].sym = number
        count += 1
    return count
