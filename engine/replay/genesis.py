"""Genesis: every input of a stream that is not a tick, as one file; its hash opens the tape.

Arrays are kept per ticker in ticker order, so a genesis does not depend on the number of scan
workers: `restore`
spreads them over the ids.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from engine.bars.stage import BarsStage, empty_rows
from engine.domain import records
from engine.domain.book_table import open_book, open_daily
from engine.domain.family import DAILY_PLACE, KEEP_PRICES, TIMEFRAMES
from engine.domain.frame_table import reserve_kept
from engine.domain.rules_mark import kept_for
from engine.domain.tables import EngineTables
from engine.errors import EngineError
from engine.replay.formats import GENESIS_MAGIC, why_refused
from engine.replay.frame_pack import packed, unpacked
from engine.replay.tape import TapeHeader
from engine.rules.publish import publish
from engine.scan.cooldown import export_cooldowns, import_cooldowns
from shm.fences import write_word
from shm.words import WORD_STRIDE

_DAMAGE = (
    msgspec.DecodeError, ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_HISTORY = (("second", "second_stamp"), ("minute", "minute_stamp"), ("session", "session_stamp"),
            ("trades", "trades_stamp"))  # fmt: skip
_BOOK = ("names", "reference", "levels", "baseline", "lists")
_DAILY = ("daily_closes", "daily_ranges", "daily_marks")


class GenesisError(EngineError):
    """Raised when a genesis file is missing, damaged, or does not fit the tables."""


class GenesisHeader(msgspec.Struct, frozen=True):
    """What a stream starts from, besides arrays. config holds every setting that can change an
    alert; live: the engine clock decides (else the watermarks do). jumps: ticker, date, ratio of
    what looks like splits nobody told of in the daily history."""

    stream_id: str
    provider: str
    simulated: bool
    date: int
    start_ns: int
    end_ns: int | None
    interval_ns: int
    feeds: int
    tickers: list[str]
    session: list[int]
    rules_version: int
    config: dict[str, object]
    conditions_sha256: str
    fingerprint: str
    live: bool = False
    jumps: list[tuple[str, int, float]] = []


class Genesis:
    """Header, compiled rules (bytes) and arrays by name."""

    def __init__(self, header: GenesisHeader, rules: bytes, arrays: dict[str, np.ndarray]) -> None:
        self.header = header
        self.rules = rules
        self.arrays = arrays


def symbol_ids(count: int, workers: int, slice_rows: int) -> np.ndarray:
    """Ids of the first `count` symbols when each goes to the emptiest slice: int64[count]."""
    order = np.arange(count)
    return (order % workers) * slice_rows + order // workers


def _silent() -> None:
    """Nobody waits for a sign of life."""


def snapshot(
    tables: EngineTables, *, instants: bool = True, beat: Callable[[], None] = _silent
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Tickers in order and every array of state as of the published cycle. The trade pool is not
    carried over. instants: with prices and volumes per second and minute, which no other session
    date has a use for. beat: called between the large ones."""
    named = sorted((ticker, symbol) for symbol, ticker in tables.names.all())
    tickers = [ticker for ticker, _ in named]
    ids = np.array([symbol for _, symbol in named], np.int64)
    slot = tables.cell.cells.published() % 4
    rows = tables.cell.rows[slot][ids]
    rows["pool_head"] = 0
    arrays = {
        "rows": rows,
        "head": tables.cell.heads[slot : slot + 1].copy(),
        "reference": tables.reference[ids],
        "closes": tables.closes[ids],
    }
    history, table = tables.history, tables.indicators
    slots, places = np.nonzero(history.bars["minute"][:, ids] >= 0)
    beat()
    arrays |= {"bars": history.bars[slots, ids[places]], "bar_symbols": places}
    beat()
    copy = int(table.words[0]) & 1
    arrays |= {
        "indicator_state": table.state[copy][ids],
        "indicator_values": table.values[copy][:, ids],
        "indicator_closes": table.closes[:, ids],
        "cooldowns": export_cooldowns(tables, ids),
    }
    arrays |= _kept_bars(tables, copy, ids, instants)
    beat()
    for name, stamp_name in _HISTORY if instants else ():
        stamps = getattr(history, stamp_name)
        valid = np.nonzero(stamps >= 0)[0]
        arrays[stamp_name] = stamps[valid]
        for column in _columns(name):
            arrays[column] = getattr(history, column)[valid][:, ids]
    return tickers, arrays


