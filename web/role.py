"""The web role: one event loop that beats, listens, serves, and leaves within a bound."""

import asyncio
import functools
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import uvloop
from aiohttp import web

from engine.config.address import page_url
from engine.config.running import Running
from engine.config.schema_web import WebSection
from engine.errors import EngineError
from engine.metrics.registry import METRICS
from engine.rules.stored import store_path, stored_rule
from engine.storage.errors import StorageError
from engine.storage.ports import AlertAt, BarRow
from engine.storage.sqlite import SqliteAlertReader, SqliteBarReader
from engine.storage.user_sqlite import SqliteUserStore
from ipc.policy import EXIT_BAD_CONFIG, EXIT_FAILED
from ipc.roles import RoleContext
from shm.clock import monotonic_ns
from web.app import make_app
from web.auth.tokens import signing_key
from web.deps import KEY, Deps
from web.orders import Orders, RuleDesk
from web.reading import MetricIndex
from web.rule_book import RuleBook
from web.telemetry_view import read_board
from web.ws.hub import HUB

_Result = TypeVar("_Result")

BEAT_INTERVAL_S = 0.25
DEMO_MARKET = "--demo-market"


class ListenError(EngineError):
    """Raised when web.host and web.port cannot be listened on; a first start is then refused."""

    def __init__(self, host: str, port: int, reason: str, exit_code: int) -> None:
        super().__init__(
            f"web.host {host}, web.port {port}: cannot listen there ({reason}); "
            "choose another web.port."
        )
        self.exit_code = exit_code


class LateAlertReader:
    """AlertSource on a file that its writer may not have made yet: empty until then.

    Used by one thread. After an error that spoils the connection the next call opens it anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: SqliteAlertReader | None = None

    def _read(self, read: Callable[[SqliteAlertReader], _Result], empty: _Result) -> _Result:
        if self._reader is None and not self._path.exists():
            return empty
        try:
            self._reader = self._reader or SqliteAlertReader(self._path)
            return read(self._reader)
        except StorageError:
            self._reader = None
            raise

    def latest(
        self,
        limit: int,
        *,
        before: int | None = None,
        symbol: str | None = None,
        rule_id: str | None = None,
        stream_id: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        offset: int = 0,
    ) -> list[AlertAt]:
        """See AlertReader.latest."""
        return self._read(
            lambda reader: reader.latest(
                limit, before=before, symbol=symbol, rule_id=rule_id, stream_id=stream_id,
                from_ns=from_ns, to_ns=to_ns, offset=offset,
            ),
            [],
        )

    def after(self, position: int, limit: int) -> list[AlertAt]:
        """See AlertReader.after."""
        return self._read(lambda reader: reader.after(position, limit), [])

    def get(self, alert_id: str) -> AlertAt | None:
        """See AlertReader.get."""
        return self._read(lambda reader: reader.get(alert_id), None)

    def ids_of(self, stream_id: str, rule_id: str, cycles: range, from_ns: int) -> list[str]:
        """See AlertReader.ids_of."""
        return self._read(
            lambda reader: reader.ids_of(stream_id, rule_id, cycles, from_ns), []
        )


def stored_bars(path: Path, symbol: str, from_ns: int, to_ns: int) -> list[BarRow]:
    """Final bars of a symbol, oldest first; none before the recorder has made its store. Raises
    StorageError."""
    if not path.exists():
        return []
    reader = SqliteBarReader(path)
    try:
        return reader.range(symbol, from_ns, to_ns)
    finally:
        reader.close()


class LogBridge(logging.Handler):
    """Sends what aiohttp and the front log to the role's own log."""

    def __init__(self, ctx: RoleContext) -> None:
        super().__init__(logging.WARNING)
        self._log = ctx.log

    def emit(self, record: logging.LogRecord) -> None:
        """One line per record, with the trace if there is one."""
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        level = "error" if record.levelno >= logging.ERROR else "warning"
        extra = {} if trace is None else {"trace": trace}
        self._log.write(level, "front", {"message": record.getMessage(), **extra})


def market_arguments(arguments: tuple[str, ...], market: str) -> list[str]:
    """What `tapescan run` is started with anew for a demo market: its arguments stay."""
    kept = [argument for argument in arguments if argument != DEMO_MARKET]
    return [DEMO_MARKET, *kept] if market == "simulator" else kept


