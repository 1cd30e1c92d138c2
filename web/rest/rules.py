"""GET /api/v1/rules: the rules in force, as their authors wrote them; /counts: what they fired."""

from typing import Any

from aiohttp import web

from engine.domain.tables import EngineTables
from engine.rules.counts import Counts
from engine.rules.errors import RuleBlobError
from engine.rules.model import to_document
from engine.rules.pack import unpack
from web.app_state import STATE, AppState
from web.deps import KEY
from web.problems import Problem, json_response
from web.reading import NoCycleError, TornError, read_head
from web.schemas import NoQuery, decode_query


async def list_rules(request: web.Request) -> web.Response:
    """Active rule documents with the version of the set, sorted by id, and the families that they
    name."""
    decode_query(request.query, NoQuery)
    version, documents = active_rules(request.app[KEY].deps.tables)
    families = request.app[STATE].families.documents()
    return json_response(
        {"data": documents, "version": version, "families": families, "next_cursor": None}
    )


async def count_rules(request: web.Request) -> web.Response:
    """How often each rule in force fired and was held back, since the stream or the rule began."""
    decode_query(request.query, NoQuery)
    counts = read_counts(request.app[STATE])
    data = [
        {"id": one.rule_id, "fired": one.fired, "held_back": one.held_back}
        for one in counts.rules()
    ]
    return json_response(
        {"data": data, "version": counts.version, "n": counts.n, "next_cursor": None}
    )


def read_counts(state: AppState) -> Counts:
    """The counts now. Raises TornError, and Problem when the rules cannot be read."""
    try:
        counts = state.counts.read()
    except RuleBlobError as error:
        raise Problem(503, f"The rules in force cannot be read: {error}.") from None
    if counts is None:
        raise TornError("rule counts")
    return counts


def active_rules(tables: EngineTables) -> tuple[int, list[dict[str, Any]]]:
    """Version and documents of the rules that the newest cycle ran with; version 0: none yet."""
    try:
        version = int(read_head(tables)["rules_version"])
    except (NoCycleError, TornError):
        version = tables.rules.latest()
    if version == 0:
        return 0, []
    content = tables.rules.read(version)
    if content is None:
        raise Problem(503, "The rules are just being exchanged; try again.", {"Retry-After": "1"})
    try:
        return version, [to_document(rule) for rule in unpack(content).rules]
    except RuleBlobError as error:
        raise Problem(503, f"The rules in force cannot be read: {error}.") from None
