"""Reads names such as `ema(34, 5m)` and says what they are: parameterised indicators as metrics."""

import difflib
import re

from engine.domain.family import DAILY, TIMEFRAME_MINUTES, Family, length_text
from engine.metrics.entry import FAMILY, SAME, Metric
from engine.metrics.family_kinds import KINDS, MAX_FINE_S, MAX_MINUTES, Kind, Period
from engine.metrics.reach import BARS, CLOSED_MINUTES, MINUTES, SECONDS, THE_MOMENT, Reach

_CALL = re.compile(r"(?P<kind>[a-z][a-z0-9_]*?)(?P<rth>_rth)?\((?P<arguments>[^()]*)\)", re.I)
_WINDOW = re.compile(
    r"(?:(?P<chg>chg)_(?P<chg_length>\d+[smh])_pct|(?P<kind>vol|range)_(?P<length>\d+[smh]))"
)
_LENGTH = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smh])")
_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?")
_UNIT_S = {"s": 1, "m": 60, "h": 3600}
_FRAMES = " ".join([*(f"{minutes}m" for minutes in TIMEFRAME_MINUTES), "D"])
_WRITTEN = tuple(dict.fromkeys(kind.written for kind in KINDS.values()))
_NEVER_LIVE = ("live values of daily bars", "live values of a window in time")


