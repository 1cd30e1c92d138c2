"""What stands in the way of a firing beside the condition itself."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from engine.alerts.document import rfc3339
from engine.alerts.standing import Standing
from engine.domain.records import NS_PER_MINUTE
from engine.rules.interpret import Facts, truth
from engine.rules.model import Rule
from engine.rules.normal import denied, normal_form
from engine.rules.tree import And, Cond

MAX_SHOWN = 5
_NS = 1_000_000_000


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """kind: disabled, session, blind, test_issue, unseen, halt, universe, no_cycle_before, new,
    edge, entered, debounce, once_per_session, rearm, cooldown, room, max_per_min, cap. text: one
    sentence. until: when it ends, not there where that is open. part: the condition
    behind it.

    prevents: it keeps the rule from firing in this cycle; the others keep an alert back, or will.
    """

    kind: str
    text: str
    until: str | msgspec.UnsetType = msgspec.UNSET
    part: Any = msgspec.UNSET
    prevents: bool = True

    @property
    def silences(self) -> bool:
        """True for what also keeps a rule silent that tells when it is left."""
        return self.kind in {"disabled", "session", "blind", "test_issue", "unseen", "halt"}


class Unmet(NamedTuple):
    """A condition that does not hold."""

    text: str
    part: Any


UnmetOf = Callable[[Cond], Unmet | None]


def obstacles(
    standing: Standing, result: bool | None, facts: Facts, unmet: UnmetOf
) -> list[Obstacle]:
    """Everything that stands in the way, in the order in which firing asks. result: the root."""
    found = [*_scope(standing), *_universe(standing.rule, standing.symbol, unmet)]
    found += _past(standing, result)
    found += _repeats(standing, facts)
    if result is True and not found and standing.rule.cooldown_ms:
        scene = standing.scene
        if scene.in_force and scene.cooled_ns != standing.t_ns:
            found.append(Obstacle(
                kind="room", text="rules.max_cooling pairs cool down already; this firing found no"
                " room among them.",
            ))  # fmt: skip
    return found + list(_limits(standing, fired=result is True and not found))


def _scope(standing: Standing) -> Iterator[Obstacle]:
    rule, scene = standing.rule, standing.scene
    if not rule.enabled:
        yield Obstacle(kind="disabled", text=f"rule '{rule.id}' is disabled.")
    elif not scene.in_force:
        yield Obstacle(
            kind="disabled", text=f"rule '{rule.id}' was not among the rules of cycle {standing.n}."
        )
    if not scene.open:
        yield Obstacle(
            kind="session", text="the cycle lies outside the sessions: before pre-market, or after"
            " after hours.",
        )  # fmt: skip
    if scene.test_issue:
        yield Obstacle(kind="test_issue", text=f"{standing.symbol} is a test issue.")
    if scene.blind:
        yield Obstacle(
            kind="blind", text=f"the feed of {standing.symbol} has a gap: nothing is known until it"
            " ends.",
        )  # fmt: skip
    if not (scene.known or scene.blind or scene.test_issue):
        yield Obstacle(
            kind="unseen", text=f"{standing.symbol} was not there yet in cycle {standing.n}."
        )
    if scene.halted:
        yield Obstacle(
            kind="halt", text=f"{standing.symbol} is halted, and the rule names no metric of halts."
        )


def _universe(rule: Rule, symbol: str, unmet: UnmetOf) -> Iterator[Obstacle]:
    universe = rule.universe
    if universe.symbols and symbol not in universe.symbols:
        shown = ", ".join(universe.symbols[:MAX_SHOWN])
        more = len(universe.symbols) - MAX_SHOWN
        shown += f" and {more} more" if more > 0 else ""
        yield _outside(f"symbols: {symbol} is not among {shown}")
    if symbol in universe.exclude_symbols:
        yield _outside(f"exclude_symbols: it holds {symbol}")
    for what in ("lists", "exchanges", "sectors"):
        names = getattr(universe, what)
        if names:
            yield _outside(f"{what}: {symbol} is not known to be in {', '.join(names[:MAX_SHOWN])}")
    scope = universe.scope
    if scope is None:
        return
    # in the order of Universe.scope, which joins what it has by AND
    several = sum(
        one is not None for one in (
            universe.price_min, universe.price_max, universe.adv_min, universe.adv_max,
            universe.tree,
        )
    ) + (len(set(universe.sessions)) < 3)  # fmt: skip
    parts = scope.parts if several > 1 and isinstance(scope, And) else (scope,)
    for cond in parts:
        if (missed := unmet(cond)) is not None:
            yield _outside(f"{missed.text}{_found(missed.part)}", missed.part)


def _found(part: Any) -> str:
    """What stands in the place of a bound that is not kept."""
    if part.left is not None and part.right is not None:
        return f", but it is {part.left:.6g}"
    return ", which is not so" if part.result is False else ", which is unknown"


def _outside(text: str, part: Any = msgspec.UNSET) -> Obstacle:
    return Obstacle(kind="universe", text=f"universe, {text}.", part=part)


def _past(standing: Standing, result: bool | None) -> Iterator[Obstacle]:
    """What a trigger and a debounce ask of the cycles before."""
    rule, scene = standing.rule, standing.scene
    if rule.trigger != "level" and scene.in_force:
        if not scene.known_before:
            why = "there was no cycle before" if standing.before_ns is None else (
                f"{standing.symbol} was not known in the cycle before"
            )  # fmt: skip
            yield Obstacle(
                kind="no_cycle_before", text=f"trigger {rule.trigger}: {why}, so nothing can have"
                " become true.",
            )  # fmt: skip
        elif scene.new:
            yield Obstacle(
                kind="new", text=f"trigger {rule.trigger}: the rule is new in this cycle: nothing"
                " can have become true.",
            )  # fmt: skip
        elif scene.true_before:
            yield Obstacle(
                kind="edge", text=f"trigger {rule.trigger}: the condition was true in the cycle"
                " before already.",
            )  # fmt: skip
        if scene.entered and not scene.left:
            yield Obstacle(
                kind="entered", text=f"{standing.symbol} has entered already and was not known to"
                " be false since.",
            )  # fmt: skip
    if rule.debounce_ms and result is not True:
        trace = standing.recall.trace(normal_form(rule.root))
        if trace.since_ns:
            due_ns = trace.since_ns + rule.debounce_ms * 1_000_000
            sofar_ms = (standing.t_ns - trace.since_ns) // 1_000_000
            yield Obstacle(
                kind="debounce", until=rfc3339(due_ns), text=f"debounce_ms {rule.debounce_ms}: the"
                f" condition has been true for {sofar_ms} ms.",
            )  # fmt: skip


def _repeats(standing: Standing, facts: Facts) -> Iterator[Obstacle]:
    rule, scene = standing.rule, standing.scene
    if rule.once_per_session and scene.once:
        yield Obstacle(
            kind="once_per_session", text="once_per_session: it has fired for"
            f" {standing.symbol} in this session.",
        )  # fmt: skip
    if rule.rearm and scene.disarmed:
        again = rule.rearm_tree
        arms = normal_form(again) if again is not None else denied(rule.condition)
        if truth(arms, facts) is not True:
            what = f"'{rule.rearm_where}' was true" if again is not None else "it was known false"
            yield Obstacle(
                kind="rearm", text=f"rearm: it fires for {standing.symbol} again only once {what}."
            )
    until_ns = scene.cools_until_ns(rule, standing.t_ns)
    if until_ns:
        left = (until_ns - standing.t_ns) / _NS
        yield Obstacle(
            kind="cooldown", until=rfc3339(until_ns), text=f"it cools down for {left:g} s more: it"
            f" fired for {standing.symbol} {(standing.t_ns - scene.cooled_ns) / _NS:g} s ago.",
        )  # fmt: skip


def _limits(standing: Standing, *, fired: bool) -> Iterator[Obstacle]:
    """What keeps alerts back of rules that fire."""
    rule, scene = standing.rule, standing.scene
    lost = fired and scene.alerted is False
    used_up = scene.in_minute is not None and scene.in_minute >= rule.max_per_min > 0
    if (used_up and not (fired and scene.alerted)) or (lost and scene.limited):
        until_ns = (standing.t_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE
        yield Obstacle(
            kind="max_per_min", until=rfc3339(until_ns), prevents=False,
            text=f"max_per_min {rule.max_per_min}: the rule has had its alerts of this minute.",
        )  # fmt: skip
    elif lost:
        yield Obstacle(
            kind="cap", prevents=False, text="rules.max_alerts_per_cycle: it fired, but the cycle"
            " had that many alerts already.",
        )  # fmt: skip

