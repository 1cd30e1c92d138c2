"""POST, PUT and DELETE below /api/v1/rules and /api/v1/templates: changes of the stored rules."""

from typing import Any

import msgspec
from aiohttp import ETag, web

from engine.rules.change import Kind
from engine.rules.errors import ChangeError, RuleError
from engine.rules.library import find
from engine.rules.template import document as template_document
from engine.storage.rule_ports import RuleVersion, VersionConflictError
from web.orders import Answered, BusyError
from web.principal import TRADER, Principal, demand
from web.problems import Problem, json_response
from web.rest.rule_reads import (
    as_sentence,
    book_of,
    etag_of,
    in_rules,
    problem_of,
    record_of,
    rule_id_of,
    template_of,
)
from web.rest.rule_shapes import FromTemplate, NoteQuery, Rollback, RuleChange
from web.schemas import NoQuery, decode_json, decode_query

_REFUSED = (ChangeError, RuleError)


async def create_rule(request: web.Request) -> web.Response:
    """201 with the stored rule; 409 when there is one of its id."""
    query = decode_query(request.query, NoteQuery)
    document = await decode_json(request, dict[str, Any])
    return await _create(request, document, query.note)


async def create_from_template(request: web.Request) -> web.Response:
    """201 with the rule that a template became."""
    decode_query(request.query, NoQuery)
    template = template_of(request)
    wanted = await decode_json(request, FromTemplate)
    try:
        document = template_document(template, wanted.id, wanted.values)
    except ChangeError as error:
        raise problem_of(error) from None
    return await _create(request, document, wanted.note)


async def _create(request: web.Request, document: dict[str, Any], note: str) -> web.Response:
    who = demand(request, TRADER)
    owner = _owner_in(document, who) or who.user_id
    order = {"action": "create", "documents": [document], "owner": owner, "note": note}
    answer = await _carry_out(request, who, order)
    answer.set_status(201)
    return answer


async def update_rule(request: web.Request) -> web.Response:
    """The document becomes the newest version of the rule."""
    rule_id, query = rule_id_of(request), decode_query(request.query, NoteQuery)
    document = await decode_json(request, dict[str, Any])
    who, head = await _mine(request, rule_id)
    expected = _matched(request, head, needed=True)
    _owner_in(document, who)
    if document.setdefault("id", rule_id) != rule_id:
        raise Problem(400, f"id: the document is of another rule than '{rule_id}'.")
    return await _carry_out(
        request, who,
        {"action": "update", "rule_id": rule_id, "documents": [document], "expected": expected,
         "note": query.note},
    )  # fmt: skip


async def delete_rule(request: web.Request) -> web.Response:
    """Its history stays; rollback brings it back."""
    return await _plainly(request, "delete", needed=True)


async def enable_rule(request: web.Request) -> web.Response:
    """Let it fire again."""
    return await _plainly(request, "enable", needed=False)


async def disable_rule(request: web.Request) -> web.Response:
    """Keep it from firing; it stays in the store."""
    return await _plainly(request, "disable", needed=False)


async def _plainly(request: web.Request, action: Kind, *, needed: bool) -> web.Response:
    rule_id, query = rule_id_of(request), decode_query(request.query, NoteQuery)
    who, head = await _mine(request, rule_id)
    expected = _matched(request, head, needed=needed)
    order = {"action": action, "rule_id": rule_id, "expected": expected, "note": query.note}
    return await _carry_out(request, who, order)


async def roll_back_rule(request: web.Request) -> web.Response:
    """A new version that is written as an earlier one was; a deleted rule comes back."""
    rule_id = rule_id_of(request)
    decode_query(request.query, NoQuery)
    wanted = await decode_json(request, Rollback)
    who, head = await _mine(request, rule_id)
    expected = _matched(request, head, needed=True)
    return await _carry_out(
        request, who,
        {"action": "rollback", "rule_id": rule_id, "version": wanted.version,
         "expected": expected, "note": wanted.note},
    )  # fmt: skip


async def _mine(request: web.Request, rule_id: str) -> tuple[Principal, RuleVersion]:
    """Who asks, and the newest version of a rule of theirs. Raises Problem 403, 404.

    Whose it is can change with a version only, and every change says which one it is made for.
    """
    who = demand(request, TRADER)
    head = await in_rules(request, lambda reader: find(reader, rule_id))
    if not who.owns(head.owner):
        raise Problem(403, f"Rule '{rule_id}' is not yours to change.")
    return who, head


def _owner_in(document: dict[str, Any], who: Principal) -> str:
    """The owner that a document names, empty: none. Raises Problem 403: it is somebody else."""
    owner = document.get("owner", "")
    if isinstance(owner, str) and owner and not who.owns(owner):
        raise Problem(403, "owner: only an admin makes rules that are somebody else's.")
    return owner if isinstance(owner, str) else ""


def _matched(request: web.Request, head: RuleVersion, *, needed: bool) -> int:
    """The version that a change is for. Raises Problem 428, 412."""
    if "If-Match" not in request.headers:
        if needed:
            raise Problem(428, "Send If-Match with the ETag of the version that you change.")
        return head.version
    tags: tuple[ETag, ...] = request.if_match or ()
    if any(tag.value == "*" or (tag.value == etag_of(head) and not tag.is_weak) for tag in tags):
        return head.version
    found = f"Rule '{head.rule_id}' is at version {head.version}, which If-Match does not name."
    raise Problem(412, found, {"ETag": f'"{etag_of(head)}"'})


async def _carry_out(
    request: web.Request, who: Principal, order: dict[str, Any]
) -> web.Response:
    """Carry out a change and answer once the engine runs with it, or a moment later."""
    book = book_of(request)
    answered = await book.change({"author": who.user_id, **order})
    if answered.result is None:
        raise _refusal(answered, order)
    result = answered.result
    changed = result["changed"]
    rule_id = order.get("rule_id") or order["documents"][0]["id"]
    head = await in_rules(request, lambda reader: find(reader, rule_id))
    outcome = RuleChange(
        rule=record_of(head), changed=bool(changed), rules=result["rules"],
        set_version=result["version"], in_force=await book.in_force(result["version"]),
    )  # fmt: skip
    answer = json_response(msgspec.to_builtins(outcome))
    answer.headers["ETag"] = f'"{etag_of(head)}"'
    answer.headers["Location"] = f"/api/v1/rules/{rule_id}"
    return answer


def _refusal(answered: Answered, order: dict[str, Any]) -> Problem:
    cause = answered.cause
    if isinstance(cause, VersionConflictError):
        return Problem(412 if "expected" in order else 409, as_sentence(answered.error))
    if cause is None or isinstance(cause, BusyError) or not isinstance(cause, _REFUSED):
        return Problem(503, as_sentence(answered.error), {"Retry-After": "1"})
    return problem_of(cause)
