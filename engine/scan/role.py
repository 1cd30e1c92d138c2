"""A scan worker's role: one run per cycle, as soon as cell and indicators are there."""

from engine.config.running import Running
from engine.scan.fire_nb import FULL
from engine.scan.stage import ScanStage
from ipc.loop import run_loop
from ipc.roles import RoleContext
from shm.clock import monotonic_ns
from shm.fences import read_word


def main(ctx: RoleContext) -> None:
    """Entry of the role; the instance is the number of its slice."""
    running: Running = ctx.shared
    tables = running.tables
    stage = ScanStage(tables, ctx.instance)
    stage.recover()

    def step() -> bool:
        n = stage.state_n + 1
        if tables.cell.cells.published() < n:
            return False
        if read_word(tables.indicators.words, 0) >> 1 < n:
            ctx.waits("indicators")
            return False
        begin_ns = monotonic_ns()
        if not stage.run(n):
            ctx.waits("alerts")  # the lane is full: it wakes us when it has room
            return False
        ctx.telemetry.observe("scan_cycle_seconds", monotonic_ns() - begin_ns)
        ctx.telemetry.count("symbols_scanned_total", stage.symbols)
        ctx.telemetry.count("firings_without_room_total", int(stage.counts[FULL]))
        ctx.telemetry.set("rules_active", stage.rules)
        ctx.progress(n)
        ctx.wake.notify("bars")
        ctx.wake.notify("alerts")
        return True

    run_loop(ctx, step)