class BadFamily(ValueError):  # noqa: N818 - carries the second half of a sentence
    """Raised when a name has the form of a family but is none; the text goes after the name.

    nearest: names that were perhaps meant instead.
    """

    def __init__(self, reason: str, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.nearest = nearest


def parse_family(name: str) -> Family | None:
    """The family that a name without blanks stands for; None when it does not look like one.

    Raises BadFamily for the first fault.
    """
    window = _WINDOW.fullmatch(name)
    if window is not None:
        kind = KINDS[f"{window['chg'] or window['kind']}_time"]
        return _timed(kind, "", _seconds(window["chg_length"] or window["length"]))
    called = _CALL.fullmatch(name)
    if called is None:
        if name in _WRITTEN or name.removesuffix("_rth") in _WRITTEN:
            raise BadFamily(f"needs its numbers, such as {_example(name)}")
        return None
    written = called["kind"]
    if written not in _WRITTEN:
        nearest = difflib.get_close_matches(written.lower(), _WRITTEN, n=3, cutoff=0.6)
        rest = name[len(written) :]
        raise BadFamily("", tuple(near + rest for near in nearest))
    arguments = [part for part in called["arguments"].split(",") if part]
    return _read(written, bool(called["rth"]), arguments)


def _example(written: str) -> str:
    kind = KINDS.get(written.removesuffix("_rth")) or KINDS[written.removesuffix("_rth") + "_time"]
    if kind.name == "rv":
        return "rv(30m)"
    numbers = [
        repr(float(14 if period.default is None else period.default)).removesuffix(".0")
        for period in kind.periods
    ]
    return f"{written}({', '.join([*kind.fields[:1], *numbers])})"


def _read(written: str, regular: bool, arguments: list[str]) -> Family:
    kind = KINDS.get(written) or KINDS[f"{written}_time"]
    field = ""
    if kind.fields:
        field, arguments = _field(kind, arguments)
    live = bool(arguments) and arguments[-1].lower() in ("live", "closed")
    mode = arguments[-1].lower() if live else "closed"
    rest = arguments[:-1] if live else arguments
    timed = KINDS.get(f"{written}_time", kind if kind.name == "rv" else None)
    if timed is not None and len(rest) == 1 and _LENGTH.fullmatch(rest[0]):
        if field and field not in timed.fields:
            known = " or ".join(timed.fields)
            raise BadFamily(f"looks at {known} where its window is a length of time, not {field}")
        if regular or mode == "live":
            raise BadFamily("takes neither _rth nor live where its window is a length of time")
        return _timed(timed, field, _seconds(rest[0]))
    if kind.name == "rv":
        raise BadFamily("takes a length of time, such as rv(30m)")
    minutes, numbers = 1, rest
    if rest and not _NUMBER.fullmatch(rest[-1]):
        minutes, numbers = _timeframe(rest[-1]), rest[:-1]
    periods = _periods(kind, numbers)
    _check_together(kind, field, periods)
    if minutes == DAILY and (mode == "live" or regular):
        raise BadFamily("takes neither _rth nor live with daily bars")
    return Family(kind.name, field, periods, minutes, mode == "live", regular)


def _field(kind: Kind, arguments: list[str]) -> tuple[str, list[str]]:
    known = " or ".join(kind.fields)
    if not arguments or arguments[0] not in kind.fields:
        found = arguments[0] if arguments else "nothing"
        raise BadFamily(f"begins with {known}, not with {found}")
    return arguments[0], arguments[1:]


def _timeframe(text: str) -> int:
    if text in ("D", "d", "1D", "1d"):
        return DAILY
    length = _LENGTH.fullmatch(text)
    seconds = int(length["count"]) * _UNIT_S[length["unit"]] if length else 0
    if seconds % 60 or seconds // 60 not in TIMEFRAME_MINUTES:
        raise BadFamily(f"knows the timeframes {_FRAMES}, not {text}")
    return seconds // 60


def _periods(kind: Kind, numbers: list[str]) -> tuple[float, ...]:
    wanted = kind.periods
    if len(numbers) > len(wanted):
        most = "1 number" if len(wanted) == 1 else f"{len(wanted)} numbers"
        raise BadFamily(f"takes at most {most}, not {len(numbers)}")
    found = []
    for place, period in enumerate(wanted):
        if place < len(numbers):
            found.append(_period(period, numbers[place]))
        elif period.default is None:
            raise BadFamily(f"needs a {period.name}, such as {_example(kind.written)}")
        else:
            found.append(float(period.default))
    return tuple(found)


def _period(period: Period, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else -1.0
    if (period.whole and value != int(value)) or not period.low <= value <= period.high:
        what = "a whole number" if period.whole else "a number"
        raise BadFamily(
            f"needs as {period.name} {what} from {period.low:g} to {period.high:g}, not {text}"
        )
    return value


def _check_together(kind: Kind, field: str, periods: tuple[float, ...]) -> None:
    if kind.name.startswith("macd") and periods[0] >= periods[1]:
        raise BadFamily(
            f"needs a fast period below the slow one, not {periods[0]:g} and {periods[1]:g}"
        )


def _seconds(text: str) -> int:
    length = _LENGTH.fullmatch(text)
    return int(length["count"]) * _UNIT_S[length["unit"]] if length else 0


def _timed(kind: Kind, field: str, seconds: int) -> Family:
    fine = kind.name in ("chg_time", "vol_time")
    low = 1 if fine else 60
    text = length_text(seconds)
    if not low <= seconds <= MAX_MINUTES * 60:
        least = "1s" if fine else "1m"
        raise BadFamily(f"needs a window from {least} to {MAX_MINUTES}m, not {text}")
    if seconds % 60 and (not fine or seconds > MAX_FINE_S):
        rule = "over 15m of whole minutes" if fine else "of whole minutes"
        raise BadFamily(f"needs a window {rule}, not {text}")
    return Family(kind.name, field, (), window_s=seconds)


# -- what a family is as a metric ------------------------------------------------------------------
def metric_of(family: Family) -> Metric:
    """The metric that a family is. It has no fixed column: a slot is given to it when rules name
    it."""
    kind, name = KINDS[family.kind], family.name
    shown = [repr(float(period)).removesuffix(".0") for period in family.periods]
    length = length_text(family.window_s)

    def filled(text: str) -> str:
        return text.format(*shown, f=family.field, w=length)

    unit = kind.unit or ("shares" if family.field == "volume" else "usd")
    flip = _flip(kind, family, name)
    return Metric(
        name, unit, filled(kind.formula), _unknown(kind, family), FAMILY, filled(kind.brief),
        flip=flip, up=None if flip == SAME else kind.up, inputs=("final bars",),
        warm_up=_warm_up(kind, family), reach=_reach(kind, family), group="Families",
        family=family,
    )  # fmt: skip


def _unknown(kind: Kind, family: Family) -> str:
    if family.timeframe_minutes == DAILY:
        return "not in the daily history up to yesterday, or fewer bars there than its warm-up"
    bars = "" if family.window_s else "fewer bars than its warm-up"
    return ", or ".join(text for text in (bars, kind.unknown) if text)


def _warm_up(kind: Kind, family: Family) -> str:
    if family.window_s:
        return f"{length_text(family.window_s)} of the session date"
    frame = "D" if family.timeframe_minutes == DAILY else f"{family.timeframe_minutes}m"
    return f"{kind.bars(family.periods)} bars of {frame}"


def _reach(kind: Kind, family: Family) -> Reach:
    if family.window_s == 0:
        if family.timeframe_minutes == DAILY:
            return THE_MOMENT
        return Reach(BARS, kind.reach(family.periods) * family.timeframe_minutes)
    if family.kind in ("chg_time", "vol_time"):
        fine = family.window_s <= MAX_FINE_S
        return Reach(SECONDS, family.window_s) if fine else Reach(MINUTES, family.window_s // 60)
    return Reach(CLOSED_MINUTES, family.window_s // 60)


def _flip(kind: Kind, family: Family, name: str) -> str | None:
    """The mirror image of a family: its own name, or that of the opposite kind."""
    if kind.flip is None:
        return SAME if family.field == "volume" else None
    if kind.flip == SAME:
        return SAME
    if "{name}" in kind.flip:
        return kind.flip.format(name=name)
    sign, other = ("-", kind.flip[1:]) if kind.flip.startswith("-") else ("", kind.flip)
    mirrored = name.replace(kind.written, other, 1)
    if family.field in ("high", "low"):
        opposite = "low" if family.field == "high" else "high"
        mirrored = mirrored.replace(f"({family.field},", f"({opposite},", 1)
    return sign + mirrored
