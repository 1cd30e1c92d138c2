"""A hand-made market on private memory: tables, board, store and clock that tests move by hand."""

import dataclasses
import math
import random
from typing import Any

import msgspec
import numpy as np

from engine.config.schema_web import WebSection
from engine.domain import records
from engine.domain.sizes import Sizes
from engine.domain.stream import StreamInfo
from engine.domain.tables import WORD_STRIDE, Columns, EngineTables, allocate
from engine.metrics.registry import COLUMN, COLUMNS, METRICS
from engine.storage.ports import StoredAlert
from engine.storage.stub import MemoryAlertStore
from ipc.line import Line, State
from ipc.telemetry import create_board
from shm.arena import PrivateArena
from shm.fences import write_word
from web.deps import Deps
from web.reading import MetricIndex
from web.telemetry_view import read_board

ROLES = ("feed0", "bars", "indicators", "scan0", "alerts", "recorder", "web")
T0_NS = 1_381_238_880_000_000_000  # 2013-10-08 09:28:00 -04:00
SECOND = records.NS_PER_SECOND
MINUTE = records.NS_PER_MINUTE
TICKERS = ("AIG", "BAC", "IBM", "SPY")
PRICES = (49.13, 13.87, 184.66, 166.52)


class Market:
    """A small engine without processes: `step` publishes a cycle, `alert` stores an alert."""

    def __init__(
        self, tickers: tuple[str, ...] = TICKERS, prices: tuple[float, ...] = PRICES, seed: int = 1
    ) -> None:
        self.rng = random.Random(seed)
        self.sizes = Sizes(
            capacity=max(64, len(tickers)), ring_ticks=1 << 10, pool_trades=1 << 10,
            max_rules=64, max_alerts_per_cycle=64, max_cooling=1 << 10,
        )  # fmt: skip
        self.arena = PrivateArena()
        self.tables: EngineTables = allocate(self.arena, self.sizes, Columns(4, 4, 4, COLUMNS))
        self.board = create_board(self.arena, ROLES)
        self.store = MemoryAlertStore()
        self.now_ns = 1_000 * SECOND
        self.wall_ns = 1_800_000_000 * SECOND
        self.n = -1
        self.t_ns = T0_NS
        self.tickers, self.last = tickers, list(prices)
        self.base = list(prices)
        self.volume = [0.0] * len(tickers)
        self.switched: list[str] = []
        self.simulated = False
        self._fill()

    def _fill(self) -> None:
        session = self.tables.session[0]
        session["date"] = 20131008
        session["start_ns"] = T0_NS - 328 * MINUTE
        session["open_ns"] = T0_NS + 2 * MINUTE
        session["close_ns"] = T0_NS + 392 * MINUTE
        session["end_ns"] = T0_NS + 632 * MINUTE
        session["interval_ns"] = 100_000_000
        for symbol, ticker in enumerate(self.tickers):
            self.tables.names.set(symbol, ticker)
            self.tables.reference[symbol]["prev_close"] = self.base[symbol]
        for key in (*ROLES, "supervisor"):
            line = Line(self.board, key)
            line.set(Line.PID, 4000 + line.number)
            line.set(Line.STATE, State.RUNNING)
        self.beat()

    def beat(self) -> None:
        """Every role beat an instant ago."""
        for key in (*ROLES, "supervisor"):
            line = Line(self.board, key)
            line.set(Line.BEAT_NS, self.now_ns - 118_000_000)

    def waits(self, key: str, other: str, ms: int) -> None:
        """A role has been waiting for another one's gate for so long."""
        line = Line(self.board, key)
        line.set(Line.WAITS_NS, self.now_ns - ms * 1_000_000)
        line.set(Line.WAITS, self.board.line(other) + 1)

    def refuse(self, key: str, errno: int) -> None:
        """A disk refuses what a role has to keep; 0: it works."""
        Line(self.board, key).set(Line.REFUSED, errno)

    def step(self, seconds: float = 0.1) -> None:
        """Publish the next cycle: prices walk, metrics follow, minutes close."""
        self.n += 1
        self.now_ns += int(seconds * SECOND)
        if self.n:
            self.t_ns += int(seconds * SECOND)
        for symbol in range(len(self.tickers)):
            drift = 1 + self.rng.gauss(0, 0.0006)
            self.last[symbol] = round(self.last[symbol] * drift, 2)
            self.volume[symbol] += self.rng.randrange(1, 40) * 100
        self._write_cell()
        self._write_metrics()
        self.tables.cell.cells.seal(self.n)
        self.tables.cell.cells.publish(self.n)
        self.beat()

    def _write_cell(self) -> None:
        slot = self.n % 4
        head = self.tables.cell.heads[slot]
        head["n"], head["t_ns"], head["k"] = self.n, self.t_ns, self.t_ns // 100_000_000
        head["closed_minute"] = self.t_ns // MINUTE - 1
        head["ticks"] = self.n * 37
        head["late"] = 3
        head["max_recv_ns"][0] = self.t_ns
        for symbol, price in enumerate(self.last):
            row = self.tables.cell.rows[slot, symbol]
            row["last"], row["last_event_ns"] = price, self.t_ns - 40_000_000
            row["bid"], row["ask"] = price - 0.01, price + 0.01
            row["bid_size"], row["ask_size"] = 300, 500
            row["volume"][0], row["trades"][0] = self.volume[symbol], 12
            row["pv"][0] = self.volume[symbol] * self.base[symbol]
            row["high"][:], row["low"][:] = np.nan, np.nan
            row["minutes"]["minute"] = -1
            row["minutes"][0]["minute"] = self.t_ns // MINUTE
            for key in ("open", "high", "low", "close"):
                row["minutes"][0][key] = price
            row["minutes"][0]["volume"] = 1200

    def _write_metrics(self) -> None:
        columns = self.tables.scan.columns[self.n & 1]
        for symbol, price in enumerate(self.last):
            base = self.base[symbol]
            self.metric(columns, "last", symbol, price)
            self.metric(columns, "chg_pct", symbol, 100 * (price / base - 1))
            self.metric(columns, "chg_1m_pct", symbol, self.rng.gauss(0, 0.2))
            self.metric(columns, "chg_5m_pct", symbol, self.rng.gauss(0, 0.5))
            self.metric(columns, "vol_all", symbol, self.volume[symbol])
            self.metric(columns, "dist_vwap_pct", symbol, math.nan if symbol == 2 else 0.12)
            self.metric(columns, "rsi(14)", symbol, self.rng.uniform(20, 80))
            self.metric(columns, "halted", symbol, 0.0)
        write_word(self.tables.scan.words, 0 * WORD_STRIDE, self.n)

    @staticmethod
    def metric(columns: np.ndarray, name: str, symbol: int, value: float) -> None:
        """Set one metric of one symbol."""
        columns[COLUMN[name], symbol] = value

    def history(self, minutes: int = 90) -> None:
        """Give every symbol final bars for the minutes before now."""
        bars = self.tables.history.bars
        for symbol, base in enumerate(self.base):
            price = base
            newest = self.t_ns // MINUTE - 1
            for minute in range(newest - minutes + 1, newest + 1):
                opened = price
                price = round(price * (1 + self.rng.gauss(0, 0.0012)), 2)
                bar = bars[minute % self.sizes.history_bars, symbol]
                bar["minute"], bar["open"], bar["close"] = minute, opened, price
                bar["high"] = max(opened, price) + self.rng.random() * 0.002 * base
                bar["low"] = min(opened, price) - self.rng.random() * 0.002 * base
                bar["volume"] = self.rng.randrange(20, 900) * 100
                bar["pv"], bar["trades"] = bar["volume"] * price, 40

    def alert(
        self, symbol: str = "AIG", rule: str = "fast-1m", number: int | None = None,
        *, gap: bool = False,
    ) -> str:
        """Store an alert and return its id. gap: the window of its first condition has one."""
        number = self.store.latest(1)[0].position + 1 if self.store.latest(1) else 1
        document = alert_document(f"a{number:08d}", symbol, rule, self.n, self.t_ns)
        if gap:
            document["explain"][0]["gap"] = True
        self.store.append(
            [
                StoredAlert(
                    alert_id=document["alert_id"], stream_id="stream-1", n=self.n, t_ns=self.t_ns,
                    rule_id=rule, symbol=symbol, json=msgspec.json.encode(document),
                    recv_ns=self.t_ns, decided_ns=self.wall_ns, stored_ns=self.wall_ns,
                )
            ]
        )  # fmt: skip
        return str(document["alert_id"])

    def deps(self, port: int, **changes: Any) -> Deps:
        """Dependencies of a front on this market."""
        index = MetricIndex(tuple(m.name for m in METRICS), {m.name: m.unit for m in METRICS})
        stream = StreamInfo(
            stream_id="stream-1", directory="", genesis_sha256="", fingerprint="",
            provider="simulator" if self.simulated else "replay", simulated=self.simulated,
            live=False, date=20131008, start_ns=T0_NS, interval_ns=100_000_000,
        )  # fmt: skip
        made = Deps(
            tables=self.tables, metrics=index, alerts=self.store,
            telemetry=lambda: read_board(self.board, self.now_ns, 5000, self.tables), stream=stream,
            switch_market=self.switched.append, now_ns=lambda: self.now_ns,
            engine_ns=lambda: self.wall_ns, speed=10.0, port=port, limits=FAST,
        )  # fmt: skip
        return dataclasses.replace(made, **changes)


