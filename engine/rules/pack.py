"""Packs a compiled rule set into bytes for the rules blob, and takes it out again, checked."""

import hashlib
import itertools
from typing import Any

import msgspec
import numpy as np

from engine.metrics.registry import METRICS
from engine.rules.compiler import FLAG_EDGE, FLAG_HALT, CompiledRules
from engine.rules.errors import RuleBlobError
from engine.rules.model import OPS, Rule

_MAGIC = b"TSRULES1"
_DIGEST_BYTES = 32
_ARRAYS: dict[str, str] = {
    "rule_first": "<i4",
    "leaf_col": "<i4",
    "leaf_op": "|u1",
    "leaf_const": "<f8",
    "cooldown_ms": "<i8",
    "rule_uid": "<i8",
    "content_key": "<i8",
    "flags": "|u1",
}


class _Packed(msgspec.Struct, forbid_unknown_fields=True):
    catalogue: bytes
    rules: tuple[Rule, ...]
    hashes: tuple[bytes, ...]
    arrays: dict[str, bytes]


_decoder = msgspec.msgpack.Decoder(_Packed)


def catalogue_fingerprint() -> bytes:
    """SHA-256 of the names of all metric columns in order: compiled rules hold column numbers."""
    names = "\n".join(metric.name for metric in METRICS)
    return hashlib.sha256(names.encode()).digest()


def pack(program: CompiledRules) -> bytes:
    """Bytes of a compiled set: magic, SHA-256 of the payload, msgpack payload."""
    payload = msgspec.msgpack.encode(
        _Packed(
            catalogue=catalogue_fingerprint(),
            rules=program.rules,
            hashes=program.hashes,
            arrays={
                name: np.ascontiguousarray(getattr(program, name), dtype).tobytes()
                for name, dtype in _ARRAYS.items()
            },
        )
    )
    return _MAGIC + hashlib.sha256(payload).digest() + payload


def unpack(data: bytes) -> CompiledRules:
    """The compiled set in `data`. Raises RuleBlobError when broken or of another catalogue."""
    head = len(_MAGIC) + _DIGEST_BYTES
    if data[: len(_MAGIC)] != _MAGIC:
        raise RuleBlobError("compiled rules: the blob does not start with the mark of a rule set")
    payload = data[head:]
    if hashlib.sha256(payload).digest() != data[len(_MAGIC) : head]:
        raise RuleBlobError("compiled rules: the checksum does not match the content")
    try:
        packed = _decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise RuleBlobError(f"compiled rules: {error}") from error
    if packed.catalogue != catalogue_fingerprint():
        raise RuleBlobError("compiled rules: they were compiled for another metric catalogue")
    return _checked(packed)


def _checked(packed: _Packed) -> CompiledRules:
    if set(packed.arrays) != set(_ARRAYS):
        raise RuleBlobError("compiled rules: the arrays are not those of a rule set")
    try:
        arrays = {
            name: np.frombuffer(packed.arrays[name], dtype) for name, dtype in _ARRAYS.items()
        }
    except ValueError as error:
        raise RuleBlobError(f"compiled rules: an array has an odd length: {error}") from error
    if not _is_sound(packed, arrays):
        raise RuleBlobError("compiled rules: the arrays contradict each other")
    return CompiledRules(rules=packed.rules, hashes=packed.hashes, **arrays)


def _is_sound(packed: _Packed, arrays: dict[str, Any]) -> bool:
    """Kernels index with these numbers unchecked, so every bound is verified here."""
    count, first = len(packed.rules), arrays["rule_first"]
    per_rule = ("cooldown_ms", "rule_uid", "content_key", "flags")
    if len(packed.hashes) != count or any(arrays[name].size != count for name in per_rule):
        return False
    if first.size != count + 1 or first[0] != 0 or (np.diff(first) < 1).any():
        return False
    leaves = int(first[-1])
    if any(arrays[name].size != leaves for name in ("leaf_col", "leaf_op", "leaf_const")):
        return False
    ids = [rule.id for rule in packed.rules]
    column = arrays["leaf_col"]
    return bool(
        all(a < b for a, b in itertools.pairwise(ids))
        and [len(rule.conditions) for rule in packed.rules] == np.diff(first).tolist()
        and (column >= 0).all()
        and (column < len(METRICS)).all()
        and (arrays["leaf_op"] < len(OPS)).all()
        and np.isfinite(arrays["leaf_const"]).all()
        and (arrays["cooldown_ms"] >= 0).all()
        and (arrays["cooldown_ms"] < 2**31).all()
        and (arrays["rule_uid"] != 0).all()
        and (arrays["flags"] <= (FLAG_EDGE | FLAG_HALT)).all()
    )
