"""Publishes compiled rules to the scan workers, once there is memory for what they touch."""

import math

from engine.domain.tables import EngineTables
from engine.rules.compiler import CompiledRules
from engine.rules.errors import RuleError
from engine.rules.pack import unpack
from shm.errors import SegmentError


def publish(tables: EngineTables, version: int, content: bytes) -> None:
    """Publish packed rules as `version`, see Blob.publish.

    Raises RuleError when there is no memory for them; nothing is changed then.
    """
    try:
        reserve(tables, unpack(content))
        tables.rules.publish(version, content)
    except SegmentError as error:
        raise RuleError((f"there is no memory for the rules: {error}",)) from error


def reserve(tables: EngineTables, compiled: CompiledRules) -> None:
    """Reserve what scan workers touch of `truth`, `op_bits`, `op_rows` and `family_state` under
    these rules.

    Raises SegmentError when there is no room.
    """
    planes, rows, family_rows = compiled.program.touched()
    scan = tables.scan
    for name, array, count in (
        ("truth", scan.truth, len(compiled)),
        ("op_bits", scan.op_bits, planes),
        ("op_rows", scan.op_rows, rows),
    ):
        slots, size = array.shape[-2], array.shape[-1] * array.itemsize
        for copy in range(math.prod(array.shape[:-2])):
            tables.arena.reserve(name, copy * slots * size, (copy * slots + count) * size)
    state = scan.family_state
    tables.arena.reserve("family_state", 0, family_rows * state[:1].nbytes)

