"""Numbers about ourselves: the registry of their names, and the way a role counts them.

They live on the board, so that a role's death loses nothing and the web role can render them all.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from shm.arena import Arena
from shm.board import Board


@dataclasses.dataclass(frozen=True)
class Series:
    """One name. kind: counter (only grows), gauge (set), histogram (latencies, recorded in ns).

    unit: what a gauge is stored in (`ns` is shown as seconds), or what is counted. roles: who tells
    it from its start on, at 0: what first appears with 1 has no increase. Empty: shown once it is
    not 0, because 0 means unknown.
    """

    name: str
    kind: str
    unit: str
    doc: str
    roles: tuple[str, ...] = ("web",)

    def is_told_by(self, key: str) -> bool:
        """True for the line of a role (`bars`, `scan0`) that tells it whatever the value."""
        return key.rstrip("0123456789") in self.roles


SERIES: tuple[Series, ...] = (
    Series("scan_cycle_seconds", "histogram", "ns", "From the published cell to the commit."),
    Series("tick_processing_latency_seconds", "histogram", "ns",
           "From a tick received, in a replay from its decision, to its cell."),
    Series("tick_to_alert_seconds", "histogram", "ns", "From a tick received to its alert stored."),
    Series("alert_delivery_latency_seconds", "histogram", "ns", "From an alert to its delivery."),
    Series("symbols_scanned_total", "counter", "symbols", "Symbols evaluated, once per cycle.",
           ("scan",)),
    Series("alerts_emitted_total", "counter", "alerts", "Alerts of this stream that are stored.",
           ("alerts",)),
    Series("alerts_pruned_total", "counter", "alerts", "Removed as older than alerts.keep_days.",
           ("alerts",)),
    Series("bars_pruned_total", "counter", "bars", "Removed as older than bars.keep_days.",
           ("recorder",)),
    Series("alerts_delivered_total", "counter", "alerts", "Alerts handed to a receiver."),
    Series("alerts_capped_total", "counter", "alerts", "Firings over rules.max_alerts_per_cycle.",
           ("alerts",)),
    Series("firings_without_room_total", "counter", "firings",
           "Suppressed as rules.max_cooling pairs cooled.", ("scan",)),
    Series("tick_processed_total", "counter", "ticks", "Ticks applied.", ("bars",)),
    Series("ticks_refused_total", "counter", "ticks", "Ticks refused: future, no room, bad.",
           ("feed", "bars")),
    Series("rows_malformed_total", "counter", "rows", "Rows of the input skipped as malformed.",
           ("feed",)),
    Series("cycles_total", "counter", "cycles", "Cycles executed.", ("bars",)),
    Series("absent_cycles_total", "counter", "cycles", "Grid points left out because of lateness.",
           ("bars",)),
    Series("strided_cycles_total", "counter", "cycles",
           "Cycles that did not look at every symbol, because of overload.", ("bars",)),
    Series("http_requests_total", "counter", "requests", "HTTP requests answered."),
    Series("http_requests_refused_total", "counter", "requests", "Requests over web.max_requests."),
    Series("http_requests_timed_out_total", "counter", "requests",
           "Not answered within web.request_timeout_ms."),
    Series("http_requests_cut_off_total", "counter", "requests", "Running when the front ended."),
    Series("http_bodies_refused_total", "counter", "requests", "Bodies over web.max_body_bytes."),
    Series("http_pages_refused_total", "counter", "requests",
           "Queries over web.max_page_rows or web.max_page_bars."),
    Series("http_requests_over_rate_total", "counter", "requests",
           "Over web.max_user_requests_per_min or web.max_address_requests_per_min."),
    Series("logins_throttled_total", "counter", "logins", "Refused over web.max_login_failures."),
    Series("logins_refused_total", "counter", "logins", "Wrong name or password."),
    Series("websocket_opened_total", "counter", "connections", "WebSockets opened."),
    Series("websocket_connections_refused_total", "counter", "connections",
           "WebSockets over web.max_connections."),
    Series("websocket_messages_refused_total", "counter", "messages",
           "Answered with an error."),
    Series("websocket_messages_over_rate_total", "counter", "connections",
           "Closed for too many messages."),
    Series("websocket_messages_too_large_total", "counter", "connections",
           "Closed for a message over web.max_message_bytes."),
    Series("websocket_replies_overflowed_total", "counter", "connections",
           "Closed with web.max_waiting_replies unread."),
    Series("websocket_sends_timed_out_total", "counter", "connections",
           "Closed as nothing was read for web.send_timeout_ms."),
    Series("websocket_closes_timed_out_total", "counter", "connections",
           "Goodbyes not answered within web.close_timeout_ms."),
    Series("websocket_heartbeats_missed_total", "counter", "connections",
           "Dropped as they did not answer a ping."),
    Series("websocket_alerts_lapped_total", "counter", "connections",
           "Closed over web.max_buffered_alerts behind."),
    Series("websocket_resumes_refused_total", "counter", "subscriptions",
           "Too far behind to resume; begun from a snapshot."),
    Series("websocket_rows_refused_total", "counter", "subscriptions",
           "Movers over web.max_movers_rows."),
    Series("websocket_updates_replaced_total", "counter", "messages",
           "Movers or status that a newer one overtook unsent."),
    Series("pushes_skipped_total", "counter", "looks", "Looks at the engine that failed."),
    Series("store_reads_failed_total", "counter", "reads", "Reads of the alert store that failed."),
    Series("rule_changes_total", "counter", "versions", "Versions of rules stored."),
    Series("rule_changes_refused_total", "counter", "changes", "Changes of rules refused."),
    Series("rule_versions_dropped_total", "counter", "versions",
           "Given up over rules.keep_versions or rules.keep_deleted."),
    Series("errors_total", "counter", "errors", "Errors of any kind.",
           ("bars", "alerts", "recorder", "web")),
    Series("restarts_total", "counter", "restarts", "Processes started in place of dead ones.",
           ("supervisor",)),
    Series("worker_queue_depth", "gauge", "records", "Input that waits for this process.",
           ("bars", "indicators", "scan", "alerts", "recorder")),
    Series("consumer_lag", "gauge", "cycles", "How many cycles this process is behind.",
           ("indicators", "scan", "alerts", "recorder")),
    Series("ring_depth", "gauge", "records", "Records in the ring this process reads.", ("bars",)),
    Series("websocket_connections", "gauge", "connections", "WebSocket clients connected."),
    Series("last_tick_timestamp", "gauge", "ns", "Exchange time of the newest tick applied.", ()),
    Series("clock_skew_seconds", "gauge", "ns", "Wall clock less engine time of a live stream.",
           ()),
    Series("splits_suspected", "gauge", "symbols",
           "Symbols whose first price of the date looks like a split nobody told of.", ("scan",)),
    Series("rules_version", "gauge", "version", "Version of the rules in force.", ("bars",)),
    Series("rules_active", "gauge", "rules", "Rules in force.", ("scan",)),
)
BY_NAME = {series.name: series for series in SERIES}
COUNTERS = tuple(series.name for series in SERIES if series.kind != "histogram")
HISTOGRAMS = tuple(series.name for series in SERIES if series.kind == "histogram")
BOARD_NAME = "board"
SUPERVISOR = "supervisor"


def create_board(arena: Arena, keys: Iterable[str], name: str = BOARD_NAME) -> Board:
    """The board of an engine: a line for the supervisor, one for each role, all series."""
    return Board.create(arena, name, (SUPERVISOR, *keys), COUNTERS, HISTOGRAMS)


class Telemetry:
    """Counts on one line of the board; only the process of that line uses it."""

    def __init__(self, board: Board, line: str) -> None:
        self.board = board
        self.line = board.line(line)
        self._counters = {name: board.counter(name) for name in board.counter_names}
        self._histograms = {name: board.histogram(name) for name in board.histogram_names}

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter. KeyError: no such series."""
        self.board.add(self.line, self._counters[name], amount)

    def set(self, name: str, value: int) -> None:
        """Set a gauge, or a counter whose total is kept elsewhere. KeyError: no such series."""
        self.board.counters[self.line, self._counters[name]] = value

    def observe(self, name: str, ns: int) -> None:
        """Record one latency in a histogram. KeyError: no such series."""
        self.board.record(self.line, self._histograms[name], ns)

    def observe_since(self, name: str, stamps_ns: np.ndarray, now_ns: int) -> None:
        """Record how long ago each of int64[any] was. KeyError: no such series."""
        self.board.record_since(self.line, self._histograms[name], stamps_ns, now_ns)
