"""How often a user, an address or a name may do something; times in monotonic seconds."""

import collections
import math

MAX_KEYS = 10_000


class Window:
    """Counts events by key in windows of so many seconds, each begun by its first event.

    At most MAX_KEYS keys are kept: the one whose window began first is forgotten.
    """

    def __init__(self, most: int, window_s: float) -> None:
        self._most, self._window_s = most, window_s
        self._keys: collections.OrderedDict[str, tuple[float, int]] = collections.OrderedDict()

    def take(self, key: str, now_s: float) -> int:
        """Count one event. 0 when it is allowed, else the whole seconds until the next is."""
        began_s, count = self._keys.get(key, (now_s, 0))
        if now_s - began_s >= self._window_s:
            del self._keys[key]
            began_s, count = now_s, 0
        if count >= self._most:
            return max(1, math.ceil(began_s + self._window_s - now_s))
        self._keys[key] = (began_s, count + 1)
        if len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)
        return 0

    def give_back(self, key: str) -> None:
        """Take back one event that should not have counted."""
        if key in self._keys:
            began_s, count = self._keys[key]
            self._keys[key] = (began_s, max(0, count - 1))

    def forget(self, key: str) -> None:
        """Begin anew for a key."""
        self._keys.pop(key, None)
