"""Shared by all tests: threads and the kernel cache are set before numpy and numba are imported;
which tests may run side by side; what was skipped, and why, at the end."""

import collections
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tools import runtime

runtime.prepare()

# Tests never ask how long something took: a busy machine is no fault of the code.
settings.register_profile("tapescan", deadline=None)
settings.load_profile("tapescan")

SOAK = os.environ.get("TAPESCAN_SOAK") == "1"
# Tests here start and kill whole engines: the longest files, so they come first.
ENGINES = ("kills", "engine")
_TESTS = Path(__file__).parent


@pytest.fixture
def soak() -> bool:
    """True when the long proofs run in full; else tests run a seeded tenth."""
    return SOAK


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, or they would be what other processors wait for at the end.

    `--dist loadfile` runs each file in one process: what its tests share is made once.
    """
    items.sort(key=lambda item: item.path.relative_to(_TESTS).parts[0] not in ENGINES)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for every reason to skip: nobody shall take a part of the tests for all of them."""
    reasons: collections.Counter[str] = collections.Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        reasons[reason.removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.write_sep("=", "skipped", yellow=True)
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"SKIPPED {count}: {reason}", yellow=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run that skipped all of its tests has proven nothing: it ends like one without tests."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus != pytest.ExitCode.OK or reporter is None or session.config.option.collectonly:
        return
    if not reporter.stats.get("passed"):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
