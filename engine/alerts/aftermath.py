"""What became of a firing: whether it was stored as an alert, or what kept it back."""

import dataclasses
from typing import Protocol

from engine.alerts.document import alert_identity
from engine.alerts.sight import Sight
from engine.alerts.standing import Standing
from engine.domain.records import NS_PER_MINUTE
from engine.domain.tables import (
    FLOW_ALERTED_N,
    KEPT_LIMITED,
    KEPT_LIMITED_BEFORE,
    KEPT_N,
    KEPT_UID,
    WORD_STRIDE,
)
from engine.rules.compiler import rule_key
from engine.storage.ports import AlertAt
from shm.fences import read_word


class StoredAlerts(Protocol):
    """The part of storage.ports.AlertReader that tells what became of firings."""

    def latest(
        self, limit: int, *, symbol: str | None = None, rule_id: str | None = None
    ) -> list[AlertAt]:
        """The newest first."""

    def get(self, alert_id: str) -> AlertAt | None:
        """One alert."""

    def ids_of(self, stream_id: str, rule_id: str, cycles: range, from_ns: int) -> list[str]:
        """Ids of alerts of a rule."""


def with_alerts(
    sight: Sight, standing: Standing, alerts: StoredAlerts, stream_id: str
) -> Standing:
    """The same, and what the alert service made of it as far as it has come. Raises StoreError."""
    rule, n, t_ns = standing.rule, standing.n, standing.t_ns
    scene = standing.scene
    if rule.max_per_min:
        interval_ns = max(1, int(sight.session[0]["interval_ns"]))
        cycles = range(n - NS_PER_MINUTE // interval_ns - 1, n + 1)
        minute_ns = t_ns // NS_PER_MINUTE * NS_PER_MINUTE
        found = alerts.ids_of(stream_id, rule.id, cycles, minute_ns)
        scene = dataclasses.replace(scene, in_minute=len(found))
    newest = alerts.latest(1, symbol=standing.symbol, rule_id=rule.id)
    if newest and newest[0].alert.t_ns <= t_ns:
        scene = dataclasses.replace(scene, told_ns=newest[0].alert.t_ns)
    done_n = read_word(sight.flow, FLOW_ALERTED_N * WORD_STRIDE)
    if (scene.true or scene.left) and done_n >= n:
        alert_id = alert_identity(stream_id, rule, standing.symbol, t_ns)
        kept = sight.kept_back[sight.kept_back[:, KEPT_UID] == rule_key(rule.id)]
        limited = any(
            row[KEPT_N] == n and row[KEPT_LIMITED] > row[KEPT_LIMITED_BEFORE] for row in kept
        )
        scene = dataclasses.replace(
            scene, alerted=alerts.get(alert_id) is not None, limited=limited
        )
    return dataclasses.replace(standing, scene=scene)
