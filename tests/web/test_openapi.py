"""The API's description: whole, true of what the front answers, and shown on a clean page."""

import json
import random
from typing import Any

from engine.config.registry import SETTINGS
from engine.config.schema import Config
from tests.web.front import RunningFront, serve, warm_market
from tests.web.market import FAST
from web.rest.openapi import asyncapi, openapi
from web.routes import ROUTES
from web.schemas import INBOUND_TYPES

DESCRIBED = openapi(ROUTES)
EXAMPLES = 12  # of each operation
ODD: tuple[Any, ...] = ("", "0", "-1", "1", "1e9", "AIG", "null", "\x00", "ü", "a b", "x" * 200)
KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list,
    "object": dict, "null": type(None),
}  # fmt: skip


def fault(value: Any, schema: dict[str, Any], at: str = "$") -> str:
    """Where a value does not fit the parts of a schema that the API uses; empty: it fits."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return fault(value, DESCRIBED["components"]["schemas"][name], at)
    if "anyOf" in schema:
        found = [fault(value, one, at) for one in schema["anyOf"]]
        return "" if "" in found else found[0]
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (kind != "boolean" and value is True)):
        return f"{at} is {value!r}, expected {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} is {value!r}, expected one of {schema['enum']}"
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        if missing:
            return f"{at} lacks {missing}"
        parts = schema.get("properties", {})
        return next(
            (told for key, one in value.items()
             if key in parts and (told := fault(one, parts[key], f"{at}.{key}"))), ""
        )  # fmt: skip
    if isinstance(value, list) and schema.get("items"):
        return next((told for one in value if (told := fault(one, schema["items"], at))), "")
    return ""


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Every (method, path, operation)."""
    return [
        (method, path, told)
        for path, methods in DESCRIBED["paths"].items()
        for method, told in methods.items()
    ]


def test_every_route_is_described_once_and_every_reference_leads_somewhere() -> None:
    described = {(method.upper(), path) for method, path, _ in operations()}
    assert described == {(one.method, one.path) for one in ROUTES if one.described}
    names = [told["operationId"] for _, _, told in operations()]
    assert len(names) == len(set(names))
    for document in (DESCRIBED, asyncapi()):
        for part in json.dumps(document).split('"$ref": "')[1:]:
            found: Any = document
            for key in part.split('"')[0].removeprefix("#/").split("/"):
                found = found[key]


def test_the_socket_is_described_with_every_message_it_takes() -> None:
    schemas = asyncapi()["components"]["schemas"].values()
    tags = {one["properties"]["type"]["enum"][0] for one in schemas if "type" in one["properties"]}
    assert tags == set(INBOUND_TYPES)


async def _probe(
    front: RunningFront, rng: random.Random, method: str, path: str, told: dict[str, Any]
) -> None:
    """One request made of the description, with odd values; its answer must be as described."""
    place, query, headers = path, {}, {"Origin": front.url}
    for one in told["parameters"]:
        value = rng.choice([*ODD, *one["schema"].get("enum", ())])
        if one["in"] == "path":
            place = place.replace("{" + one["name"] + "}", rng.choice(("AIG", "fast-1m", "%00")))
        elif one["in"] == "query" and rng.random() < 0.4:
            query[one["name"]] = str(value)
        elif one["in"] == "header" and one["name"] != "Origin":
            headers[one["name"]] = rng.choice(("*", '"1-x"', "x", '"'))
    body = None
    if "requestBody" in told:
        body = rng.choice(({}, [], None, {"id": "x"}, {"version": -1}, {"market": "moon"}))
    async with front.session.request(
        method, front.url + place, params=query, json=body, headers=headers
    ) as answer:
        shown = (method, place, query, body, answer.status)
        assert str(answer.status) in told["responses"], shown
        # 503: this front keeps no rules; nothing else may fail.
        assert answer.status < 500 or answer.status == 503, shown
        content = told["responses"][str(answer.status)]["content"]
        if answer.content_type == "text/csv":
            return
        assert answer.content_type in content, shown
        if answer.content_type.endswith("json"):
            document = await answer.json(content_type=None)
            assert not fault(document, content[answer.content_type]["schema"]), shown


def test_every_operation_answers_odd_requests_as_it_is_described() -> None:
    market = warm_market()
    market.alert()

    async def scenario(front: RunningFront) -> None:
        rng = random.Random(7)
        for method, path, told in operations():
            for _ in range(EXAMPLES):
                await _probe(front, rng, method, path, told)
        assert front.state.front.errors == 0

    serve(market, scenario)


def test_the_page_of_the_api_is_served_with_what_it_needs() -> None:
    async def scenario(front: RunningFront) -> None:
        for path in ("/api/docs", "/static/api-docs.css", "/static/js/api-docs.js"):
            async with front.session.get(front.url + path) as answer:
                assert answer.status == 200
        assert (await front.get("/api/v1/openapi.json"))[1]["openapi"] == "3.1.0"
        assert (await front.get("/api/v1/asyncapi.json"))[1]["asyncapi"] == "3.0.0"

    serve(warm_market(), scenario)


def test_every_setting_is_told_and_no_secret() -> None:
    config = Config(web=FAST)

    async def scenario(front: RunningFront) -> None:
        status, found = await front.get("/api/v1/config")
        told = {one["name"]: one for one in found["data"]}
        assert status == 200 and set(told) == set(SETTINGS)
        assert told["web.send_timeout_ms"]["value"] == FAST.send_timeout_ms
        assert told["web.send_timeout_ms"]["unit"] == "ms"
        assert all(one["value"] is None for one in found["data"] if one["secret"])

    serve(warm_market(), scenario, config=config)
