"""Roles that die, hang, stall, refuse: what the supervisor makes of each, with real processes."""

import os
import signal
import stat
from pathlib import Path

import pytest

from ipc import process, status_file
from ipc.control import ask
from ipc.errors import ControlError
from ipc.lock import holder
from tests.ipc.engines import engine, only, wait_until


def zombies(parent: int) -> list[str]:
    """Dead children of a process that nobody has reaped."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [pid for pid in children.split() if process.run_state(int(pid)) == "Z"]


def test_a_killed_role_goes_on_where_it_was_in_the_next_epoch(tmp_path: Path) -> None:
    with engine(tmp_path, only("counter")) as under_test:
        for epoch in (1, 2, 3):
            role = under_test.wait_role(
                "role", lambda role, epoch=epoch: role["epoch"] == epoch and role["progress"] > 3
            )
            os.kill(role["pid"], signal.SIGKILL)
        after = under_test.running("role", epoch=4)
        assert after["restarts"] == 3
        assert after["progress"] >= role["progress"]
        assert under_test.stop() == 0
        under_test.assert_nothing_left()


def test_a_stopped_role_is_replaced_like_a_dead_one(tmp_path: Path) -> None:
    with engine(tmp_path, only("counter")) as under_test:
        role = under_test.wait_role("role", lambda role: role["progress"] > 3)
        os.kill(role["pid"], signal.SIGSTOP)
        after = under_test.running("role", epoch=2)
        assert after["pid"] != role["pid"]
        assert "no beat for" in after["last_end"]
        assert "by SIGKILL" in after["last_end"]
        assert process.run_state(role["pid"]) == ""
        assert under_test.stop() == 0


def test_a_role_that_hangs_leaves_its_stacks_and_is_replaced(tmp_path: Path) -> None:
    with engine(tmp_path, only("hang")) as under_test:
        under_test.running("role", epoch=2)
        ended = under_test.events("ended", "role")[0]
        assert ended["manner"].startswith("by SIGABRT (no beat for")
        stacks = Path(ended["dump"]).read_text(encoding="utf-8")
        assert "in hang" in stacks
        assert stat.S_IMODE(Path(ended["dump"]).stat().st_mode) == 0o600
        assert under_test.stop() == 0
        under_test.assert_nothing_left()


def test_a_role_that_beats_but_never_moves_its_input_is_replaced(tmp_path: Path) -> None:
    roles = only("stall", watch_progress=True)
    with engine(tmp_path, roles, limits={"backoff_min_ms": 10}) as under_test:
        under_test.running("role", epoch=2)
        assert "no progress for" in under_test.role("role")["last_end"]
        assert "with 7 waiting" in under_test.role("role")["last_end"]
        assert under_test.stop() == 0


CHAIN = [
    {"name": name, "entry": "behind", "watch_progress": True} for name in ("scan", "alerts")
]
PATIENT = {"beat_ms": 20_000, "stall_ms": 600, "boot_ms": 8000}


@pytest.mark.parametrize("entry", ["hang_once", "stall_once"])
def test_of_roles_that_wait_for_each_other_the_last_is_replaced_and_no_other(
    tmp_path: Path, entry: str
) -> None:
    roles = [*CHAIN, {"name": "recorder", "entry": entry, "watch_progress": True}]
    waits = {"scan": "alerts", "alerts": "recorder"}
    with engine(tmp_path, roles, patience=PATIENT, shared={"waits": waits}) as under_test:
        under_test.wait_role("scan", lambda role: role["waits_for"] == "alerts")
        under_test.wait_role("alerts", lambda role: role["waits_for"] == "recorder")
        under_test.running("recorder", epoch=2)
        moving = under_test.wait_role("alerts", lambda role: role["progress"] > 3)
        assert moving["waits_for"] is None
        assert under_test.role("scan")["epoch"] == moving["epoch"] == 1
        (ended,) = under_test.events("ended")
        assert ended["child"] == "recorder"
        assert "no progress for" in ended["manner"]
        assert "scan and alerts cannot go on before it does" in ended["manner"]
        assert f"in {entry}" in Path(ended["dump"]).read_text(encoding="utf-8")
        assert under_test.stop() == 0


def test_a_role_that_is_waited_for_is_replaced_even_if_it_sees_no_input(tmp_path: Path) -> None:
    roles = [CHAIN[1], {"name": "recorder", "entry": "blind_once", "watch_progress": True}]
    shared = {"waits": {"alerts": "recorder"}}
    with engine(tmp_path, roles, patience=PATIENT, shared=shared) as under_test:
        after = under_test.running("recorder", epoch=2)
        assert "with 0 waiting; alerts cannot go on" in after["last_end"]
        assert under_test.role("alerts")["epoch"] == 1
        assert under_test.stop() == 0


def test_the_word_of_a_role_that_hangs_excuses_it_no_longer_and_blames_nobody(
    tmp_path: Path,
) -> None:
    roles = [
        {"name": "alerts", "entry": "last_word", "watch_progress": True},
        {"name": "recorder", "entry": "deaf", "watch_progress": True},
    ]
    shared = {"waits": {"alerts": "recorder"}}
    with engine(
        tmp_path, roles, patience=PATIENT, shared=shared, stop_timeout_ms=150, abort_wait_ms=100
    ) as under_test:
        after = under_test.running("alerts", epoch=2)
        assert "no progress for" in after["last_end"]
        assert after["waits_for"] is None
        assert under_test.role("recorder")["epoch"] == 1
        assert under_test.stop() == 0


def test_nobody_is_replaced_for_a_disk_that_refuses(tmp_path: Path) -> None:
    roles = [
        {"name": "scan", "entry": "behind", "watch_progress": True},
        {"name": "alerts", "entry": "refused", "watch_progress": True},
        {"name": "other", "entry": "stall_once", "watch_progress": True, "start_order": 1},
    ]
    shared = {"waits": {"scan": "alerts"}}
    with engine(tmp_path, roles, patience=PATIENT, shared=shared) as under_test:
        under_test.running("other", epoch=2)  # it was still for no longer than the others
        assert under_test.role("alerts")["epoch"] == under_test.role("scan")["epoch"] == 1
        assert under_test.stop() == 0
        assert [line["child"] for line in under_test.events("replacing")] == ["other"]


def test_two_segmentation_faults_at_one_number_stop_the_engine(tmp_path: Path) -> None:
    with engine(tmp_path, only("segv")) as under_test:
        assert under_test.end() == 1
        assert under_test.reason() == (
            "role died twice by SIGSEGV at number 41; nothing is skipped, the engine stops."
        )
        assert len(under_test.events("started")) == 2
        assert "Segmentation fault" in Path(under_test.events("ended")[0]["dump"]).read_text()
        under_test.assert_nothing_left()


def test_a_role_that_refuses_its_configuration_is_not_tried_again(tmp_path: Path) -> None:
    with engine(tmp_path, only("refuse")) as under_test:
        assert under_test.end() == 3
        assert under_test.reason() == "role refuses its configuration; the engine stops."
        assert len(under_test.events("started")) == 1
        under_test.assert_nothing_left()


def test_a_crash_loop_backs_off_and_ends_when_the_budget_is_spent(tmp_path: Path) -> None:
    limits = {"max_deaths": 4, "backoff_min_ms": 20, "backoff_max_ms": 60}
    with engine(tmp_path, only("fail"), limits=limits) as under_test:
        assert under_test.end() == 1
        assert under_test.reason() == (
            "role died 4 times within 60 s without progress, last with exit code 1; "
            "the engine stops."
        )
        waits = [line["wait_s"] for line in under_test.events("waiting")]
        assert len(waits) == 3
        assert waits == sorted(waits)
        failed = under_test.events("failed")[0]
        assert failed["error"] == "RuntimeError: out of luck"
        assert "dummies.py" in failed["trace"]


def test_an_optional_role_is_left_out_when_its_budget_is_spent(tmp_path: Path) -> None:
    roles = [{"name": "extra", "entry": "fail", "kind": "optional"}, *only("counter")]
    limits = {"max_deaths": 2, "backoff_min_ms": 10}
    with engine(tmp_path, roles, limits=limits) as under_test:
        under_test.wait_role("extra", lambda role: role["state"] == "failed")
        assert under_test.role("role")["state"] == "running"
        assert under_test.stop() == 0


def test_a_finished_role_that_asks_for_it_ends_the_engine_in_order(tmp_path: Path) -> None:
    roles = [*only("counter", stop_order=1), {"name": "last", "entry": "finish"}]
    with engine(tmp_path, roles) as under_test:
        assert under_test.end() == 0
        assert under_test.reason() == "the input has ended."
        assert len(under_test.events("started", "last")) == 1
        under_test.assert_nothing_left()


def test_a_stop_goes_group_by_group(tmp_path: Path) -> None:
    roles = [
        {"name": "third", "entry": "counter", "stop_order": 3},
        {"name": "first", "entry": "counter", "stop_order": 1},
        {"name": "second", "entry": "counter", "stop_order": 2},
    ]
    with engine(tmp_path, roles) as under_test:
        for key in ("first", "second", "third"):
            under_test.running(key)
        assert under_test.stop() == 0
        told = (under_test.data_dir / "order.txt").read_text(encoding="ascii").split()
        assert told == ["first", "second", "third"]
        assert under_test.events("terminating") == []
        under_test.assert_nothing_left()


def test_a_role_that_does_not_stop_is_terminated_then_killed(tmp_path: Path) -> None:
    with engine(tmp_path, only("deaf"), stop_timeout_ms=150, abort_wait_ms=100) as under_test:
        under_test.running("role")
        assert under_test.stop() == 0
        assert len(under_test.events("terminating")) == 1
        assert len(under_test.events("killing")) == 1
        under_test.assert_nothing_left()


def test_a_restart_of_a_role_that_does_not_listen_is_enforced(tmp_path: Path) -> None:
    with engine(tmp_path, only("deaf"), stop_timeout_ms=150, abort_wait_ms=100) as under_test:
        under_test.running("role")
        ask(under_test.data_dir, "restart", role="role")
        after = under_test.running("role", epoch=2)
        assert after["last_end"] == "by SIGKILL (restart asked for)"
        assert under_test.stop() == 0
        under_test.assert_nothing_left()


def test_no_role_is_restarted_while_the_engine_stops(tmp_path: Path) -> None:
    roles = [{"name": "first", "entry": "counter"}, {"name": "last", "entry": "deaf"}]
    roles = [{**role, "stop_order": order} for order, role in enumerate(roles)]
    with engine(tmp_path, roles, stop_timeout_ms=3000, abort_wait_ms=100) as under_test:
        under_test.running("last")
        under_test.process.send_signal(signal.SIGTERM)
        wait_until(
            lambda: under_test.role("first")["state"] == "stopped", "the first did not stop"
        )
        with pytest.raises(ControlError, match=r"^the engine is stopping\.$"):
            ask(under_test.data_dir, "restart", role="first")
        assert under_test.end() == 0
        assert len(under_test.events("started")) == 2
        under_test.assert_nothing_left()


def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    with engine(tmp_path, only("deaf"), stop_timeout_ms=60_000) as under_test:
        under_test.running("role")
        under_test.process.send_signal(signal.SIGINT)
        wait_until(lambda: bool(under_test.events("ending")), "the first interrupt was not heard")
        under_test.process.send_signal(signal.SIGINT)
        assert under_test.end() == 0
        under_test.assert_nothing_left()


def test_children_die_with_a_killed_supervisor_and_the_next_start_sweeps(tmp_path: Path) -> None:
    roles = [*only("counter"), {"name": "other", "entry": "deaf"}]
    with engine(tmp_path, roles) as under_test:
        under_test.running("role")
        under_test.running("other")
        before = under_test.pids()
        under_test.process.kill()
        under_test.process.wait()
        wait_until(lambda: not any(process.run_state(pid) for pid in before), "orphans")
        status = status_file.read(under_test.data_dir)
        assert status is not None
        assert status["state"] == "crashed"
        assert holder(under_test.data_dir) is None
        under_test.start()
        under_test.running("role")
        assert under_test.stop() == 0
        under_test.assert_nothing_left()


def test_a_second_engine_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with engine(tmp_path, only("counter"), lock_wait_s=0.1) as under_test:
        under_test.running("role")
        first = under_test.process
        second = under_test.start()
        assert second.wait(20) == 1
        under_test.process = first
        assert under_test.role("role")["state"] == "running"
        assert under_test.stop() == 0


def test_the_control_socket_answers_forwards_and_refuses(tmp_path: Path) -> None:
    roles = [{"name": "web", "entry": "counter", "takes_orders": True}]
    with engine(tmp_path, roles, forward=True) as under_test:
        under_test.running("web")
        data_dir = under_test.data_dir
        assert stat.S_IMODE((data_dir / "control.sock").stat().st_mode) == 0o600
        assert ask(data_dir, "hello", name="you") == "hello you"
        assert ask(data_dir, "reload", path="rules.json") == {"reloaded": "rules.json"}
        with pytest.raises(ControlError, match=r"^no such rule\.$") as refused:
            ask(data_dir, "break")
        assert refused.value.exit_code == 3
        with pytest.raises(ControlError, match="there is no command 'dance'"):
            ask(data_dir, "dance")
        with pytest.raises(ControlError, match="there is no role 'bars'; there are web"):
            ask(data_dir, "restart", role="bars")
        ask(data_dir, "restart", role="web")
        after = under_test.running("web", epoch=2)
        assert after["last_end"] == "with exit code 0 (restart asked for)"
        assert ask(data_dir, "stop") == "stopping"
        assert under_test.end() == 0
    with pytest.raises(ControlError, match="no engine runs on"):
        ask(data_dir, "status")


def test_a_role_may_start_the_program_anew_with_other_arguments(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with engine(second, only("counter")) as other:
        other.running("role")
        assert other.stop() == 0
        roles = only("switch")
        with engine(first, roles, shared={"arguments": [str(other.plan)]}) as under_test:
            wait_until(lambda: len(other.events("started")) == 2, "the other plan did not start")
            other.running("role")
            wait_until(lambda: not zombies(under_test.process.pid), "a zombie of the first run")
            first_status = status_file.read(under_test.data_dir)
            assert first_status is not None
            assert first_status["state"] == "stopped"
            under_test.process.send_signal(signal.SIGTERM)
            assert under_test.end() == 0
            under_test.assert_nothing_left()
            other.assert_nothing_left()
