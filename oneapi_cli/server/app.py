"""What one process needs to serve: ledger, transport, gate and listener, put together and taken down in order."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import socket
import ssl
import time
from collections.abc import Sequence

from aiohttp import web

from .. import __version__
from ..config.loaded import Loaded
from ..dialects import vocabulary
from ..gateway import tasks
from ..gateway.gate import Gate, Policy
from ..ledger.book import Book
from ..ledger.prices import Prices
from ..providers.auth import headers_for
from ..providers.models import traits
from ..providers.table import VENDORS
from ..providers.urls import build_url
from ..routing.health import Health
from ..values.vendor import Channel
from . import logs
from .connection import ConnectionServer
from .demo import DemoServer, start_demo
from .edge import Edge, is_loopback
from .routes import Routes
from .selfservice import Service
from .transport import AiohttpTransport

log = logging.getLogger("oneapi.server")

CLOCK = time.time  # noqa: TID251 - the edge of the process: from here on it is an argument
DEMO_SCHEME = "demo://"
LAST_SETTLEMENTS_SECONDS = 10.0


class App:
    """One serving process. `start` opens everything, `stop` lets streams finish for `grace` seconds and closes it."""

    def __init__(self, loaded: Loaded, sock: socket.socket, host: str) -> None:
        self._loaded, self._sock, self._host = loaded, sock, host
        self._demo: DemoServer | None = None
        self._gate: Gate | None = None
        self._warm: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the ledger, reach for the vendors, listen."""
        config = self._loaded.config
        self.book = Book.open(
            self._loaded.ledger, sync=config.ledger_sync, after_crash=config.after_crash, clock=CLOCK
        )
        await self.book.start()
        bases: dict[str, str] = {}
        if any(channel.base.startswith(DEMO_SCHEME) for channel in self._loaded.channels):
            self._demo = await start_demo(clock=CLOCK)
            bases = {c.base: self._demo.base_url for c in self._loaded.channels if c.base.startswith(DEMO_SCHEME)}
        self.transport = AiohttpTransport(f"oneapi/{__version__}", bases)
        self._gate = self._assemble()
        # The price catalogue takes a third of a second to import: done in a thread, so that neither start nor
        # requests wait.
        self._warm = tasks.keep(asyncio.to_thread(_warm_prices, self._gate), "warm")
        service = Service(str(config.admin_key), CLOCK)
        routes = Routes(
            self._current,
            self._edge(),
            service,
            body_limit=config.limits.body,
            memory=config.limits.memory,
            concurrent=config.limits.concurrent,
        )
        server = ConnectionServer(
            routes.handle,
            service.new_id,
            access_log=None,
            max_line_size=config.limits.headers,
            max_field_size=config.limits.headers,
            tcp_keepalive=True,
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=config.grace)
        await self._runner.setup()
        site = web.SockSite(self._runner, self._sock, backlog=2048, ssl_context=self._tls())
        await site.start()

    async def stop(self) -> None:
        """Stop listening, let what runs finish within the grace, then close the seams in the order of their use."""
        await self._runner.cleanup()
        left = await tasks.finish(LAST_SETTLEMENTS_SECONDS)
        if left:
            log.error("%d settlements did not finish; their holds are kept and listed by `oneapi ledger orphans`", left)
        await self.transport.close()
        if self._demo is not None:
            await self._demo.close()
        await self.book.stop()

    def _current(self) -> Gate:
        assert self._gate is not None, "requests come after start"
        return self._gate

    def _assemble(self) -> Gate:
        config = self._loaded.config
        turns: dict[str, itertools.count[int]] = {c.name: itertools.count() for c in self._loaded.channels}

        def next_key(channel: Channel) -> str:
            return channel.keys[next(turns[channel.name]) % len(channel.keys)] if channel.keys else ""

        async def count(texts: Sequence[str], name: str) -> int:
            return await asyncio.to_thread(vocabulary.count, texts, name)

        return Gate(
            book=self.book,
            transport=self.transport,
            channels=self._loaded.channels,
            prices=Prices(config.prices, books={name: row.prices for name, row in VENDORS.items()}),
            health=Health(),
            policy=Policy(
                on_disconnect=config.on_disconnect,
                retries=config.retries,
                retry_unknown=config.retry_unknown,
                hold_wait=config.hold_wait,
                min_output=config.min_output,
                unknown_output=config.unknown_output,
                event_limit=config.limits.event,
            ),
            now=CLOCK,
            dice=random.random,
            sleep=asyncio.sleep,
            traits=traits,
            url=build_url,
            sign=headers_for,
            count=count,
            log=logs.log_account,
            next_key=next_key,
        )

    def _edge(self) -> Edge:
        config = self._loaded.config
        return Edge(
            loopback=is_loopback(self._host),
            hosts=frozenset(name.lower() for name in config.hosts),
            trusted_proxies=config.trusted_proxies,
            headers_limit=config.limits.headers,
        )

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._loaded.config.tls
        if tls is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.cert, tls.key)
        return context


def _warm_prices(gate: Gate) -> None:
    """Resolve every named model's price once, so that the first request finds it, and say which have none."""
    for channel, model in gate.prices.unpriced(gate.channels):
        log.warning("channel %s: %s has no price, so requests for it are refused; see `prices:`", channel, model)
