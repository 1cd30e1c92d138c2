"""Logs, wake-ups, messages, errands, lock and status file, each alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import njit

from ipc import process, status_file
from ipc.child import resolve
from ipc.control import ControlServer, ask
from ipc.errors import ControlError, LockedError
from ipc.line import Line
from ipc.lock import DataLock, holder
from ipc.logs import Log, open_log
from ipc.messages import Inboxes, Order, Upward
from ipc.roles import RoleContext, RoleSpec
from ipc.telemetry import HISTOGRAMS, SERIES, Telemetry, create_board
from ipc.wakeups import Wakeups
from shm.arena import PrivateArena
from tests.ipc import errand_cases

ROOT = Path(__file__).resolve().parents[2]

DESIGNED = {
    "scan_cycle_seconds", "symbols_scanned_total", "alerts_emitted_total",
    "alerts_delivered_total", "tick_processed_total", "worker_queue_depth", "last_tick_timestamp",
    "tick_processing_latency_seconds", "alert_delivery_latency_seconds", "consumer_lag",
    "http_requests_total", "websocket_connections", "errors_total", "absent_cycles_total",
    "tick_to_alert_seconds", "ring_depth",
}


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_log_line_names_role_pid_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "log"
    open_log("bars", file=str(path)).info("cycle", n=7, stream_id="s")
    (line,) = lines(path)
    assert line.pop("ts", "").endswith("Z")  # type: ignore[union-attr]
    assert line == {
        "level": "info", "role": "bars", "pid": os.getpid(), "event": "cycle", "n": 7,
        "stream_id": "s",
    }


def test_a_level_below_the_least_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = open_log("bars", file=str(path), level="warning")
    log.info("quiet")
    log.error("loud")
    assert [line["event"] for line in lines(path)] == ["loud"]


def test_a_flood_of_one_event_is_cut_and_counted_and_others_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [5 * 10**9]
    monkeypatch.setattr("ipc.logs.monotonic_ns", lambda: now[0])
    path = tmp_path / "log"
    log = open_log("feed0", file=str(path), max_per_s=3)
    for row in range(10):
        log.warning("bad row", row=row)
    log.info("other")
    now[0] += 10**9
    log.warning("bad row", row=10)
    written = lines(path)
    assert [line.get("row") for line in written] == [0, 1, 2, None, 10]
    assert written[-1]["suppressed"] == 7


def test_a_log_on_a_terminal_is_one_short_line(capfd: pytest.CaptureFixture[str]) -> None:
    Log("web", human=True).warning("told off", path="/a b", port=1)
    assert capfd.readouterr().err[9:] == 'web         WARNING told off path="/a b" port=1\n'


def test_a_log_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    log = open_log("bars", file=str(tmp_path / "log"))
    os.close(log.fileno())
    log.error("lost")


def test_a_wake_up_before_the_wait_is_kept_and_many_are_one() -> None:
    wake = Wakeups(["a", "b"])
    wake.own("a")
    assert not wake.wait(0)
    for _ in range(5):
        wake.notify("a")
    wake.notify("b")
    assert wake.wait(10)
    assert not wake.wait(0)
    wake.close()


def test_a_wake_up_reaches_another_process() -> None:
    wake = Wakeups(["parent", "child"])
    pid = os.fork()
    if pid == 0:
        wake.own("child")
        woken = wake.wait(20)
        wake.notify("parent")
        os._exit(0 if woken else 1)
    wake.own("parent")
    wake.notify("child")
    assert wake.wait(20)
    assert os.waitpid(pid, 0)[1] == 0
    wake.close()


def test_requests_arrive_whole_and_in_order_and_nonsense_is_left_out() -> None:
    upward = Upward()
    upward.send("web", "stop", {"reason": "x"})
    upward._write.send(b"not json")
    upward._write.send(b"[1]")
    upward.send("web", "log", {"event": "e"})
    received = upward.receive()
    assert [(one.role, one.kind, one.payload) for one in received] == [
        ("web", "stop", {"reason": "x"}), ("web", "log", {"event": "e"}),
    ]
    assert upward.receive() == []
    with pytest.raises(ValueError, match="longer than"):
        upward.send("web", "log", {"event": "e" * 70_000})
    upward.close()


def test_orders_wait_for_their_role_and_a_full_inbox_says_so() -> None:
    inboxes = Inboxes(["web"])
    inboxes.send("web", Order(1, "reload", {"path": "p"}))
    assert inboxes.receive("web") == [Order(1, "reload", {"path": "p"})]
    assert inboxes.receive("bars") == []
    with pytest.raises(KeyError):
        inboxes.send("bars", Order(2, "reload", {}))
    with pytest.raises(BlockingIOError):
        for number in range(100_000):
            inboxes.send("web", Order(number, "reload", {}))
    inboxes.close()


@pytest.mark.parametrize("case", errand_cases.CASES)
def test_an_errand(case: str) -> None:
    """In a fresh interpreter: an errand refuses to fork beside threads, and other tests start
    some."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.ipc.errand_cases", case], cwd=ROOT, text=True, timeout=120,
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{case} holds\n"), done.stderr


