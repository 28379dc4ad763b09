"""HTTP in, HTTP out: builds the `Ask`, writes what the gateway yields, turns a GatewayError into the caller's error
shape.

Every answer carries `X-Oneapi-Request-Id`. Nothing else talks to the client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from urllib.parse import parse_qsl

from aiohttp import web
from msgspec.structs import replace

from ..gateway.exchange import exchange
from ..gateway.watch import ClientLeft
from ..values.asks import Ask, Head
from ..values.errors import GatewayError, NotFound, Overloaded
from .bodies import Memory, RequestBody
from .connection import ClientPresence, Connection
from .control import Control
from .cors import answer_headers, preflight_headers
from .doors import Door, find_door
from .edge import check_headers, check_host, client_address
from .errors import REQUEST_ID, SERVER, error_response
from .generation import Generation
from .metrics import Metrics
from .selfservice import Service

log = logging.getLogger("oneapi.server")

CONTROL_BYTES = 1 << 20
"""The largest body that anything but a relayed door takes."""


class Routes:
    """The handler of one process. current() gives the config generation of the moment; a request keeps the one it
    took.
    """

    def __init__(
        self,
        current: Callable[[], Generation],
        service: Service,
        control: Control,
        metrics: Metrics,
        *,
        memory: int,
        idle_seconds: float,
    ) -> None:
        self._current, self._service, self._control, self._metrics = current, service, control, metrics
        self._memory = Memory(memory)
        self._idle = idle_seconds
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = False

    @property
    def running(self) -> int:
        """Requests in flight, those included whose client has left."""
        return len(self._tasks)

    def stop(self) -> None:
        """From now on every answer is the last one on its connection."""
        self._stopping = True

    async def break_off(self, timeout_seconds: float) -> None:
        """End what still runs, and wait until each has settled."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_seconds)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request. Only connection errors leave this function, and cancellation when the server stops."""
        presence = ClientPresence()
        connection, task = request.protocol, asyncio.current_task()
        assert task is not None, "aiohttp runs each request in a task"
        if isinstance(connection, Connection):
            connection.presence = presence
            # It may have come and gone before its turn.
            presence.gone = connection.transport is None
        self._tasks.add(task)
        try:
            response = await self._handle(request, presence)
        finally:
            self._tasks.discard(task)
            if isinstance(connection, Connection) and connection.presence is presence:
                connection.presence = None
        if self._stopping:
            response.force_close()
        return response

    async def _handle(self, request: web.BaseRequest, presence: ClientPresence) -> web.StreamResponse:
        visit = _Visit(request, self._service.new_id(), self._current())
        most = (
            visit.now.body_limit if visit.door.kind in ("relay", "count") else min(visit.now.body_limit, CONTROL_BYTES)
        )
        body = RequestBody(request, most, self._memory, idle_seconds=self._idle)
        try:
            response = await self._answer(visit, body, presence)
        except GatewayError as error:
            if visit.begun:
                raise ConnectionResetError("the reply had begun when an error came") from error
            response = error_response(error, visit.id, visit.door.dialect)
        except ClientLeft:
            raise ConnectionResetError("the client left") from None
        except ConnectionError:
            raise
        except Exception:
            log.exception("request %s failed", visit.id)
            if visit.begun:
                raise ConnectionResetError("the reply had begun when an error came") from None
            bug = GatewayError("Internal error; the log has its cause under this request id", code="internal_error")
            response = error_response(bug, visit.id, visit.door.dialect)
        finally:
            body.release()
        if not visit.begun:
            response.headers.update(visit.beside)
        self._metrics.note_answer(visit.label, response.status)
        return response

    async def _answer(self, visit: _Visit, body: RequestBody, presence: ClientPresence) -> web.StreamResponse:
        request, door, now = visit.request, visit.door, visit.now
        if self.running > now.concurrent:
            raise Overloaded("Too many requests at once; try again", retry_after_seconds=1)
        check_headers(request.raw_headers, now.edge)
        check_host(request.headers.get("Host", ""), now.edge)
        asked_first = preflight_headers(request.method, request.path, request.headers, now.cors)
        if asked_first is not None:
            return web.Response(status=204, headers={**asked_first, REQUEST_ID: visit.id})
        visit.beside = answer_headers(request.headers, door, now.cors)
        if door.kind == "unknown":
            raise NotFound(f"Invalid URL ({request.method} {request.path[:200]})", code="unknown_url")
        if door.kind == "wrong_method":
            return _wrong_method(visit)
        ask = self._ask(visit, body, presence)
        if door.kind == "relay":
            return await self._relay(visit, ask)
        return await self._control.answer(ask, door, now)

    def _ask(self, visit: _Visit, body: RequestBody, presence: ClientPresence) -> Ask:
        request, trusted = visit.request, visit.now.edge.trusted_proxies
        headers = {name.lower(): value for name, value in request.headers.items()}
        if trusted:
            # Each proxy may have added a line of its own; the last ones are the nearest.
            headers["x-forwarded-for"] = ",".join(request.headers.getall("X-Forwarded-For", ()))
        peername = request.transport.get_extra_info("peername") if request.transport is not None else None
        peer = str(peername[0]) if isinstance(peername, tuple) and peername else ""
        return Ask(
            id=visit.id,
            door=visit.door.dialect,
            method=request.method,
            path=request.path,
            headers=headers,
            query=_query(request),
            peer=client_address(peer, headers, trusted),
            body=body,
            presence=presence,
            received=self._service.now(),
            params={**visit.door.params, **_alt(request)},
        )

    async def _relay(self, visit: _Visit, ask: Ask) -> web.StreamResponse:
        async with aclosing(exchange(ask, visit.now.gate)) as out:
            response: web.StreamResponse | None = None
            async for item in out:
                if isinstance(item, Head):
                    # Without a length aiohttp sends chunks, or to an HTTP/1.0 client bytes until the connection closes.
                    headers = {**item.headers, **visit.beside, **SERVER, REQUEST_ID: ask.id}
                    response = web.StreamResponse(status=item.status, headers=headers)
                    visit.begun = True
                    await response.prepare(visit.request)
                elif response is not None and item:
                    await response.write(item)
        if response is None:
            raise RuntimeError("the exchange ended without an answer")
        await response.write_eof()
        return response