def make_deps(ctx: RoleContext) -> Deps:
    """What the front needs, out of what the supervisor shared."""
    running: Running = ctx.shared
    config = running.config
    beat_timeout_ms = config.supervisor.beat_timeout_ms
    signs_in = config.web.auth == "password"
    return Deps(
        open_users=lambda: SqliteUserStore(store_path(running.data_dir)),
        signing_key=signing_key(running.data_dir) if signs_in else b"",
        tables=running.tables,
        metrics=MetricIndex(
            tuple(metric.name for metric in METRICS),
            {metric.name: metric.unit for metric in METRICS},
        ),
        alerts=LateAlertReader(running.alerts_path),
        telemetry=lambda: read_board(
            running.board, monotonic_ns(), beat_timeout_ms, running.tables
        ),
        stream=running.stream,
        switch_market=lambda market: ctx.request(
            "restart", arguments=market_arguments(running.arguments, market)
        ),
        no_switch=running.no_switch,
        now_ns=monotonic_ns,
        engine_ns=running.clock.now_ns,
        max_skew_ms=config.clock.max_skew_ms,
        speed=1.0 if running.stream.live else config.feed.speed,
        host=config.web.host,
        port=config.web.port,
        auth=config.web.auth,
        limits=config.web,
        count=ctx.telemetry.count,
        observe=ctx.telemetry.observe,
        gauge=ctx.telemetry.set,
        bars=functools.partial(stored_bars, running.bars_path),
        config=config,
        rules=RuleBook(config, running.data_dir, running.tables),
        stored_rule=lambda rule_id: stored_rule(config, running.data_dir, rule_id),
    )


def _tls(limits: WebSection) -> ssl.SSLContext | None:
    """TLS by web.tls_cert and web.tls_key; None without. Raises OSError: they cannot be used."""
    if not limits.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(limits.tls_cert, limits.tls_key)
    return context


async def serve(ctx: RoleContext, deps: Deps) -> None:
    """Listen, beat and serve until the role should stop. Raises ListenError."""
    app = make_app(deps)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=deps.limits.keepalive_timeout_ms / 1e3,
        shutdown_timeout=deps.limits.drain_timeout_ms / 1e3,
    )
    await runner.setup()
    try:
        try:
            site = web.TCPSite(
                runner, deps.host, deps.port, backlog=512, reuse_address=True,
                ssl_context=_tls(deps.limits),
            )  # fmt: skip
            await site.start()
        except OSError as error:
            code = EXIT_BAD_CONFIG if ctx.epoch == 1 else EXIT_FAILED
            reason = error.strerror or str(error)
            raise ListenError(deps.host, deps.port, reason, code) from error
        port = int(runner.addresses[0][1])
        app[KEY].answer_to(deps.host, port)
        ctx.log.info("listening", url=page_url(deps.host, port))
        await _beat_until_stop(ctx, app)
    finally:
        await runner.cleanup()


async def _beat_until_stop(ctx: RoleContext, app: web.Application) -> None:
    """Beat from the loop itself, so that a stuck loop is a silent role."""
    woken = asyncio.Event()

    def on_wake() -> None:
        ctx.wake.clear()
        app[HUB].alerts_stored()
        woken.set()

    running: Running = ctx.shared
    loop = asyncio.get_running_loop()
    loop.add_reader(ctx.wake.fileno(), on_wake)
    desk = RuleDesk(running.config, running.tables, running.data_dir, ctx.telemetry.count)
    orders = Orders(ctx, desk)
    if ctx.spec.takes_orders:
        orders.begin()
        if (book := app[KEY].deps.rules) is not None:
            book.submit = orders.submit
    try:
        ctx.running()
        while not ctx.should_stop():
            ctx.beat()
            ctx.progress(max(0, app[KEY].deps.tables.cell.cells.published()))
            woken.clear()
            try:
                async with asyncio.timeout(BEAT_INTERVAL_S):
                    await woken.wait()
            except TimeoutError:
                continue
    finally:
        loop.remove_reader(ctx.wake.fileno())
        if ctx.spec.takes_orders:
            orders.end()


def main(ctx: RoleContext) -> None:
    """Entry of the role."""
    logging.getLogger().addHandler(LogBridge(ctx))
    uvloop.run(serve(ctx, make_deps(ctx)))
