"""Exchanges, sectors and lists: who a rule looks at, and whom a rank compares."""

import pytest

from engine.domain.levels import group_code
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

SECTORS = {"A": "Energy", "B": "Energy", "C": "Health Care", "D": ""}
EXCHANGES = {"A": "NYSE", "B": "NASDAQ", "C": "NYSE", "D": ""}
LISTS = {"A": ("mine",), "B": ("mine", "yours"), "C": (), "D": ("yours",)}


def rule(ident: str, where: str, **universe: object) -> Rule:
    document = {"id": ident, "name": ident, "where": where, "cooldown_sec": 0}
    return read_rule(document | ({"universe": universe} if universe else {}))


def world(workers: int = 1) -> World:
    made = World(workers)
    made.tables.book.lists[:2] = [group_code("mine"), group_code("yours")]
    for ticker, sector in SECTORS.items():
        made._admit(ticker)
        reference = made.tables.reference[made.ids[ticker]]
        reference["sector"] = group_code(sector)
        reference["exchange"] = group_code(EXCHANGES[ticker])
        names = ("mine", "yours")
        reference["lists"] = sum(1 << bit for bit in range(2) if names[bit] in LISTS[ticker])
    return made


def fired(made: World, told: Rule, cycles: int = 1, **values: float) -> set[str]:
    made.use([told])
    symbols = {
        ticker: Symbol({"last": values.get(ticker, 1.0)}) for ticker in SECTORS
    }
    found: list[tuple[str, str]] = []
    for cycle in range(cycles):
        found = made.fired(START_NS + cycle * SECOND_NS, symbols)
    return {ticker for _, ticker in found}


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    ("universe", "expected"),
    [
        ({"sectors": ["energy"]}, "AB"),
        ({"sectors": ["ENERGY", "health care"]}, "ABC"),
        ({"exchanges": ["NYSE"]}, "AC"),
        ({"exchanges": ["NYSE"], "sectors": ["Energy"]}, "A"),
        ({"lists": ["mine"]}, "AB"),
        ({"lists": ["mine", "yours"]}, "ABD"),
        ({"lists": ["nobody"]}, ""),
        ({"exclude_lists": ["yours"]}, "AC"),
        ({"lists": ["mine"], "exclude_symbols": ["A"]}, "B"),
        ({"sectors": ["Utilities"]}, ""),
    ],
)
def test_a_universe_holds_who_is_known_to_be_in_it(
    workers: int, universe: dict, expected: str
) -> None:
    assert fired(world(workers), rule("r", "last > 0", **universe)) == set(expected)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("rank(last, sector) == 1", "BC"),
        ("rank(last, exchange) == 1", "BC"),
        ("rank(last, list:mine) == 1", "B"),
        ("pctile(last, sector) < 50", "A"),
        ("rank(last) == 1", "D"),
    ],
)
def test_a_rank_compares_within_its_group_and_leaves_out_who_is_in_none(
    workers: int, where: str, expected: str
) -> None:
    found = fired(world(workers), rule("r", where), cycles=3, A=1, B=2, C=3, D=9)
    assert found == set(expected)


def test_a_symbol_admitted_later_joins_its_group() -> None:
    made = world()
    made.use([rule("r", "rank(last, sector) == 1", sectors=["Energy"])])
    symbols = {ticker: Symbol({"last": 5.0 - at}) for at, ticker in enumerate(SECTORS)}
    for cycle in range(3):
        found = made.fired(START_NS + cycle * SECOND_NS, symbols)
    assert found == [("r", "A")]
    made._admit("NEW")
    made.tables.reference[made.ids["NEW"]]["sector"] = group_code("Energy")
    symbols["NEW"] = Symbol({"last": 99.0})
    for cycle in range(3, 6):
        found = made.fired(START_NS + cycle * SECOND_NS, symbols)
    assert found == [("r", "NEW")]


def test_symbols_whose_gap_looks_like_a_split_are_counted_by_slice() -> None:
    made = world(2)
    suspects = {"A": 1.0, "B": 0.0, "C": 1.0, "D": float("nan")}
    symbols = {ticker: Symbol({"split_suspect": value}) for ticker, value in suspects.items()}
    made.use([rule("r", "split_suspect > 0")])
    assert {ticker for _, ticker in made.fired(START_NS, symbols)} == {"A", "C"}
    assert sum(stage.splits_suspected(made.n) for stage in made.stages) == 2
