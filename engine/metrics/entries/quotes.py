"""Metrics of the last trade and of the best bid and ask."""

from engine.metrics.entry import ROW, SAME, TIME, Metric, section

NO_LAST = "no eligible trade yet"
_NO_SIDE = "a side of the quote has not been seen"


def _last_trade() -> list[Metric]:
    return [
        Metric("last", "usd", "P: price of the last trade whose conditions set last", NO_LAST, ROW,
               "Last price", up=True, aliases=("price",), inputs=("trades",)),
        Metric("last_size", "shares", "size of that trade",
               NO_LAST + ", or it is the close of a bar, which does not tell", ROW,
               "Size of the last trade", SAME, inputs=("trades",)),
        Metric("age_trade_s", "s", "T - exchange time of the last trade that set last, at least 0",
               NO_LAST, TIME, "Seconds since the last trade", SAME, inputs=("last",)),
    ]  # fmt: skip


def _quote() -> list[Metric]:
    sides = ("bid", "ask")
    return [
        Metric("bid", "usd", "best bid", "no bid seen", ROW, "Best bid", "-ask", up=True,
               inputs=("quotes",)),
        Metric("ask", "usd", "best ask", "no ask seen", ROW, "Best ask", "-bid", up=True,
               inputs=("quotes",)),
        Metric("bid_size", "shares", "size at the bid", "no bid seen", ROW,
               "Shares wanted at the bid", "ask_size", up=True, inputs=("quotes",)),
        Metric("ask_size", "shares", "size at the ask", "no ask seen", ROW,
               "Shares offered at the ask", "bid_size", up=False, inputs=("quotes",)),
        Metric("spread_usd", "usd", "ask - bid; 0 locked, negative crossed", _NO_SIDE, ROW,
               "Spread", SAME, inputs=sides),
        Metric("spread_bps", "bps", "10,000 * (ask - bid) / ((ask + bid) / 2)", _NO_SIDE, ROW,
               "Spread in basis points", SAME, inputs=sides),
        Metric("imb", "ratio", "(bid_size - ask_size) / (bid_size + ask_size)",
               _NO_SIDE + ", or both sizes are 0", ROW,
               "Imbalance of the sizes at the quote, -1 to 1", up=True,
               inputs=("bid_size", "ask_size")),
        Metric("age_quote_s", "s", "T - exchange time of the last quote, at least 0",
               "no quote seen", TIME, "Seconds since the last quote", SAME, inputs=sides),
    ]  # fmt: skip


ENTRIES = (*section("Last trade", _last_trade()), *section("Quote", _quote()))
