"""Orders: changes of rules are stored and published, earlier ones stay readable while needed."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.bars.decision import decision_crc
from engine.config.schema import Config, RulesSection
from engine.domain import records
from engine.domain.tables import FLOW_ALERTED_RULES, FLOW_DURABLE_N, EngineTables
from engine.rules.compiler import compile_rules
from engine.rules.pack import pack, unpack
from engine.rules.payload import handed_over
from shm.errors import BlobFull
from shm.fences import write_word
from shm.words import WORD_STRIDE
from tests.rules.test_library import document
from tests.web.market import Market
from web.orders import RuleDesk, oldest_needed


def decided(tables: EngineTables, n: int, version: int) -> None:
    """Cycle n is decided with a rules version, recorded and alerted."""
    decision = np.zeros(1, records.DECISION)
    decision["n"], decision["rules_version"] = n, version
    decision["crc"] = decision_crc(decision[0])
    assert tables.decisions.publish(decision) == 1
    tables.cell.heads[n % 4]["rules_version"] = version
    write_word(tables.flow, FLOW_ALERTED_RULES * WORD_STRIDE, version)
    write_word(tables.flow, FLOW_DURABLE_N * WORD_STRIDE, n)


def test_the_rules_of_the_cycle_before_stay_for_the_successor_of_a_killed_scan_worker() -> None:
    market = Market()
    tables = market.tables
    market.step()
    for version in (1, 2, 3, 4):
        tables.rules.publish(version, b"rules")
    for n, version in ((1, 1), (2, 4)):
        market.step()
        decided(tables, n, version)
    # Worker 0 is dead between commit and apply of cycle 2: it will compare with cycle 1.
    tables.rules.set_floor(oldest_needed(tables))
    with pytest.raises(BlobFull):
        tables.rules.publish(5, b"rules")
    assert tables.rules.read(1) == b"rules"
    market.step()
    decided(tables, 3, 4)
    tables.rules.set_floor(oldest_needed(tables))
    tables.rules.publish(5, b"rules")
    assert tables.rules.read(1) is None
    assert tables.rules.read(4) == b"rules"


def test_nothing_is_given_up_before_the_first_cycle_is_recorded() -> None:
    market = Market()
    market.step()
    assert oldest_needed(market.tables) == 0


# -- changes of rules -----------------------------------------------------------------------------
def a_desk(tmp_path: Path, tables: EngineTables) -> tuple[RuleDesk, Counter[str]]:
    """A desk over an empty store, and what it counts."""
    counted: Counter[str] = Counter()

    def count(series: str, amount: int) -> None:
        counted[series] += amount

    config = Config(rules=RulesSection(path=str(tmp_path / "rules.json")))
    return RuleDesk(config, tables, tmp_path, count), counted


def asked(action: str, *documents: Any, **more: Any) -> dict[str, Any]:
    """The arguments of an order."""
    request = {"action": action, "author": "ann", "documents": list(documents), **more}
    return {"request": request}


def in_force(tables: EngineTables) -> list[tuple[str, int]]:
    """(id, version) of the rules of the newest version of the blob."""
    content = tables.rules.read(tables.rules.latest())
    assert content is not None
    return [(rule.id, rule.version) for rule in unpack(content).rules]


def test_a_change_is_stored_published_and_counted(tmp_path: Path) -> None:
    tables = Market().tables
    desk, counted = a_desk(tmp_path, tables)
    made = desk.carry_out("rules", asked("import", document("a"), document("b"), request_id="r1"))
    assert made.result is not None
    assert (made.result["rules"], made.result["version"], made.result["changes"]) == (2, 1, 2)
    assert desk.carry_out("rules", asked("import", request_id="r1")) == made
    desk.carry_out("rules", asked("disable", rule_id="a"))
    assert in_force(tables) == [("b", 1)]
    refused = desk.carry_out("rules", asked("create", document("b")))
    assert (refused.result, refused.exit_code) == (None, 1)
    assert refused.error == "rule 'b' is there already, at version 1."
    assert desk.carry_out("rules", asked("create", document("c", "x"))).exit_code == 3
    assert "no change of rules" in desk.carry_out("rules", {}).error
    assert "does not know the order" in desk.carry_out("dance", {}).error
    assert counted["rule_changes_total"] == 3 and counted["rule_changes_refused_total"] == 3
    desk.close()


def test_without_room_for_the_next_version_nothing_is_changed(tmp_path: Path) -> None:
    market = Market()
    tables = market.tables
    desk, _ = a_desk(tmp_path, tables)
    slots = tables.rules.slots
    for number in range(slots):
        assert not desk.carry_out("rules", asked("create", document(f"r{number}"))).error
    full = desk.carry_out("rules", asked("create", document("late"), request_id="r"))
    assert "try again in a second" in full.error and full.exit_code == 1
    assert len(in_force(tables)) == slots
    for n in (1, 2, 3):
        market.step()
        decided(tables, n, slots)
    assert not desk.carry_out("rules", asked("create", document("late"), request_id="r")).error
    assert len(in_force(tables)) == slots + 1
    desk.close()


def test_a_start_without_room_publishes_later(tmp_path: Path) -> None:
    first = Market().tables
    desk, _ = a_desk(tmp_path, first)
    assert desk.republish() and first.rules.latest() == 0  # no store, nothing to say
    desk.carry_out("rules", asked("create", document("a")))
    desk.close()
    market = Market()
    tables = market.tables
    market.step()
    for version in range(1, tables.rules.slots + 1):
        tables.rules.publish(version, pack(compile_rules(())))
    desk, _ = a_desk(tmp_path, tables)
    assert not desk.republish()
    for n in (1, 2, 3):
        market.step()
        decided(tables, n, tables.rules.slots)
    assert desk.republish() and in_force(tables) == [("a", 1)]
    desk.close()


def test_a_reload_brings_the_file_beside_the_rules_made_elsewhere(tmp_path: Path) -> None:
    tables = Market().tables
    desk, _ = a_desk(tmp_path, tables)
    desk.carry_out("rules", asked("create", document("mine")))
    file = tmp_path / "rules.json"
    file.write_text(json.dumps([document("a")]))
    assert desk.carry_out("reload", {}).result == {"rules": 2, "version": 2}
    file.write_text(json.dumps([document("a", 2.0), document("mine")]))
    refused = desk.carry_out("reload", {})
    assert refused.exit_code == 3 and f"{file}: rule 'mine': is in the store" in refused.error
    assert in_force(tables) == [("a", 1), ("mine", 1)]
    file.write_text("[]")
    assert desk.carry_out("reload", {}).result == {"rules": 1, "version": 3}
    desk.close()


def test_a_long_request_is_read_from_its_file_and_old_ones_are_swept(tmp_path: Path) -> None:
    tables = Market().tables
    desk, _ = a_desk(tmp_path, tables)
    request = asked("create", document("a", description="x" * 1_900))["request"]
    request["documents"] = [document(f"r{i}", description="x" * 1_900) for i in range(30)]
    request["action"] = "import"
    with handed_over(tmp_path, "0" * 32, request) as sent:
        assert sent == {"payload": "0" * 32}
        assert not desk.carry_out("rules", sent).error
    assert "cannot be read" in desk.carry_out("rules", sent).error
    assert "not the name" in desk.carry_out("rules", {"payload": "../../etc/passwd"}).error
    left = tmp_path / "requests" / f"{'1' * 32}.json"
    left.write_text("{}")
    os.utime(left, (0, 0))
    assert desk.republish() and not left.exists()
    desk.close()
