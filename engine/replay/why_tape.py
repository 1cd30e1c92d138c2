"""Explains a cycle of a recorded stream: genesis and tape up to it, a watch on the rule, a look."""

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from engine.alerts.merge import MergedCycle
from engine.alerts.onlooker import Onlooker
from engine.alerts.sight import Sight, UnseenError
from engine.alerts.standing import Met
from engine.alerts.why import CONDITIONS, Why, explain_standing, remembered_of, trees_of
from engine.domain.market_hours import date_of, local_ns, to_ns
from engine.domain.records import LANE_EXIT, NS_PER_MINUTE
from engine.domain.session_clock import day_time
from engine.domain.tables import EngineTables
from engine.errors import EngineError
from engine.replay.backtest import tables_for_tape
from engine.replay.genesis import Genesis, load, restore
from engine.replay.harness import TO_THE_END, Harness
from engine.replay.open_stream import GENESIS_NAME
from engine.replay.tape import CYCLES, RULES, Block, TapeReader
from engine.rules.compiler import CompiledRules, rule_key
from engine.rules.evaluator import Moment
from engine.rules.model import Rule
from engine.rules.pack import unpack
from engine.rules.probe import Cycle, Probe
from engine.rules.tree import walk
from engine.scan.fire_nb import ALERTS


class WhenError(EngineError):
    """Raised when a tape does not hold the moment asked for, or the moment cannot be read."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A cycle of a tape, its rules version, and the compiled rules of that."""

    n: int
    version: int
    content: bytes


def explain_tape(
    tape: Path, rule_id: str, ticker: str, *, at: str = "", n: int = 0, stored: Rule | None = None,
    progress: Callable[[int], None] | None = None,
) -> Why:
    """Why a rule fired for a symbol in a cycle of a tape, or why not.

    at: a time, the last cycle at or before it is meant; n: the cycle; neither: the last one.
    stored: the rule to explain if the cycle's rules do not hold it. Raises WhenError, UnseenError,
    and what reading a tape raises.
    """
    with TapeReader(tape) as reader:
        genesis = load(tape.with_name(GENESIS_NAME), reader.header.genesis_sha256)
        target = _find(reader.blocks(), genesis, at, n)
    tables = tables_for_tape(genesis)
    restore(tables, genesis)
    watch = _Watch(tables, target, rule_id, ticker, stored)
    harness = Harness(tables, genesis.header.stream_id, watch.take)
    watch.harness = harness
    with TapeReader(tape) as reader:
        harness.run_tape(_up_to(reader.blocks(), target.n), progress)
    return watch.answer()


def moment_ns(text: str, date: int) -> int:
    """A time in ns: RFC 3339 with a zone, or a time of day in New York on the session date
    (yyyymmdd). Raises WhenError."""
    try:
        if "T" in text or " " in text.strip():
            found = datetime.datetime.fromisoformat(text)
            if found.tzinfo is not None:
                return to_ns(found)
        else:
            time = datetime.time.fromisoformat(text)
            if time.tzinfo is None:
                return local_ns(date_of(date), time)
    except ValueError:
        pass
    raise WhenError(
        f"--at '{text}' is no time; expected one such as 2013-10-07T09:45:00-04:00, or 09:45:00 in"
        " New York."
    )


def _find(blocks: Iterator[Block], genesis: Genesis, at: str, n: int) -> Target:
    """The cycle meant."""
    t_ns = min(moment_ns(at, genesis.header.date), TO_THE_END) if at else None
    contents = {genesis.header.rules_version: genesis.rules}
    found: np.void | None = None
    for block in blocks:
        if block.kind == RULES:
            contents[block.first_n] = block.content
        if block.kind != CYCLES:
            continue
        chosen = block.decisions
        if t_ns is not None:
            chosen = chosen[chosen["t_ns"] <= t_ns]
        elif n:
            chosen = chosen[chosen["n"] <= min(n, TO_THE_END)]
        if len(chosen):
            found = chosen[-1]
        if len(chosen) < len(block.decisions):
            break
    if found is None:
        raise WhenError(
            "the tape holds no cycle." if t_ns is None and not n else
            f"the tape holds no cycle at or before {at or n}."
        )  # fmt: skip
    if n and int(found["n"]) != n:
        raise WhenError(f"the tape ends with cycle {int(found['n'])}, before {n}.")
    version = int(found["rules_version"])
    return Target(int(found["n"]), version, contents.get(version, b""))


def _up_to(blocks: Iterator[Block], n: int) -> Iterator[Block]:
    """The blocks up to cycle n, whose own is cut behind it."""
    for block in blocks:
        if block.kind == CYCLES and block.last_n > n:
            kept = block.decisions[block.decisions["n"] <= n]
            if len(kept):
                yield dataclasses.replace(block, decisions=kept)
            return
        yield block


