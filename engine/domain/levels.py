"""Numbers of a symbol that are fixed for a session date: what the columns of the book hold."""

import zlib
from collections.abc import Sequence

import numpy as np

ADV_SESSIONS = (5, 10, 20, 30, 63)
CLOSES_BACK = (2, 3, 5, 10, 20, 60, 250)
STEPS, STEP_SESSIONS = 16, 252  # of the highs and lows before, and how far back they go

# Prices are adjusted for splits as of the session date, volumes and shares with them.
LEVELS: tuple[str, ...] = (
    "pdh",           # high and low of the session before
    "pdl",
    *(f"adv_{sessions}" for sessions in ADV_SESSIONS),
    *(f"close_{sessions}d" for sessions in CLOSES_BACK),
    "close_week",    # last close before this week, month, year
    "close_month",
    "close_year",
    "high_52w",
    "low_52w",
    "ath",
    "adr20_pct",
    "pivot",
    "inside_day",    # 1 or 0, of the session before
    "nr4",
    "nr7",
    "shares",
    "float",
    "beta60",        # slope of 60 daily returns against those of BENCHMARK
    # Steps back from the session before: each the next higher high (lower low), and how many
    # sessions ago; the sessions before a missing one are not looked at.
    *(f"high_step_{k}" for k in range(STEPS)),
    *(f"high_step_{k}_ago" for k in range(STEPS)),
    *(f"low_step_{k}" for k in range(STEPS)),
    *(f"low_step_{k}_ago" for k in range(STEPS)),
    "sessions_all",  # sessions in the baseline that tell of all hours
    "sessions_rth",
)  # fmt: skip
LEVEL = {name: column for column, name in enumerate(LEVELS)}
BENCHMARK = "SPY"

# The baseline: mean cumulative volume by the end of each minute from 04:00 to 20:00.
BASELINE_MINUTES = 960
BASELINE_OPEN = 330  # the minute of the bell, counted from 04:00
BASELINE_SESSIONS, BASELINE_SESSIONS_MIN = 20, 5
MAX_LISTS = 64

# A price that jumps by one of these, nearly, is taken for a split nobody told of. How nearly: moves
# of the market come on top, and real ones of four times the price hardly ever do.
SPLIT_RATIOS = np.array(
    [2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 35, 40, 50, 60, 75, 80, 100, 150, 200, 250, 500, 1e3],
    np.float64,
)
SPLIT_TOLERANCES = np.where(SPLIT_RATIOS < 4, 0.01, 0.05)


# A low of regular hours at or below this share of the close before restricts short sales for the
# rest of the day and the next; SSR_ROUNDING keeps 18.09 of 20.10 a fall by a tenth.
SSR_FALL, SSR_ROUNDING = 0.90, 1e-9


def looks_like_split(jump: float) -> float:
    """The ratio (new shares for one old) of the split that a jump of the price looks like, 0 none.

    jump: later price / earlier price. A forward split of 10 makes it 1/10.
    """
    if not jump > 0:
        return 0.0
    up = jump >= 1.0
    near = jump if up else 1.0 / jump
    off = np.abs(near / SPLIT_RATIOS - 1.0)
    at = int(np.argmin(off))
    if off[at] > SPLIT_TOLERANCES[at]:
        return 0.0
    ratio = float(SPLIT_RATIOS[at])
    return 1.0 / ratio if up else ratio


def group_code(name: str) -> int:
    """What stands for an exchange, a sector, an industry or a list in shared memory: uint32 of its
    name whatever the case, 0 for none."""
    plain = " ".join(name.split()).casefold()
    return (zlib.crc32(plain.encode()) or 1) if plain else 0


def list_bits(names: Sequence[str], lists: np.ndarray) -> np.uint64:
    """Bits of named lists in REFERENCE.lists; a list that the book does not have has none.

    lists: int64[MAX_LISTS], codes of the lists by bit, 0 for none.
    """
    wanted = [group_code(name) for name in names]
    bits = np.uint64(0)
    for bit in np.flatnonzero(np.isin(lists, wanted) & (lists != 0)).tolist():
        bits |= np.uint64(1) << np.uint64(bit)
    return bits
