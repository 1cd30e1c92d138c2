"""Opens the store of rules under a data directory, and takes in what rules.path says."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.rules.change import Outcome
from engine.rules.errors import RuleError
from engine.rules.files import load_rules
from engine.rules.library import Library, Program, Ready, live, plain
from engine.rules.limits import limits_of
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from engine.storage.rule_ports import Answer, Bounds, RuleVersion
from engine.storage.rule_sqlite import FILE_NAME, SqliteRuleReader, SqliteRuleStore
from shm.clock import realtime_ns


def store_path(data_dir: Path) -> Path:
    """Where the rules of a data directory are."""
    return data_dir / FILE_NAME


def open_library(config: Config, data_dir: Path) -> Library:
    """The rules of a data directory, to be changed by whoever may: the front of a running engine,
    or the holder of the directory's lock. Raises StorageError."""
    bounds = Bounds(versions=config.rules.keep_versions, deleted=config.rules.keep_deleted)
    store = SqliteRuleStore(store_path(data_dir), bounds)
    return Library(store, limits_of(config), sizes_of(config), realtime_ns)


def stored_rule(config: Config, data_dir: Path, rule_id: str) -> Rule | None:
    """The newest version of a rule that is not deleted; None where there is none, or the settings
    no longer allow it. Raises StorageError."""
    path = store_path(data_dir)
    if not path.exists():
        return None
    reader = SqliteRuleReader(path)
    try:
        found = reader.get(rule_id)
    finally:
        reader.close()
    if found is None or found.deleted:
        return None
    try:
        rule = read_rule(plain(found), limits_of(config))
    except RuleError:
        return None
    return msgspec.structs.replace(rule, version=found.version)


def take_in_source(library: Library, config: Config, ready: Ready | None = None) -> Outcome:
    """Take in rules.path, see Library.take_in. A fault in it refuses all of it: RuleError."""
    path = config.rules.path
    rules = load_rules(Path(path), limits_of(config))
    try:
        return library.take_in(rules, ready)
    except RuleError as error:
        raise RuleError(tuple(f"{path}: {problem}" for problem in error.problems)) from error


@dataclasses.dataclass(frozen=True)
class Foreseen:
    """The store of rules, and what the next start makes of it.

    enabled, disabled: rules in the store. faults: why they do not compile as they are, empty: they
    do. changes: versions that rules.path adds at a start; rules: those that are then in force.
    """

    path: Path
    enabled: int
    disabled: int
    faults: tuple[str, ...]
    changes: int
    rules: Sequence[Rule]


class _Untouched(SqliteRuleReader):
    """A store whose changes come to nothing."""

    dropped = 0

    def append(self, versions: Sequence[RuleVersion], answer: Answer | None = None) -> None:
        """Keep nothing."""


def foresee(config: Config, data_dir: Path) -> Foreseen | None:
    """What a start would find in the store of rules and do to it; None when there is no store yet.
    Changes nothing. Raises RuleError with what a start would be refused with, StorageError."""
    path = store_path(data_dir)
    if not path.exists():
        return None
    store = _Untouched(path, briefly=True)
    try:
        return _foreseen(store, config, path)
    finally:
        store.close()


def _foreseen(store: _Untouched, config: Config, path: Path) -> Foreseen:
    library = Library(store, limits_of(config), sizes_of(config), realtime_ns)
    enabled = [bool(plain(one)["enabled"]) for one in live(store.newest()).values()]
    faults: tuple[str, ...] = ()
    try:
        library.program()
    except RuleError as error:
        faults = error.problems
    after: list[Program] = []
    try:
        outcome = take_in_source(library, config, after.append)
    except RuleError as error:
        if not faults:
            raise
        raise RuleError(tuple(f"{path}: {fault}" for fault in faults)) from error
    return Foreseen(
        path, sum(enabled), len(enabled) - sum(enabled), faults, len(outcome.changed),
        after[-1].compiled.rules,
    )