class _Watch:
    """Goes along with a harness."""

    harness: Harness

    def __init__(
        self, tables: EngineTables, target: Target, rule_id: str, ticker: str, stored: Rule | None
    ) -> None:
        self.tables, self.target = tables, target
        self.rule_id, self.ticker, self.stored = rule_id, ticker, stored
        self.rule = _rule_in(unpack(target.content), rule_id) if target.content else None
        self.always = self.rule is None
        self.rule = self.rule or stored
        self.probe: Probe | None = None
        self.symbol = -1
        self.names_version = -1
        self.held: dict[int, bool] = {}
        self.minute, self.in_minute = -1, 0
        self.alerted = False
        self.told_ns = 0

    def take(self, cycle: MergedCycle) -> None:
        """What a cycle was like, once everybody has run it."""
        minute = cycle.t_ns // NS_PER_MINUTE
        if minute != self.minute:
            self.minute, self.in_minute = minute, 0
        mine = [alert.symbol for alert in cycle.alerts if alert.rule_id == self.rule_id]
        self.in_minute += len(mine)
        self.alerted = self.ticker in mine
        self.told_ns = cycle.t_ns if self.alerted else self.told_ns
        if self.rule is None or not self._admitted():
            return
        if not (self.always or self._in_force()):
            self.probe = None
            return
        stage = self.harness.scans[0]
        if self.probe is None:
            sizes = self.tables.sizes
            conds = {
                node: None for tree in trees_of(self.rule) for node in walk(tree)
                if isinstance(node, CONDITIONS)
            }  # fmt: skip
            self.probe = Probe(
                list(conds), remembered_of(self.rule), stage.versions.rules, sizes.rows,
                sizes.max_families, sizes.max_derived, self.symbol,
            )  # fmt: skip
        run = stage.evaluator.cycle
        day = day_time(cycle.t_ns, self.tables.session[0])
        head = self.tables.cell.heads[(cycle.n - 1) % 4]
        before_ns = int(head["t_ns"]) if cycle.n > 1 else None
        self.probe.step(cycle.n, Cycle(
            Moment(cycle.t_ns, before_ns, day.session, day.weekday, day.minute), run.columns,
            stage.scope.known, stage.scope.known_before, run.closed, run.closes, run.first_word,
        ))  # fmt: skip

    def _admitted(self) -> bool:
        version = self.tables.names.version()
        if self.symbol < 0 and version != self.names_version:
            self.names_version = version
            found = np.flatnonzero(self.tables.names.raw == self.ticker.encode())
            self.symbol = int(found[0]) if len(found) else -1
        return self.symbol >= 0

    def _in_force(self) -> bool:
        """Whether the rules of the cycle hold a rule with the same conditions: what they remember
        goes on when it is only named otherwise."""
        version = self.harness.scans[0].versions.version
        if version not in self.held:
            rule = _rule_in(self.harness.scans[0].versions.rules, self.rule_id)
            assert self.rule is not None
            same = rule is not None and trees_of(rule) == trees_of(self.rule)
            self.held = {version: same}
        return self.held[version]

    def answer(self) -> Why:
        """The answer for the cycle the harness stands at. Raises UnseenError."""
        n = self.harness.n
        looker = Onlooker(Sight.of(self.tables), self.rule_id, self.ticker, self.stored)
        also = () if self.probe is None else (self.probe.copy(n),)
        met = None
        if self.probe is not None:
            met = Met(since_n=self.probe.since_n, last=self.probe.last)
        standing = looker.take(n, also=also, met=met)
        scene = dataclasses.replace(
            standing.scene, in_minute=self.in_minute, alerted=self.alerted,
            limited=self._committed(), told_ns=self.told_ns,
        )
        return explain_standing(dataclasses.replace(standing, scene=scene))

    def _committed(self) -> bool:
        """Whether the worker passed the firing on: then max_per_min kept it back, if anything."""
        stage = self.harness.scans[0]
        slot = np.flatnonzero(stage.versions.rules.rule_uid == rule_key(self.rule_id))
        if not len(slot):
            return False
        pairs = stage.work.alerts[: int(stage.counts[ALERTS])] & ~np.int64(LANE_EXIT)
        return bool(np.any(pairs == (int(slot[0]) << 32 | self.symbol)))


def _rule_in(compiled: CompiledRules, rule_id: str) -> Rule | None:
    found = np.flatnonzero(compiled.rule_uid == rule_key(rule_id))
    return compiled.rules[int(found[0])] if len(found) else None


__all__ = ["Target", "UnseenError", "WhenError", "explain_tape", "moment_ns"]
