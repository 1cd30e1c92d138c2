"""One route of the front: who may take it, what it reads, and what it answers."""

import dataclasses
from typing import Any

import msgspec

from web.middlewares import Handler
from web.principal import VIEWER

JSON = "application/json"


@dataclasses.dataclass(frozen=True)
class Route:
    """One route; the API's description is made of it, and `about` is its line there.

    role: the least one it takes, empty: anybody may ask. query: the struct that its query must be,
    None: it takes none. body: the type of its JSON body, None: it takes none. answer: the type of
    what it answers, None: not described. status: of an answer that is no problem; problems: the
    statuses of problems beyond those that every route can answer. media: type of the answer.
    if_match: a request needs an If-Match header. described: it is part of the API's description.
    """

    method: str
    path: str
    handler: Handler
    about: str
    role: str = VIEWER
    query: type[msgspec.Struct] | None = None
    body: Any = None
    answer: Any = None
    status: int = 200
    problems: tuple[int, ...] = ()
    media: str = JSON
    if_match: bool = False
    described: bool = True
