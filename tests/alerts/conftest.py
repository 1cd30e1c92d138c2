"""Spools of services that tests drop as if they were killed are closed when the test ends."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine.storage.spool import Spool


@pytest.fixture(autouse=True)
def spools_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A dropped service leaves its descriptor open: hundreds a test, until a run has too many."""
    opened: list[Spool] = []
    begin = Spool.__init__

    def noted(self: Spool, *args: Any, **kwargs: Any) -> None:
        opened.append(self)
        begin(self, *args, **kwargs)

    monkeypatch.setattr(Spool, "__init__", noted)
    yield
    for spool in opened:
        if hasattr(spool, "_fd"):  # else it was refused while it was opened
            spool.close()
