"""Brings a change of rules to where it is made: the running engine, or the store when none runs."""

import getpass
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.config.schema import Config
from engine.rules.change import read_change, summary
from engine.rules.payload import handed_over
from engine.rules.stored import open_library, store_path
from engine.storage.rule_ports import RuleReader
from engine.storage.rule_sqlite import SqliteRuleReader
from engine.storage.rule_stub import MemoryRuleStore
from ipc.control import ask
from ipc.errors import LockedError, NoAnswerError, NoEngineError
from ipc.lock import DataLock

START_WAIT_S = 5.0
RETRY_S = 0.1


@contextmanager
def reading(config: Config) -> Iterator[RuleReader]:
    """The stored rules, whether an engine runs or not; empty before there is a store."""
    path = store_path(Path(config.paths.data_dir))
    reader: RuleReader = SqliteRuleReader(path) if path.exists() else MemoryRuleStore()
    try:
        yield reader
    finally:
        reader.close()


def submit(config: Config, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out a change (see rules.change.Change): changed, changes, unchanged, and of a running
    engine rules and version. Raises what the change is refused with."""
    data_dir = Path(config.paths.data_dir)
    name = uuid.uuid4().hex
    whole = {"author": getpass.getuser(), "request_id": name, **request}
    deadline_s = time.monotonic() + START_WAIT_S
    while True:
        try:
            lock = DataLock(data_dir, wait_s=0.0)
        except LockedError as held:
            try:
                return _order(data_dir, name, whole)
            except NoEngineError:
                if time.monotonic() > deadline_s:  # it starts or ends, or is another such command
                    raise held from None
                time.sleep(RETRY_S)
        else:
            try:
                return _change_store(config, data_dir, whole)
            finally:
                lock.release()


def _order(data_dir: Path, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the running engine; once more when the answer is lost: a repeat changes nothing."""
    with handed_over(data_dir, name, request) as sent:
        try:
            answer = ask(data_dir, "rules", **sent)
        except NoAnswerError:
            answer = ask(data_dir, "rules", **sent)
    found: dict[str, Any] = answer
    return found


def _change_store(config: Config, data_dir: Path, request: dict[str, Any]) -> dict[str, Any]:
    change = read_change(request)
    library = open_library(config, data_dir)
    try:
        return summary(library.apply(change))
    finally:
        library.store.close()
