"""What Linux says about processes: start times, states, threads, death signals."""

import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_MADV_DONTNEED = 4
_LIBC = ctypes.CDLL(None, use_errno=True)


def start_ticks(pid: int) -> int:
    """When the process began, in clock ticks since boot; 0 when there is none.

    The pair (pid, start_ticks) names a process for good: a pid alone is used again.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def run_state(pid: int) -> str:
    """One letter: R running, S sleeping, T stopped, Z dead and not reaped; empty: no process."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def is_alive(pid: int, started_ticks: int) -> bool:
    """True while the very process of that pid and start lives (a zombie does not)."""
    return pid > 0 and start_ticks(pid) == started_ticks and run_state(pid) not in {"", "Z", "X"}


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat after the name, which may hold anything, even brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def thread_count() -> int:
    """Threads of this process."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names only, no paths


def boot_id() -> str:
    """A text that changes with every boot; pids and start ticks mean nothing across boots."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the parent dies; leave at once when it is dead already.

    The signal follows the thread that forked, so a supervisor forks from its only thread. It does
    not fire for a parent that died before the call: hence the check after it.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def set_name(name: str) -> None:
    """Name this process for ps and top (cut to 15 bytes)."""
    _LIBC.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def drop_code(library: str) -> None:
    """Give back the memory of a library's code and constants that are not needed for now.

    library: part of the path of its file. Only mappings are dropped that are as the file has them
    (what the loader has relocated is not), so that they come back from there when they are needed.
    """
    for start, end in _untouched(library):
        _LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def trim_heap() -> None:
    """Give back what the C library keeps of freed memory; nothing where it has no such call."""
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _untouched(library: str) -> Iterator[tuple[int, int]]:
    """(start, end) of the read-only mappings of a library without a page of their own."""
    span = ""
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        first, *rest = line.split(maxsplit=5)
        if not first.endswith(":"):
            ours = library in rest[-1] and "w" not in rest[0]
            span = first if ours else ""
        elif span and first == "Anonymous:" and rest[0] == "0":
            start, end = span.split("-")
            yield int(start, 16), int(end, 16)
