"""A short-lived child for work that must not stay in memory: fork, run, take its answer, reap."""

import dataclasses
import json
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ipc import process
from ipc.errors import IpcError, ThreadsError
from ipc.polling import readable
from shm.clock import monotonic_ns


class ErrandError(IpcError):
    """Raised when the child failed, died or took too long.

    name: which errand it was; exit_code: the code of the child's exception if it has one.
    """

    def __init__(self, name: str, why: str, exit_code: int = 1) -> None:
        super().__init__(f"{name} {why}.")
        self.name = name
        self.exit_code = exit_code


@dataclasses.dataclass(frozen=True)
class _Errand:
    name: str
    pid: int
    read: int


def run(name: str, work: Callable[[], Any], timeout_s: float) -> Any:
    """Call `work` in a forked child and return its result, which must be JSON.

    Raises ErrandError with the child's own sentence, or when it took longer than `timeout_s`.
    """
    return _collect(_start(name, work), monotonic_ns() + int(timeout_s * 1e9), timeout_s)


def run_all(
    jobs: Sequence[tuple[str, Callable[[], Any]]],
    parallel: int,
    timeout_s: float,
    on_done: Callable[[str], None],
) -> None:
    """Call several in children, `parallel` at a time, in order; their results are not wanted.

    on_done is told each name when it is done. Raises ErrandError for the first that fails, or when
    all together took longer than `timeout_s`; the others are killed then.
    """
    deadline_ns = monotonic_ns() + int(timeout_s * 1e9)
    waiting, running = list(jobs), list[_Errand]()
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                running.append(_start(*waiting.pop(0)))
            left_s = max(0.0, (deadline_ns - monotonic_ns()) / 1e9)
            ready = readable([one.read for one in running], left_s)
            done = next((one for one in running if one.read in ready), running[0])
            running.remove(done)
            _collect(done, deadline_ns, timeout_s)
            on_done(done.name)
    finally:
        for one in running:
            os.kill(one.pid, signal.SIGKILL)
            os.close(one.read)
            os.waitpid(one.pid, 0)


def _start(name: str, work: Callable[[], Any]) -> _Errand:
    threads = process.thread_count()
    if threads != 1:
        raise ThreadsError(threads)
    read, write = os.pipe2(os.O_CLOEXEC)
    parent_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        _work(write, parent_pid, work)
    os.close(write)
    return _Errand(name, pid, read)


def _collect(one: _Errand, deadline_ns: int, timeout_s: float) -> Any:
    """Wait for its answer, reap it."""
    try:
        content = _read_all(one.read, deadline_ns)
    finally:
        os.close(one.read)
        if process.run_state(one.pid) != "Z":
            _finish(one.pid)
        _, status = os.waitpid(one.pid, 0)
    if content is None:
        raise ErrandError(one.name, f"took longer than {timeout_s:g} s")
    try:
        answer = json.loads(content)
    except ValueError:
        code = os.waitstatus_to_exitcode(status)
        raise ErrandError(one.name, f"ended without an answer, code {code}") from None
    if answer["error"]:
        raise ErrandError(one.name, f"failed: {answer['error'].rstrip('.')}", answer["exit_code"])
    return answer["result"]


def _work(write: int, parent_pid: int, work: Callable[[], Any]) -> NoReturn:
    code = 1
    try:
        process.die_with_parent(parent_pid)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        try:
            answer = {"error": "", "result": work()}
        except Exception as error:  # noqa: BLE001 - the boundary of a process
            told = str(error) or type(error).__name__
            answer = {"error": told, "exit_code": int(getattr(error, "exit_code", 1))}
        with os.fdopen(write, "w", encoding="utf-8") as pipe:
            json.dump(answer, pipe)
        code = 0
    finally:
        os._exit(code)


def _finish(pid: int) -> None:
    """It has answered or is late: a moment to leave by itself, then SIGKILL."""
    deadline_ns = monotonic_ns() + 200_000_000
    while process.run_state(pid) not in {"Z", ""} and monotonic_ns() < deadline_ns:
        readable([], 0.002)
    if process.run_state(pid) not in {"Z", ""}:
        os.kill(pid, signal.SIGKILL)


def _read_all(read: int, deadline_ns: int) -> bytes | None:
    """Everything until the child closes its end; None: it took too long."""
    parts: list[bytes] = []
    while True:
        left_s = (deadline_ns - monotonic_ns()) / 1e9
        if left_s <= 0 or not readable([read], left_s):
            return None
        part = os.read(read, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
