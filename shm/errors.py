"""What shared memory refuses: one base class, one sentence each."""


class ShmError(Exception):
    """Raised when a shared memory object refuses something; the message is one sentence."""


class SegmentError(ShmError):
    """Raised when a segment cannot be created, found, trusted or removed."""


class RingError(ShmError):
    """Raised when a ring, lane or cell is asked for something its protocol forbids."""


class BlobError(ShmError):
    """Raised when content cannot be published as a version of a blob."""


class BlobFull(BlobError):  # noqa: N818 - the name is part of the published API
    """Raised when the slot to reuse still holds a version that somebody may need."""

    def __init__(self, name: str, version: int, oldest: int, floor: int) -> None:
        super().__init__(
            f"blob {name!r} has no free slot for version {version}: "
            f"its oldest version {oldest} is not below the floor {floor}"
        )
        self.version, self.oldest, self.floor = version, oldest, floor


class NamesError(ShmError):
    """Raised when a name does not fit its row or a row cannot be read."""


class BoardError(ShmError):
    """Raised when a line, counter or histogram is not on the board."""
