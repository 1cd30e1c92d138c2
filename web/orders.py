"""Orders from the supervisor: `reload` compiles the rule file and publishes the next version."""

from pathlib import Path

from engine.config.schema import Config
from engine.domain.tables import (
    CELL_SLOTS,
    FLOW_ALERTED_RULES,
    FLOW_DURABLE_N,
    WORD_STRIDE,
    EngineTables,
)
from engine.errors import EngineError
from engine.rules.compiler import compile_rules
from engine.rules.files import load_rules
from engine.rules.limits import limits_of
from engine.rules.pack import pack
from ipc.policy import EXIT_BAD_CONFIG, EXIT_FAILED
from ipc.roles import RoleContext
from shm.errors import BlobError, BlobFull
from shm.fences import read_word


def carry_out_orders(ctx: RoleContext, config: Config, tables: EngineTables) -> None:
    """Take and answer every order that waits; a fault in the file leaves the old rules in force."""
    for order in ctx.orders():
        if order.command != "reload":
            ctx.answer(order, error=f"The front does not know the order {order.command!r}.")
            continue
        try:
            result = reload_rules(config, tables)
        except BlobFull:
            sentence = "Earlier rules are still being taken into use; try again in a second."
            ctx.answer(order, error=sentence, exit_code=EXIT_FAILED)
        except (EngineError, BlobError, OSError) as error:
            ctx.log.warning("reload_refused", error=str(error))
            ctx.answer(order, error=str(error), exit_code=EXIT_BAD_CONFIG)
        else:
            ctx.log.info("reloaded", **result)
            ctx.answer(order, result)


def reload_rules(config: Config, tables: EngineTables) -> dict[str, int]:
    """Publish the rules of the file unless they are in force already; how many, which version.

    bars takes the newest complete version into its next decision. Raises EngineError (the file or
    a rule in it is wrong), BlobError (too large), BlobFull (older versions are still needed).
    """
    compiled = compile_rules(load_rules(Path(config.rules.path), limits_of(config)))
    content, latest = pack(compiled), tables.rules.latest()
    version = latest
    if tables.rules.read(latest) != content:
        tables.rules.set_floor(oldest_needed(tables))
        version = latest + 1
        tables.rules.publish(version, content)
    return {"rules": len(compiled.rules), "version": version}


def oldest_needed(tables: EngineTables) -> int:
    """The oldest rules version that scan, alerts or recorder may still read; 0: unknown, so all
    are. A successor of a killed scan worker needs the version of the cycle before its own."""
    cells = tables.cell.cells
    before_n = max(0, cells.published() - 1)
    before = int(tables.cell.heads[before_n % CELL_SLOTS]["rules_version"])
    if not cells.valid(before_n):  # bars moved on meanwhile
        return 0
    alerted = read_word(tables.flow, FLOW_ALERTED_RULES * WORD_STRIDE)
    durable_n = read_word(tables.flow, FLOW_DURABLE_N * WORD_STRIDE)
    decision = tables.decisions.copy(durable_n - 1, durable_n) if durable_n > 0 else None
    if decision is None or int(decision[0]["n"]) != durable_n:
        return 0
    return min(alerted, int(decision[0]["rules_version"]), before)
