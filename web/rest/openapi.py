"""GET /api/v1/openapi.json, /api/v1/asyncapi.json and /api/docs: what the API takes and answers."""

import functools
import http
import importlib.metadata
import re
import typing
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from web.problems import PROBLEM_TYPE, json_response
from web.route import JSON, Route
from web.schemas import Inbound, NoQuery, decode_query
from web.static_files import FILES

REF = "#/components/schemas/{name}"
DESCRIBED: web.AppKey[tuple[Route, ...]] = web.AppKey("described", tuple)
_PLACE = re.compile(r"\{(\w+)(?::[^}]*)?\}")
_ANYBODY = (400, 403, 404, 405, 409, 413, 415, 421, 429, 500, 503)  # any route can answer these


class ProblemDocument(msgspec.Struct):
    """RFC 9457: what every refusal is answered with. detail: one sentence that names what was
    wrong; instance: the path that was asked for."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


@functools.lru_cache(maxsize=4)
def openapi(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a table of routes."""
    described = [route for route in routes if route.described]
    bodies = [kind for route in described for kind in (route.body, route.answer)]
    kinds = [ProblemDocument, *(kind for kind in bodies if kind is not None)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    found = iter(schemas[1:])
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        body = next(found) if route.body is not None else None
        answer = next(found) if route.answer is not None else None
        path = paths.setdefault(_PLACE.sub(r"{\1}", route.path), {})
        path[route.method.lower()] = _operation(route, body, answer)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tapescan", "version": importlib.metadata.version("tapescan"),
                 "description": "Unknown numbers are null, never 0; times are RFC 3339 in UTC."},
        "paths": paths,
        "components": {"schemas": components},
    }  # fmt: skip


def _operation(route: Route, body: Any, answer: Any) -> dict[str, Any]:
    content = {route.media: {"schema": answer if answer is not None else {}}}
    phrase = http.HTTPStatus(route.status).phrase
    filled = {"content": content} if route.status != http.HTTPStatus.NO_CONTENT else {}
    told: dict[str, Any] = {str(route.status): {"description": phrase, **filled}}
    problem = {PROBLEM_TYPE: {"schema": {"$ref": REF.format(name="ProblemDocument")}}}
    for status in sorted({*_ANYBODY, *route.problems, 401}):
        told[str(status)] = {"description": http.HTTPStatus(status).phrase, "content": problem}
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.about,
        "parameters": list(_parameters(route)),
        "responses": told,
        "x-role": route.role or "anybody",
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    return operation


def _parameters(route: Route) -> Iterable[dict[str, Any]]:
    for name in _PLACE.findall(route.path):
        yield {"name": name, "in": "path", "required": True,
               "schema": {"type": "string", "minLength": 1}}
    if route.query is not None:
        (_,), components = msgspec.json.schema_components([route.query], ref_template=REF)
        shape = components[route.query.__name__]
        for name, schema in shape["properties"].items():
            needed = name in shape.get("required", ())
            yield {"name": name, "in": "query", "required": needed, "schema": _plain(schema)}
    if route.if_match:
        yield {"name": "If-Match", "in": "header", "required": True,
               "schema": {"type": "string"}, "description": "The ETag of the version to change."}
    if route.method not in ("GET", "HEAD"):
        yield {"name": "Origin", "in": "header", "required": True, "schema": {"type": "string"},
               "description": "The server's own, such as http://127.0.0.1:8080."}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A query is text: what may be null is left away instead."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    given = {"default": schema["default"]} if schema.get("default") is not None else {}
    return kept | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}) | given


@functools.cache
def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document of the WebSocket."""
    kinds = typing.get_args(Inbound)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=REF)
    sent = {kind.__name__: {"payload": {"$ref": REF.format(name=kind.__name__)}} for kind in kinds}
    told = {name: {"payload": shape} for name, shape in _TOLD.items()}
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in (*sent, *told)}
    channel = {"$ref": "#/channels/socket"}

    def of(names: Iterable[str]) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/socket/messages/{name}"} for name in names]

    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tapescan", "version": importlib.metadata.version("tapescan")},
        "channels": {"socket": {"address": "/ws", "messages": messages}},
        "operations": {
            "ask": {"action": "receive", "channel": channel, "messages": of(sent)},
            "tell": {"action": "send", "channel": channel, "messages": of(told)},
        },
        "components": {"messages": sent | told, "schemas": schemas},
    }


def _message(kind: str, **members: dict[str, Any]) -> dict[str, Any]:
    shape = {"type": {"const": kind}, **members}
    return {"type": "object", "properties": shape, "required": list(shape)}


_SEQ, _LIST, _OBJECT = {"type": "integer", "minimum": 0}, {"type": "array"}, {"type": "object"}
_TOLD = {
    "Status": {"type": "object", "properties": {"type": {"const": "status"}},
               "required": ["type"]},
    "Snapshot": _message("snapshot", topic={"type": "string"}, seq=_SEQ,
                         resumed={"type": "boolean"}, data=_LIST),
    "Alert": _message("alert", seq=_SEQ, alert=_OBJECT, stamps=_OBJECT),
    "Movers": _message("movers", seq=_SEQ, data=_OBJECT),
    "Pong": _message("pong"),
    "Error": _message("error", message={"type": "string"}),
}  # fmt: skip


async def get_openapi(request: web.Request) -> web.Response:
    """The OpenAPI document of the routes that this front serves."""
    decode_query(request.query, NoQuery)
    return json_response(openapi(request.app[DESCRIBED]))


async def get_asyncapi(request: web.Request) -> web.Response:
    """The AsyncAPI document of the WebSocket."""
    decode_query(request.query, NoQuery)
    return json_response(asyncapi())


async def get_docs(request: web.Request) -> web.Response:
    """The page that shows the OpenAPI document to people."""
    decode_query(request.query, NoQuery)
    file = request.app[FILES]["api-docs.html"]
    return web.Response(body=file.content, content_type="text/html", charset="utf-8")
