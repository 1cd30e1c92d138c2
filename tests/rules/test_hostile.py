"""Rules that want to break the reader are refused, each in one clear sentence, with little work."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.rules.limits import MAX_TEXT_BYTES
from tests.rules.hostile import COUNT, cases, refusal, without_hint

MESSAGES = dict(json.loads((Path(__file__).parent / "hostile_messages.json").read_text()))
CASES = dict(cases())
MAX_CALLS = 60_000
MAX_SENTENCE_CHARS = 400


def calls_of(rules: Any) -> int:
    """How many functions are called, built-in ones too, until the rules are refused."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        refusal(rules)
    finally:
        sys.setprofile(before)
    return calls


def test_there_are_five_hundred_and_a_message_for_each() -> None:
    assert len(CASES) == COUNT and list(CASES) == list(MESSAGES)


@pytest.mark.parametrize("name", list(CASES))
def test_a_hostile_rule_is_refused_in_one_clear_sentence(name: str) -> None:
    problems = refusal(CASES[name])
    assert without_hint(problems[0]) == MESSAGES[name]
    for problem in problems:
        assert problem.isprintable() and len(problem) <= MAX_SENTENCE_CHARS
        assert "Error" not in problem and "Traceback" not in problem


@pytest.mark.parametrize("name", list(CASES))
def test_a_hostile_rule_is_refused_with_bounded_work(name: str) -> None:
    assert calls_of(CASES[name]) <= MAX_CALLS


def test_the_work_does_not_grow_with_what_is_beyond_the_bounds() -> None:
    def rule(where: str) -> dict[str, Any]:
        return {"id": "r1", "name": "n", "where": where}

    for opening in ("(", "not ", "last > 1 and ", "-", "abs(", "x"):
        short, long = (opening * (size // len(opening)) for size in (MAX_TEXT_BYTES, 1 << 20))
        assert calls_of(rule(long)) <= calls_of(rule(short)) + 100
