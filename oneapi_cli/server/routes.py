"""HTTP in, HTTP out: builds the `Ask`, writes what the gateway yields, turns a GatewayError into the caller's error
shape.

Every answer carries `X-Oneapi-Request-Id`. Nothing else talks to the client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import aclosing
from urllib.parse import parse_qsl

from aiohttp import web

from ..gateway.authenticate import authenticate
from ..gateway.exchange import exchange
from ..gateway.gate import Gate
from ..gateway.watch import ClientLeft
from ..values.asks import Ask, Head
from ..values.errors import GatewayError, NotBuilt, NotFound, Overloaded
from . import selfservice
from .bodies import Memory, RequestBody
from .connection import ClientPresence, Connection
from .doors import Door, find_door
from .edge import Edge, check_headers, check_host, client_address
from .errors import REQUEST_ID, error_response

log = logging.getLogger("oneapi.server")


class Routes:
    """The handler of one process. gate() gives the config generation of the moment; a request keeps the one it took."""

    def __init__(
        self,
        gate: Callable[[], Gate],
        edge: Edge,
        service: selfservice.Service,
        *,
        body_limit: int,
        memory: int,
        concurrent: int,
    ) -> None:
        self._gate, self._edge, self._service = gate, edge, service
        self._body_limit = body_limit
        self._memory = Memory(memory)
        self._concurrent, self._running = concurrent, 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request. Only connection errors leave this function."""
        gate = self._gate()
        request_id = self._service.new_id()
        door = find_door(request.method, request.path)
        presence = ClientPresence()
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.presence = presence
        if self._running >= self._concurrent:
            return error_response(
                Overloaded("Too many requests at once; try again", retry_after_seconds=1), request_id, door.dialect
            )
        self._running += 1
        body = RequestBody(request, self._body_limit, self._memory)
        started = _Started()
        try:
            check_headers(request.raw_headers, self._edge)
            check_host(request.headers.get("Host", ""), self._edge)
            ask = self._ask(request, request_id, door, body, presence)
            if door.kind == "relay":
                return await self._relay(request, ask, gate, started)
            return await self._serve(ask, door, gate)
        except GatewayError as error:
            if started.response is not None:
                raise ConnectionResetError("the reply had begun when an error came") from error
            return error_response(error, request_id, door.dialect)
        except ClientLeft:
            raise ConnectionResetError("the client left") from None
        except ConnectionError:
            raise
        except Exception:
            log.exception("request %s failed", request_id)
            if started.response is not None:
                raise ConnectionResetError("the reply had begun when an error came") from None
            bug = GatewayError("Internal error; the log has its cause under this request id", code="internal_error")
            return error_response(bug, request_id, door.dialect)
        finally:
            self._running -= 1
            body.release()
            if isinstance(connection, Connection) and connection.presence is presence:
                connection.presence = None

    def _ask(
        self, request: web.BaseRequest, request_id: str, door: Door, body: RequestBody, presence: ClientPresence
    ) -> Ask:
        headers = {name.lower(): value for name, value in request.headers.items()}
        peername = request.transport.get_extra_info("peername") if request.transport is not None else None
        peer = str(peername[0]) if isinstance(peername, tuple) and peername else ""
        return Ask(
            id=request_id,
            door=door.dialect,
            method=request.method,
            path=request.path,
            headers=headers,
            query=dict(parse_qsl(request.query_string, keep_blank_values=True)) if request.query_string else {},
            peer=client_address(peer, headers, self._edge.trusted_proxies),
            body=body,
            presence=presence,
            received=self._service.now(),
        )

    async def _relay(self, request: web.BaseRequest, ask: Ask, gate: Gate, started: _Started) -> web.StreamResponse:
        async with aclosing(exchange(ask, gate)) as out:
            response: web.StreamResponse | None = None
            async for item in out:
                if isinstance(item, Head):
                    response = web.StreamResponse(status=item.status, headers={**item.headers, REQUEST_ID: ask.id})
                    if "Content-Length" not in item.headers:
                        response.enable_chunked_encoding()
                    started.response = response
                    await response.prepare(request)
                elif response is not None and item:
                    await response.write(item)
        if response is None:
            raise RuntimeError("the exchange ended without an answer")
        await response.write_eof()
        return response

    async def _serve(self, ask: Ask, door: Door, gate: Gate) -> web.StreamResponse:
        """Everything that is not relayed."""
        service = self._service
        if door.kind == "unknown":
            raise NotFound(f"Invalid URL ({ask.method} {ask.path[:200]})", code="unknown_url")
        if door.kind == "wrong_method":
            response = error_response(
                GatewayError(
                    f"Method {ask.method} is not allowed here; use {door.allow}",
                    status=405,
                    type="invalid_request_error",
                ),
                ask.id,
                door.dialect,
            )
            response.headers["Allow"] = door.allow
            return response
        if door.kind == "health":
            return service.health(ask)
        if door.kind == "status":
            return service.status(ask)
        if door.kind == "cost":
            return await service.cost(ask, door.param, gate)
        caller = await authenticate(ask, gate, fresh=True)
        if door.kind == "unbuilt":
            raise NotBuilt(f"API not implemented: {ask.method} {ask.path[:200]} is not built yet")
        if door.kind == "model":
            return service.model(ask, door.param, caller, gate)
        return service.models(ask, caller, gate)


class _Started:
    """Whether an answer has begun, after which no error can have a status any more."""

    response: web.StreamResponse | None = None
