"""The recorder role: the tape and the bar store; writes the end record when a replay ends or is
stopped in order."""

from functools import partial

from engine.config.running import Running
from engine.domain.tables import FLOW_ENDED, FLOW_UNRECORDED
from engine.replay.end_state import keep
from engine.replay.open_stream import TAPE_NAME, forget
from engine.replay.recorder import RecorderStage
from engine.replay.tape import TapeError, TapeWriter
from engine.storage.errors import StoreError
from engine.storage.pruning import RUNNING_BARS, Pruner
from engine.storage.sqlite import SqliteBarStore
from ipc.loop import run_loop
from ipc.roles import RoleContext
from shm.fences import read_word
from shm.words import WORD_STRIDE


def _stage(ctx: RoleContext) -> RecorderStage:
    """The stage over the tape as it lies there. A tape that cannot be opened is given up."""
    running: Running = ctx.shared
    stream, writer, why = running.stream, None, ""
    given_up = read_word(running.tables.flow, FLOW_UNRECORDED * WORD_STRIDE)
    if running.config.tape.record and not given_up:
        try:
            writer = TapeWriter(running.stream_dir / TAPE_NAME, stream.stream_id)
        except TapeError as error:
            why = str(error)
    store = SqliteBarStore(running.bars_path)
    keeper = partial(keep, running.tables, running.stream_dir, running.data_dir, ctx.beat)
    stage = RecorderStage(
        running.tables, writer, store, stream.stream_id, keeper if stream.live else None
    )
    if why:
        stage.give_up(why)
    stage.recover()
    return stage


class _Recorder:
    def __init__(self, ctx: RoleContext) -> None:
        self.ctx = ctx
        self.running: Running = ctx.shared
        self.stage = _stage(ctx)
        keep_days = self.running.config.bars.keep_days
        self._pruner = Pruner(keep_days, self.running.stream.stream_id, RUNNING_BARS)
        self._asked = False
        # A block that the one before died over, waiting for a slow disk, is progress.
        ctx.progress(self.stage.durable_n)
        self._tell()

    def step(self) -> bool:
        """Record what is there; ask for what follows the end of the stream."""
        stage, ctx = self.stage, self.ctx
        moved = stage.step()
        removed = 0 if moved else stage.prune(self._pruner)
        if removed:
            ctx.telemetry.count("bars_pruned_total", removed)
        if stage.failures:
            self._tell()
        if moved:
            ctx.progress(stage.durable_n)
            ctx.wake.notify("alerts")
        flow = self.running.tables.flow
        if not self._asked and read_word(flow, FLOW_ENDED * WORD_STRIDE):
            self._asked = True
            if self.running.stream.live or self.running.config.feed.loop:
                ctx.request("restart")
            elif self.running.config.feed.stop_at_end:
                ctx.request("stop", reason="the recording ended", exit_code=0)
        return moved

    def _tell(self) -> None:
        """Say what failed. A stream that is not on tape must not be resumed from it."""
        stage = self.stage
        for sentence in stage.failures:
            self.ctx.log.error("recording_failed", reason=sentence)
            self.ctx.telemetry.count("errors_total")
        stage.failures.clear()
        if stage.unrecorded:
            forget(self.running.data_dir)
        if stage.store_failed:
            try:
                stage.use_store(SqliteBarStore(self.running.bars_path))
            except StoreError as error:
                self.ctx.log.error("recording_failed", reason=str(error))

    def finish(self) -> None:
        """Everybody else has stopped. A replay that was stopped begins anew at the next start,
        unless a cycle's alerts are still to come: then it is resumed."""
        while self.step():
            self.ctx.beat()
        if not self.running.stream.live and not self.stage.unrecorded:
            if self.stage.complete:
                self.stage.end()
            else:
                self.ctx.log.warning("not_ended", reason="the stream is resumed at the next start")
        if self.stage.failures:
            self._tell()
        self.stage.close()


def main(ctx: RoleContext) -> None:
    """Entry of the role."""
    recorder = _Recorder(ctx)
    run_loop(ctx, recorder.step)
    recorder.finish()
