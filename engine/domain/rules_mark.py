"""How a packed rule set begins: what it needs kept is seen without knowing rules."""

MARK = b"TSRULES4"
_KEPT = slice(len(MARK), len(MARK) + 8)
HEAD_BYTES = _KEPT.stop


def head(kept: int) -> bytes:
    """The first bytes of a packed rule set that needs these bits kept, see engine.domain.family."""
    return MARK + kept.to_bytes(8, "little")


def kept_for(packed: bytes) -> int:
    """The bits of a packed rule set, which is whole; 0 for no rules at all."""
    return int.from_bytes(packed[_KEPT], "little")
