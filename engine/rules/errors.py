"""Errors of the rules room."""

from engine.errors import EngineError


class RuleError(EngineError):
    """Raised when rules are refused.

    `problems` holds one sentence per fault; the first is the message.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems[0])
        self.problems = problems


class RuleTextError(RuleError):
    """Raised when the text of a condition cannot be read.

    line, column: where, from 1. sentence: what is wrong, without the place.
    """

    def __init__(self, line: int, column: int, sentence: str) -> None:
        super().__init__((f"line {line} column {column}: {sentence}",))
        self.line = line
        self.column = column
        self.sentence = sentence


class RuleBlobError(EngineError):
    """Raised when a compiled rule set is broken or was compiled for another metric catalogue."""
