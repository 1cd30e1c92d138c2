"""The settings of [web]: where the front listens, and every bound of it.

`extra={"counter": ...}` names the telemetry series that counts how often a bound was reached.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_PAGES = {"counter": "http_pages_refused_total"}
_RATE = {"counter": "websocket_messages_over_rate_total"}
_REPLACED = {"counter": "websocket_updates_replaced_total"}
_UNSENT = {"counter": "websocket_sends_timed_out_total"}
_OVER_RATE = {"counter": "http_requests_over_rate_total"}
_NAMES = r"^$|^[A-Za-z0-9.:\[\]-]{1,253}(, *[A-Za-z0-9.:\[\]-]{1,253}){0,15}\Z"
_NETWORKS = r"^$|^[0-9A-Fa-f.:]+(/[0-9]{1,3})?(, *[0-9A-Fa-f.:]+(/[0-9]{1,3})?){0,31}\Z"
_ORIGINS = r"^$|^https?://[^/,\s*]+(, *https?://[^/,\s*]+){0,31}\Z"


class WebSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The page and the API, and what bounds their clients."""

    host: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9.:_-]{1,253}\Z",
            description="Address that the web server listens on.",
            extra={"say": "an address or host name"},
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="TCP port; 0: any free one, told in the log.")
    ] = 8080
    auth: Annotated[
        Literal["none", "password"],
        Meta(
            description="none: no sign-in, allowed on a loopback host only. password: users sign "
            "in; the first start creates the user admin."
        ),
    ] = "none"
    server_names: Annotated[
        str,
        Meta(
            pattern=_NAMES,
            description="Further names of this server, with commas between: those that clients "
            "or a proxy call it by.",
            extra={"say": "host names with commas between"},
        ),
    ] = ""
    tls_cert: Annotated[
        str, Meta(description="PEM file of the certificate chain; empty: no TLS.")
    ] = ""
    tls_key: Annotated[str, Meta(description="PEM file of the certificate's private key.")] = ""
    trusted_proxies: Annotated[
        str,
        Meta(
            pattern=_NETWORKS,
            description="Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are "
            "believed, with commas between.",
            extra={"say": "addresses or networks with commas between"},
        ),
    ] = ""
    cors_origins: Annotated[
        str,
        Meta(
            pattern=_ORIGINS,
            description="Other origins whose pages may call the API with a token, with commas "
            "between.",
            extra={"say": "origins like \"https://example.com\" with commas between"},
        ),
    ] = ""
    max_user_requests_per_min: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Requests of a user who signed in; one more gets 429.",
            extra=_OVER_RATE,
        ),
    ] = 100
    max_address_requests_per_min: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Requests from an address where users sign in; one more gets 429.",
            extra=_OVER_RATE,
        ),
    ] = 1000
    max_login_failures: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            description="Failed sign-ins by a name, and thrice as many from an address, in "
            "web.login_window_s; then 429.",
            extra={"counter": "logins_throttled_total"},
        ),
    ] = 10
    login_window_s: Annotated[
        int, Meta(ge=1, le=86_400, description="For how long a failed sign-in is counted.")
    ] = 300
    session_lifetime_s: Annotated[
        int, Meta(ge=60, le=31_536_000, description="How long a browser stays signed in.")
    ] = 43_200
    access_lifetime_s: Annotated[
        int, Meta(ge=1, le=900, description="How long an access token is valid.")
    ] = 900
    refresh_lifetime_s: Annotated[
        int, Meta(ge=60, le=31_536_000, description="How long a refresh token is valid.")
    ] = 2_592_000
    max_requests: Annotated[
        int,
        Meta(
            ge=1,
            le=65_536,
            description="Requests answered at a time, WebSockets aside; one more gets 429.",
            extra={"counter": "http_requests_refused_total"},
        ),
    ] = 256
    request_timeout_ms: Annotated[
        int,
        Meta(
            ge=10,
            le=600_000,
            description="How long a request may take, its body's way here included; then 503.",
            extra={"counter": "http_requests_timed_out_total"},
        ),
    ] = 30_000
    max_body_bytes: Annotated[
        int,
        Meta(
            ge=1 << 10,
            le=1 << 24,
            description="Size of a request's body; a larger one gets 413.",
            extra={"counter": "http_bodies_refused_total"},
        ),
    ] = 1 << 16
    max_page_rows: Annotated[
        int,
        Meta(
            ge=100,
            le=10_000,
            description="Rows of one page of a list; a query for more gets 400.",
            extra=_PAGES,
        ),
    ] = 500
    max_page_bars: Annotated[
        int,
        Meta(
            ge=120,
            le=4096,
            description="Final bars sent with a symbol; a query for more gets 400.",
            extra=_PAGES,
        ),
    ] = 1024
    keepalive_timeout_ms: Annotated[
        int,
        Meta(ge=1000, le=3_600_000, description="How long an idle HTTP connection is kept open."),
    ] = 75_000
    drain_timeout_ms: Annotated[
        int,
        Meta(
            ge=10,
            le=60_000,
            description="How long a stopping front waits for running requests, then cuts them off.",
            extra={"counter": "http_requests_cut_off_total"},
        ),
    ] = 1000
    max_connections: Annotated[
        int,
        Meta(
            ge=1,
            le=65_536,
            description="WebSockets open at a time; one more gets 429.",
            extra={"counter": "websocket_connections_refused_total"},
        ),
    ] = 512
    max_message_bytes: Annotated[
        int,
        Meta(
            ge=1 << 8,
            le=1 << 24,
            description="Size of a WebSocket message from a client; a larger one closes it (1009).",
            extra={"counter": "websocket_messages_too_large_total"},
        ),
    ] = 1 << 16
    max_messages_per_s: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="WebSocket messages from a client on average; more closes it (1008).",
            extra=_RATE,
        ),
    ] = 10
    max_burst_messages: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="WebSocket messages from a client at once; more closes it (1008).",
            extra=_RATE,
        ),
    ] = 20
    max_waiting_replies: Annotated[
        int,
        Meta(
            ge=1,
            le=65_536,
            description="Answers that wait for a client to read; one more closes it (4008).",
            extra={"counter": "websocket_replies_overflowed_total"},
        ),
    ] = 64
    max_unsent_bytes: Annotated[
        int,
        Meta(
            ge=1 << 10,
            le=1 << 24,
            description="Bytes buffered for a client; with more, sending waits for it to read.",
            extra=_UNSENT,
        ),
    ] = 1 << 16
    send_timeout_ms: Annotated[
        int,
        Meta(
            ge=10,
            le=600_000,
            description="How long sending waits for a client, which is then closed (4008).",
            extra=_UNSENT,
        ),
    ] = 5000
    close_timeout_ms: Annotated[
        int,
        Meta(
            ge=10,
            le=60_000,
            description="How long the front waits for a client to answer its goodbye.",
            extra={"counter": "websocket_closes_timed_out_total"},
        ),
    ] = 1000
    heartbeat_interval_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=600_000,
            description="A silent client is pinged this often and dropped after half of it.",
            extra={"counter": "websocket_heartbeats_missed_total"},
        ),
    ] = 20_000
    max_buffered_alerts: Annotated[
        int,
        Meta(
            ge=256,
            le=1_000_000,
            description="Newest alerts kept for all clients; one further behind is closed (4008).",
            extra={"counter": "websocket_alerts_lapped_total"},
        ),
    ] = 4096
    max_resumed_alerts: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000_000,
            description="A client that resumes from further behind starts from a snapshot.",
            extra={"counter": "websocket_resumes_refused_total"},
        ),
    ] = 10_000
    snapshot_alerts: Annotated[
        int, Meta(ge=1, le=10_000, description="Newest alerts in a snapshot; older are in pages.")
    ] = 50
    max_movers_rows: Annotated[
        int,
        Meta(
            ge=60,
            le=10_000,
            description="Ranked rows of a subscription to movers; the page asks for 60.",
            extra={"counter": "websocket_rows_refused_total"},
        ),
    ] = 200
    movers_interval_ms: Annotated[
        int,
        Meta(
            ge=20,
            le=60_000,
            description="Time between two looks at movers; a slow client gets the newest only.",
            extra=_REPLACED,
        ),
    ] = 500
    status_interval_ms: Annotated[
        int,
        Meta(
            ge=20,
            le=60_000,
            description="Time between two status messages; a slow client gets the newest only.",
            extra=_REPLACED,
        ),
    ] = 1000
    alerts_interval_ms: Annotated[
        int,
        Meta(
            ge=5,
            le=60_000,
            description="The store is looked at this often, though no wake-up told of an alert.",
        ),
    ] = 250


def listed(text: str) -> tuple[str, ...]:
    """The parts of a setting that has commas between."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
