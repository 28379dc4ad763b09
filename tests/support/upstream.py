"""A vendor on loopback that records what it was sent and answers as each test says, down to the bytes on the socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request as it arrived: header names in lower case, body as bytes."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Writer:
    """The upstream's end of one connection, for answers that need the raw socket."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
        await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def answer(self, status: int, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """A whole answer with Content-Length; a dict is JSON."""
        kind = "application/json" if isinstance(body, dict) else "text/plain"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        await self.head(status, {"Content-Type": kind, **(headers or {}), "Content-Length": str(len(data))})
        await self.raw(data)

    async def stream(self, events: Sequence[bytes], *, pause: float = 0.0, done: bool = True) -> None:
        """An SSE answer, an event a chunk, ended by [DONE]."""
        await self.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for event in events:
            await self.chunk(event)
            if pause:
                await asyncio.sleep(pause)
        if done:
            await self.chunk(b"data: [DONE]\n\n")
        await self.end()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        transport = self._writer.transport
        transport.abort()


Script = Callable[[Received, Writer], Awaitable[None]]


@dataclass
class Upstream:
    """Scripts are taken one a request; the last one serves all that follow."""

    scripts: list[Script]
    received: list[Received] = field(default_factory=list)
    _server: asyncio.Server | None = None
    open_connections: int = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 26)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                self.received.append(request)
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                await script(request, Writer(writer))
                if writer.transport.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)


def reply(text: str = "Hello", *, prompt: int = 10, output: int = 5, **usage: Any) -> dict[str, Any]:
    """A chat completion as OpenAI sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output, **usage},
    }


def events(words: Sequence[str], *, usage: dict[str, Any] | None = None, finish: bool = True) -> list[bytes]:
    """The chunks of a chat stream: one a word, a finish, and the usage event where there is usage."""

    def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
        body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
        return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"

    out = [chunk([{"index": 0, "delta": {"content": word}, "finish_reason": None}]) for word in words]
    if finish:
        out.append(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    if usage is not None:
        out.append(chunk([], usage=usage))
    return out


def answering(status: int, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> Script:
    """A script that gives one whole answer."""

    async def script(_: Received, writer: Writer) -> None:
        await writer.answer(status, body, headers)

    return script


def streaming(parts: Sequence[bytes], *, pause: float = 0.0, done: bool = True) -> Script:
    """A script that streams these events."""

    async def script(_: Received, writer: Writer) -> None:
        await writer.stream(parts, pause=pause, done=done)

    return script
