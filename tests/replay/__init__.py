"""Genesis, tape, harness, backtest: the two equalities."""
