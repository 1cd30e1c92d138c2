"""The alerts role: merges lanes into the spool and the store, wakes the front."""

from engine.alerts.service import AlertService
from engine.config.running import Running
from engine.storage.spool import Spool
from engine.storage.sqlite import SqliteAlertStore
from ipc.loop import run_loop
from ipc.roles import RoleContext


def main(ctx: RoleContext) -> None:
    """Entry of the role. On a wish to stop it goes on until what is committed is stored."""
    running: Running = ctx.shared
    store = SqliteAlertStore(running.alerts_path)
    spool = Spool(running.spool_path)
    if spool.cut_bytes:
        ctx.log.warning("spool_cut", bytes=spool.cut_bytes)
    service = AlertService(running.tables, running.stream, spool, store)
    workers = [f"scan{worker}" for worker in range(running.tables.sizes.workers)]

    def step() -> bool:
        if not service.step():
            return False
        ctx.progress(service.last_n)
        telemetry = ctx.telemetry
        telemetry.set("alerts_emitted_total", service.stored)
        telemetry.set("alerts_capped_total", service.capped)
        for latency_ns in service.latencies_ns:
            telemetry.observe("tick_to_alert_seconds", latency_ns)
        service.latencies_ns.clear()
        for key in (*workers, "recorder", "web"):
            ctx.wake.notify(key)
        return True

    run_loop(ctx, step)
    while step():
        ctx.beat()
    spool.close()
    store.close()
