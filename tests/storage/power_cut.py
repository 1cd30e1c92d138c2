"""What a power cut leaves: of every file what it held at its last sync, and of the names in a
folder those that it had when it was synced."""

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw

from engine.storage.spool import Syscalls

_NEW_LOGS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class CutDisk(apsw.VFS):
    """A file layer of SQLite that copies a file to the folder `left` whenever it is synced: at any
    moment `left` is what the disk holds for certain. before_sync: called when something is written
    and not synced yet. End it with unregister."""

    def __init__(self, name: str, left: Path) -> None:
        self.left = left
        self.name = name
        self.before_sync: Callable[[], None] = lambda: None
        self._deleted: set[str] = set()
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_File":  # noqa: N802
        """Every file is watched."""
        return _File(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:  # noqa: N802
        """A name that comes back in a cut unless its folder is synced."""
        super().xDelete(name, sync_folder)
        self._deleted.add(Path(name).name)
        if sync_folder:
            self.folder_synced()

    def folder_synced(self) -> None:
        """What was deleted stays so."""
        for name in self._deleted:
            (self.left / name).unlink(missing_ok=True)
        self._deleted.clear()


class _File(apsw.VFSFile):
    def __init__(
        self, disk: CutDisk, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._disk = disk
        told = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path = Path(told) if told else None
        # SQLite syncs the folder of a log that it may have created with the log's first sync.
        self._syncs_folder = bool(flags[0] & _NEW_LOGS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """The file as it is now outlasts the cut."""
        self._disk.before_sync()
        super().xSync(flags)
        if self._path is not None:
            shutil.copyfile(self._path, self._disk.left / self._path.name)
        if self._syncs_folder:
            self._syncs_folder = False
            self._disk.folder_synced()


class CutCalls(Syscalls):
    """System calls of a spool, the same way: a new name counts once its folder is synced."""

    def __init__(self, left: Path) -> None:
        self._left = left
        self._renamed: dict[str, str] = {}

    def fdatasync(self, fd: int) -> None:
        """The file as it is now outlasts the cut, under the name that it has on disk."""
        super().fdatasync(fd)
        path = Path(f"/proc/self/fd/{fd}").resolve()
        if path.is_file():
            shutil.copyfile(path, self._left / path.name)
            return
        for source, target in self._renamed.items():
            (self._left / source).replace(self._left / target)
        self._renamed.clear()

    def rename(self, source: Path, target: Path) -> None:
        """A new name, lost in a cut so far."""
        super().rename(source, target)
        self._renamed[source.name] = target.name
