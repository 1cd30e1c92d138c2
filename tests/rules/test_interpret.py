"""What each node means, in small days written by hand: T true, F false, ? unknown."""

import math

import pytest

from engine.rules.interpret import Facts, Moment, number
from engine.rules.memory import RuleInterpreter, SequenceMemory, run
from engine.rules.tree import (
    Ago,
    And,
    Arithmetic,
    AtLeast,
    Between,
    Breadth,
    Call,
    Compare,
    Cond,
    Crosses,
    CrossSection,
    Expr,
    Flag,
    If,
    InRow,
    InSession,
    Lag,
    MetricRef,
    Negate,
    Not,
    Number,
    OnWeekday,
    Or,
    Sequence,
    Since,
    Step,
    TimeBetween,
    Window,
    Within,
)

MS, SECOND, MINUTE = 1_000_000, 1_000_000_000, 60_000_000_000
START = 100 * MINUTE
A, B, C = (Compare(">", MetricRef(name), Number(0.0)) for name in ("last", "bid", "ask"))
NAMES = {"a": "last", "b": "bid", "c": "ask"}
VALUES = {"T": 1.0, "F": 0.0, "?": math.nan}


def day(step_ns: int = SECOND, bars: str = "", **truths: str) -> list[Moment]:
    """A cycle every `step_ns`; a, b and c are the truths of A, B and C, bars how many closed."""
    length = len(next(iter(truths.values())))
    return [
        Moment(
            time_ns=START + at * step_ns,
            before_ns=None if at == 0 else START + (at - 1) * step_ns,
            values={NAMES[key]: VALUES[text[at]] for key, text in truths.items()},
            bars_closed=int(bars[at]) if bars else 0,
        )
        for at in range(length)
    ]


def shown(results: list[bool | None]) -> str:
    return "".join({True: "T", False: "F", None: "?"}[result] for result in results)


def value(expr: Expr, **values: float) -> float | None:
    return number(expr, Facts(Moment(START, values), {}))


LAST, BID = MetricRef("last"), MetricRef("bid")


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (Number(5.0), 5.0),
        (LAST, 4.0),
        (MetricRef("price"), 4.0),
        (BID, None),
        (Negate(LAST), -4.0),
        (Arithmetic("-", LAST, Number(1.0)), 3.0),
        (Arithmetic("/", LAST, Number(8.0)), 0.5),
        (Arithmetic("/", LAST, Number(0.0)), None),
        (Arithmetic("/", LAST, Number(-0.0)), None),
        (Arithmetic("*", Number(0.0), BID), None),
        (Arithmetic("*", Number(1e308), LAST), None),
        (Arithmetic("-", Number(-1.7e308), Number(1.7e308)), None),
        (Call("abs", (Negate(LAST),)), 4.0),
        (Call("log", (Number(1.0),)), 0.0),
        (Call("log", (Number(0.0),)), None),
        (Call("log", (Number(-1.0),)), None),
        (Call("min", (LAST, Number(3.0), Number(9.0))), 3.0),
        (Call("max", (LAST, Number(3.0))), 4.0),
        (Call("max", (LAST, BID)), None),
        (Call("coalesce", (BID, LAST, Number(1.0))), 4.0),
        (Call("coalesce", (BID, BID)), None),
        (If(A, Number(1.0), Number(2.0)), 1.0),
        (If(Not(A), BID, Number(2.0)), 2.0),
        (If(B, Number(1.0), Number(1.0)), None),
        (CrossSection("rank", LAST), None),
        (Breadth("r1"), None),
    ],
)
def test_numbers(expr: Expr, expected: float | None) -> None:
    assert value(expr, last=4.0, bid=math.nan) == expected


@pytest.mark.parametrize(
    ("cond", "a", "b", "expected"),
    [
        (And((A, B)), "TTTFF?", "TF?F??", "TF?FF?"),
        (Or((A, B)), "TTTFF?", "TF?F??", "TTTF??"),
        (And((B, A)), "TTTFF?", "TF?F??", "TF?FF?"),
        (Or((B, A)), "TTTFF?", "TF?F??", "TTTF??"),
        (Not(A), "TF?", "???", "FT?"),
    ],
)
def test_logic_is_kleenes(cond: Cond, a: str, b: str, expected: str) -> None:
    assert shown(run(cond, day(a=a, b=b))) == expected


def test_between_is_false_as_soon_as_one_side_is() -> None:
    within = Between(LAST, Number(1.0), BID)
    cases = {(1.0, 1.0): "T", (2.0, 1.0): "F", (0.0, math.nan): "F", (1.0, math.nan): "?"}
    for (last, bid), expected in cases.items():
        assert shown(run(within, [Moment(START, {"last": last, "bid": bid})])) == expected


def test_a_flag_is_true_where_it_is_1() -> None:
    moments = [Moment(START + at, {"halted": value}) for at, value in enumerate((1, 0, math.nan))]
    assert shown(run(Flag("halted"), moments)) == "TF?"