def _kept_bars(
    tables: EngineTables, copy: int, ids: np.ndarray, instants: bool
) -> dict[str, np.ndarray]:
    """Bars of timeframes, empty where they are not kept, and prices of minutes as far as those
    are."""
    frames, kept = tables.frames, int(tables.frames.kept[copy])
    found = {
        "frame_closes": np.zeros((*frames.closes.shape[:2], len(ids))),
        "frame_ranges": np.zeros((*frames.ranges.shape[:3], len(ids))),
        "frame_marks": frames.marks[copy][:, ids],
    }
    for place in range(len(TIMEFRAMES)):
        if kept >> place & 1:
            found["frame_closes"][place] = frames.closes[place][:, ids]
            found["frame_ranges"][place] = frames.ranges[place][:, :, ids]
    held = frames.long_stamp >= 0 if instants else np.zeros(len(frames.long_stamp), np.bool_)
    rows = np.flatnonzero(held)
    found["long_stamp"] = frames.long_stamp[rows]
    found["long_price"] = frames.long_price[rows][:, ids] if len(rows) else np.empty((0, len(ids)))
    return found


def _columns(name: str) -> list[str]:
    return {
        "second": ["second_price", "second_volume"],
        "minute": ["minute_price"],
        "session": ["session_volume"],
        "trades": ["second_trades"],
    }[name]


def restore(
    tables: EngineTables, genesis: Genesis, *, trades_counted: bool = True, keep: int = 0
) -> None:
    """Fill empty tables and publish cell 0 with T_0 = header.start_ns. trades_counted=False: the
    stream's input is bars, so the number of trades is unknown. keep: bits of what is kept from the
    start besides what the rules of the genesis name, see engine.domain.family. Raises GenesisError
    if the tables are too small."""
    header, arrays, sizes = genesis.header, genesis.arrays, tables.sizes
    count = len(header.tickers)
    if count > sizes.capacity:
        raise GenesisError(
            f"the genesis holds {count} symbols, but engine.capacity is {sizes.capacity}."
        )
    ids = symbol_ids(count, sizes.workers, sizes.slice_rows)
    for symbol, ticker in zip(ids.tolist(), header.tickers, strict=True):
        tables.names.set(symbol, ticker)
    for names in tables.feed_names:
        for number, ticker in enumerate(header.tickers):
            names.set(number, ticker)
    tables.session[0] = tuple(header.session)
    _restore_book(tables, arrays)
    tables.reference[:] = records.unknown_reference(1)
    tables.reference[ids] = arrays["reference"]
    tables.closes[ids] = arrays["closes"]
    _restore_history(tables, arrays, ids)
    _restore_indicators(tables, arrays, ids)
    _restore_kept(tables, arrays, ids, keep | kept_for(genesis.rules))
    import_cooldowns(tables, ids, arrays["cooldowns"])
    for worker in range(sizes.workers):
        write_word(tables.scan.words, worker * WORD_STRIDE, 0)
    if genesis.rules:
        publish(tables, header.rules_version, genesis.rules)
    rows = empty_rows(sizes.rows)
    rows[ids] = arrays["rows"]
    if not trades_counted:
        rows["approx"] |= records.APPROX_TRADES
    head = arrays["head"][0].copy()
    _reset_head(head, header, count, sizes.workers)
    BarsStage(tables).init_genesis(rows, head)


