"""Kernels of the board: one counter up, one latency into a log-spaced histogram.

Bucket i < 8 holds exactly i ns; from there every octave has 8 buckets, so a bucket is at most
12.5 % wide. Values above the last bucket (2**41 ns, 37 minutes) count in it. After the buckets come
the sum and the maximum in ns. One process writes a line, so plain additions do.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

SUB_BITS = 3
SUB = 1 << SUB_BITS
TOP_OCTAVE = 40
BUCKETS = (TOP_OCTAVE - SUB_BITS + 2) * SUB
SUM = BUCKETS
MAX = BUCKETS + 1
HISTOGRAM_WORDS = -(-(BUCKETS + 2) // 16) * 16


@njit(cache=True, nogil=True)
def bucket_nb(ns):
    """Bucket of a latency in ns; negative ones count as 0."""
    if ns < SUB:
        return max(ns, 0)
    octave = SUB_BITS
    rest = ns >> (SUB_BITS + 1)
    while rest > 0 and octave < TOP_OCTAVE:
        rest >>= 1
        octave += 1
    if rest > 0:
        return BUCKETS - 1
    return (octave - SUB_BITS + 1) * SUB + ((ns >> (octave - SUB_BITS)) & (SUB - 1))


@njit(cache=True, nogil=True)
def record_nb(histogram, ns):
    """Count a latency of `ns` in `histogram` (int64[HISTOGRAM_WORDS], C-contiguous)."""
    histogram[bucket_nb(ns)] += 1
    histogram[SUM] += max(ns, 0)
    histogram[MAX] = max(histogram[MAX], ns)


@njit(cache=True, nogil=True)
def record_since_nb(histogram, stamps_ns, now_ns):
    """Count the time from each of stamps_ns (int64[any], C-contiguous) to now_ns."""
    for at in range(stamps_ns.shape[0]):
        record_nb(histogram, now_ns - stamps_ns[at])
