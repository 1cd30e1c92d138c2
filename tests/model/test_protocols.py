"""The protocols hold under both memory models, and every seeded fault is caught."""

import pytest

from tests.model.families import FAMILIES, Family
from tests.model.machine import MODELS, explore

LEAST_STATES = 100_000
LEAST_MUTANTS = 24

_states: dict[tuple[str, str], int] = {}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_protocol_holds_in_every_order_with_a_death_at_every_step(
    family: Family, model: str, soak: bool
) -> None:
    bounds = family.long if soak else family.brief
    result = explore(family.build(**bounds), model, limit=20_000_000 if soak else 1_000_000)
    assert not result.violation, "\n".join([result.violation, *result.trace])
    assert result.ends >= 1
    _states[family.name, model] = result.states


def test_the_protocols_together_were_tried_in_many_states() -> None:
    """Runs after the test above; alone it has nothing to count."""
    if len(_states) < len(FAMILIES) * len(MODELS):
        pytest.skip("only some of the protocols were explored in this process")
    for (name, model), states in _states.items():
        print(f"{name:<24}{model}{states:>10,}")
    assert sum(_states.values()) >= LEAST_STATES


def _is_caught(family: Family, mutant: str, model: str) -> bool:
    """Look without deaths first: most mutants need none, and that is quick."""
    for bounds in ({**family.small, "deaths": 0}, family.small):
        if explore(family.build(mutant, **bounds), model).violation:
            return True
    return False


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_mutant_of_a_protocol_is_caught_where_the_table_says(family: Family) -> None:
    found = {
        mutant: tuple(_is_caught(family, mutant, model) for model in MODELS)
        for mutant in family.mutants
    }
    for mutant, under in found.items():
        names = [name for name, hit in zip(MODELS, under, strict=True) if hit]
        print(f"{family.name:<24}{mutant:<52}{' '.join(names) or 'MISSED'}")
    assert found == dict(family.mutants)
    assert all(any(under) for under in found.values())


def test_there_are_many_mutants_and_some_show_only_where_memory_is_weak() -> None:
    under = [caught for family in FAMILIES for caught in family.mutants.values()]
    assert len(under) >= LEAST_MUTANTS
    assert (True, True) in under and (False, True) in under
    assert (True, False) not in under and (False, False) not in under


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.small != f.brief], ids=lambda family: family.name
)
def test_the_bounds_of_the_mutants_are_no_reason_for_catching_them(family: Family) -> None:
    for model in MODELS:
        assert not explore(family.build(**family.small), model).violation
