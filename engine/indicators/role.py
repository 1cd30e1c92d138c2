"""The indicators role: one step per published cycle; a gate of the cycle."""

from engine.config.running import Running
from engine.indicators.stage import IndicatorsStage
from ipc.loop import run_loop
from ipc.roles import RoleContext


def main(ctx: RoleContext) -> None:
    """Entry of the role."""
    running: Running = ctx.shared
    tables = running.tables
    stage = IndicatorsStage(tables)
    stage.recover()
    # bars waits for the scan workers, which come after us
    awake = [f"scan{worker}" for worker in range(tables.sizes.workers)]

    def step() -> bool:
        n = stage.state_n + 1
        if tables.cell.cells.published() < n:
            return False
        stage.step(n)
        ctx.progress(n)
        for key in awake:
            ctx.wake.notify(key)
        return True

    run_loop(ctx, step)
