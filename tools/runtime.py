"""What is set before numpy and numba are imported: one thread each, the kernels' cache."""

import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
KEEP_CACHE_DAYS = 30

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("engine", "shm", "ipc")
_OURS = re.compile(r"tapescan-kernels-[0-9a-f]{16}\Z")
_IMPORT = re.compile(
    r"^\s*(?:from\s+((?:engine|shm|ipc)[\w.]*)\s+import\s+(\([^)]*\)|[^\n#]*)"
    r"|import\s+((?:engine|shm|ipc)[\w.]*))",
    re.MULTILINE,
)


def prepare(root: Path = _ROOT) -> Path:
    """Set the thread limits and NUMBA_CACHE_DIR in the environment; return the cache directory.

    The directory's name ends in a hash of every kernel source and what it imports, because numba
    notices a change of the function's own file only, never of a callee in another one.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    path = cache_path(root)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid != os.geteuid():
            raise PermissionError(f"{path} belongs to somebody else")
        os.utime(path)
    except OSError:  # compiled code is run as it lies there: only from a directory of our own
        path = Path(tempfile.mkdtemp(prefix="tapescan-")) / path.name
        path.mkdir(mode=0o700)
    _remove_stale(path)
    os.environ["NUMBA_CACHE_DIR"] = str(path)
    return path


def cache_path(root: Path = _ROOT) -> Path:
    """Where the kernels of the sources under `root` are cached by this machine's numba."""
    return _base() / f"tapescan-kernels-{fingerprint(root)}"


def fingerprint(root: Path = _ROOT) -> str:
    """Sixteen hex digits that change with any kernel source, numba, llvmlite, Python or the CPU."""
    digest = hashlib.sha256()
    for part in (
        importlib.metadata.version("numba"),
        importlib.metadata.version("llvmlite"),
        importlib.metadata.version("numpy"),
        platform.python_version(),
        platform.machine(),
        _cpu(),
    ):
        digest.update(part.encode() + b"\0")
    for path in kernel_sources(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def kernel_sources(root: Path = _ROOT) -> list[Path]:
    """Every `*_nb.py`, all of shm/, and what of ours these import: constants are compiled in."""
    waiting = [path for package in _PACKAGES for path in sorted((root / package).rglob("*_nb.py"))]
    waiting += sorted((root / "shm").glob("*.py"))
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(root, path)
    return sorted(found)


def _imported(root: Path, path: Path) -> Iterator[Path]:
    for module, names, plain in _IMPORT.findall(path.read_text(encoding="utf-8")):
        stem = root / (module or plain).replace(".", "/")
        candidates = [stem.with_suffix(".py")]
        candidates += [stem / f"{name}.py" for name in re.findall(r"\w+", names)]
        yield from (candidate for candidate in candidates if candidate.is_file())


def _base() -> Path:
    """The directory that holds the caches; a NUMBA_CACHE_DIR of the user's own is kept as base."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        path = Path(given)
        return path.parent if _OURS.search(path.name) else path
    home = os.environ.get("XDG_CACHE_HOME", "")
    if home.startswith("/"):
        return Path(home) / "tapescan" / "numba"
    try:
        return Path.home() / ".cache" / "tapescan" / "numba"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / f"tapescan-{os.geteuid()}"


def _cpu() -> str:
    """Name and instruction sets of the first processor: numba compiles for exactly these."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.processor()
    first = text.split("\n\n", 1)[0]
    kept = [line for line in first.splitlines() if re.match(r"(model name|flags|Features)\b", line)]
    return "\n".join(kept)


def _remove_stale(current: Path) -> None:
    """Remove caches of other sources that nobody prepared in the month before `current` was."""
    oldest_s = current.stat().st_mtime - KEEP_CACHE_DAYS * 86_400
    for path in current.parent.glob("tapescan-kernels-*"):
        try:
            if path != current and _OURS.search(path.name) and path.stat().st_mtime < oldest_s:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue


__all__ = ["THREAD_VARIABLES", "cache_path", "fingerprint", "kernel_sources", "prepare"]
