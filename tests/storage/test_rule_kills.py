"""Changes of rules that are killed on the way: all of a change is stored or nothing, and what is
stored is published."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Config
from engine.rules.change import read_change
from engine.rules.library import Library
from engine.rules.pack import unpack
from engine.rules.stored import open_library
from tests.rules.test_library import document
from tests.web.market import Market
from web.orders import RuleDesk

ROOT = Path(__file__).resolve().parents[2]
FIVE: dict[str, Any] = {
    "action": "import", "author": "ann", "request_id": "r1",
    "documents": [document(f"r{i}") for i in range(5)],
}  # fmt: skip


def killed(what: str, place: Path, request: dict[str, Any]) -> None:
    """Run the writer until it is killed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.storage.dying_writer", what, str(place), json.dumps(request)],
        cwd=ROOT, check=False, timeout=240, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr


def opened(place: Path) -> Library:
    return open_library(Config(), place)


@pytest.mark.parametrize("inserts", [0, 1, 4])
def test_an_import_that_is_killed_leaves_nothing_and_can_be_made_again(
    tmp_path: Path, inserts: int
) -> None:
    library = opened(tmp_path)
    library.apply(read_change({"action": "create", "author": "ann", "documents": [document("a")]}))
    library.store.close()
    killed(str(inserts), tmp_path, FIVE)
    library = opened(tmp_path)
    assert [one.rule_id for one in library.store.newest()] == ["a"]
    assert library.store.answer("r1") is None
    assert len(library.apply(read_change(FIVE)).changed) == 5
    library.store.close()


def test_what_was_stored_and_not_published_is_published_at_the_next_start(tmp_path: Path) -> None:
    killed("order", tmp_path, FIVE)
    tables = Market().tables
    assert tables.rules.latest() == 0
    desk = RuleDesk(Config(), tables, tmp_path, lambda series, amount: None)
    assert desk.republish()
    content = tables.rules.read(1)
    assert content is not None and len(unpack(content).rules) == 5
    # The answer was lost: who asks again hears what was done, and nothing is done twice.
    again = desk.carry_out("rules", {"request": FIVE})
    assert again.result is not None
    assert (again.result["changes"], again.result["version"]) == (5, 1)
    assert desk.republish() and tables.rules.latest() == 1
    desk.close()