def test_sessions_weekdays_and_times_are_those_of_the_cycle() -> None:
    moment = Moment(START, {}, session="pre", weekday="fri", minute_of_day=585)
    for cond, expected in (
        (InSession(("pre", "after")), "T"), (InSession(("regular",)), "F"),
        (OnWeekday(("mon", "fri")), "T"), (OnWeekday(("mon",)), "F"),
        (TimeBetween(585, 586), "T"), (TimeBetween(580, 585), "F"),
    ):  # fmt: skip
        assert shown(run(cond, [moment])) == expected
    outside = [Moment(START, {})]
    assert shown(run(InSession(("pre", "regular", "after")), outside)) == "F"


def crossing(direction: str, hysteresis_pct: float, lefts: list[float], right: float) -> str:
    cond = Crosses(direction, LAST, BID, hysteresis_pct)  # type: ignore[arg-type]
    moments = [
        Moment(START + at * SECOND, {"last": left, "bid": right}) for at, left in enumerate(lefts)
    ]
    return shown(run(cond, moments))


def test_a_cross_needs_both_cycles_known() -> None:
    nan = math.nan
    assert crossing("above", 0.0, [9, 10, 11, 12, nan, 9, 11], 10) == "?FTF??T"
    assert crossing("below", 0.0, [11, 10, 9, 8, nan, 11, 9], 10) == "?FTF??T"
    assert crossing("either", 0.0, [9, 11, 9, 9, 11], 10) == "?TTFT"
    assert crossing("above", 0.0, [9, 11], nan) == "??"


def test_with_hysteresis_a_cross_is_armed_again_only_from_far_enough_back() -> None:
    up = [9, 11, 9.5, 11, 9, 11, 8.9, 11, 10, 11]
    assert crossing("above", 10.0, up, 10) == "?TFFFFFTFF"
    down = [11, 9, 10.5, 9, 11, 9, 11.1, 9]
    assert crossing("below", 10.0, down, 10) == "?TFFFFFT"
    below_zero = [-11, -9, -10.5, -9, -11.5, -9]
    assert crossing("above", 10.0, below_zero, -10) == "?TFFFT"
    assert crossing("either", 10.0, [9, 11, 9, 11, 8, 12, 9], 10) == "?TTFFTT"


def test_a_cross_without_a_known_gap_stays_disarmed() -> None:
    assert crossing("above", 10.0, [9, 11, math.nan, 9, 11], 10) == "?T??F"


@pytest.mark.parametrize(
    ("cond", "a", "expected"),
    [
        (Within(A, Window(3, "s")), "FFFFTFFFFFF", "???FTTTTFFF"),
        (Within(A, Window(3, "s")), "TFFFF?FFFFF", "TTTTF????FF"),
        (InRow(A, Window(3, "s")), "TTTTTFTTTT", "???TTFFFFT"),
        (InRow(A, Window(3, "s")), "TTT?TTTTT", "???????TT"),
        (InRow(A, Window(1_500, "ms")), "TTTTFTTT", "??TTFF?T"),
    ],
)
def test_windows_of_time(cond: Cond, a: str, expected: str) -> None:
    assert shown(run(cond, day(a=a))) == expected


def test_denials_of_windows_are_the_other_window() -> None:
    for a in ("TFFFFFTTTTTF", "?FFTFFFF??TT", "TTTTTTFFFFTF"):
        window = Window(3, "s")
        for step_ns in (SECOND, 700 * MS):
            moments = day(step_ns, a=a)
            assert run(Not(Within(A, window)), moments) == run(InRow(Not(A), window), moments)
            assert run(Not(InRow(A, window)), moments) == run(Within(Not(A), window), moments)


def test_where_cycles_are_absent_a_spell_counts_from_a_cycle_and_not_from_a_gap() -> None:
    gap = [Moment(START + at * SECOND, {"last": 1.0 if at else 0.0}) for at in (0, 10, 13)]
    assert shown(run(InRow(A, Window(3, "s")), gap)) == "F?T"
    assert shown(run(Within(A, Window(3, "s")), gap)) == "?TT"


