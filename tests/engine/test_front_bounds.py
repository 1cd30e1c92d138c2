"""The bounds of the front as a person sets them: in scanner.toml or the environment of the real
command."""

import http.client
import json
import re
from pathlib import Path

import pytest

from tests.engine.commands import events, until
from tests.kills.rig import Rig, rig


def ask(port: int, method: str, path: str, body: str = "") -> tuple[int, str]:
    """Status and text of a request from the page's own origin."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def front_port(engine: Rig) -> int:
    """Where the engine's front listens, by its log."""
    until(lambda: events(engine, "listening"), engine)
    found = re.search(r":(\d+)/$", events(engine, "listening")[-1]["url"])
    assert found is not None
    return int(found[1])


def test_a_changed_bound_takes_effect_and_what_runs_into_it_is_on_the_metrics_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPESCAN_WEB__MAX_BODY_BYTES", "2048")
    with rig(tmp_path, "bounds", speed=1.0) as engine:
        text = engine.config.read_text()
        engine.config.write_text(text.replace("[web]\n", "[web]\nmax_page_rows = 123\n"))
        engine.start()
        port = front_port(engine)
        status, told = ask(port, "GET", "/api/v1/alerts?limit=124")
        assert (status, json.loads(told)["detail"]) == (
            400, "limit: expected a whole number <= 123.",
        )  # fmt: skip
        for _ in range(2):
            status, told = ask(port, "POST", "/api/v1/demo-market", "x" * 2049)
            assert (status, json.loads(told)["detail"]) == (
                413, "The body is larger than 2048 bytes.",
            )  # fmt: skip
        assert ask(port, "POST", "/api/v1/demo-market", "x" * 2048)[0] == 400
        page = ask(port, "GET", "/metrics")[1]
        assert 'http_pages_refused_total{role="web"} 1.0\n' in page
        assert 'http_bodies_refused_total{role="web"} 2.0\n' in page
        assert engine.stop() == 0
