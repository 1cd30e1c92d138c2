"""What docs/rules.md shows is what the engine reads."""

import re
from pathlib import Path

import pytest

from engine.rules.errors import RuleError
from engine.rules.files import parse_rules
from engine.rules.format import format_tree
from engine.rules.parser import FUNCTIONS
from engine.rules.validate import read_rule
from engine.rules.written import read_text

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_rule_on_the_page_is_read() -> None:
    lines = [line for block in blocks("rules") for line in block.splitlines()]
    texts = blocks("rule") + lines
    assert len(texts) >= 10
    for text in texts:
        try:
            tree = read_text(text)
        except RuleError as error:
            pytest.fail(f"{text}: {error}")
        assert read_text(format_tree(tree)) == tree


def test_every_document_on_the_page_is_read() -> None:
    (document,) = blocks("json")
    (rule,) = parse_rules(document, "docs/rules.md")
    assert rule.once_per_session and rule.where.startswith("crosses_above")


def test_every_function_and_every_key_is_on_the_page() -> None:
    for name in FUNCTIONS:
        assert f"`{name}(" in PAGE or f"`{name}`" in PAGE, name
    with pytest.raises(RuleError) as refused:
        read_rule({"id": "a", "name": "n", "where": "halted", "zzzzzzzz": 1})
    keys = str(refused.value).partition("expected one of ")[2].split()
    for key in keys:
        assert f"`{key}`" in PAGE or f"`{key}:" in PAGE, key
    with pytest.raises(RuleError) as refused:
        read_rule({"id": "a", "name": "n", "where": "halted", "universe": {"zzzzzzzz": 1}})
    for key in str(refused.value).partition("expected one of ")[2].split():
        assert f"`{key}`" in PAGE, key
