"""The tape file: whole cycles with positions and CRC; what `backtest --tape` and a resume read
back.

Layout: MAGIC, header length (uint32), header JSON, then blocks. A block is BLOCK_HEAD followed by
its payload:
CYCLES (decisions, ticks of every ring, controls, as raw records), RULES (a compiled rule set;
precedes the first
cycle that names its version), END (the stream ended with cycle last_n), GAP (the recorder lost
cycles here).
A torn block at the end of the file is cut on opening: cycles are durable block by block.
"""

import dataclasses
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np

from engine.domain import records
from engine.errors import EngineError

MAGIC = b"TAPESCAN-TAPE-1\n"
CYCLES, RULES, END, GAP = 1, 2, 3, 4
_BLOCK_MAGIC = 0x4B4C4254  # "TBLK"
_COMPRESS_FROM_BYTES = 4096

BLOCK_HEAD = np.dtype(
    [
        ("magic", "u4"),
        ("kind", "u4"),
        ("stored_bytes", "u4"),
        ("payload_bytes", "u4"),
        ("crc", "u4"),  # of the stored bytes
        ("decisions", "u4"),
        ("controls", "u4"),
        ("compressed", "u4"),
        ("first_n", "i8"),  # RULES: the version
        ("last_n", "i8"),
        ("ticks", "i8", (records.MAX_FEEDS,)),
    ]
)


class TapeError(EngineError):
    """Raised when a file is not a tape, is damaged in the middle, or cannot be written."""


class TapeHeader(msgspec.Struct, frozen=True):
    """What the tape belongs to. `fingerprint` names the code and kernels that wrote it."""

    stream_id: str
    genesis_sha256: str
    interval_ns: int
    feeds: int
    fingerprint: str
    simulated: bool


@dataclasses.dataclass
class Block:
    """One block read back; arrays are empty unless kind is CYCLES."""

    kind: int
    first_n: int
    last_n: int
    decisions: np.ndarray
    ticks: list[np.ndarray]
    controls: np.ndarray
    content: bytes


def _pack_block(head: np.ndarray, payload: bytes) -> bytes:
    stored = payload
    if len(payload) >= _COMPRESS_FROM_BYTES:
        stored = zlib.compress(payload, 1)
        head["compressed"] = 1
    head["magic"] = _BLOCK_MAGIC
    head["stored_bytes"] = len(stored)
    head["payload_bytes"] = len(payload)
    head["crc"] = zlib.crc32(stored)
    return head.tobytes() + stored


def _read_header(file: BinaryIO, path: Path) -> TapeHeader:
    if file.read(len(MAGIC)) != MAGIC:
        raise TapeError(f"{path} is not a tape: it does not start with the tape's magic bytes.")
    length = int.from_bytes(file.read(4), "little")
    try:
        return msgspec.json.decode(file.read(length), type=TapeHeader)
    except msgspec.DecodeError as error:
        raise TapeError(f"{path} has a damaged header: {error}.") from error


def _read_block(file: BinaryIO) -> tuple[np.ndarray, bytes] | None:
    """Head and stored bytes of the next block, None at the end or where a block is torn."""
    raw = file.read(BLOCK_HEAD.itemsize)
    if len(raw) < BLOCK_HEAD.itemsize:
        return None
    head = np.frombuffer(raw, BLOCK_HEAD)[0]
    if head["magic"] != _BLOCK_MAGIC:
        return None
    stored = file.read(int(head["stored_bytes"]))
    if len(stored) < head["stored_bytes"] or zlib.crc32(stored) != head["crc"]:
        return None
    return head, stored


def _unpack(head: np.ndarray, stored: bytes, feeds: int) -> Block:
    payload = zlib.decompress(stored) if head["compressed"] else stored
    block = Block(
        kind=int(head["kind"]),
        first_n=int(head["first_n"]),
        last_n=int(head["last_n"]),
        decisions=np.empty(0, records.DECISION),
        ticks=[np.empty(0, records.TICK) for _ in range(feeds)],
        controls=np.empty(0, records.CONTROL),
        content=b"",
    )
    if block.kind != CYCLES:
        block.content = payload
        return block
    offset = 0
    count = int(head["decisions"])
    block.decisions = np.frombuffer(payload, records.DECISION, count, offset)
    offset += count * records.DECISION.itemsize
    for feed in range(feeds):
        count = int(head["ticks"][feed])
        block.ticks[feed] = np.frombuffer(payload, records.TICK, count, offset)
        offset += count * records.TICK.itemsize
    block.controls = np.frombuffer(payload, records.CONTROL, int(head["controls"]), offset)
    return block


