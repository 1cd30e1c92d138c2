"""GET /api/v1/rules: the rules in force, as their authors wrote them; /counts: what they fired."""

import bisect
from typing import Any

import msgspec
from aiohttp import web

from engine.domain.tables import EngineTables
from engine.rules.counts import Counts
from engine.rules.errors import RuleBlobError
from engine.rules.model import to_document
from engine.rules.published import PublishedRules
from web.app_state import STATE, AppState
from web.deps import KEY
from web.problems import Problem, json_response
from web.reading import NoCycleError, TornError, read_head
from web.rest.rule_reads import in_rules, record_of
from web.rest.rule_shapes import RuleList, RulesQuery
from web.schemas import NoQuery, decode_query


async def list_rules(request: web.Request) -> web.Response:
    """The rules in force with the version of the set and the families that they name, or those in
    the store; sorted by id, filtered, a page of them when `limit` says so."""
    query = decode_query(request.query, RulesQuery)
    if query.limit is not None:
        request.app[KEY].refuse_over("max_page_rows", "limit", query.limit)
    state = request.app[STATE]
    version = version_in_force(request.app[KEY].deps.tables)
    found: list[tuple[dict[str, Any], dict[str, Any]]]
    if query.state == "in_force":
        found = [(one, one) for one in documents_of(state.rules, version)]
    else:
        deleted = query.state == "deleted"
        stored = await in_rules(request, lambda reader: reader.newest())
        records = [record_of(one) for one in stored if one.deleted == deleted]
        found = [(msgspec.to_builtins(one), one.document | {"owner": one.owner})
                 for one in records]
    kept = [shown for shown, document in found if _wanted(query, document)]
    kept.sort(key=lambda shown: str(shown["id"]))
    start = bisect.bisect_right([one["id"] for one in kept], query.cursor or "") + query.offset
    page = kept[start:] if query.limit is None else kept[start : start + query.limit]
    more = page[-1]["id"] if page and start + len(page) < len(kept) else None
    families = state.families.documents()
    return json_response(RuleList(page, version, families, len(kept), more))


def _wanted(query: RulesQuery, document: dict[str, Any]) -> bool:
    sought = query.search.lower()
    return (
        (sought in document["id"].lower() or sought in document["name"].lower())
        and (query.tag is None or query.tag in document.get("tags", ()))
        and (query.owner is None or query.owner == document.get("owner"))
        and (query.severity is None or query.severity == document.get("severity", "info"))
        and (query.enabled is None or query.enabled == document["enabled"])
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


def version_in_force(tables: EngineTables) -> int:
    """Version of the rules that the newest cycle ran with; 0: none yet."""
    try:
        return int(read_head(tables)["rules_version"])
    except (NoCycleError, TornError):
        return tables.rules.latest()


def documents_of(rules: PublishedRules, version: int) -> list[dict[str, Any]]:
    """The documents of a version. Raises Problem 503."""
    try:
        found = rules.get(version)
    except RuleBlobError as error:
        raise Problem(503, f"The rules in force cannot be read: {error}.") from None
    if found is None:
        raise Problem(503, "The rules are just being exchanged; try again.", {"Retry-After": "1"})
    return [to_document(rule) for rule in found.rules]
