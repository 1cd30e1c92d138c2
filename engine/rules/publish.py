"""Publishes compiled rules to the scan workers, once there is memory for what they touch."""

import math

from engine.domain.frame_table import reserve_kept
from engine.domain.tables import EngineTables, reserve_columns
from engine.rules.compiler import CompiledRules
from engine.rules.errors import RuleError
from engine.rules.families import kept_bits
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
    """Reserve what scan workers touch under these rules: of `truth`, `held`, `op_bits`, `op_rows`,
    `family_state` and the columns that are not metrics; and what indicators keep for them.

    Raises SegmentError when there is no room.
    """
    program, scan, sizes = compiled.program, tables.scan, tables.sizes
    planes, rows, family_rows = program.touched()
    for name, array, count in (
        ("truth", scan.truth, len(compiled)),
        ("held", scan.held, len(compiled)),
        ("op_bits", scan.op_bits, planes),
        ("op_rows", scan.op_rows, rows),
    ):
        slots, size = array.shape[-2], array.shape[-1] * array.itemsize
        for copy in range(math.prod(array.shape[:-2])):
            tables.arena.reserve(name, copy * slots * size, (copy * slots + count) * size)
    state = scan.family_state
    tables.arena.reserve("family_state", 0, family_rows * state[:1].nbytes)
    families = int(program.families.slot.max(initial=-1)) + 1
    derived = int(program.derived_slot.max(initial=-1)) + 1
    first = scan.columns.shape[1] - sizes.max_families - sizes.max_derived
    reserve_columns(tables.arena, scan.columns, first, families)
    reserve_columns(tables.arena, scan.columns, first + sizes.max_families, derived)
    reserve_kept(tables.arena, tables.frames, kept_bits(program.families.names))