class TapeReader:
    """Reads blocks in order; stops silently before a torn block at the end (a crash leaves one)."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise TapeError(f"the tape {path} cannot be opened: {error.strerror}.") from error
        self.path = path
        self.header = _read_header(self._file, path)

    def blocks(self) -> Iterator[Block]:
        """Every whole block, CYCLES with copies of their records."""
        while (raw := _read_block(self._file)) is not None:
            yield _unpack(*raw, self.header.feeds)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TapeWriter:
    """Appends blocks; a block is durable when its call returns.

    last_n, ended: where the file stands (after opening, after the last whole block).
    """

    def __init__(self, path: Path, header: TapeHeader) -> None:
        self.path = path
        self.last_n = 0
        self.ended = False
        self.rules_versions: set[int] = set()
        self.tick_positions = [0] * records.MAX_FEEDS
        self.control_position = 0
        if path.exists() and path.stat().st_size > len(MAGIC):
            self._open_existing(header)
        else:
            self._create(header)

    def _create(self, header: TapeHeader) -> None:
        encoded = msgspec.json.encode(header)
        temporary = self.path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(MAGIC + len(encoded).to_bytes(4, "little") + encoded)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.path)
        _sync_directory(self.path.parent)
        self._file = self.path.open("r+b", buffering=0)
        self._file.seek(0, os.SEEK_END)

    def _open_existing(self, header: TapeHeader) -> None:
        self._file = self.path.open("r+b", buffering=0)
        found = _read_header(self._file, self.path)
        if found.stream_id != header.stream_id:
            raise TapeError(
                f"{self.path} belongs to stream {found.stream_id}, not to {header.stream_id}."
            )
        end = self._file.tell()
        while (raw := _read_block(self._file)) is not None:
            head, stored = raw
            self._note(head, stored)
            end = self._file.tell()
        self._file.truncate(end)
        self._file.seek(end)
        os.fdatasync(self._file.fileno())

    def _note(self, head: np.ndarray, stored: bytes) -> None:
        kind = int(head["kind"])
        if kind == RULES:
            self.rules_versions.add(int(head["first_n"]))
        elif kind == END:
            self.ended = True
        elif kind == CYCLES:
            self.last_n = int(head["last_n"])
            payload = zlib.decompress(stored) if head["compressed"] else stored
            decisions = np.frombuffer(payload, records.DECISION, int(head["decisions"]))
            self._advance(decisions)

    def _advance(self, decisions: np.ndarray) -> None:
        last = decisions[-1]
        self.last_n = int(last["n"])
        self.tick_positions = [int(p) for p in last["tick_end"]]
        self.control_position = int(last["control_end"])

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
            os.fdatasync(self._file.fileno())
        except OSError as error:  # after a failed fsync the page cache no longer tells the truth
            raise TapeError(f"the tape {self.path} cannot be written: {error.strerror}.") from error

    def cycles(
        self,
        decisions: np.ndarray,
        ticks: Sequence[Sequence[np.ndarray]],
        controls: Sequence[np.ndarray],
    ) -> None:
        """Append whole cycles: DECISION[m] and the slices of every ring they took in."""
        head = np.zeros((), BLOCK_HEAD)
        head["kind"] = CYCLES
        head["first_n"], head["last_n"] = decisions[0]["n"], decisions[-1]["n"]
        head["decisions"] = len(decisions)
        head["controls"] = sum(len(part) for part in controls)
        for feed, parts in enumerate(ticks):
            head["ticks"][feed] = sum(len(part) for part in parts)
        payload = [decisions.tobytes()]
        payload += [part.tobytes() for parts in ticks for part in parts]
        payload += [part.tobytes() for part in controls]
        self._write(_pack_block(head, b"".join(payload)))
        self._advance(decisions)

    def rules(self, version: int, content: bytes) -> None:
        """Append a compiled rule set once per version."""
        if version in self.rules_versions:
            return
        self._other(RULES, version, self.last_n, content)
        self.rules_versions.add(version)

    def end(self) -> None:
        """Append the end record: this stream is complete and is never resumed."""
        if not self.ended:
            self._other(END, self.last_n, self.last_n, b"")
            self.ended = True

    def gap(self, last_n: int) -> None:
        """Say that the cycles after last_n are not on this tape."""
        self._other(GAP, last_n, last_n, b"")

    def _other(self, kind: int, first_n: int, last_n: int, content: bytes) -> None:
        head = np.zeros((), BLOCK_HEAD)
        head["kind"], head["first_n"], head["last_n"] = kind, first_n, last_n
        self._write(_pack_block(head, content))

    def close(self) -> None:
        self._file.close()


def _sync_directory(path: Path) -> None:
    """Make a rename durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def info(path: Path) -> dict[str, Any]:
    """What `tapescan tape info` prints: header, cycles, ticks, rule versions, first and last T_k,
    how it ends."""
    cycles = ticks = blocks = 0
    first_ns = last_ns = last_n = 0
    versions: list[int] = []
    state = "open"
    with TapeReader(path) as reader:
        for block in reader.blocks():
            blocks += 1
            if block.kind == CYCLES:
                cycles += len(block.decisions)
                ticks += sum(len(part) for part in block.ticks)
                first_ns = first_ns or int(block.decisions[0]["t_ns"])
                last_ns, last_n = int(block.decisions[-1]["t_ns"]), block.last_n
            elif block.kind == RULES:
                versions.append(block.first_n)
            else:
                state = "ended" if block.kind == END else "has a gap"
        header = reader.header
    return {
        **msgspec.to_builtins(header),
        "file_bytes": path.stat().st_size,
        "blocks": blocks,
        "cycles": cycles,
        "last_n": last_n,
        "ticks": ticks,
        "rules_versions": versions,
        "first_t_ns": first_ns,
        "last_t_ns": last_ns,
        "state": state,
    }
