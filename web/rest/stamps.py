"""Times as the API writes them."""

import numpy as np


def stamp(t_ns: int | None) -> str | None:
    """RFC 3339 in UTC to the millisecond; None: unknown, or never."""
    return None if t_ns is None else f"{np.datetime64(t_ns, 'ns')}"[:23] + "Z"
