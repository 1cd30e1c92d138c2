"""What makes two rules the same rule: a hash of everything that decides when they fire."""

import hashlib

import msgspec

from engine.rules.model import Rule, Universe
from engine.rules.normal import encoding, normal_form
from engine.rules.tree import Cond

# Changes whenever the hash of an unchanged rule would: ids of stored alerts depend on it.
_PREFIX = "tapescan.rule.2"


def content_hash(rule: Rule) -> bytes:
    """SHA-256 of what makes a rule fire, 32 bytes.

    It covers the normal form of the condition, the universe and the control of repeats (trigger,
    cooldown, once_per_session, debounce, rearm, max_per_min). It does not cover id, name,
    description, enabled, severity, owner, tags, template, version, times, nor how any of the former
    is spelled: form, order of conditions, aliases, layout. Changing those changes no alert's
    meaning, so it must change no alert's identity. Raises UnknownMetric.
    """
    meaning = [
        _PREFIX,
        _tree(rule.condition),
        _scope(rule.universe),
        rule.trigger,
        rule.cooldown_ms,
        rule.once_per_session,
        rule.debounce_ms,
        rule.rearm,
        _tree(rule.rearm_tree),
        rule.max_per_min,
    ]
    return hashlib.sha256(msgspec.json.encode(meaning)).digest()


def _tree(cond: Cond | None) -> msgspec.Raw:
    return msgspec.Raw(b"null" if cond is None else encoding(normal_form(cond)))


def _scope(universe: Universe) -> list[object]:
    names = (
        universe.symbols, universe.exclude_symbols, universe.lists, universe.exclude_lists,
        universe.exchanges, universe.sectors,
    )  # fmt: skip
    return [_tree(universe.scope), *(sorted(set(group)) for group in names)]
