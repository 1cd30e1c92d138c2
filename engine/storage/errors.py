"""Errors of storage: what a store, a migration or the spool refuses, with the file it is about."""

from errno import EIO
from pathlib import Path

from engine.errors import EngineError


class StorageError(EngineError):
    """Raised when something under paths.data_dir cannot be read or written.

    path: the file it is about.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class StoreError(StorageError):
    """Raised when a database refuses to open, read or write.

    final: True when this connection must not be used again (an input/output error or a damaged
    file); False when a later call may succeed (a full disk, a lock). errno: the system's error
    number that comes nearest.
    """

    def __init__(self, path: Path, reason: str, *, final: bool, errno: int = EIO) -> None:
        super().__init__(path, reason)
        self.final = final
        self.errno = errno


class MigrationError(StorageError):
    """Raised when a database and the migrations of this version do not belong together.

    database: alerts, bars, ...; number: the migration it is about, 0 when none in particular.
    """

    def __init__(self, path: Path, database: str, number: int, reason: str) -> None:
        super().__init__(path, reason)
        self.database = database
        self.number = number


class SpoolError(StorageError):
    """Raised when the spool can no longer promise that what it accepted is on disk.

    errno: the system's error number; then it is final for the object: the process ends and the
    next one opens the file again. 0 when the file or the request itself is wrong.
    """

    def __init__(self, path: Path, reason: str, errno: int = 0) -> None:
        super().__init__(path, reason)
        self.errno = errno


class SpoolFullError(StorageError):
    """Raised when an append would pass the spool's byte limit; nothing was written.

    limit_bytes: the limit; used_bytes: what the file holds.
    """

    def __init__(self, path: Path, limit_bytes: int, used_bytes: int) -> None:
        super().__init__(path, f"the spool holds {used_bytes} of {limit_bytes} bytes: it is full")
        self.limit_bytes = limit_bytes
        self.used_bytes = used_bytes
