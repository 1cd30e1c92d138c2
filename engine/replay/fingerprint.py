"""A fingerprint of the code that decides alerts: a stream is resumed only by the code that began
it."""

import hashlib
from pathlib import Path

import llvmlite
import numba
import numpy

_ROOT = Path(__file__).resolve().parents[2]
_END_BYTES = 1 << 20
_ROOMS = (
    "alerts", "bars", "domain", "families", "feeds", "indicators", "metrics", "reference", "replay",
    "rules", "scan",
)  # fmt: skip


def code_fingerprint() -> str:
    """SHA-256 (hex) over the sources of every room that can change an alert, and the compiler's
    versions."""
    digest = hashlib.sha256()
    digest.update(f"{numba.__version__} {llvmlite.__version__} {numpy.__version__}".encode())
    paths = [path for room in _ROOMS for path in (_ROOT / "engine" / room).rglob("*.py")]
    paths += list((_ROOT / "shm").glob("*.py"))
    for path in sorted(paths):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def file_mark(path: Path) -> str:
    """Size and SHA-256 (hex) of both ends of a file, empty when there is none: another recording
    under the same name is told apart without reading gigabytes."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            digest = hashlib.sha256(file.read(_END_BYTES))
            file.seek(max(0, size - _END_BYTES))
            digest.update(file.read(_END_BYTES))
    except OSError:
        return ""
    return f"{size}-{digest.hexdigest()}"
