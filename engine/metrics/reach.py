"""How far back the window of a metric reaches: what a gap of the feed can have spoiled."""

import dataclasses
import math

# Kinds. NOWHERE: the value is of the moment, or fixed for the stream. SECONDS, MINUTES: back from
# the whole second or minute of T. CLOSED_MINUTES: the newest closed ones. BARS: the newest final
# bars. SINCE: from a moment of the session date, `span` is its word of SESSION. Windows in time
# begin no earlier than the session date.
NOWHERE, SECONDS, MINUTES, CLOSED_MINUTES, BARS, SINCE = range(6)
SESSION_START, SESSION_OPEN, SESSION_CLOSE = 1, 2, 3  # words of SESSION

# A mean that forgets by a share a bar never forgets one wholly: it reaches as far as the bars that
# carry all but this of its weight.
FORGOTTEN = 0.01

_TEXTS = {SECONDS: "s", MINUTES: "min", CLOSED_MINUTES: "closed min", BARS: "bars"}
_SINCE = {
    SESSION_START: "start of the session date",
    SESSION_OPEN: "regular open",
    SESSION_CLOSE: "regular close",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Reach:
    """kind: see above; span: how many seconds, minutes or bars, or a word of SESSION."""

    kind: int
    span: int = 0

    @property
    def text(self) -> str:
        """For a reader: `30 s`, `20 bars`, `regular open`; empty for NOWHERE."""
        if self.kind == SINCE:
            return _SINCE[self.span]
        return f"{self.span} {_TEXTS[self.kind]}" if self.kind != NOWHERE else ""


THE_MOMENT = Reach(NOWHERE)
THE_DATE = Reach(SINCE, SESSION_START)
THE_OPEN = Reach(SINCE, SESSION_OPEN)
THE_CLOSE = Reach(SINCE, SESSION_CLOSE)


def bars_of_mean(alpha: float) -> int:
    """How many bars carry all but FORGOTTEN of the weight of a mean that gives the newest `alpha`:
    EMA(n) 2 / (n + 1), Wilder(n) 1 / n."""
    return math.ceil(math.log(FORGOTTEN) / math.log(1 - alpha))
