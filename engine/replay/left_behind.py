"""What the live stream of before left to the next one: its end state, made again from its tape
where the engine died too early to keep it."""

from pathlib import Path
from typing import Any, cast

import numpy as np

from engine.config.schema import Config
from engine.domain import records
from engine.domain.sizes import Sizes
from engine.domain.tables import allocate
from engine.errors import EngineError
from engine.replay.builder import columns
from engine.replay.carry import session_of
from engine.replay.end_state import keep, load_end_state
from engine.replay.fingerprint import code_fingerprint
from engine.replay.genesis import Genesis, GenesisError, load, restore
from engine.replay.harness import Harness
from engine.replay.open_stream import (
    GENESIS_NAME,
    TAPE_NAME,
    OpenStream,
    recall,
    stream_directory,
)
from engine.replay.outrun import close_outrun
from engine.replay.repeat import repeated
from engine.replay.tape import TapeError, TapeWriter
from engine.storage.errors import StorageError
from ipc.logs import Log
from shm.arena import PrivateArena

# A stream ended by a clock that was ahead, and that has been set back since: the next one begins
# where it ended, if that is so near.
SET_BACK_NS = 600 * 1_000_000_000


def is_over(genesis: Genesis, now_ns: int) -> bool:
    """True for a live stream whose session has rolled."""
    roll_ns = int(session_of(genesis)["roll_ns"][0])
    return genesis.header.live and 0 < roll_ns <= now_ns


def left_behind(config: Config, data_dir: Path, now_ns: int, log: Log) -> Genesis | None:
    """The state that a new live stream of this configuration begins from.

    None when there is none or it cannot be gone on with: the log says why. Raises StorageError
    when alerts of the stream of before cannot be stored.
    """
    state = _newest(config, data_dir, now_ns, log)
    if state is None:
        return None
    header = state.header
    why = _why_not(state, config, now_ns)
    if why:
        log.warning("not_carried", stream_id=header.stream_id, reason=why)
        return None
    log.info("carried", stream_id=header.stream_id, date=header.date, symbols=len(header.tickers),
             bars=len(state.arrays["bars"]), cooldowns=len(state.arrays["cooldowns"]))  # fmt: skip
    return state


def _newest(config: Config, data_dir: Path, now_ns: int, log: Log) -> Genesis | None:
    """The end state of the stream that was begun last or, if it has none, of one before."""
    pointer, state = recall(data_dir), None
    try:
        state = load_end_state(data_dir)
    except GenesisError as error:
        log.warning("not_carried", reason=str(error))
    if pointer is None:
        return state
    try:
        if state is not None and state.header.stream_id == pointer.stream_id:
            _end_tape(pointer.stream_id, data_dir)
            return state
        return _made_again(config, pointer, data_dir, now_ns, log) or state
    except StorageError:
        raise
    except EngineError as error:
        log.warning("not_carried", stream_id=pointer.stream_id, reason=str(error))
        return state


def _why_not(state: Genesis, config: Config, now_ns: int) -> str:
    """Why a new stream does not go on from a state, empty when it does."""
    header = state.header
    if header.fingerprint != code_fingerprint():
        return "the code has changed"
    seed = _seed(header.config)
    if header.provider != config.feed.provider or seed not in (None, config.simulator.seed):
        return "it is of another market"
    if header.start_ns > now_ns + SET_BACK_NS:
        return "it is of a later time than now"
    return ""


def _seed(config: dict[str, object]) -> int | None:
    """What tells one simulated market from another; None for a real one."""
    seed: int | None = cast(dict[str, Any], config.get("simulator", {})).get("seed")
    return seed


def _end_tape(stream_id: str, data_dir: Path) -> None:
    """Tell a tape that it has ended: the engine may have died when the state was kept already."""
    path = stream_directory(data_dir, stream_id) / TAPE_NAME
    if not path.exists():
        return
    writer = TapeWriter(path, stream_id)
    try:
        if not writer.gapped and not close_outrun(writer, stream_id, data_dir):
            writer.end()
    finally:
        writer.close()


def _made_again(
    config: Config, pointer: OpenStream, data_dir: Path, now_ns: int, log: Log
) -> Genesis | None:
    """The end state of a live stream that is over, from its genesis and tape; None for another."""
    directory = stream_directory(data_dir, pointer.stream_id)
    genesis = load(directory / GENESIS_NAME, pointer.genesis_sha256)
    if not is_over(genesis, now_ns):
        return None
    if genesis.header.fingerprint != code_fingerprint():
        raise GenesisError("the code has changed")
    if not (directory / TAPE_NAME).exists():
        raise TapeError("it has no tape")
    writer = TapeWriter(directory / TAPE_NAME, pointer.stream_id)
    try:
        if outrun := close_outrun(writer, pointer.stream_id, data_dir):
            raise TapeError(outrun)
        if writer.gapped:
            raise TapeError("its tape has a gap")
        return _finished(genesis, writer, data_dir, config.tape.finish_max_s, log)
    finally:
        writer.close()


def _finished(
    genesis: Genesis, writer: TapeWriter, data_dir: Path, within_s: float, log: Log
) -> Genesis:
    """End a stream that was cut off: all that its tape holds, one last cycle at the roll, its end
    state, the end record. Killed on the way, it is done again from what is there then."""
    log.info("finishing", stream_id=genesis.header.stream_id, n=writer.last_n)
    told = cast(dict[str, int], genesis.header.config["sizes"])
    tables = allocate(PrivateArena(), Sizes(**{**told, "workers": 1}), columns())
    restore(tables, genesis)
    directory = writer.path.parent
    stream_id = genesis.header.stream_id
    with repeated(tables, stream_id, directory, data_dir, log, within_s) as harness:
        if not harness.bars.ended:
            _last_cycle(harness, writer)
    state = keep(tables, directory, data_dir)
    writer.end()
    return state


def _last_cycle(harness: Harness, writer: TapeWriter) -> None:
    """The cycle that the session rolls with: minutes that are over close. Nobody saw the market
    since the cycle before: a gap begins there, so no rule fires on what was true then."""
    tables, n = harness.tables, harness.n
    session = tables.session[0]
    before = tables.decisions.copy(n - 1, n) if n else None
    anchor_ns = 0 if before is None else int(before["anchor_ns"][0])
    gap = np.zeros(1, records.TICK)
    gap["kind"], gap["sym"] = records.TICK_GAP_START, -1
    gap["recv_ns"] = gap["event_ns"] = harness.bars.head["t_ns"]
    for ring in tables.ticks.rings:
        ring.publish(gap)
    after_ns = int(session["roll_ns"]) + 2 * int(session["interval_ns"])
    decision = harness.bars.decide_live(after_ns, 0, 0, anchor_ns)
    if decision is None:
        raise EngineError(f"no cycle could be decided after cycle {n} to end the stream.")
    writer.cycles(np.array([decision]), [[gap] for _ in tables.ticks.rings])
    harness.cycle(decision)
