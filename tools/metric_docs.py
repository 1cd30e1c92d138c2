"""Writes docs/metrics.md from the registries: `python -m tools.metric_docs`."""

from pathlib import Path

from engine.indicators.registry import EDGE_CASES
from engine.metrics.docs import render

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"


def page() -> str:
    """What docs/metrics.md must say."""
    return render(EDGE_CASES)


if __name__ == "__main__":
    PAGE.write_text(page())
