"""The way to vendors: one aiohttp client session per process, its errors mapped once into ours.

Nothing is decompressed or redirected behind our back, no cookie is kept, no header is added that the call does not
name. What happens before the request is written is `Unreachable` (nothing was sent, nothing can be billed);
everything after is an outcome that nobody knows. A reply in gzip or deflate, though we ask for identity, is decoded
here, bounded.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import aiohttp
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs
from yarl import URL

from ..values.asks import Call, Headers
from ..values.errors import Broken, Malformed, TimedOut, Unreachable, UpstreamFault
from ..values.uploads import Assembled

RELEASE_SECONDS = 0.5
PIECE_BYTES = 1 << 20
"""What is inflated at a time: a few kilobytes of a compressed reply may be gigabytes of it."""

IN_ONE_GO = 1 << 18
_SKIP = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)


class AiohttpTransport:
    """A `Transport` over one ClientSession. bases: what stands for a base URL that is served in-process (the demo
    vendor).
    """

    def __init__(self, user_agent: str, bases: Mapping[str, str] | None = None) -> None:
        self._bases = dict(bases or {})
        self._agent = user_agent
        self._open: set[AiohttpReply] = set()
        self._closed = False
        self._session = ClientSession(
            connector=TCPConnector(limit=0, ttl_dns_cache=60, enable_cleanup_closed=False),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_SKIP,
            timeout=ClientTimeout(total=None),
            trust_env=False,
            read_bufsize=1 << 18,
        )

    def serve_here(self, base: str, local: str) -> None:
        """From now on `base` is served in this process, at `local`."""
        self._bases[base] = local

    async def close(self) -> None:
        """Break off what is still being read, then close the connections that are kept."""
        self._closed = True
        for reply in list(self._open):
            reply.abort()
        await self._session.close()

    async def send(self, call: Call) -> AiohttpReply:
        """Send and wait for the reply's head. Raises Unreachable, TimedOut, Broken."""
        if self._closed:
            raise Unreachable("This server is stopping, so nothing was sent")
        # `connect` covers all that comes before the request: name, socket, TLS, the proxy. No rounding up to seconds.
        connect = call.connect_seconds
        timeout = ClientTimeout(total=None, connect=connect, sock_connect=connect, ceil_threshold=86_400)
        try:
            async with asyncio.timeout(call.connect_seconds + call.first_byte_seconds):
                response = await self._session.request(
                    call.method,
                    URL(self._local(call.url), encoded=True),  # as it was signed, byte for byte
                    data=_payload(call.body),
                    headers={"User-Agent": self._agent, **call.headers, **_length(call.body)},
                    timeout=timeout,
                    allow_redirects=False,
                    proxy=call.proxy or None,
                )
        except TimeoutError as error:
            raise map_error(error) from error
        except (ClientError, OSError, ValueError, ssl.SSLError) as error:
            raise map_error(error) from error
        return AiohttpReply(response, call, self._open)

    def _local(self, url: str) -> str:
        for base, local in self._bases.items():
            if url.startswith(base):
                return local + url[len(base) :]
        return url


def _payload(body: bytes | Assembled) -> bytes | io.BytesIO | AsyncIterator[bytes]:
    """aiohttp writes bytes in one go, and warns of it where they are many; a file it writes piece by piece."""
    if isinstance(body, Assembled):
        return _pieces(body)
    return io.BytesIO(body) if len(body) > IN_ONE_GO else body


async def _pieces(body: Assembled) -> AsyncIterator[bytes]:
    for chunk in body.chunks():
        yield chunk


def _length(body: bytes | Assembled) -> dict[str, str]:
    """An iterator says nothing of its length, and would be sent in chunks."""
    return {"Content-Length": str(body.size)} if isinstance(body, Assembled) else {}