def _restore_book(tables: EngineTables, arrays: dict[str, np.ndarray]) -> None:
    """Fill the book's table. Arrays without one leave it empty. Raises GenesisError."""
    count = len(arrays.get("book_names", ()))
    if count > tables.sizes.rows:
        raise GenesisError(f"the genesis knows {count} symbols, there is room for fewer.")
    if count:
        open_book(tables.arena, tables.book)
    daily = bool(arrays.get("book_daily_marks", np.zeros(0)).any())
    if daily:
        open_daily(tables.arena, tables.book)
    for name in (*(_BOOK if count else ()), *(_DAILY if daily else ())):
        source, target = arrays[f"book_{name}"], getattr(tables.book, name)
        target[..., : source.shape[-1]] = source


def _reset_head(head: np.ndarray, header: GenesisHeader, count: int, workers: int) -> None:
    """A stream counts from zero: cursors, positions and counters start anew."""
    for field in head.dtype.names or ():
        if field not in ("closed_minute", "second", "minute"):
            head[field] = 0
    head["t_ns"] = header.start_ns
    head["k"] = header.start_ns // header.interval_ns
    head["rules_version"] = header.rules_version
    for worker in range(workers):
        head["symbol_count"][worker] = (count - worker + workers - 1) // workers


def _restore_history(tables: EngineTables, arrays: dict[str, np.ndarray], ids: np.ndarray) -> None:
    history = tables.history
    slots = arrays["bars"]["minute"] % tables.sizes.history_bars
    history.bars[slots, ids[arrays["bar_symbols"]]] = arrays["bars"]
    for name, stamp_name in _HISTORY:
        stamps = arrays[stamp_name]
        target = getattr(history, stamp_name)
        at = stamps % len(target)
        target[at] = stamps
        for column in _columns(name):
            getattr(history, column)[at[:, None], ids[None, :]] = arrays[column]


def _restore_indicators(
    tables: EngineTables, arrays: dict[str, np.ndarray], ids: np.ndarray
) -> None:
    table = tables.indicators
    for copy in (0, 1):
        table.state[copy][ids] = arrays["indicator_state"]
        table.values[copy][:, ids] = arrays["indicator_values"]
    table.closes[:, ids] = arrays["indicator_closes"]
    write_word(table.words, 0, 0)


def _restore_kept(
    tables: EngineTables, arrays: dict[str, np.ndarray], ids: np.ndarray, kept: int
) -> None:
    """Begin with what is kept. Daily bars always are where there are some: no later cycle could
    make them."""
    frames = tables.frames
    if arrays["frame_marks"][DAILY_PLACE].any() or tables.book.daily_marks.any():
        kept |= 1 << DAILY_PLACE
    reserve_kept(tables.arena, frames, kept)
    frames.kept[:] = kept
    for place in range(len(TIMEFRAMES)):
        if kept >> place & 1:
            frames.closes[place][:, ids] = arrays["frame_closes"][place]
            frames.ranges[place][:, :, ids] = arrays["frame_ranges"][place]
            frames.marks[:, place, ids] = arrays["frame_marks"][place]
    if kept & KEEP_PRICES:
        rows = arrays["long_stamp"] % len(frames.long_stamp)
        frames.long_stamp[rows] = arrays["long_stamp"]
        frames.long_price[rows[:, None], ids[None, :]] = arrays["long_price"]