def test_samples_at_whole_seconds() -> None:
    half = day(SECOND // 2, a="TTFFTTFFTT")  # samples, in every second cycle: T F T F T
    assert shown(run(Ago(A, Window(2, "s")), half)) == "????TTFFTT"
    assert shown(run(AtLeast(A, 2, Window(3, "s")), half)) == "????TTFFTT"
    assert shown(run(AtLeast(A, 3, Window(4, "s")), half)) == "??????FFFF"


def test_a_sample_is_the_first_cycle_at_or_after_its_instant() -> None:
    times = [100, 1_900, 2_100, 5_500, 5_600, 6_000, 7_000, 8_000]
    lasts = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    moments = [
        Moment(START + at * MS, {"last": last}, before_ns=START + before * MS)
        for at, last, before in zip(times, lasts, [50, *times], strict=False)
    ]
    # samples: 0 none; 1 true; 2 false; 3, 4 and 5 true; 6, 7 and 8 false
    assert shown(run(Ago(A, Window(1, "s")), moments)) == "??TTTTFF"
    assert shown(run(Ago(A, Window(3, "s")), moments)) == "???FFTTT"
    assert shown(run(AtLeast(A, 2, Window(3, "s")), moments)) == "???TTTFF"


def test_samples_at_bar_closes() -> None:
    bars = day(a="TFTTFTFF", bars="10010210")  # closes: T, T, T T, F
    assert shown(run(Ago(A, Window(1, "bars")), bars)) == "TTTTTTFF"
    assert shown(run(Ago(A, Window(2, "bars")), bars)) == "???TTTTT"
    assert shown(run(InRow(A, Window(3, "bars")), bars)) == "?????TFF"
    assert shown(run(Within(Not(A), Window(2, "bars")), bars)) == "???FFFTT"
    assert shown(run(AtLeast(A, 2, Window(3, "bars")), bars)) == "???TTTTT"


def test_lags_are_samples_of_numbers() -> None:
    lag = Compare("==", Lag(LAST, Window(2, "m")), Number(5.0))
    moments = [
        Moment(START + at * MINUTE // 2, {"last": last}, before_ns=START + (at - 1) * MINUTE // 2)
        for at, last in enumerate([5.0, 6.0, 7.0, 5.0, 5.0, 5.0, 5.0])
    ]
    assert shown(run(lag, moments)) == "????TTF"


def test_since_counts_from_the_last_true_cycle() -> None:
    since = Since(A)
    interpreter = RuleInterpreter(Compare(">", since, Number(1.0)))
    moments = day(a="FTFF?TT", step_ns=250 * MS)
    found = []
    for moment in moments:
        interpreter.step(moment)
        found.append(interpreter.results[since])
    assert found == [None, 0.0, 0.25, 0.5, 0.75, 0.0, 0.0]


def test_blindness_makes_unknown_and_takes_the_past_away() -> None:
    moments = day(a="TTTTTTTT")
    moments[3] = Moment(moments[3].time_ns, moments[3].values, moments[3].before_ns, blind=True)
    for cond, expected in (
        (A, "TTT?TTTT"),
        (InRow(A, Window(2, "s")), "??T???TT"),
        (Ago(A, Window(1, "s")), "?TT??TTT"),
        (Crosses("above", LAST, Number(0.0)), "?FF??FFF"),
        (Compare(">=", Since(Not(A)), Number(0.0)), "????????"),
    ):
        assert shown(run(cond, moments)) == expected


def sequence(*within: Window | None, cancel: Cond | None = None) -> Sequence:
    parts = (A, B, C)
    steps = tuple(Step(parts[at], window) for at, window in enumerate((None, *within)))
    return Sequence(steps, cancel)


@pytest.mark.parametrize(
    ("node", "truths", "expected"),
    [
        (sequence(None), {"a": "TFF", "b": "FFT"}, "FFT"),
        (sequence(None), {"a": "TTF", "b": "TTT"}, "FTF"),  # strictly after, then anew
        (sequence(Window(2, "s")), {"a": "TFFF", "b": "FFTF"}, "FFTF"),
        (sequence(Window(2, "s")), {"a": "TFFF", "b": "FFFT"}, "FFFF"),  # overdue
        (sequence(Window(2, "s")), {"a": "TTFF", "b": "FFFT"}, "FFFT"),  # A renews its time
        (sequence(None), {"a": "?TFF", "b": "T?FT"}, "FFFT"),
        (sequence(None, Window(1, "s")), {"a": "TFFFF", "b": "FTFFF", "c": "FFTFF"}, "FFTFF"),
        (sequence(None, Window(1, "s")), {"a": "TFFTF", "b": "FTFFT", "c": "FFFTT"}, "FFFFF"),
        (sequence(None, None), {"a": "TFTFF", "b": "FTFFF", "c": "FFFFT"}, "FFFFT"),
        (sequence(None, cancel=C), {"a": "TFFTF", "b": "FFTFT", "c": "FTFFF"}, "FFFFT"),
        (sequence(None, cancel=C), {"a": "TF", "b": "FT", "c": "FT"}, "FF"),
        (sequence(None, cancel=C), {"a": "TF", "b": "FT", "c": "??"}, "FT"),
    ],
)
def test_sequences(node: Sequence, truths: dict[str, str], expected: str) -> None:
    assert shown(run(node, day(**truths))) == expected


def test_the_times_of_the_steps_of_a_sequence_are_kept() -> None:
    node = sequence(None)
    interpreter = RuleInterpreter(node)
    for moment in day(a="TTFF", b="FFFT"):
        interpreter.step(moment)
    memory = interpreter.memories[node]
    assert isinstance(memory, SequenceMemory)
    assert memory.completed_ns == (START + SECOND, START + 3 * SECOND)


def test_operators_nest() -> None:
    """A rise within the last 3 s that had been a fall for 2 s before."""
    node = Within(And((A, Ago(InRow(Not(A), Window(2, "s")), Window(1, "s")))), Window(3, "s"))
    assert shown(run(node, day(a="FFFTFFFFF"))) == "???TTTTFF"


def test_values_across_symbols_are_given() -> None:
    rank = CrossSection("rank", LAST)
    moment = Moment(START, {}, across={rank: 3.0})
    assert run(Compare("<=", rank, Number(5.0)), [moment]) == [True]
