"""Request bodies: read once, bounded, kept as bytes so that every attempt starts from the client's own.

Content-Length is believed only to refuse early; what is counted is what arrived, after decompression. All bodies in
flight together are bounded by `limits.memory`.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import HttpVersion11, web

from ..values.errors import BadRequest, Overloaded, TooLarge


class Memory:
    """Bytes of request bodies in flight in this process."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0

    def take(self, size: int) -> None:
        """Raises Overloaded (503) when the bodies in flight would need more than `limits.memory`."""
        if self._used + size > self._limit:
            raise Overloaded("Too many large requests are in flight; try again shortly", retry_after_seconds=1)
        self._used += size

    def give(self, size: int) -> None:
        self._used -= size


class RequestBody:
    """The body of one HTTP request; a `values.asks.Body`."""

    def __init__(self, request: web.BaseRequest, limit: int, memory: Memory, *, idle_seconds: float) -> None:
        self._request, self._limit, self._memory = request, limit, memory
        self._idle = idle_seconds
        self._bytes: bytes | None = None
        self._taken = 0

    async def read(self) -> bytes:
        """The whole body.

        Raises TooLarge (413), Overloaded (503), BadRequest (400: truncated, broken encoding; 408: nothing more came).
        """
        if self._bytes is None:
            announced = self._request.content_length or 0
            if announced > self._limit:
                raise self._too_large()
            expects = self._request.headers.get("Expect", "").lower() == "100-continue"
            if expects and self._request.version >= HttpVersion11:
                self._invite()
            self._bytes = await self._read()
        return self._bytes

    def release(self) -> None:
        self._memory.give(self._taken)
        self._taken = 0

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        content, loop = self._request.content, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._idle) as patience:
                while data := await content.readany():
                    patience.reschedule(loop.time() + self._idle)
                    size += len(data)
                    if size > self._limit:
                        raise self._too_large()
                    self._memory.take(len(data))
                    self._taken += len(data)
                    parts.append(data)
        except TimeoutError as error:
            sentence = f"The request body stopped arriving: nothing came for {self._idle:g} s"
            raise BadRequest(sentence, status=408, code="upload_timeout") from error
        except (aiohttp.ClientPayloadError, web.RequestPayloadError, OSError, asyncio.IncompleteReadError) as error:
            raise BadRequest(
                "The request body ended early or is not encoded as its headers say", code="bad_body"
            ) from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _invite(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request body is larger than the {self._limit} bytes that `limits.body` allows")
