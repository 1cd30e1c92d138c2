"""Named shared memory: created and removed by the supervisor only, mapped read-only by strangers.

One segment per array, `/dev/shm/tapescan-<engine>-<epoch>-<array>`: a header page, then the array.
Every byte is reserved at creation, or before it is first touched where an array is made with
`later` (a byte without memory would kill a process with SIGBUS). The supervisor maps each segment
once, before it forks; children inherit the mappings and leave with `os._exit`; nothing is ever
unmapped, so no array can dangle.

The standard library registers a created segment with its resource tracker, a process that outlives
a killed supervisor and its children and then removes what they left behind. It holds still while
any of them lives (they all inherit its pipe), and an orderly `unlink_all` takes every name back. On
Python < 3.13 a stranger that opens a segment with `SharedMemory` would make *its* tracker destroy
it when it exits: strangers come in through `attach`.
"""

import ctypes
import errno
import mmap
import os
import re
from collections.abc import Callable, Collection
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from shm.arena import Shape, as_shape, check_array_name
from shm.errors import SegmentError
from shm.header import PAGE, Header, unpack
from shm.identity import boot_id, has_open, is_alive, start_time

SHM_DIR = Path("/dev/shm")
_ENGINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_SEGMENT = re.compile(r"tapescan-(.+)-(\d+)-([a-z][a-z0-9_]*)")
_MEBIBYTE = 1 << 20


