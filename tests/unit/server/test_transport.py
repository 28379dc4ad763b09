"""The way to vendors: every exception of the library has its meaning, every timer its proof, every reply its end."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey

from oneapi_cli.server import transport as module
from oneapi_cli.server.transport import PIECE_BYTES, AiohttpTransport, map_error
from oneapi_cli.values.asks import Call
from oneapi_cli.values.errors import Broken, Malformed, TimedOut, Unreachable, UpstreamFault
from tests.support.upstream import Received, Script, Upstream, Writer, answering

# --- the map --------------------------------------------------------------------------------------------------------

_KEY = ConnectionKey("host", 1, False, True, None, None, None)
_INFO = SimpleNamespace(real_url="http://host/", method="POST", headers={}, url="http://host/")
_OS = OSError(111, "refused")
_CERTIFICATE = ssl.CertificateError("bad")

EXCEPTIONS: dict[str, tuple[Callable[[], BaseException], type[UpstreamFault]]] = {
    "ClientError": (aiohttp.ClientError, Broken),
    "ClientResponseError": (lambda: aiohttp.ClientResponseError(_INFO, ()), Malformed),  # type: ignore[arg-type]
    "ContentTypeError": (lambda: aiohttp.ContentTypeError(_INFO, ()), Malformed),  # type: ignore[arg-type]
    "WSServerHandshakeError": (lambda: aiohttp.WSServerHandshakeError(_INFO, ()), Malformed),  # type: ignore[arg-type]
    "ClientHttpProxyError": (lambda: aiohttp.ClientHttpProxyError(_INFO, ()), Unreachable),  # type: ignore[arg-type]
    "TooManyRedirects": (lambda: aiohttp.TooManyRedirects(_INFO, ()), Malformed),  # type: ignore[arg-type]
    "ClientConnectionError": (aiohttp.ClientConnectionError, Broken),
    "ClientConnectionResetError": (aiohttp.ClientConnectionResetError, Broken),
    "ClientOSError": (lambda: aiohttp.ClientOSError(104, "reset"), Broken),
    "ClientConnectorError": (lambda: aiohttp.ClientConnectorError(_KEY, _OS), Unreachable),
    "ClientConnectorDNSError": (lambda: aiohttp.ClientConnectorDNSError(_KEY, _OS), Unreachable),
    "ClientProxyConnectionError": (lambda: aiohttp.ClientProxyConnectionError(_KEY, _OS), Unreachable),
    "UnixClientConnectorError": (lambda: client_exceptions.UnixClientConnectorError("/x", _KEY, _OS), Unreachable),
    "ServerConnectionError": (aiohttp.ServerConnectionError, Broken),
    "ServerDisconnectedError": (aiohttp.ServerDisconnectedError, Broken),
    "ServerTimeoutError": (aiohttp.ServerTimeoutError, TimedOut),
    "ConnectionTimeoutError": (aiohttp.ConnectionTimeoutError, Unreachable),
    "SocketTimeoutError": (aiohttp.SocketTimeoutError, TimedOut),
    "ServerFingerprintMismatch": (lambda: aiohttp.ServerFingerprintMismatch(b"a", b"b", "host", 1), Unreachable),
    "ClientPayloadError": (aiohttp.ClientPayloadError, Malformed),
    "UploadAbortedError": (lambda: client_exceptions.UploadAbortedError(), Broken),
    "InvalidURL": (lambda: aiohttp.InvalidURL("x"), Unreachable),
    "InvalidUrlClientError": (lambda: aiohttp.InvalidUrlClientError("x"), Unreachable),
    "RedirectClientError": (aiohttp.RedirectClientError, Broken),
    "NonHttpUrlClientError": (lambda: aiohttp.NonHttpUrlClientError("x"), Unreachable),
    "InvalidUrlRedirectClientError": (lambda: aiohttp.InvalidUrlRedirectClientError("x"), Unreachable),
    "NonHttpUrlRedirectClientError": (lambda: aiohttp.NonHttpUrlRedirectClientError("x"), Unreachable),
    "ClientSSLError": (lambda: aiohttp.ClientSSLError(_KEY, _OS), Unreachable),
    "ClientConnectorSSLError": (lambda: aiohttp.ClientConnectorSSLError(_KEY, _OS), Unreachable),
    "ClientConnectorCertificateError": (
        lambda: aiohttp.ClientConnectorCertificateError(_KEY, _CERTIFICATE),
        Unreachable,
    ),
}
# Of aiohttp's newest releases: the map must know them where they exist.
NEWER = {"UploadAbortedError"}


def test_the_map_is_complete() -> None:
    known = {
        name
        for name, found in inspect.getmembers(client_exceptions, inspect.isclass)
        if issubclass(found, aiohttp.ClientError)
    }
    assert known - NEWER == set(EXCEPTIONS) - NEWER
    assert known <= set(EXCEPTIONS)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_each_exception_has_its_meaning(name: str) -> None:
    if not hasattr(client_exceptions, name):
        pytest.skip(f"this aiohttp has no {name}")
    make, expected = EXCEPTIONS[name]
    fault = map_error(make())
    assert type(fault) is expected
    assert fault.sent is (expected is not Unreachable)
    assert fault.cause and fault.cause not in fault.message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), TimedOut),
        (ConnectionResetError(), Broken),
        (BrokenPipeError(), Broken),
        (OSError(113, "no route"), Broken),
        (ssl.SSLError("bad record"), Broken),
        (ValueError("Newline or carriage return detected in headers"), Unreachable),
        (UnicodeError("label too long"), Unreachable),
    ],
)
def test_the_systems_own(error: BaseException, expected: type[UpstreamFault]) -> None:
    assert type(map_error(error)) is expected


# --- over a socket --------------------------------------------------------------------------------------------------


def call(url: str, body: bytes = b"{}", **seconds: float) -> Call:
    waits: dict[str, Any] = {
        "connect_seconds": 2.0,
        "first_byte_seconds": 2.0,
        "idle_seconds": 2.0,
        "stream_seconds": 5.0,
        **seconds,
    }
    return Call(method="POST", url=url, headers={"Content-Type": "application/json"}, body=body, **waits)


@asynccontextmanager
async def way(*scripts: Script) -> AsyncIterator[tuple[AiohttpTransport, Upstream]]:
    async with Upstream(list(scripts)) as upstream:
        transport = AiohttpTransport("oneapi/test")
        try:
            yield transport, upstream
        finally:
            await transport.close()
            await asyncio.sleep(0.01)


async def read(reply: Any) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks()])


async def test_a_body_arrives_and_its_connection_is_used_again() -> None:
    async with way(answering(200, b"hello")) as (transport, upstream):
        for _ in range(3):
            reply = await transport.send(call(upstream.url))
            assert (reply.status, await read(reply)) == (200, b"hello")
            reply.release()
        assert len(upstream.received) == 3 and upstream.open_connections == 1
        assert upstream.received[0].headers["user-agent"] == "oneapi/test"
        assert set(upstream.received[0].headers) == {"host", "user-agent", "content-type", "content-length"}


async def test_a_connection_that_the_vendor_has_closed_meanwhile_is_not_used() -> None:
    async def once(_: Received, writer: Writer) -> None:
        await writer.answer(200, b"hello")
        writer._writer.close()

    async with way(once) as (transport, upstream):
        for _ in range(5):
            reply = await transport.send(call(upstream.url))
            assert await read(reply) == b"hello"
            reply.release()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("size", [1, 1 << 18, (1 << 20) + 1, 5 << 20])
async def test_bodies_of_every_size_arrive_whole(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    async with way(answering(200, b"ok")) as (transport, upstream):
        reply = await transport.send(call(upstream.url, body[:size]))
        assert await read(reply) == b"ok"
        assert upstream.received[0].body == body[:size]
        assert upstream.received[0].headers["content-length"] == str(size)


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """An address that takes no more connections: connecting to it hangs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    stuffed = []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        stuffed.append(filler)
    await asyncio.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{address[1]}/v1"
    finally:
        for each in (*stuffed, listener):
            each.close()


