"""Shapes of what the routes of rules read and answer."""

from typing import Annotated, Any, Literal

import msgspec

from engine.rules.change import MAX_NOTE_CHARS
from engine.rules.values import MAX_ID_CHARS
from web.schemas import Count, Positive, RowId, RuleId

Note = Annotated[str, msgspec.Meta(max_length=MAX_NOTE_CHARS)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]


class RulesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /api/v1/rules. state: in_force, what the engine runs; stored or deleted, the
    newest versions in the store. search: in id or name. cursor: the last id of the page before.
    limit: null for all."""

    state: Literal["in_force", "stored", "deleted"] = "in_force"
    search: Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARS)] = ""
    tag: Word | None = None
    owner: Word | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    enabled: bool | None = None
    limit: Positive | None = None
    offset: Count = 0
    cursor: RuleId | None = None


class VersionQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A version of a rule, null: the newest."""

    version: Positive | None = None


class FlipQuery(msgspec.Struct, forbid_unknown_fields=True):
    """version: of the rule, null: the newest; id: of the mirror image, empty: chosen."""

    version: Positive | None = None
    id: Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARS)] = ""


class HistoryQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Versions of a rule, newest first; cursor: the last version of the page before."""

    limit: Positive = 20
    cursor: RowId | None = None


class DiffQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Two versions of a rule; null: the newest (to), and the one before it (from)."""

    from_version: Positive | None = msgspec.field(default=None, name="from")
    to_version: Positive | None = msgspec.field(default=None, name="to")


class NoteQuery(msgspec.Struct, forbid_unknown_fields=True):
    """note: why, for the history."""

    note: Note = ""


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/rules/{rule_id}/rollback: the version to go back to, and why."""

    version: Positive
    note: Note = ""


class FromTemplate(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/templates/{template_id}. id: of the rule, empty: the template's;
    values: of parameters that are not to have their default."""

    id: Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARS)] = ""
    values: dict[str, float] = {}
    note: Note = ""


class RuleRecord(msgspec.Struct, frozen=True):
    """A version of a rule with who made it, when and why. etag: what If-Match has to say."""

    id: str
    version: int
    action: str
    at: str
    author: str
    owner: str
    note: str
    content_hash: str
    etag: str
    document: dict[str, Any]


class RuleList(msgspec.Struct, frozen=True):
    """data: of state in_force the documents, else records. version: of the set in force."""

    data: list[dict[str, Any]]
    version: int
    families: list[dict[str, Any]]
    total: int
    next_cursor: str | None


class RuleHistory(msgspec.Struct, frozen=True):
    """Versions of a rule, newest first."""

    data: list[RuleRecord]
    next_cursor: str | None


class RuleChange(msgspec.Struct, frozen=True):
    """What a change came to. rule: its newest version; changed: false when it was so already;
    rules, set_version: of the set; in_force: the engine runs with it."""

    rule: RuleRecord
    changed: bool
    rules: int
    set_version: int
    in_force: bool


class RuleFault(msgspec.Struct, frozen=True):
    """One fault. line, column: in the text of a condition, from 1, null where it is not in one;
    expected: what should stand there; nearest: the known word that looks most like it."""

    text: str
    line: int | None
    column: int | None
    expected: str | None
    nearest: str | None


class RuleCost(msgspec.Struct, frozen=True):
    """What a rule costs in a cycle in the worst case, for so many symbols of a scan worker."""

    us: float
    most_us: float
    symbols: int


class Validation(msgspec.Struct, frozen=True):
    """valid: it could be stored beside the rules in force. cost: null when it is not valid by
    itself."""

    valid: bool
    faults: list[RuleFault]
    cost: RuleCost | None
    document: dict[str, Any] | None


class FlippedRule(msgspec.Struct, frozen=True):
    """The mirror image of a rule; it is not stored."""

    document: dict[str, Any]


class KeyDifference(msgspec.Struct, frozen=True):
    """A key with another value; null where it is absent."""

    key: str
    before: Any
    after: Any


class RuleDifference(msgspec.Struct, frozen=True):
    """What differs between two versions; same_meaning: both fire alike; text: a unified diff."""

    rule_id: str
    from_version: int
    to_version: int
    same_meaning: bool
    changes: list[KeyDifference]
    text: str


class TemplateParameter(msgspec.Struct, frozen=True):
    """A number that a template leaves open."""

    default: float
    min: float
    max: float
    means: str
    unit: str
    whole: bool


class TemplateRecord(msgspec.Struct, frozen=True):
    """A template; alerts_per_symbol_day: how often it fires as it comes, null: not measured."""

    id: str
    name: str
    what: str
    useful: str
    tags: list[str]
    where: str
    params: dict[str, TemplateParameter]
    rule: dict[str, Any]
    measured_on: str
    alerts_per_symbol_day: float | None


class TemplateList(msgspec.Struct, frozen=True):
    """Every template, by id."""

    data: list[TemplateRecord]
    next_cursor: None = None
