"""What is raised when a feed cannot be read."""

from engine.errors import EngineError


class FeedError(EngineError):
    """Raised when a recording or a provider cannot be used at all; one sentence naming the file or
    key."""
