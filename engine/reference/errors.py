"""What reference data refuses."""

from engine.errors import EngineError


class ReferenceDataError(EngineError):
    """Raised when a file of reference data cannot be used at all."""
