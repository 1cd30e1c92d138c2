"""GET /api/v1/toplists and /api/v1/toplists/system/{type}: the lists everybody has, ranked now."""

from typing import Annotated, Any

import msgspec
from aiohttp import web

from engine.toplists.definition import MAX_LIMIT, Definition, metrics_of
from engine.toplists.errors import ToplistError
from engine.toplists.ranking import Row, rank
from engine.toplists.system import SYSTEM_TYPES, system_toplist, windows_of
from web.app_state import STATE, AppState
from web.problems import Problem, json_response
from web.reading import instant, read_columns, read_head
from web.schemas import Count, Positive, decode_query


class ToplistQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /api/v1/toplists/system/{type}; window None: the type's own. limit and offset
    count rows."""

    window: Annotated[str, msgspec.Meta(max_length=8)] | None = None
    limit: Positive = 100
    offset: Count = 0


async def list_toplists(_request: web.Request) -> web.Response:
    """The system's types with their windows."""
    data = [
        {"toplist_type": kind, "name": system_toplist(kind).name, "windows": windows_of(kind)}
        for kind in SYSTEM_TYPES
    ]
    return json_response({"data": data})


async def get_system_toplist(request: web.Request) -> web.Response:
    """The rows of a system list in the newest cycle; unknown type 404, unknown window 400."""
    state = request.app[STATE]
    query = decode_query(request.query, ToplistQuery)
    state.front.refuse_over("max_page_rows", "limit", query.limit)
    kind = request.match_info["type"]
    if kind not in SYSTEM_TYPES:
        raise Problem(404, f"No toplist {kind[:24]!r}; there are {', '.join(SYSTEM_TYPES)}.")
    most = query.offset + query.limit
    if most > MAX_LIMIT:
        raise Problem(400, f"offset: with limit it reaches row {most}, the last is {MAX_LIMIT}.")
    try:
        definition = system_toplist(kind, query.window, most)
    except ToplistError as error:
        raise Problem(400, f"{error}.") from None
    head = read_head(state.front.deps.tables)
    return json_response(_document(definition, kind, instant(int(head["t_ns"])),
                                   rows_now(state, definition)[query.offset :]))


def _document(
    definition: Definition, kind: str, timestamp: str | None, rows: tuple[Row, ...]
) -> dict[str, Any]:
    return {
        "toplist_id": definition.id, "toplist_type": kind, "name": definition.name,
        "metric": definition.metric, "sort_order": definition.sort_order,
        "columns": definition.columns, "rankings": rows, "timestamp": timestamp,
    }


def rows_now(state: AppState, definition: Definition) -> tuple[Row, ...]:
    """A validated list ranked over every admitted symbol in the newest whole columns."""
    deps, names = state.front.deps, metrics_of(definition)
    ids, tickers = state.directory.ids(), state.directory.tickers()
    copied = read_columns(deps.tables, [deps.metrics.column(name) for name in names])
    values = {name: copied[row, ids] for row, name in enumerate(names)}
    return rank(definition, tickers, values)