FAST = WebSection(
    movers_interval_ms=30, status_interval_ms=30, alerts_interval_ms=15, max_messages_per_s=1000,
    max_burst_messages=1000, send_timeout_ms=500, close_timeout_ms=300, drain_timeout_ms=300,
)  # fmt: skip


def limits(**changes: Any) -> WebSection:
    """The settings of a front under test with some of them changed, within their bounds."""
    return msgspec.convert({**msgspec.to_builtins(FAST), **changes}, WebSection)


def alert_document(alert_id: str, symbol: str, rule: str, n: int, t_ns: int) -> dict[str, Any]:
    """A canonical alert document."""
    stamp = f"{np.datetime64(t_ns, 'ns')}"[:23] + "Z"
    return {
        "alert_id": alert_id, "stream_id": "stream-1", "rule_id": rule, "rule_version": 1,
        "rule_name": "Up fast in a minute", "symbol": symbol, "price": 49.31, "n": n,
        "event_ts": stamp, "scan_ts": stamp, "trace_id": "0" * 32,
        "idempotency_key": f"{rule}:{symbol}:{t_ns // SECOND}",
        "values": {"chg_1m_pct": 0.42, "vol_1m": 18200.0},
        "explain": [
            {"text": "chg_1m_pct > 0.3", "left": 0.42, "right": 0.3, "result": True},
            {"text": "vol_1m > 10000", "left": 18200.0, "right": 10000.0, "result": True},
        ],
    }  # fmt: skip
