"""GET below /api/v1/rules and /api/v1/templates: stored rules, their versions, and templates."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from engine.rules.cost import rule_ns
from engine.rules.difference import difference
from engine.rules.errors import ChangeError, RuleBlobError, RuleError, UnknownRuleError
from engine.rules.flip import flip_rule
from engine.rules.library import document_of, find, moment, plain
from engine.rules.model import to_document
from engine.rules.pack import unpack
from engine.rules.rule_set import set_faults
from engine.rules.template import Template, UnknownTemplateError, find_template, rate, templates
from engine.rules.validate import read_rule
from engine.rules.values import is_id, show
from engine.storage.errors import StorageError
from engine.storage.rule_ports import RuleReader, RuleVersion
from shm.errors import ShmError
from web.deps import KEY
from web.problems import Problem, json_response
from web.rest.alerts import in_store
from web.rest.rule_shapes import (
    DiffQuery,
    FlippedRule,
    FlipQuery,
    HistoryQuery,
    RuleCost,
    RuleFault,
    RuleHistory,
    RuleRecord,
    TemplateList,
    TemplateRecord,
    Validation,
    VersionQuery,
)
from web.rule_book import RuleBook
from web.schemas import NoQuery, decode_json, decode_query

_Result = TypeVar("_Result")
_WORDS = ("earlier", "rule", "template", "the", "there", "these", "version")
_PLACE = re.compile(r"line (\d+) column (\d+): ")
_NEAREST = re.compile(r"did you mean ([^ ?]+)")
_EXPECTED = re.compile(r"expected ([^;]+)")


def book_of(request: web.Request) -> RuleBook:
    """The rules of this front. Raises Problem 503 where it keeps none."""
    book = request.app[KEY].deps.rules
    if book is None:
        raise Problem(503, "This front keeps no rules.")
    return book


async def in_rules(request: web.Request, look: Callable[[RuleReader], _Result]) -> _Result:
    """Look at the stored rules beside the event loop. Raises Problem."""
    book, front = book_of(request), request.app[KEY]

    def read() -> _Result:
        try:
            return book.read(look)
        except StorageError as error:
            raise Problem(503, f"The stored rules cannot be read: {error}") from None
        except (ChangeError, RuleError) as error:
            raise problem_of(error) from None

    return await in_store(front, read)


def rule_id_of(request: web.Request) -> str:
    """The id in the path. Raises Problem 404 when no rule can have it."""
    rule_id = request.match_info["rule_id"]
    if not is_id(rule_id):
        raise Problem(404, f"No rule can have the id {show(rule_id)}.")
    return rule_id


def as_sentence(text: str) -> str:
    """What the engine says, with a capital and a full stop, on one line."""
    told = " ".join(text.split())
    if told.split(" ", 1)[0].rstrip(":") in _WORDS:  # else it is a key, which stays as written
        told = told[0].upper() + told[1:]
    return told + ("" if told.endswith((".", "?")) else ".")


def problem_of(error: Exception) -> Problem:
    """The answer to a refusal of the engine."""
    if isinstance(error, UnknownRuleError | UnknownTemplateError):
        return Problem(404, as_sentence(str(error)))
    if isinstance(error, RuleError):
        faults = [fault_of(one) for one in error.problems]
        return Problem(422, as_sentence(str(error)), more={"faults": faults})
    return Problem(400, as_sentence(str(error)))


def fault_of(text: str) -> RuleFault:
    """A fault with the places and words that its sentence names."""
    place, near, expected = (one.search(text) for one in (_PLACE, _NEAREST, _EXPECTED))
    return RuleFault(
        text=as_sentence(text),
        line=int(place[1]) if place else None,
        column=int(place[2]) if place else None,
        expected=expected[1].rstrip(".") if expected else None,
        nearest=near[1] if near else None,
    )


def etag_of(version: RuleVersion) -> str:
    """What identifies this version of a rule, without quotes."""
    return f"{version.version}-{version.content_hash[:16]}"


def record_of(version: RuleVersion) -> RuleRecord:
    """A version for outsiders."""
    return RuleRecord(
        id=version.rule_id, version=version.version, action=version.action,
        at=moment(version.at_ns), author=version.author, owner=version.owner,
        note=version.note, content_hash=version.content_hash, etag=f'"{etag_of(version)}"',
        document=plain(version),
    )  # fmt: skip


async def get_rule(request: web.Request) -> web.Response:
    """A version of a rule; the newest carries the ETag that changes have to match."""
    rule_id, query = rule_id_of(request), decode_query(request.query, VersionQuery)
    found = await in_rules(request, lambda reader: find(reader, rule_id, query.version))
    if found.deleted and query.version is None:
        gone = f"Rule '{rule_id}' was deleted with version {found.version}."
        raise Problem(404, gone)
    answer = json_response(record_of(found))
    answer.headers["ETag"] = f'"{etag_of(found)}"'
    return answer


async def get_history(request: web.Request) -> web.Response:
    """The versions of a rule, newest first; a deleted one has them, too."""
    rule_id, query = rule_id_of(request), decode_query(request.query, HistoryQuery)
    request.app[KEY].refuse_over("max_page_rows", "limit", query.limit)

    def look(reader: RuleReader) -> list[RuleVersion]:
        find(reader, rule_id)
        return reader.history(rule_id, query.limit + 1, query.cursor)

    found = await in_rules(request, look)
    page = found[: query.limit]
    more = str(page[-1].version) if len(found) > query.limit else None
    return json_response(RuleHistory([record_of(one) for one in page], more))


async def get_diff(request: web.Request) -> web.Response:
    """What differs between two versions of a rule."""
    rule_id, query = rule_id_of(request), decode_query(request.query, DiffQuery)

    def look(reader: RuleReader) -> tuple[RuleVersion, RuleVersion]:
        after = find(reader, rule_id, query.to_version)
        if query.from_version is not None:
            return find(reader, rule_id, query.from_version), after
        older = reader.history(rule_id, 1, after.version)
        return (older[0] if older else after), after

    return json_response(difference(*await in_rules(request, look)))


async def get_flip(request: web.Request) -> web.Response:
    """The mirror image of a rule: for falling prices what it is for rising ones."""
    rule_id, query = rule_id_of(request), decode_query(request.query, FlipQuery)
    limits = book_of(request).limits

    def look(reader: RuleReader) -> dict[str, Any]:
        rule = read_rule(plain(find(reader, rule_id, query.version)), limits)
        flipped = read_rule(to_document(flip_rule(rule, query.id)), limits)
        document: dict[str, Any] = msgspec.json.decode(document_of(flipped))
        return document

    return json_response(FlippedRule(await in_rules(request, look)))


async def validate_rule(request: web.Request) -> web.Response:
    """Every fault of a rule, alone and beside those in force, and its cost; nothing is stored."""
    decode_query(request.query, NoQuery)
    document = await decode_json(request, dict[str, Any])
    book, tables = book_of(request), request.app[KEY].deps.tables

    def look() -> Validation:
        content = tables.rules.read(tables.rules.latest())
        others = () if content is None else unpack(content).rules
        return _validated(document, book, others)

    try:
        return json_response(await in_store(request.app[KEY], look))
    except (RuleBlobError, ShmError):
        raise Problem(503, "The rules are just being exchanged.", {"Retry-After": "1"}) from None


def _validated(document: dict[str, Any], book: RuleBook, others: Any) -> Validation:
    try:
        rule = read_rule(document, book.limits)
    except RuleError as error:
        return Validation(False, [fault_of(one) for one in error.problems], None, None)
    kept = [one for one in others if one.id != rule.id]
    faults = set_faults([*kept, rule], book.limits)
    us = rule_ns(rule) * book.limits.symbols / 1e3
    cost = RuleCost(round(us, 3), book.limits.max_rule_cost_us, book.limits.symbols)
    read = msgspec.json.decode(document_of(rule))
    return Validation(not faults, [fault_of(one) for one in faults], cost, read)


async def list_templates(request: web.Request) -> web.Response:
    """Every template with its parameters and how often it fires."""
    decode_query(request.query, NoQuery)
    return json_response(TemplateList([_template(one) for one in templates().values()]))


async def get_template(request: web.Request) -> web.Response:
    """One template."""
    decode_query(request.query, NoQuery)
    return json_response(_template(template_of(request)))


def template_of(request: web.Request) -> Template:
    """The template in the path. Raises Problem 404."""
    template_id = request.match_info["template_id"]
    if not is_id(template_id):
        raise Problem(404, f"No template can have the id {show(template_id)}.")
    try:
        return find_template(template_id)
    except UnknownTemplateError as error:
        raise problem_of(error) from None


def _template(one: Template) -> TemplateRecord:
    found = msgspec.to_builtins(one) | {"alerts_per_symbol_day": rate(one)}
    return msgspec.convert(found, TemplateRecord)
