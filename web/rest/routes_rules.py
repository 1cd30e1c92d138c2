"""The routes of rules and templates."""

from typing import Any

from web.principal import TRADER
from web.rest.explain import explain_rule
from web.rest.rule_reads import (
    get_diff,
    get_flip,
    get_history,
    get_rule,
    get_template,
    list_templates,
    validate_rule,
)
from web.rest.rule_shapes import (
    DiffQuery,
    FlippedRule,
    FlipQuery,
    FromTemplate,
    HistoryQuery,
    NoteQuery,
    Rollback,
    RuleChange,
    RuleDifference,
    RuleHistory,
    RuleList,
    RuleRecord,
    RulesQuery,
    TemplateList,
    TemplateRecord,
    Validation,
    VersionQuery,
)
from web.rest.rule_writes import (
    create_from_template,
    create_rule,
    delete_rule,
    disable_rule,
    enable_rule,
    roll_back_rule,
    update_rule,
)
from web.rest.rules import count_rules, list_rules
from web.route import Route
from web.schemas import ExplainQuery

RULES, RULE = "/api/v1/rules", "/api/v1/rules/{rule_id}"
TEMPLATE = "/api/v1/templates/{template_id}"
Document = dict[str, Any]

ROUTES_RULES = (
    Route("GET", RULES, list_rules, "The rules in force, or those in the store.",
          query=RulesQuery, answer=RuleList, problems=(503,)),
    Route("POST", RULES, create_rule, "Store a new rule.", TRADER, query=NoteQuery, body=Document,
          answer=RuleChange, status=201, problems=(403, 409, 415, 422, 503)),
    Route("GET", f"{RULES}/counts", count_rules, "What fired and was held back, by rule.",
          answer=Document, problems=(503,)),
    Route("POST", f"{RULES}/validate", validate_rule, "Every fault of a rule, and its cost.",
          body=Document, answer=Validation, problems=(415, 503)),
    Route("GET", RULE, get_rule, "A version of a stored rule.", query=VersionQuery,
          answer=RuleRecord, problems=(404, 503)),
    Route("PUT", RULE, update_rule, "Make a document the newest version of a rule.", TRADER,
          query=NoteQuery, body=Document, answer=RuleChange, if_match=True,
          problems=(403, 404, 412, 415, 422, 428, 503)),
    Route("DELETE", RULE, delete_rule, "Delete a rule; its history stays.", TRADER,
          query=NoteQuery, answer=RuleChange, if_match=True,
          problems=(403, 404, 412, 422, 428, 503)),
    Route("GET", f"{RULE}/explain", explain_rule, "Why it fires, or why not.",
          query=ExplainQuery, answer=Document, problems=(404, 503)),
    Route("GET", f"{RULE}/history", get_history, "Its versions, newest first.",
          query=HistoryQuery, answer=RuleHistory, problems=(404, 503)),
    Route("GET", f"{RULE}/diff", get_diff, "What differs between two versions.", query=DiffQuery,
          answer=RuleDifference, problems=(404, 503)),
    Route("GET", f"{RULE}/flip", get_flip, "Its mirror image, which is not stored.",
          query=FlipQuery, answer=FlippedRule, problems=(404, 422, 503)),
    Route("POST", f"{RULE}/rollback", roll_back_rule, "Go back to an earlier version.", TRADER,
          body=Rollback, answer=RuleChange, if_match=True,
          problems=(403, 404, 412, 415, 422, 428, 503)),
    Route("POST", f"{RULE}/enable", enable_rule, "Let it fire again.", TRADER, query=NoteQuery,
          answer=RuleChange, problems=(403, 404, 412, 422, 503)),
    Route("POST", f"{RULE}/disable", disable_rule, "Keep it from firing.", TRADER,
          query=NoteQuery, answer=RuleChange, problems=(403, 404, 412, 422, 503)),
    Route("GET", "/api/v1/templates", list_templates, "Rules ready to be taken.",
          answer=TemplateList),
    Route("GET", TEMPLATE, get_template, "One template.", answer=TemplateRecord, problems=(404,)),
    Route("POST", TEMPLATE, create_from_template, "Store a rule made from a template.", TRADER,
          body=FromTemplate, answer=RuleChange, status=201,
          problems=(403, 404, 409, 415, 422, 503)),
)  # fmt: skip
