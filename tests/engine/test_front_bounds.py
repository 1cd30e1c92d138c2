"""The bounds of the front as a person sets them: in scanner.toml or the environment of the real
command."""

import json
from pathlib import Path

import pytest

from tests.engine.commands import ask, front_port
from tests.kills.rig import rig


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
