"""What one process needs to serve: ledger, transport, gate and listener, put together and taken down in order."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable

from aiohttp import web
from msgspec.structs import replace

from .. import __version__
from ..config.loaded import Loaded
from ..config.schema import Config
from ..gateway import tasks
from ..gateway.gate import Account
from ..ledger.book import Book
from ..ledger.periods import zone_of
from ..ledger.price_updates import update_file
from ..routing.health import Health
from ..values.vendor import Timeouts
from . import logs
from .connection import ConnectionServer
from .control import Control
from .credentials import Signer
from .declared import mirror
from .demo import DemoServer, start_demo
from .fetch import Fetcher
from .generation import Generation, Seams, assemble, changed_channels, restart_keys, warm_prices
from .metrics import Levels, Metrics
from .metrics_door import MetricsDoor
from .reload import Watcher
from .routes import Routes
from .selfservice import Service
from .transport import AiohttpTransport
from .upkeep import Upkeep

log = logging.getLogger("oneapi.server")

CLOCK = time.time  # noqa: TID251 - the edge of the process: from here on it is an argument
DEMO_SCHEME = "demo://"
LAST_SETTLEMENTS_SECONDS = 10.0
CLOSING_SECONDS = 0.5
LOOK_SECONDS = 0.02


class App:
    """One serving process. `start` opens everything, `stop` lets streams finish for `grace` seconds and closes it.

    load: reads the config anew, for a server that follows its edits. metrics_sock: a listener for /metrics alone.
    mirrors: bring the declared tokens' rows up to date at the start.
    """

    def __init__(
        self,
        loaded: Loaded,
        sock: socket.socket,
        host: str,
        *,
        load: Callable[[], Loaded] | None = None,
        metrics_sock: socket.socket | None = None,
        mirrors: bool = True,
    ) -> None:
        self._loaded, self._sock, self._host = loaded, sock, host
        self._load, self._metrics_sock, self._mirrors = load, metrics_sock, mirrors
        self._demo: DemoServer | None = None
        self._generation: Generation | None = None
        self._warm: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []
        self._metrics_door: MetricsDoor | None = None
        self.watcher: Watcher | None = None

    async def start(self) -> None:
        """Open the ledger, reach for the vendors, listen."""
        config = self._loaded.config
        # In a thread: another process may hold the ledger's lock for a moment.
        self.book = await asyncio.to_thread(
            Book.open,
            self._loaded.ledger,
            sync=config.ledger_sync,
            after_crash=config.after_crash,
            clock=CLOCK,
            zone=zone_of(config.budget_zone),
        )
        await self.book.start()
        if self._mirrors:  # whoever started us has said what is worth knowing of it
            await self.book.write(lambda db: mirror(db, self._loaded.tokens, CLOCK()))
        self.transport = AiohttpTransport(f"oneapi/{__version__}")
        self._metrics = Metrics()
        self.fetcher = Fetcher(f"oneapi/{__version__}")
        self._seams = Seams(
            book=self.book,
            transport=self.transport,
            fetcher=self.fetcher,
            signer=Signer(),
            health=Health(),
            host=self._host,
            now=CLOCK,
            log=self._account,
        )
        await self._serve_demo(self._loaded)
        self._generation = assemble(self._loaded, self._seams)
        # The price catalogue takes a third of a second to import: done in a thread, so that neither start nor
        # requests wait.
        self._warm = tasks.keep(asyncio.to_thread(warm_prices, self._generation.gate), "warm")
        await self._listen(config)

    async def _listen(self, config: Config) -> None:
        service = Service(CLOCK)
        control = Control(self.book, service, self._metrics)
        idle = config.timeouts.idle or Timeouts().idle
        self._routes = Routes(
            self._current, service, control, self._metrics, memory=config.limits.memory, idle_seconds=idle
        )
        self._server = ConnectionServer(
            self._routes.handle,
            service.new_id,
            stall_seconds=idle,
            access_log=None,
            max_line_size=config.limits.headers,
            max_field_size=config.limits.headers,
            tcp_keepalive=True,
        )
        self._runner = web.ServerRunner(self._server, handle_signals=False, shutdown_timeout=CLOSING_SECONDS)
        await self._runner.setup()
        self._site = web.SockSite(self._runner, self._sock, backlog=2048, ssl_context=self._tls())
        await self._site.start()
        if self._metrics_sock is not None:
            self._metrics_door = MetricsDoor(
                self._metrics_sock, control.metrics, service.new_id, lambda: self._current().edge
            )
            await self._metrics_door.start()
        self._watch(control)

    def _watch(self, control: Control) -> None:
        """What goes on beside requests, until `stop`."""
        upkeep = Upkeep(self.book, self._metrics, self._levels, lambda: self._current().loaded.config.retention)
        self._background.append(tasks.keep(upkeep.watch_levels(), "levels"))
        self._background.append(tasks.keep(upkeep.keep_dates(CLOCK), "dates"))
        if self._load is not None and self._loaded.path is not None:
            self.watcher = control.watcher = Watcher(
                self._loaded.path,
                self._load,
                self._take,
                self._metrics.note_reload,
                self._loaded.generation,
                also=(update_file(self._loaded.ledger),),
            )
            self._background.append(tasks.keep(self.watcher.run(), "watch the config"))

    async def _take(self, edited: Loaded) -> None:
        """Serve by an edited config from now on. Raises Overloaded where the ledger cannot be written."""
        await self._serve_demo(edited)
        generation = assemble(replace(edited, ledger=self._loaded.ledger), self._seams)
        await asyncio.to_thread(warm_prices, generation.gate)
        notices = await self.book.write(lambda db: mirror(db, edited.tokens, CLOCK()))
        self._seams.health.forget(changed_channels(self._current().loaded.channels, edited.channels))
        self._generation = generation
        for notice in (*edited.notices, *notices):
            log.warning("%s", notice)
        if later := restart_keys(self._loaded.config, edited.config):
            log.warning("%s of the edited config: these take a restart", ", ".join(later))

    async def _serve_demo(self, loaded: Loaded) -> None:
        """Start the demo vendor where a channel of this config needs it."""
        bases = {channel.base for channel in loaded.channels if channel.base.startswith(DEMO_SCHEME)}
        if bases and self._demo is None:
            self._demo = await start_demo(clock=CLOCK)
        if self._demo is not None:
            for base in bases:
                self.transport.serve_here(base, self._demo.base_url)

    def _account(self, account: Account) -> None:
        logs.log_account(account)
        self._metrics.note(account)

    def _levels(self) -> Levels:
        return Levels(
            commits=self.book.commits,
            waiting=self.book.waiting,
            pending=self.book.pending,
            running=self._routes.running,
            config_refused=self.watcher is not None and bool(self.watcher.problems),
        )

    async def stop(self) -> None:
        """Stop listening, let what runs finish within the grace, then close the seams in the order of their use.

        The grace is ours to keep: aiohttp would wait for it twice, for connections only (a request whose client has
        left has none), and would drop what a client is still uploading.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._loaded.config.grace
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._site.stop()
        self._routes.stop()
        self._server.close_idle()
        while (self._routes.running or self._server.unsent) and loop.time() < end:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_SECONDS)
        await self._routes.break_off(LAST_SETTLEMENTS_SECONDS)
        await self._runner.cleanup()
        if self._metrics_door is not None:
            await self._metrics_door.stop()
        left = await tasks.finish(LAST_SETTLEMENTS_SECONDS)
        if left:
            log.error("%d settlements did not finish; their holds are kept and listed by `oneapi ledger orphans`", left)
        await self.transport.close()
        await self.fetcher.close()
        if self._demo is not None:
            await self._demo.close()
        await self.book.stop()

    def _current(self) -> Generation:
        assert self._generation is not None, "requests come after start"
        return self._generation

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._loaded.config.tls
        if tls is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.cert, tls.key)
        return context
