"""Ten thousand rules at a start and by a reload: the front goes on beating and serving."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from ipc.line import Line
from tests.engine.commands import events, told, until
from tests.kills.rig import ROOT, Rig, rig

RULES = 10_000
# Shorter than reading so many rules takes: a front that reads them in its loop is replaced.
PATIENCE = {"beat_timeout_ms": 1500}


def write_rules(engine: Rig, floor: float) -> None:
    """Rules that never fire, other ones for each floor."""
    rules = [
        {
            "id": f"r{number}",
            "name": f"Above {floor + number}",
            "conditions": [
                {"metric": "last", "op": ">", "value": floor + number},
                {"metric": "chg_1m_pct", "op": ">", "value": 0.5},
            ],
        }
        for number in range(RULES)
    ]
    (engine.place / "rules.json").write_text(json.dumps(rules))


class Front:
    """Watches the front from outside: its beats, and whether it answers."""

    def __init__(self, engine: Rig) -> None:
        self.engine = engine
        until(lambda: events(engine, "listening"), engine)
        self.url = events(engine, "listening")[-1]["url"]
        board = engine.board()
        assert board is not None
        self.line = Line(board, "web")
        self.beats: set[int] = set()
        self.answers = 0

    def look(self) -> bool:
        """Note the newest beat, and ask for a sign of life; never enough."""
        self.beats.add(self.line.get(Line.BEAT_NS))
        with urllib.request.urlopen(f"{self.url}live", timeout=30) as answer:
            self.answers += answer.status == 200
        return False

    def during_a_reload(self) -> None:
        """Look until the engine has other rules than now."""
        before = len(events(self.engine, "reloaded"))
        # Its answer may come too late for the command; the change is made all the same.
        command = [sys.executable, "-m", "tools.main", "reload", "--config"]
        with subprocess.Popen([*command, str(self.engine.config)], cwd=ROOT) as asking:
            until(lambda: self.look() or len(events(self.engine, "reloaded")) > before, self.engine)
            asking.wait(60)


def replaced(engine: Rig) -> list[dict[str, Any]]:
    return [*events(engine, "replacing"), *events(engine, "ended")]


def stored(engine: Rig) -> int:
    return len(json.loads(told(engine, "rules", "list", "--json").stdout))


def test_the_front_beats_and_answers_while_ten_thousand_rules_are_taken_in(tmp_path: Path) -> None:
    with rig(
        tmp_path, "import", speed=1.0, end="", history_dates=[], supervisor=PATIENCE
    ) as engine:
        text = engine.config.read_text()
        bounds = f"max_rules = {2 * RULES}\nmax_bytes = {64 << 20}\n"
        engine.config.write_text(text.replace("[rules]\n", f"[rules]\n{bounds}"))
        write_rules(engine, 1e6)
        engine.start()
        front = Front(engine)
        pid = engine.role_pids()["web"]
        front.look()
        assert replaced(engine) == [], "at the start they were compiled beside the loop"
        write_rules(engine, 2e6)
        front.during_a_reload()
        assert len(front.beats) > 4
        assert front.answers > 4
        assert events(engine, "reloaded")[-1]["rules"] == RULES
        assert replaced(engine) == []
        assert engine.role_pids()["web"] == pid
        assert stored(engine) == RULES
        assert engine.stop() == 0
