"""The benchmark of the indicators runs and gives the lines it promises."""

import pytest

pytest.importorskip("talib", reason="TA-Lib is not installed")
bench = pytest.importorskip("tools.bench.indicators")


def test_the_benchmark_gives_whole_lines():
    lines = bench.run(symbols=64)
    assert [line["name"] for line in lines] == ["indicators_bar_close", "metric_columns"]
    for line in lines:
        assert set(line) == {
            "name", "value", "unit", "target", "met", "peer", "peer_value", "ratio",
        }  # fmt: skip
        assert line["value"] > 0
