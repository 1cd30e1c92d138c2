"""What a person sees of an explanation: one look tells what is missing, and by how much."""

import io

from rich.console import Console

from engine.alerts.why import Why
from tests.alerts.test_obstacles import Desk, where
from tests.scan.world import Symbol
from tools.explain_view import render


def seen(why: Why, width: int = 130) -> list[str]:
    """The lines of the page, without blanks at their ends."""
    out = io.StringIO()
    Console(file=out, width=width).print(render(why, width))
    return [" ".join(line.split()) for line in out.getvalue().splitlines() if line.strip()]


def test_a_condition_shows_what_it_is_what_it_needs_and_how_far_off_that_is() -> None:
    rule = where("last > 2 and bid < 10 and not halted", cooldown_sec=60)
    desk = Desk(rule)
    assert seen(desk.cycle(0, last=3, bid=1, halted=0))[0] == (
        "n (a, version 1) for X fires (cycle 1, 2013-10-08 03:30:00 in New York)."
    )
    headline, obstacle, head, last, bid, halted = seen(desk.cycle(1, last=1.73, bid=12, halted=1))
    assert headline == (
        "n (a, version 1) for X does not fire: its condition is false (cycle 2, 2013-10-08 03:30:01"
        " in New York; it last fired 03:30:00)."
    )
    assert obstacle == (
        "- it cools down for 59 s more: it fired for X 1 s ago. (until 03:31:00)"
    )
    assert head == "condition is needs so how far last so"
    assert last == "last > 2 1.73 > 2 no 13.5 % short"
    assert bid == "bid < 10 12 < 10 no 20 % over"
    assert halted == "not halted 1 not set no"


def test_alternatives_and_what_operators_look_at_are_indented() -> None:
    alternatives = "last > 5 or in_row(bid > 1, 5s)"
    desk = Desk(where(f"({alternatives}) and sequence(last > 1, last > 9 within 4s)"))
    desk.cycle(0, last=2, bid=2)
    why = desk.cycle(2.25, last=0, bid=2)
    out = io.StringIO()
    Console(file=out, width=130).print(render(why, 130))
    lines = [line.rstrip() for line in out.getvalue().splitlines() if line.strip()][2:]
    assert [line[: len(line) - len(line.lstrip())] for line in lines] == [
        "", "  ", "  ", "    ", "", "  ", "  "
    ]  # fmt: skip
    shown = [" ".join(line.split()) for line in lines]
    assert shown[0] == "any of"
    assert shown[2] == "in_row(bid > 1, 5s) true for 5s unknown since 03:30:00"
    assert shown[4].endswith("step 1 taken 03:30:00, next due 03:30:04")


def test_what_is_unknown_is_said_to_be() -> None:
    why = Desk(where("last > 2")).cycle(0, Symbol({"last": float("nan")}))
    assert seen(why)[0].startswith("n (a, version 1) for X does not fire: its condition is unknown")
    assert seen(why)[-1] == "last > 2 > 2 unknown"
