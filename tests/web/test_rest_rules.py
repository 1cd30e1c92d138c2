"""Rules over HTTP on the real role: stored, versioned, guarded by ETag, in force when answered."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.rules.test_library import document
from tests.web.staged import Stage, run, stage
from tests.web.test_orders import decided


@dataclasses.dataclass
class Client:
    """Asks the front as its own page does, and lets the engine take each change into use."""

    session: aiohttp.ClientSession
    url: str
    made: Stage

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any, str]:
        """Status, document and ETag. if_match: that header."""
        sent = {"Origin": self.url}
        if "if_match" in headers:
            sent["If-Match"] = headers["if_match"]
        place = f"{self.url}/api/v1{path}"
        async with self.session.request(method, place, json=body, headers=sent) as answer:
            found = await answer.json(content_type=None)
            return answer.status, found, answer.headers.get("ETag", "")

    async def engine(self) -> None:
        """Run cycles with the newest rules, as the roles would."""
        tables, market = self.made.market.tables, self.made.market
        while True:
            version = tables.rules.latest()
            market.step()
            tables.cell.heads[market.n % 4]["rules_version"] = version
            await asyncio.sleep(0.005)


def with_rules(tmp_path: Path, scenario: Callable[[Client], Awaitable[None]]) -> None:
    """Run a scenario against a front that takes orders over an engine that runs cycles."""
    made = stage(tmp_path)
    for n in (1, 2):
        made.market.step()
        if n == 1:
            decided(made.market.tables, 1, 0)

    async def whole(session: aiohttp.ClientSession, url: str) -> None:
        client = Client(session, url, made)
        cycles = asyncio.create_task(client.engine())
        try:
            await scenario(client)
        finally:
            cycles.cancel()

    run(made, whole)


def test_a_rule_lives_through_every_route(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        status, made, tag = await client.ask("POST", "/rules?note=first", document("a"))
        assert status == 201 and made["changed"] and made["in_force"] and made["rules"] == 1
        assert made["rule"]["owner"] == "local" and made["rule"]["note"] == "first"
        assert tag == made["rule"]["etag"]
        status, found, same = await client.ask("GET", "/rules/a")
        assert (status, same) == (200, tag) and found == made["rule"]
        status, told, _ = await client.ask("PUT", "/rules/a", document("a", 2.0))
        assert status == 428 and "If-Match" in told["detail"]
        assert (await client.ask("PUT", "/rules/a", document("a", 2.0), if_match='"9-x"'))[0] == 412
        status, made, newer = await client.ask(
            "PUT", "/rules/a", document("a", 2.0), if_match=tag
        )
        assert status == 200 and made["rule"]["version"] == 2 and newer != tag
        assert (await client.ask("PUT", "/rules/a", document("a", 3.0), if_match=tag))[0] == 412
        _, diff, _ = await client.ask("GET", "/rules/a/diff?from=1&to=2")
        assert not diff["same_meaning"] and "-  - {" not in diff["text"] and diff["changes"]
        _, history, _ = await client.ask("GET", "/rules/a/history?limit=1")
        assert [one["version"] for one in history["data"]] == [2]
        assert history["next_cursor"] == "2"
        _, flipped, _ = await client.ask("GET", "/rules/a/flip?id=b")
        assert flipped["document"]["conditions"][0]["value"] == -2.0
        status, made, _ = await client.ask("DELETE", "/rules/a", if_match="*")
        assert status == 200 and made["rules"] == 0 and made["rule"]["action"] == "delete"
        assert (await client.ask("GET", "/rules/a"))[0] == 404
        status, made, _ = await client.ask(
            "POST", "/rules/a/rollback", {"version": 1}, if_match="*"
        )
        assert status == 200 and made["rule"]["document"]["conditions"][0]["value"] == 1.0

    with_rules(tmp_path, scenario)


def test_rules_are_listed_by_state_filter_and_page(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        for rule_id, more in (("a", {"tags": ["up"]}), ("b", {"severity": "critical"})):
            assert (await client.ask("POST", "/rules", document(rule_id, **more)))[0] == 201
        status, made, _ = await client.ask("POST", "/rules/b/disable")
        assert status == 200 and made["rule"]["document"]["enabled"] is False
        for query, ids in (
            ("", ["a"]), ("state=stored", ["a", "b"]), ("state=stored&enabled=false", ["b"]),
            ("state=stored&severity=critical", ["b"]), ("state=stored&tag=up", ["a"]),
            ("state=stored&owner=local&offset=1&limit=1", ["b"]), ("state=deleted", []),
            ("state=stored&search=RULE%20A", ["a"]), ("state=stored&cursor=a", ["b"]),
        ):  # fmt: skip
            status, found, _ = await client.ask("GET", f"/rules?{query}")
            assert (status, [one["id"] for one in found["data"]]) == (200, ids), query
        _, found, _ = await client.ask("GET", "/rules?state=stored&limit=1")
        assert (found["total"], found["next_cursor"]) == (2, "a")
        assert (await client.ask("POST", "/rules", document("a")))[0] == 409

    with_rules(tmp_path, scenario)


def test_validation_names_line_column_expected_and_nearest_and_tells_the_cost(
    tmp_path: Path,
) -> None:
    async def scenario(client: Client) -> None:
        forms: list[dict[str, Any]] = [
            document("a"), {"id": "n", "name": "N", "type": "numeric", "metric": "last",
                            "operator": ">", "value": 2},
            {"id": "w", "name": "W", "where": "last > 2"},
        ]  # fmt: skip
        for one in forms:
            status, told, _ = await client.ask("POST", "/rules/validate", one)
            assert status == 200 and told["valid"] and told["cost"]["us"] > 0, told
        bad = {"id": "w", "name": "W", "where": "last > 2 and\nrvol_todd > 2"}
        _, told, _ = await client.ask("POST", "/rules/validate", bad)
        (fault,) = told["faults"]
        assert not told["valid"] and (fault["line"], fault["column"]) == (2, 1)
        assert fault["nearest"] == "rvol_tod"
        status, told, _ = await client.ask("POST", "/rules", bad)
        assert status == 422 and told["faults"] == [fault]
        assert (await client.ask("GET", "/rules?state=stored"))[1]["data"] == []

    with_rules(tmp_path, scenario)


def test_a_template_becomes_a_rule(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        _, found, _ = await client.ask("GET", "/templates")
        one = next(each for each in found["data"] if each["params"])
        assert (await client.ask("GET", f"/templates/{one['id']}"))[1] == one
        name, param = next(iter(one["params"].items()))
        body = {"id": "mine", "values": {name: param["max"]}}
        status, made, _ = await client.ask("POST", f"/templates/{one['id']}", body)
        assert status == 201 and made["rule"]["document"]["template"] == one["id"]
        body["values"] = {name: param["max"] * 2 + 1}
        status, told, _ = await client.ask("POST", f"/templates/{one['id']}", body)
        assert status == 400 and name in told["detail"]
        assert (await client.ask("GET", "/templates/nope"))[0] == 404

    with_rules(tmp_path, scenario)


HOSTILE: tuple[tuple[str, str, object, int], ...] = (
    ("POST", "/rules", [], 400), ("POST", "/rules", "x", 400), ("POST", "/rules", {}, 422),
    ("POST", "/rules", {"id": "../x", "name": "x", "where": "last > 1"}, 422),
    ("POST", "/rules", {"id": "x", "name": "x", "where": "last > " + "(" * 500}, 422),
    ("POST", "/rules", {"id": "x", "name": "\x00", "where": "last > 1"}, 422),
    ("POST", "/rules", {"id": "x", "name": "\ud800", "where": "last > 1"}, 400),
    ("POST", "/rules", {"id": 1, "owner": 7}, 422), ("POST", "/rules?note=%00", {}, 400),
    ("POST", "/rules?x=1", {}, 400), ("PUT", "/rules/none", {}, 404),
    ("POST", "/rules/none/enable", None, 404), ("DELETE", "/rules/none", None, 404),
    ("GET", "/rules/%2e%2e", None, 404), ("GET", "/rules/a%20b", None, 404),
    ("GET", "/rules/none/diff?from=0", None, 400), ("GET", "/rules/none/diff", None, 404),
    ("GET", "/rules/none/history?limit=501", None, 400),
    ("GET", "/rules/none?version=0", None, 400),
    ("GET", "/rules/none/flip", None, 404), ("GET", "/rules?state=x", None, 400),
    ("GET", "/rules?limit=0", None, 400), ("GET", "/rules?offset=-1", None, 400),
    ("GET", "/rules?enabled=maybe", None, 400), ("POST", "/rules/none/rollback", {}, 400),
    ("POST", "/rules/none/rollback", {"version": 1}, 404), ("POST", "/rules/validate", [], 400),
    ("POST", "/templates/nope", {}, 404), ("GET", "/templates/%00", None, 404),
)  # fmt: skip


@pytest.mark.parametrize("nested", [2_000, 20_000])
def test_every_hostile_request_gets_one_sentence_and_changes_nothing(
    tmp_path: Path, nested: int
) -> None:
    async def scenario(client: Client) -> None:
        for method, path, body, expected in HOSTILE:
            status, told, _ = await client.ask(method, path, body)
            assert status == expected, (method, path, told)
            assert told["detail"].endswith((".", "?")) and "\n" not in told["detail"], told
        headers = {"Origin": client.url, "Content-Type": "application/json"}
        deep = '{"a":' + "[" * nested + "]" * nested + "}"
        place = f"{client.url}/api/v1/rules"
        async with client.session.post(place, data=deep, headers=headers) as answer:
            assert answer.status in (400, 422)
        assert (await client.ask("GET", "/rules?state=stored"))[1]["data"] == []

    with_rules(tmp_path, scenario)
