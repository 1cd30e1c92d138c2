"""Every bound of the front in one place; each is a setting with its unit in its name."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds of REST and WebSocket. Overflow of each is answered with one sentence and counted."""

    body_bytes: int = 64 * 1024
    requests_in_flight: int = 256
    page_rows: int = 500            # rows of one REST page
    connections: int = 512          # open WebSockets
    message_bytes: int = 64 * 1024  # one inbound WebSocket message
    messages_per_s: float = 10.0    # inbound, per connection
    message_burst: int = 20
    replies_queued: int = 64        # answers waiting for one connection
    alerts_buffered: int = 4096     # newest alerts kept serialised; one shared buffer
    alerts_resumed: int = 10_000    # a client further behind starts again from a snapshot
    alerts_snapshot: int = 50
    movers_rows: int = 200
    movers_interval_ms: int = 500
    status_interval_ms: int = 1000
    poll_interval_ms: int = 250     # look for alerts even if no wake-up came
    heartbeat_s: float = 20.0
    send_timeout_s: float = 5.0
    close_timeout_s: float = 1.0
    drain_timeout_s: float = 1.0    # how long a stopping front waits for its connections
