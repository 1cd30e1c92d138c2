"""The tape file: whole cycles with positions and CRC; what `backtest --tape` and a resume read
back.

Layout: TAPE_MAGIC, header length (uint32), header JSON, then blocks. A block is BLOCK_HEAD followed
by its payload:
CYCLES (decisions, ticks of every ring, as raw records), RULES (a compiled rule set; precedes the
first cycle that names its version), END (the stream ended with cycle last_n), GAP (the recorder
lost cycles here).
A torn block at the end of the file is cut on opening: cycles are durable block by block.
"""

import dataclasses
import itertools
import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np

from engine.domain import records
from engine.errors import EngineError
from engine.replay.formats import TAPE_MAGIC, why_refused
from engine.replay.open_stream import write_durably

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
        ("compressed", "u4"),
        ("spare", "u4"),
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
    refusal = why_refused(path, file.read(2 * len(TAPE_MAGIC)), TAPE_MAGIC, "tape")
    if refusal:
        raise TapeError(refusal)
    file.seek(len(TAPE_MAGIC))
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
    payload: bytes | bytearray = zlib.decompress(stored) if head["compressed"] else stored
    block = Block(
        kind=int(head["kind"]),
        first_n=int(head["first_n"]),
        last_n=int(head["last_n"]),
        decisions=np.empty(0, records.DECISION),
        ticks=[np.empty(0, records.TICK) for _ in range(feeds)],
        content=b"",
    )
    if block.kind != CYCLES:
        block.content = bytes(payload)
        return block
    payload = bytearray(payload)  # arrays over bytes are read-only: another type to the kernels
    offset = 0
    count = int(head["decisions"])
    block.decisions = np.frombuffer(payload, records.DECISION, count, offset)
    offset += count * records.DECISION.itemsize
    for feed in range(feeds):
        count = int(head["ticks"][feed])
        block.ticks[feed] = np.frombuffer(payload, records.TICK, count, offset)
        offset += count * records.TICK.itemsize
    return block


