"""The base of every error the engine raises on purpose."""


class EngineError(Exception):
    """Raised when the engine refuses something; the message is one sentence for the user."""
