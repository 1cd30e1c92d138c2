"""A process that changes rules and is killed on the way: `python -m tests.storage.dying_writer`."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from engine.config.schema import Config
from engine.rules.change import read_change
from engine.rules.stored import open_library
from engine.storage.rule_ports import RuleVersion
from engine.storage.rule_sqlite import SqliteRuleStore
from tests.web.market import Market
from web.orders import RuleDesk


def die() -> None:
    """As by the kernel: at once, without a chance to tidy up."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(SqliteRuleStore):
    """Is killed before it has inserted so many versions."""

    left = 0

    def _insert(self, one: RuleVersion) -> None:
        if Dying.left == 0:
            die()
        Dying.left -= 1
        super()._insert(one)


def import_rules(place: Path, request: dict[str, Any], inserts: int) -> None:
    """Carry out a request on the store, killed after so many versions are inserted."""
    library = open_library(Config(), place)
    library.store.__class__ = Dying
    Dying.left = inserts
    library.apply(read_change(request))


def order(place: Path, request: dict[str, Any]) -> None:
    """Carry out a request as the front does, killed when it is stored and not yet published."""
    market = Market()
    market.tables.rules.publish = lambda version, content: die()  # type: ignore[method-assign]
    desk = RuleDesk(Config(), market.tables, place, lambda series, amount: None)
    desk.carry_out("rules", {"request": request})


if __name__ == "__main__":
    asked = json.loads(sys.argv[3])
    if sys.argv[1] == "order":
        order(Path(sys.argv[2]), asked)
    else:
        import_rules(Path(sys.argv[2]), asked, int(sys.argv[1]))
