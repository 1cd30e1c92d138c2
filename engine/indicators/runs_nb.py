"""Kernels of runs: how many candles in a row closed above, or below, their open.

A candle of N minutes holds the final bars of the minutes [k * N, (k + 1) * N) since 1970; without a
bar there is none. Of the candle that is forming the state keeps the open.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

RUN_MINUTES = (1, 2, 5, 10, 15, 30, 60)
RUNS = len(RUN_MINUTES)
RUN_SLOTS = 3 * RUNS  # of each: the candle's number plus 1, its open, the run before it
MINUTES = np.array(RUN_MINUTES, np.int64)

# A slot of a fresh state is 0: no candle, no open, no run known. A run of r is kept as
# RUN_ZERO + r.
RUN_ZERO = float(1 << 40)


@njit(cache=True, nogil=True, error_model="numpy")
def next_run(run, opened, close):
    """The run after a candle: longer, turned round, or 0 where it closed at its open. A candle
    whose beginning was not seen (opened 0) says nothing."""
    if not opened > 0.0:
        return run
    length = run - RUN_ZERO if run > 0.0 else 0.0
    if close > opened:
        return RUN_ZERO + max(length, 0.0) + 1.0
    if close < opened:
        return RUN_ZERO + min(length, 0.0) - 1.0
    return RUN_ZERO


@njit(cache=True, nogil=True, error_model="numpy")
def advance_runs(state, first, minute, opened, before):
    """One final bar more; state: float64[slots], the slots of runs from `first` on; before: close
    of the bar before it."""
    for k in range(RUNS):
        candle = minute // MINUTES[k] + 1
        held = state[first + k]
        if held == candle:
            continue
        if held > 0.0:
            run = first + 2 * RUNS + k
            state[run] = next_run(state[run], state[first + RUNS + k], before)
        whole = held > 0.0 or minute % MINUTES[k] == 0
        state[first + k] = candle
        state[first + RUNS + k] = opened if whole and opened > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def run_values(state, after, first, close_slot, closed, values, column):
    """Runs of every symbol as of the closed minute, to columns from `column` on, NaN unknown.

    state: float64[rows, 2, slots]; after: which of the two holds the newest bar.
    """
    for sym in range(values.shape[1]):
        mine = state[sym, after]
        for k in range(RUNS):
            run, candle = mine[first + 2 * RUNS + k], mine[first + k]
            if candle > 0.0 and closed >= candle * MINUTES[k] - 1:
                run = next_run(run, mine[first + RUNS + k], mine[close_slot])
            values[column + k, sym] = run - RUN_ZERO if run > 0.0 else np.nan
