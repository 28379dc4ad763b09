"""Everything that is not relayed: who may ask it, and which function answers. The table of doors, with hands.

Open to all: health, status, what a request cost. For any relay key: models, billing, its own balance and consumption.
For the `admin_key`: management and metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web

from ..gateway.authenticate import Caller, authenticate
from ..ledger.accounts import TokenRow, get_token
from ..ledger.book import Book, LedgerError
from ..values.asks import Ask
from ..values.errors import NotBuilt, Unauthenticated
from . import billing
from .consume import Consumption
from .counting import count_tokens
from .doors import Door, Kind
from .envelope import answer
from .errors import REQUEST_ID
from .generation import Generation
from .management import Management, check_admin, is_admin
from .metrics import Metrics
from .model_lists import list_models, one_model
from .reload import Watcher
from .selfservice import Service
from .stored_responses import stored_response
from .upkeep import brought_up, holds_open

METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8"


class Control:
    """The control plane of one process, over its ledger."""

    def __init__(self, book: Book, service: Service, metrics: Metrics) -> None:
        self._book, self._service, self._metrics = book, service, metrics
        self.watcher: Watcher | None = None
        management = Management(book, service.now)
        consumption = Consumption(book, service.now)
        self._managed: Mapping[Kind, Callable[[Ask, Door], Awaitable[web.Response]]] = {
            "tokens": lambda ask, door: management.collection(ask),
            "token_search": lambda ask, door: management.search(ask),
            "token": lambda ask, door: management.item(ask, door.param),
        }
        self._own: Mapping[Kind, Callable[[Ask, Caller], Awaitable[web.Response]]] = {
            "consume": consumption.consume,
            "balance": consumption.balance,
            "transactions": consumption.transactions,
            "logs": consumption.logs,
        }

    async def answer(self, ask: Ask, door: Door, now: Generation) -> web.Response:
        """The answer of a door that is there and takes this method. Raises GatewayError."""
        if door.kind == "health":
            return self._service.health(ask)
        if door.kind == "status":
            return self._service.status(ask, self._config_state(now) if is_admin(ask, now.admin_key) else None)
        if door.kind == "cost":
            return await self._service.cost(ask, door.param, now.gate, now.admin_key)
        if door.kind == "metrics":
            check_admin(ask, now.admin_key)
            return await self.metrics(ask.id)
        if door.kind in self._managed:
            check_admin(ask, now.admin_key)
            return await answer(ask, partial(self._managed[door.kind], ask, door))
        return await self._for_a_key(ask, door, await authenticate(ask, now.gate, fresh=True), now)

    async def metrics(self, request_id: str) -> web.Response:
        """Prometheus' text, of all workers."""
        self._metrics.note_holds(await self._book.read(holds_open))
        text = await asyncio.to_thread(self._metrics.text)
        return web.Response(body=text, headers={REQUEST_ID: request_id, "Content-Type": METRICS_TYPE})

    async def _for_a_key(self, ask: Ask, door: Door, caller: Caller, now: Generation) -> web.Response:
        if door.kind == "unbuilt":
            raise NotBuilt(f"API not implemented: {ask.method} {ask.path[:200]} is not built yet")
        if door.kind in self._own:
            return await answer(ask, partial(self._own[door.kind], ask, caller))
        if door.kind == "subscription":
            return billing.subscription(ask, await self._token(caller))
        if door.kind == "usage":
            return billing.usage(ask, await self._token(caller))
        if door.kind == "count":
            return await count_tokens(ask, door, caller, now.gate)
        if door.kind == "stored":
            return await stored_response(ask, door.param, caller, now.gate)
        if door.kind == "model":
            return one_model(ask, door.param, caller, now.gate, door.dialect)
        return list_models(ask, caller, now.gate, door.dialect)

    async def _token(self, caller: Caller) -> TokenRow:
        id = caller.principal.token.id
        await brought_up(self._book)
        try:
            return await self._book.read(lambda db: get_token(db, id))
        except LedgerError:
            raise Unauthenticated("This key was removed just now") from None

    def _config_state(self, now: Generation) -> dict[str, object]:
        """Which config serves, and why an edited one does not."""
        problems = self.watcher.problems if self.watcher is not None else ()
        return {
            "generation": now.loaded.generation,
            "taken_time": int(now.taken),
            "refused": [str(problem) for problem in problems],
        }
