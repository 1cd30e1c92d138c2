"""A tape that its stream has outrun: the engine died after the recorder had been overtaken, before
the tape could be told so."""

from pathlib import Path

from engine.replay.tape import TapeWriter
from engine.storage.sqlite import ALERTS_NAME, SqliteAlertStore


def close_outrun(writer: TapeWriter, stream_id: str, data_dir: Path) -> str:
    """Close a tape with a gap when an alert is stored of a cycle that it does not hold; the reason,
    empty when there is none.

    While a stream is recorded no alert is stored before its cycle is on the tape, so such an alert
    was fired unrecorded. To go on from the tape would decide its cycle once more and differently,
    and know of no cooldown. Raises StorageError, and TapeError when the gap cannot be written.
    """
    if writer.gapped or writer.ended:
        return ""
    n = _alerted_n(stream_id, data_dir / ALERTS_NAME)
    if n <= writer.last_n:
        return ""
    writer.gap()
    return f"its tape ends with cycle {writer.last_n}, but cycle {n} has fired alerts"


def _alerted_n(stream_id: str, path: Path) -> int:
    """The newest cycle of a stream with an alert in the store, 0 when there is none."""
    if not path.exists():
        return 0
    store = SqliteAlertStore(path)
    try:
        return store.last_n(stream_id)
    finally:
        store.close()