def test_the_lock_is_held_until_the_last_process_that_inherited_it_has_gone(
    tmp_path: Path,
) -> None:
    lock = DataLock(tmp_path)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    lock.release()
    assert holder(tmp_path) == os.getpid()
    with pytest.raises(LockedError, match=rf"in use by process {os.getpid()}; stop") as locked:
        DataLock(tmp_path, wait_s=0.05)
    assert locked.value.holder == os.getpid()
    os.close(write)
    os.waitpid(pid, 0)
    assert holder(tmp_path) is None
    DataLock(tmp_path, wait_s=0.05).release()


def test_the_status_of_a_process_that_has_gone_reads_crashed(tmp_path: Path) -> None:
    pid = os.getpid()
    status = {
        "state": "running", "pid": pid, "start_ticks": process.start_ticks(pid),
        "boot_id": process.boot_id(),
    }
    assert status_file.read(tmp_path) is None
    status_file.write(tmp_path, status)
    assert status_file.read(tmp_path) == status
    for change in ({"pid": 2**22 + 1}, {"start_ticks": 1}, {"boot_id": "other"}, {"pid": None}):
        status_file.write(tmp_path, status | change)
        assert status_file.read(tmp_path)["state"] == "crashed"  # type: ignore[index]
    status_file.write(tmp_path, status | {"state": "stopped", "pid": 1})
    assert status_file.read(tmp_path)["state"] == "stopped"  # type: ignore[index]
    (tmp_path / "status.json").write_text("{")
    assert status_file.read(tmp_path) is None


def test_a_control_socket_works_in_a_directory_with_a_long_name(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    server = ControlServer(deep)
    assert len(str(server.path)) > 200
    with pytest.raises(ControlError, match=r"did not answer in 0\.05 s"):
        ask(deep, "status", timeout_s=0.05)
    server.close(remove=True)
    assert not server.path.exists()
    with pytest.raises(ControlError, match="no engine runs on"):
        ask(deep, "status")


def test_every_designed_telemetry_name_is_on_the_board() -> None:
    assert not DESIGNED - {series.name for series in SERIES}
    board = create_board(PrivateArena(), ["bars"])
    telemetry = Telemetry(board, "bars")
    telemetry.count("tick_processed_total", 5)
    telemetry.count("tick_processed_total")
    telemetry.set("ring_depth", 9)
    for name in HISTOGRAMS:
        telemetry.observe(name, 1_000_000)
    snapshot = board.snapshot_line(board.line("bars"))
    assert snapshot.counters["tick_processed_total"] == 6
    assert snapshot.counters["ring_depth"] == 9
    with pytest.raises(KeyError):
        telemetry.count("ticks")


def test_an_entry_is_resolved_or_refused() -> None:
    assert resolve("ipc.loop:run_loop").__name__ == "run_loop"
    with pytest.raises(ValueError, match=r"ipc\.loop:walk names no function"):
        resolve("ipc.loop:walk")


def test_a_process_is_named_by_pid_and_start() -> None:
    pid = os.getpid()
    assert process.is_alive(pid, process.start_ticks(pid))
    assert not process.is_alive(pid, process.start_ticks(pid) + 1)
    assert not process.is_alive(0, 0)
    assert process.run_state(2**22 + 1) == ""


def test_the_code_of_a_library_can_be_given_back_and_runs_again() -> None:
    def resident_kb() -> int:
        maps, found = Path("/proc/self/smaps").read_text(encoding="ascii").splitlines(), 0
        for at, line in enumerate(maps):
            if "libllvmlite" in line and " r-xp " in line:
                found += int(next(m for m in maps[at:] if m.startswith("Rss:")).split()[1])
        return found

    twice = njit(lambda x: 2 * x)
    assert twice(2) == 4 and resident_kb() > 5000
    process.drop_code("libllvmlite")
    assert resident_kb() < 5000
    assert twice(2.5) == 5.0 and resident_kb() > 5000


def test_a_role_says_whom_it_waits_for_until_it_makes_progress() -> None:
    board = create_board(PrivateArena(), ["bars", "scan0", "recorder"])
    line = Line(board, "bars")
    context = RoleContext(
        RoleSpec("bars", "a:b"), shared=None, line=line, telemetry=Telemetry(board, "bars"),
        wake=None, log=None, upward=None, inboxes=None, epoch=1,  # type: ignore[arg-type]
    )  # fmt: skip
    assert line.waits_for() == ""
    context.waits("scan0")
    since_ns = line.get(Line.WAITS_NS)
    assert (line.waits_for(), since_ns > 0) == ("scan0", True)
    context.waits("scan0")
    assert line.get(Line.WAITS_NS) == since_ns, "it has been waiting since then"
    context.waits("recorder")
    assert line.waits_for() == "recorder"
    context.progress(7)
    assert line.waits_for() == ""
    line.set(Line.WAITS, 99)
    assert line.waits_for() == "", "a word that names no line"
