"""Packs a compiled rule set into bytes for the rules blob, and takes it out again, checked."""

import dataclasses
import hashlib
from typing import Any

import msgspec
import numpy as np

from engine.domain.family import CODES
from engine.domain.rules_mark import HEAD_BYTES, MARK, head, kept_for
from engine.metrics.registry import METRICS
from engine.rules.compiler import CompiledRules
from engine.rules.errors import RuleBlobError
from engine.rules.families import Placed, kept_bits
from engine.rules.model import Universe
from engine.rules.packed_rules import PackedRules
from engine.rules.program import Code, Program
from engine.rules.sound import is_sound

_DIGEST_BYTES = 32
# By array its type and the shape of one entry.
_SET: dict[str, tuple[str, tuple[int, ...]]] = {
    "hashes": ("|u1", (32,)),
    "cooldown_ms": ("<i8", ()),
    "rule_uid": ("<i8", ()),
    "flags": ("|u1", ()),
    "max_per_min": ("<i4", ()),
    "universe": ("<i4", ()),
}
_PROGRAM: dict[str, tuple[str, tuple[int, ...]]] = {
    "registers": ("<i4", ()),
    "state_key": ("|u1", (16,)),
    "state_mark": ("<i8", ()),
    "state_planes": ("<i4", ()),
    "state_clearing": ("|u1", ()),
    "derived_key": ("|u1", (16,)),
    "derived_slot": ("<i4", ()),
}
_CODE: dict[str, tuple[str, tuple[int, ...]]] = {
    "nodes": ("<i4", (8,)), "constants": ("<f8", (8,)), "states": ("<i8", (8,)),
    "planes": ("<i4", ()), "row_slots": ("<i4", ()), "steps": ("<i8", (2,)), "always": ("<i4", ()),
    "gate_first": ("<i4", ()), "gates": ("<i4", ()), "bound_first": ("<i4", ()),
    "bound_col": ("<i4", ()), "bound_sign": ("<i8", ()), "bound": ("<f8", ()),
    "unequal_first": ("<i4", ()), "unequal_col": ("<i4", ()), "unequal_to": ("<f8", ()),
    "part_first": ("<i4", ()), "parts": ("<i4", ()), "extras": ("<i4", (6,)),
    "moments": ("<i4", (4,)), "across": ("<i4", (4,)), "capture_first": ("<i4", ()),
    "captures": ("<i4", (3,)), "repeats": ("<i4", (5,)),
}  # fmt: skip
_FAMILIES: dict[str, tuple[str, tuple[int, ...]]] = {"slot": ("<i4", ()), "rows": ("<i4", ())}
_ARRAYS = _SET | _PROGRAM | _CODE | _FAMILIES | {"rule_end": ("<i8", ())}


class _Packed(msgspec.Struct, forbid_unknown_fields=True):
    catalogue: bytes
    rules: bytes
    universes: tuple[Universe, ...]
    lists: tuple[str, ...]
    families: tuple[str, ...]
    arrays: dict[str, bytes]


_decoder = msgspec.msgpack.Decoder(_Packed)


def catalogue_fingerprint() -> bytes:
    """SHA-256 of the names of all metric columns and kinds of families in order: compiled rules
    hold their numbers."""
    names = "\n".join([*(metric.name for metric in METRICS), *CODES])
    return hashlib.sha256(names.encode()).digest()


def pack(rules: CompiledRules) -> bytes:
    """Bytes of a compiled set: head, SHA-256 of head and payload, msgpack payload."""
    documents = rules.rules
    assert isinstance(documents, PackedRules)
    program = rules.program
    arrays = {name: getattr(rules, name) for name in _SET} | {"rule_end": documents.ends}
    arrays |= {name: getattr(program, name) for name in _PROGRAM} | program.code._asdict()
    arrays |= {name: getattr(program.families, name) for name in _FAMILIES}
    payload = msgspec.msgpack.encode(
        _Packed(
            catalogue=catalogue_fingerprint(),
            rules=documents.data,
            universes=rules.universes,
            lists=program.lists,
            families=program.families.names,
            arrays={
                name: np.ascontiguousarray(array, _ARRAYS[name][0]).tobytes()
                for name, array in arrays.items()
            },
        )
    )
    start = head(kept_bits(program.families.names))
    return start + hashlib.sha256(start + payload).digest() + payload


def unpack(data: bytes) -> CompiledRules:
    """The compiled set in `data`; rules are decoded when they are asked for. Raises RuleBlobError
    when it is broken or of another catalogue."""
    start, begin = data[:HEAD_BYTES], HEAD_BYTES + _DIGEST_BYTES
    if not start.startswith(MARK):
        raise RuleBlobError("compiled rules: the blob does not start with the mark of a rule set")
    payload = memoryview(data)[begin:]
    checksum = hashlib.sha256(start)
    checksum.update(payload)
    if checksum.digest() != data[HEAD_BYTES:begin]:
        raise RuleBlobError("compiled rules: the checksum does not match the content")
    try:
        packed = _decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise RuleBlobError(f"compiled rules: {error}") from error
    if packed.catalogue != catalogue_fingerprint():
        raise RuleBlobError("compiled rules: they were compiled for another metric catalogue")
    compiled = _checked(packed)
    if kept_bits(compiled.program.families.names) != kept_for(data):
        raise RuleBlobError("compiled rules: what they want kept is not what they name")
    return compiled


def _checked(packed: _Packed) -> CompiledRules:
    if set(packed.arrays) != set(_ARRAYS):
        raise RuleBlobError("compiled rules: the arrays are not those of a rule set")
    arrays: dict[str, Any] = {}
    try:
        for name, (dtype, shape) in _ARRAYS.items():
            arrays[name] = np.frombuffer(packed.arrays[name], dtype).reshape(-1, *shape)
    except ValueError as error:
        raise RuleBlobError(f"compiled rules: an array has an odd length: {error}") from error
    compiled = CompiledRules(
        rules=PackedRules(packed.rules, arrays["rule_end"]),
        universes=packed.universes,
        program=Program(
            code=Code(**{name: arrays[name] for name in _CODE}),
            lists=packed.lists,
            families=Placed(packed.families, arrays["slot"], arrays["rows"]),
            **{name: arrays[name] for name in _PROGRAM},
        ),
        **{name: arrays[name] for name in _SET},
    )
    if not is_sound(compiled):
        raise RuleBlobError("compiled rules: the arrays contradict each other")
    return compiled


assert set(_CODE) == set(Code._fields)
_OF_PROGRAM = {field.name for field in dataclasses.fields(Program)}
assert {*_PROGRAM, "code", "lists", "families"} == _OF_PROGRAM