async def test_a_connection_that_does_not_come_about_is_nothing_sent() -> None:
    transport = AiohttpTransport("oneapi/test")
    async with full_backlog() as url:
        with pytest.raises(Unreachable, match="in time"):
            await transport.send(call(url, connect_seconds=0.2))
    await transport.close()


async def test_a_name_that_nobody_resolves_in_time_is_nothing_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: object, **__: object) -> list[Any]:
        await asyncio.sleep(30)
        return []

    transport = AiohttpTransport("oneapi/test")
    connector = transport._session.connector
    assert isinstance(connector, aiohttp.TCPConnector)
    monkeypatch.setattr(connector, "_resolve_host", slow)
    with pytest.raises(Unreachable):
        await transport.send(call("http://nowhere.invalid/v1", connect_seconds=0.2, first_byte_seconds=0.1))
    await transport.close()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "http:///v1", "not a url", "http://user:pass@127.0.0.1:1/v1"])
async def test_an_address_that_cannot_be_used_is_nothing_sent(url: str) -> None:
    transport = AiohttpTransport("oneapi/test")
    asked = call(url)
    with pytest.raises(Unreachable):
        await transport.send(
            Call(
                **{name: getattr(asked, name) for name in asked.__struct_fields__} | {"headers": {"Authorization": "x"}}
            )
        )
    await transport.close()


