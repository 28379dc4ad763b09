"""One client connection: aiohttp's protocol with three things of ours.

It tells the request that is running when the client has gone (aiohttp's own `handler_cancellation` would kill the
exchange, and the bill with it), it lets go of a client that takes nothing of its answer, and it answers what is not
HTTP in the shape that every other error has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from ..values.errors import BadRequest, GatewayError, HeadersTooLarge
from .errors import SERVER, error_response


class ClientPresence:
    """Whether one request's client is still connected; see `values.asks.Presence`."""

    __slots__ = ("_call", "gone")

    def __init__(self) -> None:
        self.gone = False
        self._call: Callable[[], None] | None = None

    def when_gone(self, call: Callable[[], None] | None) -> None:
        if call is not None and self.gone:
            call()
        else:
            self._call = call

    def left(self) -> None:
        self.gone = True
        if self._call is not None:
            call, self._call = self._call, None
            call()


class Connection(RequestHandler):
    """aiohttp's RequestHandler that knows which request's client it carries."""

    presence: ClientPresence | None = None
    new_id: Callable[[], str]
    stall_seconds: float
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client is slower than its answer: from now on it has to take some of it from time to time."""
        super().pause_writing()
        if self.transport is not None:
            self._await_progress(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_waiting()

    def _await_progress(self, transport: asyncio.Transport) -> None:
        # The transport is kept at hand: a connection that is being closed has lost its own, and may hang all the same.
        before = transport.get_write_buffer_size()
        self._stalled = asyncio.get_running_loop().call_later(
            self.stall_seconds, self._judge_progress, transport, before
        )

    def _judge_progress(self, transport: asyncio.Transport, before: int) -> None:
        if transport.get_write_buffer_size() < before:
            self._await_progress(transport)
        else:
            transport.abort()

    def _stop_waiting(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)
        if self.presence is not None:
            presence, self.presence = self.presence, None
            presence.left()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Every answer leaves through here; one that has begun already has its headers."""
        if not resp.prepared:
            resp.headers.update(SERVER)
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An answer in our own shape to what aiohttp could not parse, or to what we failed to catch."""
        if isinstance(exc, ConnectionError):
            raise ConnectionError("the client is gone, so there is nobody to tell") from exc
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun; nothing more can be said on this connection")
        request_id = self.new_id()
        if status == 400 and isinstance(exc, LineTooLong):
            error: GatewayError = HeadersTooLarge("The request line or a header is longer than this gateway allows")
        elif status == 400:
            error = BadRequest(
                "The request is not valid HTTP; check its request line, headers and framing", code="bad_http"
            )
        else:
            self.logger.error("request %s failed", request_id, exc_info=exc)
            error = GatewayError("Internal error; the log has its cause under this request id", code="internal_error")
        response = error_response(error, request_id, "openai_chat")
        response.force_close()
        return response


class ConnectionServer(web.Server):
    """aiohttp's low-level server, making our connections."""

    def __init__(
        self, handler: Callable[..., object], new_id: Callable[[], str], *, stall_seconds: float, **options: object
    ) -> None:
        super().__init__(handler, handler_cancellation=False)  # type: ignore[arg-type]
        self._options = options
        self._new_id = new_id
        self._stall_seconds = stall_seconds

    @property
    def unsent(self) -> bool:
        """Whether any client has still to take bytes of its answer."""
        return any(_has_unsent(connection) for connection in self.connections)

    def close_idle(self) -> None:
        """Close the connections that carry no request just now, nor the rest of an answer."""
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.presence is None and not _has_unsent(connection):
                connection.force_close()

    def __call__(self) -> Connection:
        connection = Connection(self, loop=asyncio.get_running_loop(), **self._options)  # type: ignore[arg-type]
        connection.new_id, connection.stall_seconds = self._new_id, self._stall_seconds
        return connection


def _has_unsent(connection: RequestHandler) -> bool:
    # A connection that is lost has no transport, and stays in the server's list until its task has ended.
    return connection.transport is not None and connection.transport.get_write_buffer_size() > 0
