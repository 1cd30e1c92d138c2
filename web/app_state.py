"""What one running application keeps: the front, its symbol directory, its pace and its sockets."""

import dataclasses
from typing import TYPE_CHECKING

from aiohttp import web

from engine.rules.counts import CountsReader
from web.deps import Front
from web.families import FamilyView
from web.pace import Pace
from web.reading import SymbolDirectory

if TYPE_CHECKING:
    from web.ws.connection import Connection


@dataclasses.dataclass
class AppState:
    """State shared by handlers and push loops of one application."""

    front: Front
    directory: SymbolDirectory
    families: FamilyView
    counts: CountsReader
    pace: Pace = dataclasses.field(default_factory=Pace)
    connections: set["Connection"] = dataclasses.field(default_factory=set)


STATE: web.AppKey[AppState] = web.AppKey("state", AppState)
