"""`metrics_listen`: a listener that knows /metrics and nothing else, and asks for no key."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec.structs import replace

from ..values.errors import GatewayError, NotFound
from .edge import Edge, check_host, is_loopback
from .errors import error_response

Answer = Callable[[str], Awaitable[web.Response]]
"""Request id → the metrics as an answer. Raises GatewayError."""


class MetricsDoor:
    """One listener on `sock`, which every worker may share. edge(): whose `hosts` it answers for, too."""

    def __init__(
        self, sock: socket.socket, metrics: Answer, new_id: Callable[[], str], edge: Callable[[], Edge]
    ) -> None:
        self._sock, self._metrics, self._new_id, self._edge = sock, metrics, new_id, edge
        self._loopback = is_loopback(str(sock.getsockname()[0]))
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1.0)

    async def start(self) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, self._sock, backlog=64).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        request_id = self._new_id()
        try:
            check_host(request.headers.get("Host", ""), replace(self._edge(), loopback=self._loopback))
            if request.method not in ("GET", "HEAD") or request.path.rstrip("/") != "/metrics":
                raise NotFound("Only GET /metrics is answered here", code="unknown_url")
            return await self._metrics(request_id)
        except GatewayError as error:
            return error_response(error, request_id, "openai_chat")
