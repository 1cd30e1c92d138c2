"""GET /api/v1/alerts and /api/v1/alerts/{id}: stored alerts, newest first."""

import asyncio
import csv
import io
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from yarl import URL

from engine.storage.errors import StorageError
from engine.storage.ports import AlertAt
from web.deps import KEY, Front
from web.problems import Problem, json_response
from web.reading import instant
from web.schemas import AlertsQuery, NoQuery, decode_query, instant_of

_Result = TypeVar("_Result")
_CSV_KEYS = ("alert_id", "scan_ts", "symbol", "rule_id", "rule_version", "rule_name", "price", "n",
             "stream_id")


async def in_store(front: Front, read: Callable[[], _Result]) -> _Result:
    """Run one read of the alert store beside the event loop. Raises Problem 503 if it fails."""
    try:
        return await asyncio.get_running_loop().run_in_executor(front.executor, read)
    except StorageError as error:
        front.count("store_reads_failed_total")
        detail = f"The alert store cannot be read: {error}"
        raise Problem(503, detail, {"Retry-After": "2"}) from None


async def list_alerts(request: web.Request) -> web.Response:
    """A page of alerts, filtered; next_cursor leads to the older ones, as CSV the header Link."""
    front = request.app[KEY]
    query = decode_query(request.query, AlertsQuery)
    front.refuse_over("max_page_rows", "limit", query.limit)
    from_ns, to_ns = instant_of(query.since, "from"), instant_of(query.until, "to")
    found = await in_store(
        front,
        lambda: front.deps.alerts.latest(
            query.limit + 1, before=query.cursor, symbol=query.symbol, rule_id=query.rule_id,
            stream_id=query.stream, from_ns=from_ns, to_ns=to_ns, offset=query.offset,
        ),
    )  # fmt: skip
    page = found[: query.limit]
    more = str(page[-1].position) if len(found) > query.limit else None
    if query.format == "csv":
        return _table(page, request.rel_url.update_query(cursor=more) if more else None)
    return json_response({"data": [document(row) for row in page], "next_cursor": more})


def _table(page: list[AlertAt], older: URL | None) -> web.Response:
    """Alerts as CSV, a metric of the rule in no column: `values` holds them as JSON."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("seq", *_CSV_KEYS, "values"))
    for row in page:
        alert = msgspec.json.decode(row.alert.json)
        values = msgspec.json.encode(alert["values"]).decode()
        cells = [_cell(alert.get(key)) for key in _CSV_KEYS]
        rows.writerow((row.position, *cells, values))
    headers = {"Content-Disposition": 'attachment; filename="alerts.csv"'}
    if older is not None:
        headers["Link"] = f'<{older.without_query_params("offset")}>; rel="next"'
    return web.Response(text=text.getvalue(), content_type="text/csv", headers=headers)


def _cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula."""
    risky = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if risky else value


async def get_alert(request: web.Request) -> web.Response:
    """One alert with its explanation and the stamps kept beside it."""
    front = request.app[KEY]
    decode_query(request.query, NoQuery)
    alert_id = request.match_info["alert_id"]
    found = await in_store(front, lambda: front.deps.alerts.get(alert_id))
    if found is None:
        raise Problem(404, "No alert has this id.")
    return json_response(document(found))


def document(row: AlertAt) -> dict[str, Any]:
    """An alert for outsiders: its position as seq, the canonical JSON verbatim, the stamps."""
    alert = row.alert
    return {
        "seq": row.position,
        "alert": msgspec.Raw(alert.json),
        "stamps": {
            "recv": instant(alert.recv_ns),
            "decided": instant(alert.decided_ns),
            "committed": instant(alert.committed_ns),
            "stored": instant(alert.stored_ns),
        },
    }