class SharedArena:
    """Arrays in named segments, for one engine and epoch; lives in the supervisor, is inherited.

    total_bytes, if known beforehand (see MeasuringArena), is checked once before the first
    segment; every array is checked again and reserved when it is created.
    """

    def __init__(self, engine_name: str, epoch: int, total_bytes: int = 0) -> None:
        _check_engine(engine_name)
        self.engine_name = engine_name
        self.epoch = epoch
        self._owner = os.getpid()
        self._start_time = start_time(self._owner)
        self._boot = boot_id()
        self._segments: dict[str, SharedMemory] = {}
        self._maps: dict[str, np.ndarray] = {}
        if total_bytes:
            check_room(f"engine {engine_name!r}", total_bytes)

    @property
    def total_bytes(self) -> int:
        """Bytes of all segments, header pages and what is reserved later included."""
        return sum(len(memory) for memory in self._maps.values())

    def names(self) -> tuple[str, ...]:
        """Names of all arrays, in order of creation."""
        return tuple(self._maps)

    def array(
        self, name: str, shape: Shape, dtype: DTypeLike, *, later: bool = False
    ) -> np.ndarray:
        """A new zeroed array in a segment of its own; raises SegmentError when there is no room.

        later: only the header is reserved, the rest by `reserve`.
        """
        check_array_name(name, dict.fromkeys(self._maps, 0))
        self._check_owner("create")
        header = Header(
            name, as_shape(shape), np.dtype(dtype),
            self._boot, self.epoch, self._owner, self._start_time,
        )  # fmt: skip
        page = header.pack()
        segment = _segment_name(self.engine_name, self.epoch, name)
        size = PAGE + -(-header.nbytes // PAGE) * PAGE
        reserved = PAGE if later else size
        check_room(f"segment {segment!r}", reserved)
        self._segments[name] = _create(segment, size)
        try:
            memory = _reserve(segment, size, page, reserved)
        except SegmentError:
            self._unlink(name)
            raise
        self._segments[name].close()  # only its name is needed from here on
        self._maps[name] = memory
        return _view(memory, header)

    def reserve(self, name: str, first: int, end: int) -> None:
        """Reserve bytes [first, end) of an array, in any process of the engine. What is reserved
        already stays as it is. Raises SegmentError when there is no room."""
        if end <= first:
            return
        segment = _segment_name(self.engine_name, self.epoch, name)
        try:
            fd = os.open(SHM_DIR / segment, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise SegmentError(f"segment {segment!r} cannot be opened: {error.strerror}") from error
        try:
            os.posix_fallocate(fd, PAGE + first, end - first)
        except OSError as error:
            raise _no_room(segment, end - first, error) from error
        finally:
            os.close(fd)

    def protect(self, writable: Collection[str]) -> None:
        """Make every array but those named read-only in this process, for good: a write is SIGSEGV.

        For a role after the fork. Raises SegmentError for a name that is no array.
        """
        unknown = sorted(set(writable) - set(self._maps))
        if unknown:
            raise SegmentError(f"engine {self.engine_name!r} has no array {unknown[0]!r}")
        for name, memory in self._maps.items():
            if name not in writable:
                _protect(memory, name)

    def unlink_all(self) -> None:
        """Remove every segment's name; the memory goes with the last process that maps it."""
        self._check_owner("remove")
        for name in list(self._segments):
            self._unlink(name)

    def _unlink(self, name: str) -> None:
        segment = self._segments.pop(name)
        try:
            segment.unlink()
        except FileNotFoundError:  # somebody cleaned /dev/shm: the tracker must forget it, too
            resource_tracker.unregister(f"/{segment.name}", "shared_memory")

    def _check_owner(self, verb: str) -> None:
        if os.getpid() != self._owner:
            raise SegmentError(
                f"process {os.getpid()} cannot {verb} segments of engine {self.engine_name!r}: "
                f"only their creator {self._owner} does"
            )


def attach(engine_name: str, array_name: str, epoch: int | None = None) -> np.ndarray:
    """A read-only view of an array of a running (or dead) engine, for tools and tests.

    Without an epoch: the newest one, a living engine's before a dead one's. Raises SegmentError
    when there is no such segment or it is not whole.
    """
    if epoch is None:
        segment = _newest(engine_name, array_name)
    else:
        segment = _segment_name(engine_name, epoch, array_name)
    try:
        fd = os.open(SHM_DIR / segment, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SegmentError(f"segment {segment!r} cannot be opened: {error.strerror}") from error
    try:
        header = unpack(os.pread(fd, PAGE, 0), segment)
        size = os.fstat(fd).st_size
        if size < PAGE + header.nbytes or header.name != array_name:
            raise SegmentError(f"segment {segment!r} is not the array {array_name!r} it claims")
        memory = mmap.mmap(fd, size, prot=mmap.PROT_READ)
    finally:
        os.close(fd)
    return _view(np.frombuffer(memory, np.uint8), header)


def opener(engine_name: str) -> Callable[[str], np.ndarray]:
    """`attach` for several arrays of one engine: all of the newest epoch that lives, if one does.
    """
    living = [epoch for epoch in epochs(engine_name) if creator_alive(engine_name, epoch)]
    epoch = living[-1] if living else None
    return lambda name: attach(engine_name, name, epoch)


def epochs(engine_name: str) -> list[int]:
    """Epochs of an engine that have segments, ascending."""
    return sorted({epoch for epoch, _, _ in _segments_of(engine_name)})


def creator_alive(engine_name: str, epoch: int) -> bool:
    """True while the supervisor that created the segments of this epoch runs."""
    return any(
        _is_alive(segment) for at, _, segment in _segments_of(engine_name) if at == epoch
    )


def sweep(engine_name: str) -> list[str]:
    """Remove the segments of this engine whose creator is dead; the names removed.

    A segment without a header was being created: it stays while any process has it open. Another
    user's segments stay, too: whether their creator lives cannot be read, nor may they be removed.
    """
    _check_engine(engine_name)
    removed = []
    for _, _, segment in _segments_of(engine_name):
        if not _is_alive(segment):
            try:
                (SHM_DIR / segment).unlink(missing_ok=True)
            except PermissionError:
                continue
            removed.append(segment)
    return removed


def check_room(what: str, nbytes: int) -> None:
    """Raise SegmentError unless /dev/shm and the machine's memory have room for `nbytes`."""
    shm_free, available = room()
    if nbytes > shm_free:
        raise SegmentError(
            f"{what} needs {_mib(nbytes)} MiB of shared memory, /dev/shm has {_mib(shm_free)} left"
        )
    if nbytes > available:
        raise SegmentError(
            f"{what} needs {_mib(nbytes)} MiB of memory, the machine has {_mib(available)} left"
        )


def room() -> tuple[int, int]:
    """(bytes free in /dev/shm, MemAvailable in bytes)."""
    stat = os.statvfs(SHM_DIR)
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return stat.f_bavail * stat.f_frsize, int(line.split()[1]) * 1024
    raise SegmentError("/proc/meminfo does not say how much memory is available")


def _mib(nbytes: int) -> str:
    return f"{nbytes / _MEBIBYTE:.1f}"


def _check_engine(engine_name: str) -> None:
    if not _ENGINE_NAME.fullmatch(engine_name):
        raise SegmentError(f"engine name {engine_name!r} must be letters, digits, '_', '.', '-'")


def _segment_name(engine_name: str, epoch: int, array_name: str) -> str:
    return f"tapescan-{engine_name}-{epoch}-{array_name}"


def _segments_of(engine_name: str) -> list[tuple[int, str, str]]:
    """(epoch, array, segment) of every segment of an engine, ascending."""
    found = []
    for path in SHM_DIR.iterdir():
        match = _SEGMENT.fullmatch(path.name)
        if match and match[1] == engine_name:
            found.append((int(match[2]), match[3], path.name))
    return sorted(found)


def _newest(engine_name: str, array_name: str) -> str:
    candidates = [
        (_is_alive(segment), epoch, segment)
        for epoch, array, segment in _segments_of(engine_name)
        if array == array_name
    ]
    if not candidates:
        raise SegmentError(f"no engine {engine_name!r} has an array {array_name!r} here")
    return max(candidates)[2]


def _is_alive(segment: str) -> bool:
    """True while a segment belongs to a living engine, or may do so."""
    path = SHM_DIR / segment
    try:
        with path.open("rb") as file:
            page = file.read(PAGE)
    except OSError:
        return False
    try:
        header = unpack(page, segment)
    except SegmentError:
        return has_open(str(path))
    return is_alive(header.pid, header.start_time, header.boot)


def _create(segment: str, size: int) -> SharedMemory:
    try:
        return SharedMemory(name=segment, create=True, size=size)
    except FileExistsError as error:
        raise SegmentError(
            f"segment {segment!r} exists already: another engine has this name, choose a new one"
        ) from error
    except OSError as error:
        raise SegmentError(f"segment {segment!r} cannot be created: {error.strerror}") from error


def _reserve(segment: str, size: int, page: bytes, reserved: int) -> np.ndarray:
    """Write the header, reserve the first bytes, map all; uint8[size]."""
    fd = os.open(SHM_DIR / segment, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.pwrite(fd, page, 0)
        os.posix_fallocate(fd, 0, reserved)
        memory = mmap.mmap(fd, size)
    except OSError as error:
        raise _no_room(segment, reserved, error) from error
    finally:
        os.close(fd)
    return np.frombuffer(memory, np.uint8)


def _no_room(segment: str, nbytes: int, error: OSError) -> SegmentError:
    if error.errno not in (errno.ENOSPC, errno.ENOMEM):
        return SegmentError(f"segment {segment!r} cannot be mapped: {error.strerror}")
    return SegmentError(
        f"segment {segment!r} needs {_mib(nbytes)} MiB, /dev/shm has {_mib(room()[0])} left"
    )


def _view(memory: np.ndarray, header: Header) -> np.ndarray:
    end = PAGE + header.nbytes
    if header.nbytes == 0:
        return np.zeros(header.shape, header.dtype)
    return memory[PAGE:end].view(header.dtype).reshape(header.shape)


def _protect(memory: np.ndarray, name: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.c_void_p(memory.ctypes.data)
    if libc.mprotect(address, ctypes.c_size_t(len(memory)), mmap.PROT_READ):
        reason = os.strerror(ctypes.get_errno())
        raise SegmentError(f"array {name!r} cannot be made read-only: {reason}")
