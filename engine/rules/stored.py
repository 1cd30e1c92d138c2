"""Opens the store of rules under a data directory, and takes in what rules.path says."""

from pathlib import Path

from engine.config.schema import Config
from engine.rules.change import Outcome
from engine.rules.errors import RuleError
from engine.rules.files import load_rules
from engine.rules.library import Library, Ready
from engine.rules.limits import limits_of
from engine.storage.rule_ports import Bounds
from engine.storage.rule_sqlite import FILE_NAME, SqliteRuleStore
from shm.clock import realtime_ns


def store_path(data_dir: Path) -> Path:
    """Where the rules of a data directory are."""
    return data_dir / FILE_NAME


def open_library(config: Config, data_dir: Path) -> Library:
    """The rules of a data directory, to be changed by whoever may: the front of a running engine,
    or the holder of the directory's lock. Raises StorageError."""
    bounds = Bounds(versions=config.rules.keep_versions, deleted=config.rules.keep_deleted)
    store = SqliteRuleStore(store_path(data_dir), bounds)
    return Library(store, limits_of(config), config.rules.max_bytes, realtime_ns)


def take_in_source(library: Library, config: Config, ready: Ready | None = None) -> Outcome:
    """Take in rules.path, see Library.take_in. A fault in it refuses all of it: RuleError."""
    path = config.rules.path
    rules = load_rules(Path(path), limits_of(config))
    try:
        return library.take_in(rules, ready)
    except RuleError as error:
        raise RuleError(tuple(f"{path}: {problem}" for problem in error.problems)) from error
