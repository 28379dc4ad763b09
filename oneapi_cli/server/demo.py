"""The demo vendor's socket: an HTTP server on loopback that plays the steps `providers/demo` decides on.

One per worker, on a port of its own, started by whoever owns the transport; a call to the row's base
(`demo://local`) goes to `DemoServer.base_url` instead. Nothing is decided here: this module turns steps into
bytes, pauses and broken connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from ..providers import demo

# A demo must take whatever the gateway lets through; its `limits.body` is the real bound.
_MAX_BODY_BYTES = 1 << 30
_STEPS_BETWEEN_TURNS = 64
_PREFIX = "/v1"

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class DemoServer:
    """A running demo vendor. base_url: `http://127.0.0.1:{port}/v1`, what an OpenAI client takes."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self._runner = runner
        self.base_url = f"http://127.0.0.1:{port}{_PREFIX}"

    async def close(self) -> None:
        """Stop listening and break what is still being answered. Idempotent."""
        await self._runner.cleanup()


async def start_demo(*, clock: Clock, sleep: Sleep = asyncio.sleep) -> DemoServer:
    """Listen on a free port of 127.0.0.1. clock: unix seconds, told as `created`; sleep: how pauses pass."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", _Player(clock, sleep).answer)
    # Handlers are cancelled when their client leaves, or a reply told to hang would outlive it by minutes.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return DemoServer(runner, runner.addresses[0][1])


class _Player:
    def __init__(self, clock: Clock, sleep: Sleep) -> None:
        self._clock = clock
        self._sleep = sleep

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse | None = None
        turn = 0
        for step in await self._steps(request):
            match step:
                case demo.Start(status, headers):
                    response = web.StreamResponse(status=status, headers=headers)
                    await response.prepare(request)
                case demo.Send(data):
                    assert response is not None
                    await response.write(data)
                    turn += 1
                    if turn % _STEPS_BETWEEN_TURNS == 0:
                        await asyncio.sleep(0)
                case demo.Pause(seconds):
                    await self._sleep(seconds)
                case demo.Drop(reset):
                    _drop(request, reset=reset)
                    break
        return response or web.StreamResponse()

    async def _steps(self, request: web.Request) -> Iterator[demo.Step]:
        path = request.path.removeprefix(_PREFIX)
        if not request.content_type.startswith("multipart/"):
            return demo.answer(request.method, path, await request.read(), int(self._clock()))
        form = await request.post()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        upload = form.get("file")
        file = upload.file.read() if isinstance(upload, web.FileField) else b""
        return demo.answer_upload(path, fields, file)


def _drop(request: web.Request, *, reset: bool) -> None:
    """Leave the client with what it has: by a TCP reset, or by closing after what was written has gone out."""
    transport = request.transport
    if transport is None:
        return
    if not reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    # Lingering for zero seconds is what makes a close a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
