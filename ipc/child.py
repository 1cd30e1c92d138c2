"""From the fork to the end of a role's process: nothing here returns to the supervisor's code."""

import faulthandler
import gc
import importlib
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ipc import process
from ipc.policy import EXIT_FAILED, EXIT_OK
from ipc.roles import RoleContext

CRASH_DIR = "crash"
KEEP_CRASHES = 50


def become(
    ctx: RoleContext, parent_pid: int, data_dir: Path, prepare: Callable[[RoleContext], None]
) -> NoReturn:
    """Be the role: set up the process, run the entry, leave with os._exit.

    prepare: closes what is the supervisor's, protects what the role must not write. Exit code: 0,
    the code of SystemExit, `exit_code` of an exception that has one (3: bad config), else 1.
    """
    code = EXIT_FAILED
    try:
        process.die_with_parent(parent_pid)
        process.set_name(f"tapescan-{ctx.key}")
        ctx.wake.own(ctx.key)
        ctx.handle_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _dump_stacks(crash_file(data_dir, ctx.key, os.getpid()))
        gc.enable()
        prepare(ctx)
        resolve(ctx.spec.entry)(ctx)
        code = EXIT_OK
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else EXIT_FAILED
    except BaseException as error:  # noqa: BLE001 - the boundary of a process: all is logged
        code = int(getattr(error, "exit_code", EXIT_FAILED))
        ctx.log.error("failed", error=f"{type(error).__name__}: {error}", trace=_trace(error, code))
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(code)


def _trace(error: BaseException, code: int) -> str:
    """Where it came from; nothing for a refusal, whose sentence says all."""
    return "".join(traceback.format_exception(error)) if code == EXIT_FAILED else ""


def resolve(entry: str) -> Callable[[RoleContext], None]:
    """The function that "package.module:function" names; raises ValueError when there is none."""
    module, _, function = entry.partition(":")
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise ValueError(f"{entry} names no function")
    return found  # type: ignore[no-any-return]


def crash_file(data_dir: Path, key: str, pid: int) -> Path:
    """Where the stacks of that process are dumped when it is aborted or crashes."""
    return data_dir / CRASH_DIR / f"{key}-{pid}.txt"


def _dump_stacks(path: Path) -> None:
    """On SIGABRT, SIGSEGV, SIGBUS, SIGFPE and SIGILL write all stacks to `path`, then die of it.

    No core file: writing out the shared tables would take longer than the restart may.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    faulthandler.enable(fd, all_threads=True)


def collect_crash(data_dir: Path, key: str, pid: int) -> Path | None:
    """After a death: the dump if there is one; an empty file goes, old ones beyond 50 go."""
    path = crash_file(data_dir, key, pid)
    try:
        if path.stat().st_size:
            others = sorted(path.parent.glob("*.txt"), key=lambda other: other.stat().st_mtime_ns)
            for old in others[:-KEEP_CRASHES]:
                old.unlink(missing_ok=True)
            return path
        path.unlink()
    except OSError:
        return None
    return None
