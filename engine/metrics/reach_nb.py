"""Whether the windows of metrics reach into the newest gap of a symbol."""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

from engine.domain.records import GAP_BAR_SHIFT, GAP_SECOND, NS_PER_MINUTE, NS_PER_SECOND
from engine.metrics.reach import BARS, MINUTES, NOWHERE, SECONDS, SESSION_START, SINCE

SECONDS_PER_MINUTE = NS_PER_MINUTE // NS_PER_SECOND


@njit(cache=True, nogil=True)
def first_second_nb(kind, span, t_ns, closed_minute, session):
    """The whole second at which a window in time begins; session: int64 words of SESSION."""
    if kind == SINCE:
        return session[span] // NS_PER_SECOND
    if kind == SECONDS:
        second = t_ns // NS_PER_SECOND - span
    elif kind == MINUTES:
        second = (t_ns // NS_PER_MINUTE - span) * SECONDS_PER_MINUTE
    else:
        second = (closed_minute + 1 - span) * SECONDS_PER_MINUTE
    return max(second, session[SESSION_START] // NS_PER_SECOND)


@njit(cache=True, nogil=True)
def reaches_gap_nb(kind, span, gap, bar_index, t_ns, closed_minute, session):
    """True if a window reaches into the gap of `gap`, the symbol's word ROW.gap (0: none).

    kind, span: see reach.Reach. bar_index: final bars of the symbol so far; t_ns, closed_minute:
    of the cell. Only the end of a gap is known: a window that was over before it began counts as
    one that reaches into it.
    """
    if gap == 0 or kind == NOWHERE:
        return False
    if kind == BARS:
        return max(bar_index - span, 0) < gap >> GAP_BAR_SHIFT
    return first_second_nb(kind, span, t_ns, closed_minute, session) < gap & GAP_SECOND
