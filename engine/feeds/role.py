"""The feed role: reads its provider, publishes what is due, says what is wrong with the input."""

from engine.config.running import Running
from engine.feeds.registry import open_provider
from engine.feeds.stage import FeedStage
from ipc.roles import RoleContext
from shm.engine_clock import EngineClock
from shm.ring import Ring

_PACE_S = 0.001  # a paced feed publishes this often: its ticks are due all the time
_IDLE_WAIT_S = 0.05


class Stamps:
    """Engine time for one stage: its anchor changes between two steps only, and the stage is told.

    The tape of a live provider would rush through the time suspended if it found out by itself.
    """

    def __init__(self, clock: EngineClock) -> None:
        self._clock = clock
        self._anchor_ns = clock.anchor_ns()

    def now_ns(self) -> int:
        """Engine time by the anchor followed so far."""
        return self._clock.clocks.monotonic_ns() + self._anchor_ns

    def follow(self, stage: FeedStage) -> None:
        """Take the anchor over that bars may have moved."""
        moved_ns = self._clock.anchor_ns() - self._anchor_ns
        if moved_ns:
            stage.clock_moved(moved_ns)
            self._anchor_ns += moved_ns


def main(ctx: RoleContext) -> None:
    """Entry of the role."""
    running: Running = ctx.shared
    stream, tables = running.stream, running.tables

    def report(sentence: str) -> None:
        ctx.log.warning("bad_row", reason=sentence)

    provider = open_provider(
        running.config, stream.start_ns, stream.end_ns, report, session=tables.session
    )
    ring = tables.ticks.rings[ctx.instance]
    names = tables.feed_names[ctx.instance]
    stamps = Stamps(running.clock)
    stage = FeedStage(ring, names, provider, running.config.feed.speed, stamps.now_ns)
    stage.recover()
    at_full_speed = running.config.feed.speed == 0 and not provider.live
    ctx.running()
    ended = refused = False
    left_out = 0
    while not ctx.should_stop():
        ctx.beat()
        stamps.follow(stage)
        mark = ring.mark()
        if stage.step():
            if _concerns_bars(ring, mark, stream.interval_ns):
                ctx.wake.notify("bars")
            ctx.progress(ring.tail())
            ctx.telemetry.set("rows_malformed_total", stage.rows_bad)
            ctx.telemetry.count("ticks_refused_total", stage.refused + stage.dropped - left_out)
            left_out = stage.refused + stage.dropped
            if stage.refused and not refused:
                refused = True
                ctx.log.warning("refused", reason="more tickers than engine.capacity has room for")
            if at_full_speed:
                continue
        elif stage.blocked:
            ctx.waits(ring.slowest())
        if stage.ended and not ended:
            ended = True
            ctx.wake.notify("bars")
            ctx.log.info("input_ended", ticks=stage.ticks, rows_malformed=stage.rows_bad)
        ctx.wake.wait(_IDLE_WAIT_S if ended else max(stage.wait_ns() / 1e9, _PACE_S))


def _concerns_bars(ring: Ring, mark_before: int, interval_ns: int) -> bool:
    """True when the watermark has reached another grid point, or the ring wants to be emptied."""
    if ring.mark() // interval_ns != mark_before // interval_ns:
        return True
    return ring.free() < ring.capacity // 2
