"""Reload: which earlier rules must stay readable while somebody may still need them."""

import numpy as np
import pytest

from engine.bars.decision import decision_crc
from engine.domain import records
from engine.domain.tables import FLOW_ALERTED_RULES, FLOW_DURABLE_N, EngineTables
from shm.errors import BlobFull
from shm.fences import write_word
from shm.words import WORD_STRIDE
from tests.web.market import Market
from web.orders import oldest_needed


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