async def test_a_stopped_transport_sends_nothing() -> None:
    transport = AiohttpTransport("oneapi/test")
    await transport.close()
    with pytest.raises(Unreachable, match="stopping"):
        await transport.send(call("http://127.0.0.1:1/v1"))


async def test_silence_before_the_head_is_an_unknown_outcome() -> None:
    async def silent(_: Received, writer: Writer) -> None:
        await asyncio.sleep(1)

    async with way(silent) as (transport, upstream):
        with pytest.raises(TimedOut):
            await transport.send(call(upstream.url, connect_seconds=0.1, first_byte_seconds=0.1))


def dripping(pieces: int, pause: float) -> Script:
    async def script(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for _number in range(pieces):
            await writer.chunk(b"x")
            await asyncio.sleep(pause)
        await writer.end()

    return script


async def test_silence_between_chunks_ends_a_reply() -> None:
    async with way(dripping(5, 0.5)) as (transport, upstream):
        reply = await transport.send(call(upstream.url, idle_seconds=0.1))
        with pytest.raises(TimedOut):
            await read(reply)


async def test_a_reply_that_takes_too_long_ends_though_it_never_rests() -> None:
    async with way(dripping(100, 0.02)) as (transport, upstream):
        reply = await transport.send(call(upstream.url, stream_seconds=0.2))
        with pytest.raises(TimedOut):
            await read(reply)


async def test_a_reader_that_takes_its_time_is_not_the_vendors_silence() -> None:
    async with way(dripping(6, 0.01)) as (transport, upstream):
        reply = await transport.send(call(upstream.url, idle_seconds=0.1))
        got = b""
        async for chunk in reply.chunks():
            got += chunk
            await asyncio.sleep(0.15)
        assert got == b"x" * 6


async def test_timers_end_with_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    handles: list[asyncio.TimerHandle] = []
    loop = asyncio.get_running_loop()
    real = loop.call_later

    def call_later(delay: float, callback: Callable[..., object], *args: Any, **more: Any) -> asyncio.TimerHandle:
        handle = real(delay, callback, *args, **more)
        if getattr(callback, "__module__", "") == module.__name__:
            handles.append(handle)
        return handle

    monkeypatch.setattr(loop, "call_later", call_later)
    async with way(dripping(3, 0.0)) as (transport, upstream):
        for end in ("abort", "release"):
            reply = await transport.send(call(upstream.url))
            chunks = reply.chunks()
            await anext(chunks)
            getattr(reply, end)()
            waiting = [handle for handle in handles if not handle.cancelled() and handle.when() - loop.time() > 1]
            assert waiting == []
            await chunks.aclose()  # type: ignore[attr-defined]
        assert len(handles) >= 4, "the timers of this module were not seen"


async def test_abort_wakes_a_reader_and_closes_the_connection() -> None:
    async with way(dripping(100, 0.05)) as (transport, upstream):
        reply = await transport.send(call(upstream.url))
        task = asyncio.get_running_loop().create_task(read(reply))
        await asyncio.sleep(0.1)
        reply.abort()
        reply.abort()
        with pytest.raises(Broken):
            await asyncio.wait_for(task, 1)
        for _ in range(50):
            if upstream.open_connections == 0:
                break
            await asyncio.sleep(0.05)
        assert upstream.open_connections == 0
        assert transport._open == set()


async def test_release_keeps_a_connection_whose_body_ends_soon_and_closes_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RELEASE_SECONDS", 0.15)
    async with way(dripping(2, 0.05), dripping(2, 0.05), dripping(100, 0.05)) as (transport, upstream):
        for _ in range(2):
            reply = await transport.send(call(upstream.url))
            await anext(aiter(reply.chunks()))
            reply.release()
            await asyncio.sleep(0.12)
        assert upstream.open_connections == 1, "the connection was not kept"
        reply = await transport.send(call(upstream.url))
        await anext(aiter(reply.chunks()))
        reply.release()
        await asyncio.sleep(0.4)
        assert upstream.open_connections == 0 and transport._open == set()


# --- compression ----------------------------------------------------------------------------------------------------

TEXT = b"the quick brown fox " * 500


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


ENCODINGS = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip, capitals": ("X-GZIP", gzip.compress(TEXT)),
    "several members": ("gzip", gzip.compress(TEXT[:300]) + gzip.compress(TEXT[300:])),
    "padded": ("gzip", gzip.compress(TEXT) + b"\0" * 40),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "raw deflate": ("deflate", raw_deflate(TEXT)),
    "identity": ("identity", TEXT),
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("cut", [1, 7, 1 << 20])
async def test_compressed_replies(name: str, cut: int) -> None:
    encoding, data = ENCODINGS[name]

    async def script(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Encoding": encoding, "Transfer-Encoding": "chunked"})
        for at in range(0, len(data), cut):
            await writer.chunk(data[at : at + cut])
        await writer.end()

    async with way(script) as (transport, upstream):
        assert await read(await transport.send(call(upstream.url))) == TEXT


@pytest.mark.parametrize(
    ("encoding", "data", "fault"),
    [
        ("gzip", b"this is not gzip", Malformed),
        ("gzip", gzip.compress(TEXT)[:-20], Broken),
        ("br", b"x", Malformed),
        ("gzip", gzip.compress(TEXT) + b"rubbish", Malformed),
    ],
    ids=["not gzip", "cut off", "unknown", "followed by rubbish"],
)
async def test_broken_compression(encoding: str, data: bytes, fault: type[UpstreamFault]) -> None:
    async with way(answering(200, data, {"Content-Encoding": encoding})) as (transport, upstream):
        with pytest.raises(fault):
            await read(await transport.send(call(upstream.url)))


async def test_a_bomb_comes_in_pieces() -> None:
    bomb = gzip.compress(b"\0" * (40 << 20))
    assert len(bomb) < 1 << 16
    async with way(answering(200, bomb, {"Content-Encoding": "gzip"})) as (transport, upstream):
        reply = await transport.send(call(upstream.url))
        sizes = [len(chunk) async for chunk in reply.chunks()]
        assert sum(sizes) == 40 << 20
        assert max(sizes) <= PIECE_BYTES
