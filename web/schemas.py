"""Shapes of what comes in (queries, bodies, WebSocket messages) and their error sentences."""

import re
import typing
from typing import Annotated, Literal, TypeVar

import msgspec
from aiohttp import web
from multidict import MultiMapping

from engine.config.registry import instant_ns
from engine.storage.user_ports import ROLES
from web.problems import Problem

SortKey = Literal[
    "symbol", "last", "chg_pct", "chg_1m_pct", "chg_5m_pct", "volume", "vwap_dist_pct", "rsi",
    "move_5m_pct",
]
Direction = Literal["asc", "desc"]
Ticker = Annotated[str, msgspec.Meta(min_length=1, max_length=24, pattern=r"^[!-~]+$")]
RuleId = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
# Whole numbers up to what a setting allows: handlers refuse more by Front.refuse_over.
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Instant = Annotated[str, msgspec.Meta(max_length=40)]  # read by `instant_of`
RowId = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class AlertsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /api/v1/alerts; `cursor` is the seq of the last alert of the page before.

    from, to: RFC 3339, of the cycle that told it, `to` itself not included; format: csv is for
    tables, without explanations."""

    symbol: Ticker | None = None
    rule_id: RuleId | None = None
    stream: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    since: Instant | None = msgspec.field(default=None, name="from")
    until: Instant | None = msgspec.field(default=None, name="to")
    limit: Positive = 100
    offset: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    cursor: RowId | None = None
    format: Literal["json", "csv"] = "json"


class SymbolsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /api/v1/symbols; `cursor` is the last symbol of the page before."""

    search: Annotated[str, msgspec.Meta(max_length=24)] = ""
    limit: Positive = 100
    cursor: Ticker | None = None


class BarsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /api/v1/symbols/{symbol}; how many final bars to send."""

    bars: Count = 120


class ExplainQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /api/v1/rules/{rule_id}/explain; `at`: now, the newest cycle."""

    symbol: Ticker
    at: Literal["now"] = "now"


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A route that takes no query."""


class SocketQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /ws where users sign in; `ticket` was used up when the client was identified."""

    ticket: str = ""


class DemoMarket(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/demo-market."""

    market: Literal["simulator", "replay"]


class SubscribeAlerts(msgspec.Struct, tag="subscribe_alerts", forbid_unknown_fields=True):
    """Ask for alerts: a snapshot, or with `resume_from` (last seq seen) what came since."""

    resume_from: RowId | None = None


class UnsubscribeAlerts(msgspec.Struct, tag="unsubscribe_alerts", forbid_unknown_fields=True):
    """Stop alerts."""


class SubscribeMovers(msgspec.Struct, tag="subscribe_movers", forbid_unknown_fields=True):
    """Ask for ranked rows; a second one replaces the first."""

    sort: SortKey = "chg_pct"
    direction: Direction = "desc"
    limit: Positive = 50


class UnsubscribeMovers(msgspec.Struct, tag="unsubscribe_movers", forbid_unknown_fields=True):
    """Stop movers."""


class Ping(msgspec.Struct, tag="ping", forbid_unknown_fields=True):
    """Ask for a pong."""


Inbound = SubscribeAlerts | UnsubscribeAlerts | SubscribeMovers | UnsubscribeMovers | Ping
INBOUND_TYPES = tuple(
    str(struct.__struct_config__.tag) for struct in typing.get_args(Inbound)
)
_CHOICES = {
    "type": INBOUND_TYPES,
    "sort": typing.get_args(SortKey),
    "direction": typing.get_args(Direction),
    "market": ("simulator", "replay"),
    "at": ("now",),
    "role": ROLES,
}
_WORDS = {"int": "a whole number", "str": "text", "object": "a JSON object", "null": "null",
          "array": "a list", "bool": "true or false", "float": "a number"}
_inbound = msgspec.json.Decoder(Inbound)
_Struct = TypeVar("_Struct")


def sentence(error: msgspec.MsgspecError) -> str:
    """Turn msgspec's message into one sentence that begins with the key it is about."""
    text = str(error)
    text, _, path = text.partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    missing = re.match(r"Object missing required field `(.+)`", text)
    unknown = re.match(r"Object contains unknown field `(.*)`", text, re.DOTALL)
    if missing:
        return f"{missing[1]}: this key is required{_choices(missing[1])}."
    if unknown:
        return f"{unknown[1]}: this key is not known here."
    if text.startswith(("Invalid enum value", "Invalid value")):
        value = text.split("value ", 1)[1]
        return f"{key}: {value} is not known{_choices(key)}."
    if "malformed" in text or "truncated" in text or "utf-8" in text.lower():
        return f"This is not JSON: {text}."
    text = re.sub(r"`([a-z| ]+)`", lambda m: _words(m[1]), text)
    text = re.sub(r" matching regex .*", " without spaces or control characters", text)
    text = text[0].lower() + text[1:]
    return f"{key}: {text}." if key else f"The message as a whole: {text}."


def _words(names: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in names.split(" | "))


def _choices(key: str) -> str:
    return "; expected one of " + ", ".join(_CHOICES[key]) if key in _CHOICES else ""


def decode_query(query: MultiMapping[str], struct: type[_Struct]) -> _Struct:
    """Read a query string into its struct. Raises Problem 400 naming the key."""
    seen: dict[str, str] = {}
    for key, value in query.items():
        if key in seen:
            raise Problem(400, f"{key}: this key is given twice.")
        seen[key] = value
    try:
        return msgspec.convert(seen, struct, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, _with_value(sentence(error), seen)) from None


def _with_value(told: str, given: dict[str, str]) -> str:
    """In a query everything is text: say which text it was."""
    key = told.partition(":")[0]
    return told.replace("got text", f"got {given.get(key, '')[:24]!r}")


def decode_body(content: bytes, struct: type[_Struct]) -> _Struct:
    """Read a JSON body into its struct. Raises Problem 400 naming the key."""
    try:
        return msgspec.json.decode(content, type=struct)
    except RecursionError:
        raise Problem(400, "The JSON is nested too deeply.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Problem(400, _body_sentence(error)) from None


def instant_of(text: str | None, key: str) -> int | None:
    """ns UTC of an RFC 3339 time, None for none. Raises Problem 400 naming the key."""
    if text is None:
        return None
    found = instant_ns(text.replace("Z", "+00:00").replace("z", "+00:00"))
    if found is None:
        raise Problem(400, f"{key}: expected a time like 2013-10-08T13:30:00Z.")
    return found


async def decode_json(request: web.Request, struct: type[_Struct]) -> _Struct:
    """Read the JSON body of a request into its type. Raises Problem 415, 400 naming the key."""
    if request.content_type != "application/json":
        raise Problem(415, "The body must be application/json.")
    return decode_body(await request.read(), struct)


def decode_message(content: str) -> Inbound:
    """Read one WebSocket message. Raises Problem 400 whose detail is the sentence to send back."""
    try:
        message: Inbound = _inbound.decode(content)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Problem(400, _body_sentence(error)) from None
    return message


def _body_sentence(error: Exception) -> str:
    if isinstance(error, msgspec.MsgspecError):
        return sentence(error)
    return "This is not JSON: the text is not valid UTF-8."
