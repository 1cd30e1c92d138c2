"""The alerts role: merges lanes into the spool and the store, wakes the front."""

from errno import ENOSPC

from engine.alerts.service import AlertService
from engine.config.running import Running
from engine.storage.errors import SpoolError, SpoolFullError, StoreError
from engine.storage.pruning import RUNNING_ALERTS, Pruner
from engine.storage.spool import Spool
from engine.storage.sqlite import SqliteAlertStore
from ipc.loop import run_loop
from ipc.roles import RoleContext
from shm.clock import monotonic_ns

_AGAIN_NS = 1_000_000_000


class Desk:
    """Spool, store and service of this process. A failing disk holds alerts up, which is told every
    second and stands on the board until it takes them; nothing is given up: what is in the lanes
    and the spool stays there until it is stored.
    """

    def __init__(self, ctx: RoleContext) -> None:
        self._ctx = ctx
        self._running: Running = ctx.shared
        self._spool: Spool | None = None
        self._store: SqliteAlertStore | None = None
        self._service: AlertService | None = None
        keep_days = self._running.config.alerts.keep_days
        self._pruner = Pruner(keep_days, self._running.stream.stream_id, RUNNING_ALERTS)
        self._again_ns = 0
        self._capped = 0
        workers = range(self._running.tables.sizes.workers)
        self._workers = [f"scan{worker}" for worker in workers]
        self._stored = -1
        self._refused = 0

    @property
    def idle(self) -> bool:
        """True when nothing that is committed waits for the disk."""
        return self._service is not None and self._service.idle

    def step(self) -> bool:
        """Take and store what is there. True when something moved."""
        try:
            if self._service is None:
                if monotonic_ns() < self._again_ns:
                    return False
                self._service = self._open()
            moved = self._service.step()
            if not moved and self._service.idle:
                self._prune()
        except (SpoolError, SpoolFullError, StoreError) as error:
            self._held_up(error)
            return False
        if moved:
            self._tell(self._service)
        else:
            self._ctx.waits(self._service.waits_for)
        if self._refused and self._service.settled:
            self._say_refused(0)
        return moved

    def _open(self) -> AlertService:
        running = self._running
        if self._store is None:
            self._store = SqliteAlertStore(running.alerts_path)
        if self._spool is None:
            self._spool = Spool(running.spool_path)
            if self._spool.cut_bytes:
                self._ctx.log.warning("spool_cut", bytes=self._spool.cut_bytes)
        self._capped = 0
        return AlertService(
            running.tables, running.stream, self._spool, self._store, running.clock
        )

    def _prune(self) -> None:
        """Remove a few old alerts when nothing else is to do and it is time. Raises StoreError."""
        assert self._store is not None
        removed = self._pruner.step(self._store)
        if removed:
            self._ctx.telemetry.count("alerts_pruned_total", removed)

    def _say_refused(self, errno: int) -> None:
        self._refused = errno
        self._ctx.refused(errno)

    def _held_up(self, error: SpoolError | SpoolFullError | StoreError) -> None:
        """Say it; open again what cannot be used any more. A file that is no spool ends the
        process: trying again does not mend it."""
        if isinstance(error, SpoolError) and not error.errno:
            raise error
        if isinstance(error, SpoolFullError):  # a consequence: the store refuses what is in it
            self._say_refused(self._refused or ENOSPC)
        else:
            self._say_refused(error.errno)
        self._ctx.waits("")
        now_ns = monotonic_ns()
        if now_ns >= self._again_ns:
            self._ctx.log.error("alerts_held_up", reason=str(error))
            self._ctx.telemetry.count("errors_total")
            self._again_ns = now_ns + _AGAIN_NS
        if isinstance(error, SpoolError):
            self._spool = self._service = None
        elif isinstance(error, StoreError) and error.final:
            self._store = self._service = None

    def _tell(self, service: AlertService) -> None:
        ctx = self._ctx
        ctx.progress(service.last_n)
        ctx.telemetry.set("alerts_emitted_total", service.stored)
        ctx.telemetry.count("alerts_capped_total", service.capped - self._capped)
        self._capped = service.capped
        for latency_ns in service.latencies_ns:
            ctx.telemetry.observe("tick_to_alert_seconds", latency_ns)
        service.latencies_ns.clear()
        if service.made_room():
            for key in self._workers:
                ctx.wake.notify(key)
        if service.stored != self._stored:
            self._stored = service.stored
            ctx.wake.notify("web")

    def finish(self, within_ms: int) -> None:
        """The workers have stopped: go on until all they committed is on the tape and stored."""
        deadline_ns = monotonic_ns() + within_ms * 1_000_000
        while self.step() or not self.idle:
            self._ctx.beat()
            if monotonic_ns() > deadline_ns:
                self._ctx.log.error("alerts_left", reason="they are stored after the next start")
                return
            if not self.idle:
                self._ctx.wake.notify("recorder")
                self._ctx.wake.wait(0.005)

    def close(self) -> None:
        """Close both files."""
        for file in (self._spool, self._store):
            if file is not None:
                file.close()


def main(ctx: RoleContext) -> None:
    """Entry of the role. On a wish to stop it goes on until what is committed is stored."""
    desk = Desk(ctx)
    run_loop(ctx, desk.step)
    desk.finish(ctx.shared.config.supervisor.stop_timeout_ms * 3 // 4)
    desk.close()