class TapeReader:
    """Reads blocks in order; stops silently before a torn block at the end (a crash leaves one).
    One that whole blocks follow is damage, and raises TapeError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with ExitStack() as closing_on_error:
            try:
                self._file = closing_on_error.enter_context(path.open("rb"))
            except OSError as error:
                raise TapeError(f"the tape {path} cannot be opened: {error.strerror}.") from error
            self.header = _read_header(self._file, path)
            closing_on_error.pop_all()

    def blocks(self) -> Iterator[Block]:
        """Every whole block, CYCLES with copies of their records. Raises TapeError."""
        while True:
            at = self._file.tell()
            raw = _read_block(self._file)
            if raw is None and self._goes_on(at):
                self._file.seek(at)
                raw = _read_block(self._file)  # a running engine may have finished it just now
                if raw is None:
                    raise TapeError(damaged(self.path, at))
            if raw is None:
                return
            yield _unpack(*raw, self.header.feeds)

    def _goes_on(self, at: int) -> bool:
        """True when a whole block follows the one at `at`."""
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _whole_follows(data, at)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create_tape(path: Path, header: TapeHeader) -> None:
    """Put a tape without blocks in the place of whatever is there, durably. Raises TapeError."""
    encoded = msgspec.json.encode(header)
    try:
        write_durably(path, TAPE_MAGIC + len(encoded).to_bytes(4, "little") + encoded)
    except OSError as error:
        raise TapeError(f"the tape {path} cannot be created: {error.strerror}.") from error


class TapeWriter:
    """Appends blocks to the tape of a stream; a block is durable when its call returns.

    last_n, ended, gapped: where the file stands (after opening, after the last whole block): its
    last cycle, whether the stream ended, whether it goes on without this tape. Then nothing more
    is written.
    """

    def __init__(self, path: Path, stream_id: str) -> None:
        self.path = path
        self.last_n = 0
        self.ended = self.gapped = False
        self.rules_versions: set[int] = set()
        self.tick_positions = [0] * records.MAX_FEEDS
        self._end = 0
        try:
            self._open(stream_id)
        except OSError as error:
            raise TapeError(f"the tape {path} cannot be opened: {error.strerror}.") from error

    def _open(self, stream_id: str) -> None:
        with ExitStack() as closing_on_error:
            self._file = closing_on_error.enter_context(self.path.open("r+b", buffering=0))
            found = _read_header(self._file, self.path)
            if found.stream_id != stream_id:
                owner = f"belongs to stream {found.stream_id}, not to {stream_id}."
                raise TapeError(f"{self.path} {owner}")
            self._end = self._file.tell()
            self._take_blocks()
            self._file.truncate(self._end)
            self._file.seek(self._end)
            os.fdatasync(self._file.fileno())
            closing_on_error.pop_all()

    def _take_blocks(self) -> None:
        """Learn from the blocks there where the file stands. Only the newest can be torn: every
        block was durable before the next one was begun, so the others are just counted."""
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            heads = list(_heads(data, self._end))
            while heads and not _is_whole(data, *heads[-1]):
                heads.pop()
            for at, head in heads:
                kind = int(head["kind"])
                self.ended |= kind == END
                self.gapped |= kind == GAP
                if kind == RULES:
                    self.rules_versions.add(int(head["first_n"]))
                self._end = at + BLOCK_HEAD.itemsize + int(head["stored_bytes"])
            newest = next((one for one in reversed(heads) if one[1]["kind"] == CYCLES), None)
            if newest is not None:
                at, head = newest
                start = at + BLOCK_HEAD.itemsize
                stored = data[start : start + int(head["stored_bytes"])]
                payload = zlib.decompress(stored) if head["compressed"] else stored
                self._advance(np.frombuffer(payload, records.DECISION, int(head["decisions"])))
            if _whole_follows(data, self._end):
                raise TapeError(damaged(self.path, self._end))

    def _advance(self, decisions: np.ndarray) -> None:
        last = decisions[-1]
        self.last_n = int(last["n"])
        self.tick_positions = [int(p) for p in last["tick_end"]]

    def _write(self, data: bytes) -> None:
        if self.ended or self.gapped:
            raise TapeError(f"the tape {self.path} is closed: nothing follows its last block.")
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
            os.fdatasync(self._file.fileno())
        except OSError as error:  # after a failed fsync the page cache no longer tells the truth
            raise TapeError(f"the tape {self.path} cannot be written: {error.strerror}.") from error
        self._end += len(data)

    def cycles(self, decisions: np.ndarray, ticks: Sequence[Sequence[np.ndarray]]) -> None:
        """Append whole cycles: DECISION[m] and the slices of every ring they took in."""
        head = np.zeros((), BLOCK_HEAD)
        head["kind"] = CYCLES
        head["first_n"], head["last_n"] = decisions[0]["n"], decisions[-1]["n"]
        head["decisions"] = len(decisions)
        for feed, parts in enumerate(ticks):
            head["ticks"][feed] = sum(len(part) for part in parts)
        payload = [decisions.tobytes()]
        payload += [part.tobytes() for parts in ticks for part in parts]
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

    def gap(self) -> None:
        """Cut what a failed write left and say that the stream goes on without this tape. Nothing
        follows. Raises TapeError when not even that can be written."""
        if self.gapped:
            return
        try:
            self._file.truncate(self._end)
            self._file.seek(self._end)
        except OSError as error:
            raise TapeError(f"the tape {self.path} cannot be cut: {error.strerror}.") from error
        self._other(GAP, self.last_n, self.last_n, b"")
        self.gapped = True

    def _other(self, kind: int, first_n: int, last_n: int, content: bytes) -> None:
        head = np.zeros((), BLOCK_HEAD)
        head["kind"], head["first_n"], head["last_n"] = kind, first_n, last_n
        self._write(_pack_block(head, content))

    def close(self) -> None:
        self._file.close()


def _heads(data: mmap.mmap, at: int) -> Iterator[tuple[int, np.void]]:
    """Position and head of every block that lies in the file to its end, one after another."""
    while at + BLOCK_HEAD.itemsize <= len(data):
        head: np.void = np.frombuffer(data[at : at + BLOCK_HEAD.itemsize], BLOCK_HEAD)[0]
        if head["magic"] != _BLOCK_MAGIC:
            return
        following = at + BLOCK_HEAD.itemsize + int(head["stored_bytes"])
        if following > len(data):
            return
        yield at, head
        at = following


def _is_whole(data: mmap.mmap, at: int, head: np.void) -> bool:
    start = at + BLOCK_HEAD.itemsize
    return zlib.crc32(data[start : start + int(head["stored_bytes"])]) == int(head["crc"])


def _whole_follows(data: mmap.mmap, at: int) -> bool:
    """True when a whole block lies anywhere behind position `at`: what stands there was not left
    by a crash, because every block was durable before the next one was begun."""
    while (at := data.find(_BLOCK_MAGIC.to_bytes(4, "little"), at + 1)) >= 0:
        if any(_is_whole(data, *found) for found in itertools.islice(_heads(data, at), 1)):
            return True
    return False


def damaged(path: Path, at: int) -> str:
    """The sentence about a tape that was not torn by a crash."""
    return f"{path} is damaged at byte {at}: whole blocks follow there."


def info(path: Path) -> dict[str, Any]:
    """What `tapescan tape info` prints: header, cycles, ticks, rule versions, how often the
    clock got a new anchor, first and last T_k, how it ends."""
    cycles = ticks = blocks = reanchored = 0
    first_ns = last_ns = last_n = 0
    versions: list[int] = []
    state = "open"
    with TapeReader(path) as reader:
        for block in reader.blocks():
            blocks += 1
            if block.kind == CYCLES:
                cycles += len(block.decisions)
                ticks += sum(len(part) for part in block.ticks)
                flags = block.decisions["flags"]
                reanchored += int(np.count_nonzero(flags & records.DECISION_REANCHORED))
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
        "reanchored": reanchored,
        "first_t_ns": first_ns,
        "last_t_ns": last_ns,
        "state": state,
    }
