"""What the sequencer refuses."""

from engine.errors import EngineError


class BarsError(EngineError):
    """Raised when the sequencer is asked for something the protocol of the cycle forbids."""
