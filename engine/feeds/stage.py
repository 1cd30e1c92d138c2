"""The feed stage: takes ticks from a provider, paces them, and publishes them with a watermark."""

from collections.abc import Callable

import numpy as np

from engine.domain.records import (
    TICK,
    TICK_ADMIT,
    TICK_GAP_END,
    TICK_GAP_START,
    TICK_STATUS,
)
from engine.feeds.admit import Admission, learn_admits
from engine.feeds.port import BEFORE_ALL, Provider
from shm.names import Names
from shm.ring import Ring

END_OF_INPUT = int(np.iinfo(np.int64).max)
GAP_OVERFLOW = 1  # n1 of a GAP record: our ring was full; 0: the provider lost sight of the market

BATCH = 1 << 13
MARK_STEP_NS = 2_000_000  # wall time between two moves of the watermark while no tick is due
MAX_KEPT = 1 << 16
_KEPT = (TICK_ADMIT, TICK_STATUS, TICK_GAP_START, TICK_GAP_END)


class FeedStage:
    """Publishes a provider's ticks into a ring; `step` does what is due and says if it did
    anything.

    The mark of the ring is the watermark: what follows has recv_ns > mark (END_OF_INPUT: nothing
    follows). A provider with tape time is paced by the wall clock, tape time = start + wall * speed
    (speed 0: as fast as the ring empties), and waits when the ring is full; the wall clock never
    decides anything else, so that a late or killed feed only delays. A live provider's ticks get
    recv_ns when they are published; if the ring is full they are dropped between two GAP records,
    all but ADMIT, STATUS and GAP.

    blocked: something is due that the ring had no room for (never live).
    ring: TICK ring of this feed; feed_names: tickers by number, those there at the start need no
    ADMIT; now_ns: wall clock, in a live run the engine clock.
    """

    def __init__(
        self,
        ring: Ring,
        feed_names: Names,
        provider: Provider,
        speed: float,
        now_ns: Callable[[], int],
    ) -> None:
        self.ticks = 0
        self.dropped = 0
        self.ended = False
        self.blocked = False
        self._ring = ring
        self._names = feed_names
        self._provider = provider
        self._speed = 1.0 if provider.live else speed
        self._now_ns = now_ns
        self._batch = max(1, min(BATCH, ring.capacity // 4))
        self._admission: Admission | None = None
        self._pending = np.empty(0, TICK)
        self._at = 0
        self._kept: list[np.ndarray] = []
        self._dropping = False
        self._src_pos = BEFORE_ALL
        self._tape0_ns = self._wall0_ns = 0

    # -- numbers about ourselves -----------------------------------------------------------------
    @property
    def rows_bad(self) -> int:
        """Rows of the source that could not be read."""
        return self._provider.rows_bad

    @property
    def unknown_conditions(self) -> int:
        """Trades with a sale condition nobody knows."""
        return self._provider.unknown_conditions

    @property
    def refused(self) -> int:
        """Ticks of tickers beyond the capacity."""
        return self._admission.refused if self._admission else 0

    # -- taking over -----------------------------------------------------------------------------
    def recover(self, after: int = BEFORE_ALL, tape_ns: int = 0) -> None:
        """Go on after the last published record; tape time goes on where the mark is.

        after, tape_ns: src_pos and tape time to go on from if the ring holds no record (it was
        reset when the stream was resumed from its tape).
        """
        ring = self._ring
        tail = ring.tail()
        # One publication is at most a quarter of the ring: the newest half cannot be torn.
        recent = ring.copy(max(0, tail - ring.capacity // 2), tail)
        if recent is not None and len(recent) and recent["kind"][-1]:
            after = int(recent["src_pos"][-1])
            tape_ns = max(tape_ns, int(recent["recv_ns"][-1]))
            self._names.recover()
            learn_admits(self._names, recent)
            ours = np.isin(recent["kind"], (TICK_GAP_START, TICK_GAP_END))
            ours &= recent["n1"] == GAP_OVERFLOW
            self._dropping = bool(ours.any()) and recent["kind"][ours][-1] == TICK_GAP_START
        self._admission = Admission(self._provider, self._names.all(), len(self._names.raw))
        self._provider.seek(after)
        self._src_pos = after
        self._pending, self._at = np.empty(0, TICK), 0
        mark = ring.mark()
        self.ended = mark == END_OF_INPUT
        marked_ns = 0 if self.ended or self._provider.live else mark  # live: no tape time
        self._tape0_ns = max(self._provider.start_ns, tape_ns, marked_ns)
        if self._provider.live and after != BEFORE_ALL:
            # Stamps in the ring are wall time; the tape goes on where it was left.
            self._fill()
            if len(self._pending):
                self._tape0_ns = int(self._pending["recv_ns"][0])
        self._wall0_ns = self._now_ns()

    # -- one step --------------------------------------------------------------------------------
    def step(self) -> bool:
        """Publish what is due and move the watermark. True if either happened."""
        if self._admission is None:
            self.recover()
        if self.ended:
            return False
        now_ns = self._now_ns()
        tape_ns = self.tape_ns(now_ns)
        self._fill()
        due = self._due(tape_ns)
        done = self._publish_live(due, now_ns) if self._provider.live else self._publish(due)
        self._fill()
        return self._move_mark(now_ns, tape_ns, done) or done

    def clock_moved(self, by_ns: int) -> None:
        """Engine time jumped over a suspend, which no tick of a live tape belongs to: it goes on
        where it was left. Call it between two steps, before now_ns shows the jump."""
        self._wall0_ns += by_ns

    def tape_ns(self, now_ns: int) -> int:
        """Tape time at a wall time: everything up to it is due."""
        if self._speed == 0:
            return END_OF_INPUT - 1
        return self._tape0_ns + int((now_ns - self._wall0_ns) * self._speed)

    def wait_ns(self) -> int:
        """Wall time until something is due, 0 if it is, at most MARK_STEP_NS; the ring's fill
        apart."""
        if self.ended or self._speed == 0:
            return MARK_STEP_NS if self.ended else 0
        if self._at >= len(self._pending):
            return 0
        tape_ns = self.tape_ns(self._now_ns())
        ahead = int(self._pending["recv_ns"][self._at]) - tape_ns
        return min(max(0, int(ahead / self._speed)), MARK_STEP_NS)

    def _fill(self) -> None:
        """Fetch ticks if none are pending."""
        assert self._admission is not None
        while self._at >= len(self._pending):
            ticks = self._provider.read(self._batch)
            if not len(ticks):
                self._pending, self._at = np.empty(0, TICK), 0
                return
            self._pending, self._at = self._admission.apply(ticks), 0

    def _due(self, tape_ns: int) -> np.ndarray:
        """Pending records up to a tape time, at most a batch."""
        rest = self._pending[self._at : self._at + self._batch]
        return rest[: int(np.searchsorted(rest["recv_ns"], tape_ns, "right"))]

    def _publish(self, due: np.ndarray) -> bool:
        """Publish as many as fit; the rest stays pending."""
        count = self._put(due) if len(due) else 0
        self._at += count
        self.blocked = count < len(due)
        return count > 0

    def _put(self, recs: np.ndarray) -> int:
        """Publish records and then name whom they admit: a kill between the two is mended later."""
        count = self._ring.publish(recs)
        if count:
            self.ticks += count
            self._src_pos = int(recs["src_pos"][count - 1])
            if (recs["kind"][:count] == TICK_ADMIT).any():
                learn_admits(self._names, recs[:count])
        return count

    def _move_mark(self, now_ns: int, tape_ns: int, published: bool) -> bool:
        """Advance the watermark as far as is known; True if it moved."""
        ring = self._ring
        if self._at >= len(self._pending):
            if self._kept or self._dropping:
                return False
            self.ended = True
            ring.set_mark(END_OF_INPUT)
            return True
        if self._provider.live:
            mark, step = now_ns - 1, MARK_STEP_NS
        else:
            following = int(self._pending["recv_ns"][self._at]) - 1
            mark = min(tape_ns, following)
            step = 1 if mark == following else int(MARK_STEP_NS * self._speed)
        moved = mark - ring.mark()
        if moved <= 0 or (moved < step and not published):
            return False
        ring.set_mark(mark)
        return True

    # -- live: what does not fit is dropped
    # ----------------------------------------------------------
    def _publish_live(self, due: np.ndarray, now_ns: int) -> bool:
        """Publish with the engine's stamp; one slot is always left for the GAP record."""
        self._at += len(due)
        stamped = due.copy()
        stamped["event_ns"] += self._wall0_ns - self._tape0_ns
        stamped["recv_ns"] = now_ns
        if self._dropping and not self._resume(now_ns):
            self._drop(stamped)
            return False
        room = self._ring.free() - 1
        done = self._put(stamped[:room]) if room > 0 and len(stamped) else 0
        if done < len(stamped):
            self._put(self._gap(TICK_GAP_START, now_ns))
            self._dropping = True
            self._drop(stamped[done:])
        return done > 0

    def _resume(self, now_ns: int) -> bool:
        """Once half of the ring is free: what must not be lost, then the end of the gap."""
        if self._ring.free() < self._ring.capacity // 2:
            return False
        while self._kept and self._ring.free() > len(self._kept[0]) + 1:
            kept = self._kept.pop(0)
            kept["recv_ns"] = now_ns
            self._put(kept)
        if self._kept:
            return False
        self._put(self._gap(TICK_GAP_END, now_ns))
        self._dropping = False
        return True

    def _drop(self, ticks: np.ndarray) -> None:
        """Count ticks as lost, but keep those whose loss would not heal."""
        keep = np.isin(ticks["kind"], _KEPT)
        if keep.any() and sum(map(len, self._kept)) < MAX_KEPT:
            self._kept.append(ticks[keep])
            self.dropped += int((~keep).sum())
        else:
            self.dropped += len(ticks)
        if len(ticks):
            self._src_pos = int(ticks["src_pos"][-1])

    def _gap(self, kind: int, now_ns: int) -> np.ndarray:
        gap = np.zeros(1, TICK)
        gap["kind"], gap["sym"], gap["n1"] = kind, -1, GAP_OVERFLOW
        gap["recv_ns"] = gap["event_ns"] = now_ns
        gap["src_pos"] = self._src_pos
        return gap
