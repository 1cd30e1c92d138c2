"""The recorder role: the tape and the bar store; writes the end record when a replay ends or is
stopped in order."""

from engine.config.running import Running
from engine.domain.tables import FLOW_ENDED
from engine.replay.recorder import RecorderStage
from engine.replay.tape import TapeHeader, TapeWriter
from engine.storage.sqlite import SqliteBarStore
from ipc.loop import run_loop
from ipc.roles import RoleContext
from shm.fences import read_word
from shm.words import WORD_STRIDE

TAPE_NAME = "tape.bin"


def _writer(running: Running) -> TapeWriter | None:
    if not running.config.tape.record:
        return None
    stream = running.stream
    header = TapeHeader(
        stream_id=stream.stream_id,
        genesis_sha256=stream.genesis_sha256,
        interval_ns=stream.interval_ns,
        feeds=stream.feeds,
        fingerprint=stream.fingerprint,
        simulated=stream.simulated,
    )
    return TapeWriter(running.stream_dir / TAPE_NAME, header)


def main(ctx: RoleContext) -> None:
    """Entry of the role."""
    running: Running = ctx.shared
    writer = _writer(running)
    store = SqliteBarStore(running.bars_path)
    stage = RecorderStage(running.tables, writer, store, running.stream.stream_id)
    stage.recover()
    flow = running.tables.flow
    asked = False

    def step() -> bool:
        nonlocal asked
        moved = stage.step()
        if stage.failure:
            ctx.log.error("tape_closed", reason=stage.failure)
            ctx.telemetry.count("errors_total")
            stage.failure = None
        if moved:
            ctx.progress(stage.durable_n)
            ctx.wake.notify("alerts")
        if not asked and read_word(flow, FLOW_ENDED * WORD_STRIDE):
            asked = True
            if running.config.feed.loop:
                ctx.request("restart")
            elif running.config.feed.stop_at_end:
                ctx.request("stop", reason="the recording ended", exit_code=0)
        return moved

    run_loop(ctx, step)
    while step():
        ctx.beat()
    if writer is not None and not stage.unrecorded:
        if not running.stream.live:
            writer.end()  # a replay that was stopped begins anew at the next start
        writer.close()
    store.close()
