"""What one running application keeps: the front, its symbol directory, its pace and its sockets."""

import dataclasses
from typing import TYPE_CHECKING

from aiohttp import web

from engine.rules.counts import CountsReader
from engine.rules.published import PublishedRules
from web.deps import Front
from web.families import FamilyView
from web.pace import Pace
from web.problems import Problem
from web.reading import SymbolDirectory

if TYPE_CHECKING:
    from web.ws.connection import Connection


@dataclasses.dataclass
class AppState:
    """State shared by handlers and push loops of one application."""

    front: Front
    directory: SymbolDirectory
    rules: PublishedRules
    families: FamilyView
    counts: CountsReader
    pace: Pace = dataclasses.field(default_factory=Pace)
    connections: set["Connection"] = dataclasses.field(default_factory=set)

    def symbol_asked(self, request: web.Request) -> tuple[str, int]:
        """Ticker and id of the symbol in a request's path. Raises Problem 404: it is not known."""
        asked = request.match_info["symbol"]
        ticker = self.directory.spelling(asked)
        symbol = None if ticker is None else self.directory.id(ticker)
        if ticker is None or symbol is None:
            raise Problem(404, f"No symbol {asked[:24]!r} is known in this stream.")
        return ticker, symbol


STATE: web.AppKey[AppState] = web.AppKey("state", AppState)
