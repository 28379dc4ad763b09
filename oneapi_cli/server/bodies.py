"""Request bodies: read once, bounded, kept so that every attempt starts from the client's own bytes.

JSON is kept in memory. A form is read as it arrives and kept in memory up to `SPOOL_BYTES`, then in a temporary file
without a name, which is gone when the request is. Content-Length is believed only to refuse early; what is counted is
what arrived, after decompression. All bodies in memory together are bounded by `limits.memory`.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from typing import BinaryIO

import aiohttp
from aiohttp import HttpVersion11, web

from ..framing.multipart import FormReader
from ..values.errors import BadRequest, Overloaded, TooLarge
from ..values.uploads import Upload

SPOOL_BYTES = 1 << 20


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


class Spool:
    """Where an upload is kept while its request lives. Beyond `SPOOL_BYTES` it is a file, written in a thread."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._taken = 0
        self._buffer = bytearray()
        self._file: BinaryIO | None = None

    async def write(self, data: bytes) -> None:
        """Raises Overloaded: too much memory in use, or a disk that is full."""
        if self._taken < SPOOL_BYTES:
            more = min(len(data), SPOOL_BYTES - self._taken)
            self._memory.take(more)
            self._taken += more
        self._buffer += data
        if len(self._buffer) > SPOOL_BYTES:
            await self._flush()

    async def close(self) -> BinaryIO:
        """All of it, to be read."""
        if self._file is None:
            self._file = io.BytesIO(self._buffer)
        else:
            await self._flush()
        self._buffer = bytearray()
        return self._file

    def drop(self) -> None:
        self._memory.give(self._taken)
        self._taken, self._buffer = 0, bytearray()
        if self._file is not None:
            self._file.close()

    async def _flush(self) -> None:
        data, self._buffer = self._buffer, bytearray()
        try:
            await asyncio.to_thread(self._append, data)
        except OSError as error:
            raise Overloaded(
                "The upload cannot be kept: the disk for temporary files is full or not writable", cause=repr(error)
            ) from error

    def _append(self, data: bytearray) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it outlives this call: `drop` closes it
        self._file.write(data)


class RequestBody:
    """The body of one HTTP request; a `values.asks.Body`."""

    def __init__(self, request: web.BaseRequest, limit: int, memory: Memory, *, idle_seconds: float) -> None:
        self._request, self._limit, self._memory = request, limit, memory
        self._idle = idle_seconds
        self._bytes: bytes | None = None
        self._upload: Upload | None = None
        self._spool: Spool | None = None
        self._taken = self._size = 0

    async def read(self) -> bytes:
        """The whole body.

        Raises TooLarge (413), Overloaded (503), BadRequest (400: truncated, broken encoding; 408: nothing more came).
        """
        if self._bytes is None:
            self._open()
            parts = []
            while data := await self._next():
                self._memory.take(len(data))
                self._taken += len(data)
                parts.append(data)
            self._bytes = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._bytes

    async def read_form(self, content_type: str) -> Upload:
        """The whole body as a form.

        Raises TooLarge, Overloaded, BadRequest as `read` does, and BadRequest as soon as it is no form.
        """
        if self._upload is None:
            reader = FormReader(content_type)
            self._open()
            self._spool = Spool(self._memory)
            while data := await self._next():
                reader.feed(data)
                await self._spool.write(data)
            self._upload = Upload(reader.close(), await self._spool.close())
        return self._upload

    def release(self) -> None:
        """Give back the memory, and with it the temporary file."""
        self._memory.give(self._taken)
        self._taken = 0
        if self._spool is not None:
            self._spool.drop()

    def _open(self) -> None:
        if (self._request.content_length or 0) > self._limit:
            raise self._too_large()
        expects = self._request.headers.get("Expect", "").lower() == "100-continue"
        if expects and self._request.version >= HttpVersion11:
            self._invite()

    async def _next(self) -> bytes:
        """What has arrived since, b"" at the end. Raises BadRequest, TooLarge."""
        try:
            async with asyncio.timeout(self._idle):
                data = await self._request.content.readany()
        except TimeoutError as error:
            sentence = f"The request body stopped arriving: nothing came for {self._idle:g} s"
            raise BadRequest(sentence, status=408, code="upload_timeout") from error
        except (aiohttp.ClientPayloadError, web.RequestPayloadError, OSError, asyncio.IncompleteReadError) as error:
            raise BadRequest(
                "The request body ended early or is not encoded as its headers say", code="bad_body"
            ) from error
        self._size += len(data)
        if self._size > self._limit:
            raise self._too_large()
        return data

    def _invite(self) -> None:
        transport = self._request.transport
        if transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request body is larger than the {self._limit} bytes that `limits.body` allows")
