"""Errors of the toplists room."""

from engine.errors import EngineError


class ToplistError(EngineError):
    """Raised when a toplist is refused; key: the member of the definition that was wrong."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(f"{key}: {sentence}")
        self.key = key
