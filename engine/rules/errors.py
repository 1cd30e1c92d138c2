"""Errors of the rules room."""

from engine.errors import EngineError


class RuleError(EngineError):
    """Raised when rules are refused.

    `problems` holds one sentence per fault; the first is the message.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems[0])
        self.problems = problems


class RuleBlobError(EngineError):
    """Raised when a compiled rule set is broken or was compiled for another metric catalogue."""