def encode(genesis: Genesis) -> bytes:
    """The file's bytes: magic, header length and JSON, rules length and bytes, arrays as .npz."""
    buffer = io.BytesIO()
    _write_head(buffer, genesis)
    np.savez_compressed(buffer, **packed(genesis.arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def write(file: BinaryIO, genesis: Genesis) -> None:
    """The same layout straight into a file, uncompressed: much faster, a few times larger."""
    _write_head(file, genesis)
    np.savez(file, **packed(genesis.arrays))  # type: ignore[arg-type]


def _write_head(file: BinaryIO, genesis: Genesis) -> None:
    header = msgspec.json.encode(genesis.header)
    file.write(GENESIS_MAGIC + len(header).to_bytes(4, "little") + header)
    file.write(len(genesis.rules).to_bytes(4, "little") + genesis.rules)


def decode(content: bytes, path: Path) -> Genesis:
    """Read back what encode made. Raises GenesisError."""
    return read(io.BytesIO(content), path)


def read(file: BinaryIO, path: Path) -> Genesis:
    """Read back what encode or write made. Raises GenesisError."""
    try:
        header = read_header(file, path)
        rules = file.read(int.from_bytes(file.read(4), "little"))
        with np.load(file, allow_pickle=False) as loaded:
            arrays = unpacked({name: loaded[name] for name in loaded.files})
    except _DAMAGE as error:
        raise GenesisError(f"the genesis file {path} is damaged: {error}.") from error
    return Genesis(header, rules, arrays)


def read_header(file: BinaryIO, path: Path) -> GenesisHeader:
    """The header alone, without the arrays behind it. Raises GenesisError."""
    at = file.tell()
    refusal = why_refused(path, file.read(2 * len(GENESIS_MAGIC)), GENESIS_MAGIC, "genesis file")
    if refusal:
        raise GenesisError(refusal)
    try:
        file.seek(at + len(GENESIS_MAGIC))
        content = file.read(int.from_bytes(file.read(4), "little"))
        return msgspec.json.decode(content, type=GenesisHeader)
    except _DAMAGE as error:
        raise GenesisError(f"the genesis file {path} is damaged: {error}.") from error


def load(path: Path, expected_sha256: str = "") -> Genesis:
    """Read a genesis file and check it against the hash on the tape. Raises GenesisError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GenesisError(f"the genesis {path} cannot be read: {error.strerror}.") from error
    if expected_sha256 and hashlib.sha256(content).hexdigest() != expected_sha256:
        raise GenesisError(f"the genesis {path} is not the one its tape was recorded with.")
    return decode(content, path)


def empty_arrays(
    tables: EngineTables, tickers: list[str], reference: np.ndarray
) -> dict[str, np.ndarray]:
    """Arrays of a genesis without history: nothing known but the reference rows (in ticker
    order)."""
    _, arrays = snapshot(tables)
    count, frames = len(tickers), tables.frames
    closes, values = arrays["indicator_closes"], arrays["indicator_values"]
    state = arrays["indicator_state"]
    head = np.zeros(1, records.CELL_HEAD)
    for field in ("closed_minute", "second", "minute"):
        head[field] = -1
    return arrays | {
        "rows": empty_rows(count),
        "head": head,
        "reference": reference,
        "closes": np.zeros(count, records.CLOSE),
        "indicator_state": np.zeros((count, *state.shape[1:])),
        "indicator_values": np.full((values.shape[0], count), np.nan),
        "indicator_closes": np.zeros((closes.shape[0], count)),
        "frame_closes": np.zeros((*frames.closes.shape[:2], count)),
        "frame_ranges": np.zeros((*frames.ranges.shape[:3], count)),
        "frame_marks": np.zeros((len(frames.closes), count), np.int64),
        "long_stamp": np.empty(0, np.int64),
        "long_price": np.empty((0, count)),
        "second_price": np.empty((0, count)),
        "second_volume": np.empty((0, count), np.uint32),
        "minute_price": np.empty((0, count)),
        "session_volume": np.empty((0, count), np.uint32),
        "second_trades": np.empty((0, count), np.uint32),
        "cooldowns": np.empty((0, 3), np.int64),
    }


def tape_header(genesis: Genesis, genesis_sha256: str) -> TapeHeader:
    """The header of the tape that belongs to a genesis."""
    header = genesis.header
    return TapeHeader(
        stream_id=header.stream_id,
        genesis_sha256=genesis_sha256,
        interval_ns=header.interval_ns,
        feeds=header.feeds,
        fingerprint=header.fingerprint,
        simulated=header.simulated,
    )