class AiohttpReply:
    """A `Reply` over a ClientResponse. Its connection is kept only when the body was read to its end."""

    def __init__(self, response: aiohttp.ClientResponse, call: Call, siblings: set[AiohttpReply]) -> None:
        self._response = response
        self._siblings = siblings
        siblings.add(self)
        self._idle = call.idle_seconds
        self._stream = call.stream_seconds
        self._aborted = False
        self._late = False
        self._timers: tuple[asyncio.TimerHandle, _IdleTimer] | None = None
        self.status = response.status
        self.headers: Headers = {name.lower(): value for name, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        """Body bytes as they arrive, decoded if the vendor compressed them."""
        decoder = _decoder(self.headers.get("content-encoding", ""))
        content = self._response.content
        loop = asyncio.get_running_loop()
        idle = _IdleTimer(loop, self._idle, self._give_up)
        self._timers = loop.call_later(self._stream, self._give_up), idle
        try:
            while True:
                idle.wait()
                data = await content.readany()
                idle.rest()
                if not data:
                    break
                if decoder is None:
                    yield data
                else:
                    for piece in decoder.feed(data):
                        yield piece
            if decoder is not None:
                decoder.close()
        except (ClientError, OSError, TimeoutError) as error:
            if self._late:
                raise TimedOut("The upstream stopped sending, or its reply took longer than allowed") from error
            raise Broken("The upstream broke the connection in the middle of its reply", cause=repr(error)) from error
        finally:
            self._stop_timers()

    def abort(self) -> None:
        """Close the connection now; a pending read raises Broken."""
        self._stop_timers()
        if not self._aborted:
            self._aborted = True
            self._siblings.discard(self)
            if not self._response.content.at_eof():
                self._response.content.set_exception(ConnectionResetError("aborted"))
            self._response.close()

    def release(self) -> None:
        """Keep the connection if the body ends within half a second, else close it."""
        self._stop_timers()
        response = self._response
        if self._aborted:
            return
        if response.content.is_eof():
            self._siblings.discard(self)
            response.release()
            return
        timer = asyncio.get_running_loop().call_later(RELEASE_SECONDS, self.abort)

        def ended() -> None:
            timer.cancel()
            self._siblings.discard(self)
            response.release()

        response.content.on_eof(ended)

    def _give_up(self) -> None:
        self._late = True
        self.abort()

    def _stop_timers(self) -> None:
        """At once: a reply that is left early leaves its generator to the garbage collector."""
        if self._timers is not None:
            for timer in self._timers:
                timer.cancel()
            self._timers = None


class _IdleTimer:
    """A deadline that moves: moving it is a clock read, not a new timer per chunk.

    Only waiting counts. While a slow client keeps us from reading, it is not the vendor who is silent.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], None]) -> None:
        self._loop, self._seconds, self._call = loop, seconds, call
        self._since: float | None = None
        self._handle = loop.call_later(seconds, self._check)

    def wait(self) -> None:
        self._since = self._loop.time()

    def rest(self) -> None:
        self._since = None

    def cancel(self) -> None:
        self._handle.cancel()

    def _check(self) -> None:
        left = self._seconds if self._since is None else self._since + self._seconds - self._loop.time()
        if left <= 0:
            self._call()
        else:
            self._handle = self._loop.call_later(left, self._check)


class _Inflater:
    """Incremental gzip (of several members too), zlib or raw deflate."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inflate: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` inflates to, at most PIECE_BYTES at a time. Raises Malformed on broken data."""
        while data:
            inflate = self._inflate = self._inflate or self._begin(data)
            try:
                piece = inflate.decompress(data, PIECE_BYTES)
                if piece:
                    yield piece
                while len(piece) == PIECE_BYTES:
                    piece = inflate.decompress(inflate.unconsumed_tail, PIECE_BYTES)
                    if piece:
                        yield piece
            except zlib.error as error:
                raise Malformed("The upstream's compressed reply is broken", cause=str(error)) from error
            data = b""
            if inflate.eof and (data := inflate.unused_data.lstrip(b"\0")):
                self._inflate = None

    def close(self) -> None:
        """The body is over. Raises Broken where the compressed data is not."""
        if self._inflate is None or not self._inflate.eof:
            raise Broken("The upstream's compressed reply ended too early")

    def _begin(self, data: bytes) -> zlib._Decompress:
        # "deflate" is zlib's format by the standard, and raw deflate at some servers: a zlib header has an 8 here.
        raw = self._wbits == zlib.MAX_WBITS and data[0] & 0x0F != 8
        return zlib.decompressobj(wbits=-zlib.MAX_WBITS if raw else self._wbits)


def _decoder(encoding: str) -> _Inflater | None:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return _Inflater(16 + zlib.MAX_WBITS)
    if name == "deflate":
        return _Inflater(zlib.MAX_WBITS)
    raise Malformed(f"The upstream used a content encoding that was not asked for: {name[:40]}")


def map_error(error: BaseException) -> UpstreamFault:
    """aiohttp's and the system's exceptions → ours. Connecting is the only phase in which nothing can have been
    sent.
    """
    cause = f"{type(error).__name__}: {error}"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Unreachable("Could not connect to the upstream in time", cause=cause)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ServerFingerprintMismatch):
        return Unreachable("Could not connect to the upstream", cause=cause)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unreachable("The proxy refused the way to the upstream", cause=cause)
    if isinstance(error, aiohttp.NonHttpUrlClientError | ValueError):
        # An address or a header that cannot be written; found out before anything is.
        return Unreachable(
            "The request cannot be put as HTTP: check the channel's base_url, key and headers", cause=cause
        )
    if isinstance(error, TimeoutError):
        return TimedOut("The upstream did not answer in time", cause=cause)
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return Malformed("The upstream's answer is not valid HTTP", cause=cause)
    return Broken("The upstream broke the connection before it answered", cause=cause)
