"""GET /api/v1/config: every setting, what it is for, and what the engine runs with."""

from typing import Any

import msgspec
from aiohttp import web

from engine.config.registry import SETTINGS, Setting
from engine.config.schema import Config
from web.deps import KEY
from web.problems import json_response
from web.schemas import NoQuery, decode_query

SECRET = "secret"


class SettingDocument(msgspec.Struct, frozen=True):
    """A setting. value: in force, null where it names a secret; secret: it does; is_set: it is not
    empty; must_be: what is taken; unit: empty for none; applies: when a change of the file does."""

    name: str
    value: Any
    default: Any
    about: str
    must_be: str
    unit: str
    secret: bool
    is_set: bool
    variable: str
    applies: str = "restart"


class SettingList(msgspec.Struct, frozen=True):
    """Every setting, by section in order of the file."""

    data: list[SettingDocument]
    next_cursor: None = None


async def list_settings(request: web.Request) -> web.Response:
    """Settings in force, overrides included; where a secret lies is not shown, either."""
    decode_query(request.query, NoQuery)
    config = request.app[KEY].deps.config
    return json_response(SettingList([_document(one, config) for one in SETTINGS.values()]))


def _document(setting: Setting, config: Config) -> SettingDocument:
    value = getattr(getattr(config, setting.section), setting.key)
    secret = setting.form == SECRET
    return SettingDocument(
        name=setting.name, value=None if secret else value, default=setting.default,
        about=setting.doc, must_be=setting.must_be(), unit=setting.unit, secret=secret,
        is_set=value not in ("", ()), variable=setting.variable,
    )  # fmt: skip
