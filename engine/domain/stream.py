"""A stream: one unbroken run of the engine over one session, named by its id."""

import msgspec


class StreamInfo(msgspec.Struct, frozen=True):
    """What every role knows of the stream it works on.

    directory: where genesis and tape lie. start_ns: T of cycle 0. resumed_n: cycles taken over
    from the tape,
    0 for a new stream. live: the engine clock decides (else the watermarks do).
    """

    stream_id: str
    directory: str
    genesis_sha256: str
    fingerprint: str
    provider: str
    simulated: bool
    live: bool
    date: int
    start_ns: int
    interval_ns: int
    feeds: int = 1
    resumed_n: int = 0
    end_ns: int | None = None  # the input ends there (exclusive); None: with the recording

    @property
    def interval_ms(self) -> int:
        return self.interval_ns // 1_000_000
