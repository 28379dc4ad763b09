"""What clients name by URL: public addresses alone, tested where they are dialled, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.server import fetch
from oneapi_cli.server.fetch import Fetcher, is_public
from oneapi_cli.values.errors import BadRequest
from tests.support.upstream import Received, Script, Upstream, Writer, answering

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
MOST = 1000


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "ff02::1",
        "not an address",
    ],
)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_no_loopback_in_any_dress(address: object) -> None:
    assert not is_public(str(address))
    assert not is_public(f"::ffff:{address}")


@asynccontextmanager
async def fetcher(public: Callable[[str], bool] = lambda address: True) -> AsyncIterator[Fetcher]:
    made = Fetcher("test", public)
    try:
        yield made
    finally:
        await made.close()


def redirect(to: str) -> Script:
    return answering(302, b"", {"Location": to})


async def test_bytes_come_whole() -> None:
    async with Upstream([answering(200, PNG, {"Content-Type": "image/png"})]) as there, fetcher() as get:
        got = await get.fetch(f"{there.url}/a.png", MOST)
        assert got.data == PNG
        sent = there.received[0]
        assert "authorization" not in sent.headers
        assert "cookie" not in sent.headers


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "http://localhost:1/x", "http://[::1]:1/x", "http://2130706433/"]
)
async def test_nothing_inside_is_dialled(url: str) -> None:
    async with fetcher(is_public) as get:
        with pytest.raises(BadRequest):
            await get.fetch(url, MOST)


async def test_a_redirect_inwards_is_not_followed() -> None:
    async with Upstream([answering(200, PNG)]) as inside:
        port = inside.url.split(":")[2].split("/")[0]
        inwards = redirect(f"http://127.0.0.2:{port}/secret")
        async with Upstream([inwards]) as there, fetcher(lambda address: address == "127.0.0.1") as get:
            with pytest.raises(BadRequest, match="not a public address"):
                await get.fetch(f"{there.url}/a.png", MOST)
        assert inside.received == []


async def test_a_redirect_within_bounds_is_followed() -> None:
    async with Upstream([redirect("/v1/b.png"), answering(200, PNG)]) as there, fetcher() as get:
        assert (await get.fetch(f"{there.url}/a.png", MOST)).data == PNG
    async with Upstream([redirect("/v1/again")]) as there, fetcher() as get:
        with pytest.raises(BadRequest, match="redirects too often"):
            await get.fetch(f"{there.url}/a.png", MOST)
        assert len(there.received) == fetch.MOST_REDIRECTS + 1


async def test_too_large_with_and_without_a_length() -> None:
    async def endless(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Transfer-Encoding": "chunked"})
        for _number in range(100):
            await writer.chunk(b"x" * 1000)
        await writer.end()

    for script in (answering(200, b"x" * (MOST + 1)), endless):
        async with Upstream([script]) as there, fetcher() as get:
            with pytest.raises(BadRequest, match="sends more than"):
                await get.fetch(f"{there.url}/a.png", MOST)


async def test_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.1)

    async def hangs(_: Received, writer: Writer) -> None:
        await asyncio.sleep(5)

    async with Upstream([hangs]) as there, fetcher() as get:
        with pytest.raises(BadRequest, match="did not send it within"):
            await get.fetch(f"{there.url}/a.png", MOST)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/a", "file:///etc/passwd", "http://", "http://user:pass@127.0.0.1/x", "http://[::1", "//x"],
)
async def test_what_is_no_address(url: str) -> None:
    async with fetcher() as get:
        with pytest.raises(BadRequest):
            await get.fetch(url, MOST)


async def test_an_error_there_is_the_clients_to_mend_and_shows_no_path() -> None:
    async with Upstream([answering(404, b"no")]) as there, fetcher() as get:
        with pytest.raises(BadRequest, match="status 404") as refused:
            await get.fetch(f"{there.url}/private-path?secret=1", MOST)
        assert "private-path" not in refused.value.message
        assert "secret" not in refused.value.message
