"""Who a process is, beyond its reusable number: pid, start time and boot."""

import os
from pathlib import Path


def boot_id() -> str:
    """Identity of this boot of the machine (36 characters)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 when it is gone or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name before may hold spaces and brackets
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, started: int, boot: str) -> bool:
    """True if exactly that process still runs."""
    return boot == boot_id() and start_time(pid) == started and started != 0


def has_open(path: str) -> bool:
    """True if some process we may look at has the file open or mapped."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (_maps(entry.path, path) or _holds(entry.path, path)):
            return True
    return False


def _maps(proc: str, path: str) -> bool:
    try:
        return path.encode() in Path(proc, "maps").read_bytes()
    except OSError:
        return False


def _holds(proc: str, path: str) -> bool:
    try:
        entries = list(Path(proc, "fd").iterdir())
    except OSError:
        return False
    return any(_leads_to(entry, path) for entry in entries)


def _leads_to(link: Path, path: str) -> bool:
    try:
        return str(link.readlink()) == path
    except OSError:  # closed meanwhile; the one this listing itself was read through always is
        return False
