"""Errors of the scan room."""

from engine.errors import EngineError


class ScanError(EngineError):
    """Raised when a scan worker cannot run the cycle it was given."""
