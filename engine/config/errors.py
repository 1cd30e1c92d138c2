"""What is raised when a configuration is refused."""

from engine.errors import EngineError


class ConfigError(EngineError):
    """Raised when a setting is unknown, of the wrong type, out of range or at odds with another.

    source: the file, environment variable or option at fault; key: `section.key`, empty when the
    whole source is unreadable.
    """

    exit_code = 3

    def __init__(self, source: str, key: str, sentence: str) -> None:
        super().__init__(f"{source}: {sentence}")
        self.source = source
        self.key = key
