"""Writes the stored rules as files, one each, that an import of the directory reads back alike."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from engine.rules.errors import ChangeError
from engine.rules.files import rule_files
from engine.rules.yaml_text import MAX_YAML_BYTES
from engine.rules.yaml_write import write_yaml
from engine.storage.rule_ports import RuleVersion

Format = Literal["yaml", "json"]


def text_of(version: RuleVersion, form: Format) -> str:
    """The document of a version as a file holds it. Raises ChangeError: too long for YAML."""
    return document_text(version.rule_id, version.document, form)


def document_text(rule_id: str, document: bytes, form: Format) -> str:
    """A document, given as JSON, as a file holds it. Raises ChangeError: too long for YAML."""
    if form == "json":
        return msgspec.json.format(document, indent=2).decode() + "\n"
    text = write_yaml(msgspec.json.decode(document))
    if len(text.encode()) > MAX_YAML_BYTES:
        sentence = f"rule '{rule_id}' is longer than {MAX_YAML_BYTES} bytes in YAML"
        raise ChangeError(f"{sentence}; use the format json.")
    return text


def export_rules(
    versions: Iterable[RuleVersion], place: Path, form: Format, *, replace: bool = False
) -> int:
    """Write each version to place/ID.yaml or place/ID.json; returns how many.

    replace: rule files that are there already go, once the new ones are written; without it they
    are a reason to refuse. Raises ChangeError, OSError.
    """
    texts = {f"{one.rule_id}.{form}": text_of(one, form) for one in versions}
    place.mkdir(parents=True, exist_ok=True)
    there = rule_files(place)
    if there and not replace:
        raise ChangeError(f"{place} holds {there[0].name} already; --replace takes its place.")
    for name, text in texts.items():
        temporary = place / f".{name}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.rename(place / name)
    for file in there:
        if file.name not in texts:
            file.unlink()
    return len(texts)