class _Visit:
    """One request on its way through. begun: an answer has begun, after which no error can have a status any more.

    beside: headers of the answer that depend on who asks rather than on what is answered.
    """

    def __init__(self, request: web.BaseRequest, id: str, now: Generation) -> None:
        self.request, self.id, self.now = request, id, now
        self.door = _spoken_to(find_door(request.method, request.path), request)
        self.begun = False
        self.beside: dict[str, str] = {}

    @property
    def label(self) -> str:
        """The door's name in the metrics: a path of ours or what sort of door it is, never a client's text."""
        if self.door.label:
            return self.door.label
        return self.request.path if self.door.kind == "relay" else self.door.kind


def _query(request: web.BaseRequest) -> dict[str, str]:
    """Decoded once: `query_string` is decoded already. The last of several of one name."""
    raw = request.rel_url.raw_query_string
    return dict(parse_qsl(raw, keep_blank_values=True)) if raw else {}


def _spoken_to(door: Door, request: web.BaseRequest) -> Door:
    """The list of models is OpenAI's and Anthropic's: who asks says its version."""
    if door.kind in ("models", "model") and "anthropic-version" in request.headers:
        return replace(door, dialect="anthropic_messages")
    return door


def _alt(request: web.BaseRequest) -> dict[str, str]:
    """How a Gemini client wants its stream framed: `alt=sse`, else a JSON array."""
    return {"alt": request.query["alt"]} if "alt" in request.query else {}


def _wrong_method(visit: _Visit) -> web.Response:
    error = GatewayError(
        f"Method {visit.request.method[:40]} is not allowed here; use {visit.door.allow}",
        status=405,
        type="invalid_request_error",
    )
    response = error_response(error, visit.id, visit.door.dialect)
    response.headers["Allow"] = visit.door.allow
    return response
