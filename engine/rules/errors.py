"""Errors of the rules room."""

from engine.errors import EngineError
from ipc.policy import EXIT_BAD_CONFIG, EXIT_FAILED


class RuleError(EngineError):
    """Raised when rules are refused.

    `problems` holds one sentence per fault; the first is the message.
    """

    exit_code = EXIT_BAD_CONFIG

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


class ChangeError(EngineError):
    """Raised when a change of the stored rules is no such change; nothing was changed."""

    exit_code = EXIT_FAILED


class UnknownRuleError(ChangeError):
    """Raised when a rule, or a version of one, is not in the store."""
