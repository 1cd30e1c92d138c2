"""Genesis, tape, resume and backtest: the same stages in one process."""
