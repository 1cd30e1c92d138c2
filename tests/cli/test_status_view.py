"""What `tapescan status` shows of a status document."""

from typing import Any

from rich.console import Console

from tools.status_view import render


def document(**changes: Any) -> dict[str, Any]:
    """The status of a running engine with two roles."""
    roles = [
        {"role": key, "pid": 40 + number, "state": "running", "progress": 7, "restarts": 0,
         "beat_age_ms": 12, "waits_for": None, "waits_ms": None, "last_end": ""}
        for number, key in enumerate(("alerts", "recorder"))
    ]  # fmt: skip
    return {
        "engine": "e", "state": "running", "pid": 39, "data_dir": "d", "reason": "",
        "roles": roles, **changes,
    }  # fmt: skip


def shown(status: dict[str, Any]) -> str:
    """The page as plain text, on a terminal wide enough for all of it."""
    console = Console(width=160, no_color=True)
    with console.capture() as capture:
        console.print(render(status, 160))
    return capture.get()


def line(text: str, key: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(key))


def test_a_role_that_is_held_up_for_long_names_whom_it_waits_for() -> None:
    status = document()
    assert "recorder" not in line(shown(status), "alerts")
    status["roles"][0] |= {"waits_for": "recorder", "waits_ms": 12_340}
    assert "recorder, 12.3 s" in line(shown(status), "alerts")


def test_within_a_cycle_roles_wait_for_each_other_without_a_word() -> None:
    status = document()
    status["roles"][0] |= {"waits_for": "recorder", "waits_ms": 40}
    assert "recorder" not in line(shown(status), "alerts")


def test_of_an_engine_that_has_gone_nobody_waits() -> None:
    status = document(state="crashed")
    status["roles"][0] |= {"waits_for": "recorder", "waits_ms": 12_340}
    assert "recorder," not in shown(status)
