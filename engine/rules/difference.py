"""What differs between two versions of a rule: as a diff of text, and as a list of changed keys."""

import difflib
from typing import Any

import msgspec

from engine.rules.library import plain
from engine.rules.yaml_write import write_yaml
from engine.storage.rule_ports import RuleVersion


class KeyChange(msgspec.Struct, frozen=True):
    """A key with another value, such as `universe.symbols`; before or after is null where the key
    is absent."""

    key: str
    before: Any
    after: Any


class Difference(msgspec.Struct, frozen=True):
    """same_meaning: both fire alike, so alerts keep their identity. text: a unified diff of YAML,
    empty when the documents are equal."""

    rule_id: str
    from_version: int
    to_version: int
    same_meaning: bool
    changes: tuple[KeyChange, ...]
    text: str


def difference(before: RuleVersion, after: RuleVersion) -> Difference:
    """What became of a rule from one version to another."""
    old, new = plain(before), plain(after)
    lines = difflib.unified_diff(
        write_yaml(old).splitlines(keepends=True),
        write_yaml(new).splitlines(keepends=True),
        f"{before.rule_id} version {before.version}",
        f"{after.rule_id} version {after.version}",
    )
    return Difference(
        rule_id=after.rule_id,
        from_version=before.version,
        to_version=after.version,
        same_meaning=before.content_hash == after.content_hash,
        changes=tuple(_changes(old, new, "")),
        text="".join(lines),
    )


def _changes(old: dict[str, Any], new: dict[str, Any], path: str) -> list[KeyChange]:
    found: list[KeyChange] = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and key != "tree":
            found += _changes(before, after, f"{path}{key}.")
        else:
            found.append(KeyChange(path + key, before, after))
    return found
