"""The canonical alert: key order, numbers, times and identity are contracts."""

import hashlib
import json
import math
import uuid
from typing import Any

import numpy as np
import pytest

from engine.alerts.document import ALERT_NAMESPACE, Firing, alert_document, rfc3339
from engine.domain.session_clock import DayTime
from engine.rules.identity import content_hash
from engine.rules.model import Rule
from engine.rules.validate import read_rule

T_NS = 1_381_239_000_100_000_000
EVENT_NS = 1_381_239_000_093_000_001
KEYS = [
    "alert_id", "stream_id", "rule_id", "rule_version", "rule_name", "symbol", "price", "n",
    "event_ts", "scan_ts", "trace_id", "idempotency_key", "values", "explain",
]  # fmt: skip


def momentum(**changes: Any) -> Rule:
    conditions = [
        {"metric": "chg_5m_pct", "op": ">", "value": 0.5},
        {"metric": "rsi(14)", "op": "<=", "value": 70},
        {"metric": "chg_5m_pct", "op": "!=", "value": -1e-9},
    ]
    base = {"id": "r1", "name": "Momentum", "conditions": conditions, "version": 3}
    return read_rule(base | changes)


def alert(
    rule: Rule | None = None,
    stream_id: str = "s1",
    carried: Any = (0.1 + 0.2, 70.0),
    **changes: Any,
) -> tuple[str, bytes]:
    arguments: dict[str, Any] = {
        "rule": rule or momentum(), "symbol": "BRK.B", "price": 100.1, "n": 7, "t_ns": T_NS,
        "event_ns": EVENT_NS, "carried": np.array(carried, np.float64).view(np.int64),
    }  # fmt: skip
    return alert_document(stream_id, Firing(**(arguments | changes)), DayTime(1, 1, 570))


def test_the_bytes_of_an_alert_are_fixed() -> None:
    alert_id, document = alert()
    trace = hashlib.sha256(alert_id.encode()).hexdigest()[:32]
    assert document.decode() == (
        f'{{"alert_id":"{alert_id}","stream_id":"s1","rule_id":"r1","rule_version":3,'
        '"rule_name":"Momentum","symbol":"BRK.B","price":100.1,"n":7,'
        '"event_ts":"2013-10-08T13:30:00.093000001Z","scan_ts":"2013-10-08T13:30:00.100000000Z",'
        f'"trace_id":"{trace}","idempotency_key":"r1:BRK.B:1381239000",'
        '"values":{"chg_5m_pct":0.30000000000000004,"rsi(14)":70.0},'
        '"explain":['
        '{"text":"chg_5m_pct > 0.5","left":0.30000000000000004,"right":0.5,"result":false},'
        '{"text":"rsi(14) <= 70","left":70.0,"right":70.0,"result":true},'
        '{"text":"chg_5m_pct != -1e-09","left":0.30000000000000004,"right":-1e-9,"result":true}]}'
    )


def test_keys_stand_in_the_order_of_the_contract() -> None:
    document = json.loads(alert()[1])
    assert list(document) == KEYS
    assert all(list(one) == ["text", "left", "right", "result"] for one in document["explain"])


def test_a_condition_whose_window_reaches_into_a_gap_says_so_and_no_other_does() -> None:
    plain, gapped = alert()[1], alert(gaps=0b01)[1]
    explain = json.loads(gapped)["explain"]
    assert [one.get("gap") for one in explain] == [True, None, True]
    assert list(explain[0]) == ["text", "left", "right", "result", "gap"]
    assert gapped.replace(b',"gap":true', b"") == plain
    assert alert(gaps=0b01)[0] == alert()[0]


def test_the_id_names_stream_rule_content_symbol_and_moment() -> None:
    rule = momentum()
    content = content_hash(rule).hex()
    name = f'["s1","r1","{content}","BRK.B",{T_NS}]'
    assert alert(rule)[0] == str(uuid.uuid5(ALERT_NAMESPACE, name))


def test_what_is_not_identity_does_not_change_the_id() -> None:
    first = alert()[0]
    assert alert(momentum(name="Other", version=9, description="d"))[0] == first
    assert alert(price=1.0, n=8, event_ns=1)[0] == first
    others = [
        alert(stream_id="s2")[0], alert(symbol="BRK")[0], alert(t_ns=T_NS + 1)[0],
        alert(momentum(id="r2"))[0], alert(momentum(cooldown_sec=1))[0],
    ]  # fmt: skip
    assert len({first, *others}) == 6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_a_number_is_null(value: float) -> None:
    document = json.loads(alert(price=value, carried=[value] * 2, event_ns=0)[1])
    assert document["price"] is None and document["event_ts"] is None
    assert document["values"] == {"chg_5m_pct": None, "rsi(14)": None}
    assert [one["left"] for one in document["explain"]] == [None] * 3
    results = [None] * 3 if math.isnan(value) else [value > 0.5, value <= 70, value != -1e-9]
    assert [one["result"] for one in document["explain"]] == results


def test_times_carry_nine_digits() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(1_709_164_799_999_999_999) == "2024-02-28T23:59:59.999999999Z"


def test_names_in_any_script_are_kept() -> None:
    name = 'Ausbruch "über" 52 週 </script>'
    assert json.loads(alert(momentum(name=name))[1])["rule_name"] == name
