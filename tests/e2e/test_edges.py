"""What happens where the wire is unkind: old clients, slow clients, odd framing, silent vendors, a ledger that cannot
be written. Each is answered, settled, and leaves nothing open.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.gateway import Gateway, running
from tests.support.upstream import Received, Upstream, Writer, answering, events, reply, streaming
from tests.unit.server.test_transport import full_backlog

CONFIG = """
    ledger: ledger.db
    retries: 0
    timeouts: {{connect: 300ms, first_byte: 5s, idle: {idle}, drain: {drain}, stream: {stream}}}
    {more}
    channels:
      - name: one
        type: openai-compatible
        base_url: {url}
        api_key: sk-vendor-one
        models: [gpt-4o-mini, o1]
        priced_as: openai
"""
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
USAGE = reply()["usage"]
COST = 10 * 150 + 5 * 600


def config(url: str, *, idle: str = "5s", drain: str = "1s", stream: str = "20s", more: str = "") -> str:
    return CONFIG.format(url=url, idle=idle, drain=drain, stream=stream, more=more)


OK = answering(200, reply())
STREAM = streaming(events(["One", " two"], usage=USAGE))


class Wire:
    """A client that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, seconds: float = 5.0) -> tuple[int, dict[str, str], bytes]:
        """One answer, by its Content-Length or its chunks; without either what comes until the connection closes."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), seconds)).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" in headers:
            body = await asyncio.wait_for(self.reader.readexactly(int(headers["content-length"])), seconds)
        elif headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await asyncio.wait_for(self.reader.readline(), seconds), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            body = await asyncio.wait_for(self.reader.read(), seconds)
        return int(first.split()[1]), headers, body

    async def closed(self, seconds: float = 5.0) -> bool:
        """Whether the server closes the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), seconds) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


_wires: list[Wire] = []


@pytest.fixture(autouse=True)
async def _hang_up() -> AsyncIterator[None]:
    yield
    while _wires:
        wire = _wires.pop()
        wire.writer.close()
        with suppress(OSError):
            await wire.writer.wait_closed()


async def dial(gateway: Gateway) -> Wire:
    """A connection, closed when the test is over."""
    wire = Wire(*await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1])))
    _wires.append(wire)
    return wire


def request(
    gateway: Gateway, body: dict[str, Any] | bytes, *extra: str, version: str = "1.1", key: str | None = None
) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"POST /v1/chat/completions HTTP/{version}",
        "Host: localhost",
        f"Authorization: Bearer {key or gateway.key}",
        *extra,
    ]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in extra):
        lines.append(f"Content-Length: {len(data)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data


def rows(gateway: Gateway) -> list[tuple[str, int, int, str]]:
    """(state, cost, status, reason) of every request, oldest first."""
    db = gateway.db()
    try:
        return db.execute("SELECT state, cost_nanos, status, reason FROM requests ORDER BY id").fetchall()
    finally:
        db.close()


async def closed_rows(gateway: Gateway, count: int = 1, seconds: float = 8.0) -> list[tuple[str, int, int, str]]:
    """The same once nothing is held any more."""
    for _ in range(int(seconds / 0.02)):
        found = rows(gateway)
        if len(found) >= count and all(row[0] != "held" for row in found):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"still open: {rows(gateway)}")


# --- HTTP as old, careful and hasty clients speak it ----------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_http_1_0(stream: bool, tmp_path: Path) -> None:
    async with Upstream([STREAM if stream else OK]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, {**CHAT, "stream": stream}, version="1.0"))
        status, headers, body = await wire.answer()
        assert status == 200 and "transfer-encoding" not in headers
        assert body.endswith(b"data: [DONE]\n\n") if stream else json.loads(body)["usage"]
        assert (await closed_rows(gateway))[0][:2] == ("settled", COST)


async def test_a_client_that_asks_before_it_uploads_is_invited_once_its_key_is_known(tmp_path: Path) -> None:
    async with Upstream([OK]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire, data = await dial(gateway), json.dumps(CHAT).encode()
        await wire.send(request(gateway, b"", "Expect: 100-continue", f"Content-Length: {len(data)}"))
        assert await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(data)
        assert (await wire.answer())[0] == 200

        stranger = await dial(gateway)
        await stranger.send(request(gateway, b"", "Expect: 100-continue", "Content-Length: 9999", key="sk-nobody"))
        assert (await stranger.answer())[0] == 401

        too_much = await dial(gateway)
        await too_much.send(request(gateway, b"", "Expect: 100-continue", "Content-Length: 99999999999"))
        assert (await too_much.answer())[0] == 413

        old = await dial(gateway)
        await old.send(request(gateway, CHAT, "Expect: 100-continue", version="1.0"))
        assert (await old.answer())[0] == 200, "HTTP/1.0 knows no interim answers"


async def test_pipelined_requests_are_answered_in_turn_and_errors_keep_the_connection(tmp_path: Path) -> None:
    async with Upstream([OK]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, CHAT) + request(gateway, {"model": 7}) + request(gateway, CHAT))
        assert [(await wire.answer())[0] for _ in range(3)] == [200, 400, 200]
        await wire.send(request(gateway, CHAT, key="sk-nobody") + request(gateway, CHAT))
        assert [(await wire.answer())[0] for _ in range(2)] == [401, 200]
        assert [row[0] for row in await closed_rows(gateway, 4)] == ["settled", "refused", "settled", "settled"]


async def test_head(tmp_path: Path) -> None:
    async with (
        Upstream([OK]) as upstream,
        running(tmp_path, config(upstream.url)) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        for path, status in (("/healthz", 200), ("/v1/models", 200), ("/v1/chat/completions", 405), ("/nowhere", 404)):
            async with session.head(gateway.url + path) as answer:
                assert answer.status == status
                assert len(answer.headers["X-Oneapi-Request-Id"]) == 32
                assert await answer.read() == b""


async def test_a_large_upload_passes_whole(tmp_path: Path) -> None:
    long = {**CHAT, "messages": [{"role": "user", "content": "x" * (3 << 20)}]}
    async with (
        Upstream([OK]) as upstream,
        running(tmp_path, config(upstream.url), budget_nanos=None) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", data=io.BytesIO(json.dumps(long).encode())) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert len(upstream.received[0].json["messages"][0]["content"]) == 3 << 20


async def test_a_body_that_breaks_its_own_framing_is_a_400(tmp_path: Path) -> None:
    async with Upstream([OK]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, b"zz\r\nnot a chunk\r\n", "Transfer-Encoding: chunked"))
        status, _, body = await wire.answer()
        assert status == 400 and json.loads(body)["error"]["code"] in ("bad_body", "bad_http")
        assert upstream.received == []


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ("Idempotency-Key: caf\xe9\xff", 200),
        ("OpenAI-Beta: \xff", 200),
        ("X-Api-Key: \xff\xfe", 200),
        ("Expect: something-else", 200),
        ("Content-Encoding: identity", 200),
    ],
)
async def test_odd_header_bytes(extra: str, status: int, tmp_path: Path) -> None:
    async with Upstream([OK]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, CHAT, extra))
        assert (await wire.answer())[0] == status


@pytest.mark.parametrize(
    "target", [b"/v1/models/%FF", b"/%ff%fe", b"/v1/models/a%00b", b"/\xff", b"/?\xff=%ff&key=%ff"]
)
async def test_odd_targets_and_keys(target: bytes, tmp_path: Path) -> None:
    async with Upstream([OK]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire = await dial(gateway)
        await wire.send(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
        status, _, body = await wire.answer()
        assert status in (400, 401, 404) and "error" in json.loads(body)


# --- where the client stands ----------------------------------------------------------------------------------------


async def test_each_proxy_may_add_a_line_of_its_own(tmp_path: Path) -> None:
    text = config("http://127.0.0.1:9/v1", more="trusted_proxies: [127.0.0.1, 10.0.0.0/8]")
    async with running(tmp_path, text, subnets=("10.0.0.0/8",)) as gateway:

        async def status(*lines: str) -> int:
            wire = await dial(gateway)
            head = ["GET /v1/models HTTP/1.1", "Host: localhost", f"Authorization: Bearer {gateway.key}", *lines]
            await wire.send(("\r\n".join(head) + "\r\n\r\n").encode())
            return (await wire.answer())[0]

        assert await status("X-Forwarded-For: 10.9.9.9") == 200
        assert await status("X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 10.0.0.2") == 403
        assert await status("X-Forwarded-For: 10.0.0.1, 6.6.6.6") == 403


async def test_a_foreign_host_is_misdirected_before_anybody_looks_at_the_key(tmp_path: Path) -> None:
    async with running(tmp_path, config("http://127.0.0.1:9/v1")) as gateway:
        wire = await dial(gateway)
        await wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}")
        status, _, body = await wire.answer()
        assert status == 421 and json.loads(body)["error"]["code"] == "misdirected_request"
        assert rows(gateway) == []


# --- clients that leave, or are slow --------------------------------------------------------------------------------


async def test_a_client_that_leaves_before_its_answer_is_no_error_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def late(_: Received, writer: Writer) -> None:
        await asyncio.sleep(0.3)
        await writer.answer(200, reply())

    caplog.set_level(logging.INFO)
    async with Upstream([late]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, CHAT))
        await asyncio.sleep(0.1)
        wire.writer.transport.abort()
        assert (await closed_rows(gateway))[0][:2] == ("settled", COST)
        await asyncio.sleep(0.05)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_client_that_is_gone_before_its_turn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Upstream([OK]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        for number in range(20):
            wire = await dial(gateway)
            wire.writer.write(request(gateway, {**CHAT, "stream": number % 2 == 0}))
            if number % 3:
                await wire.writer.drain()
            wire.writer.transport.abort()
        await asyncio.sleep(0.3)
        assert all(row[0] != "held" for row in rows(gateway))
        assert gateway.differences() == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_client_that_closes_its_half_counts_as_gone(tmp_path: Path) -> None:
    async def slowly(_: Received, writer: Writer) -> None:
        await writer.stream(events([f" w{i}" for i in range(40)], usage=USAGE), pause=0.05)

    async with Upstream([slowly]) as upstream, running(tmp_path, config(upstream.url)) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, {**CHAT, "stream": True}))
        await wire.reader.readuntil(b"data: ")
        wire.writer.write_eof()
        state, cost, status, reason = (await closed_rows(gateway))[0]
        assert (state, status, reason) == ("settled", 499, "client_left") and cost > 0


async def test_an_upload_that_stops_is_let_go(tmp_path: Path) -> None:
    async with Upstream([OK]) as upstream, running(tmp_path, config(upstream.url, idle="200ms")) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, b'{"model"', "Content-Length: 500"))
        status, _, body = await wire.answer()
        assert status == 408 and json.loads(body)["error"]["code"] == "upload_timeout"
        assert upstream.received == []
        assert all(row[0] == "refused" for row in rows(gateway))


async def test_a_client_that_takes_nothing_is_let_go_and_pays_for_what_was_seen(tmp_path: Path) -> None:
    block = " word" * 4000

    async def endless(_: Received, writer: Writer) -> None:
        await writer.stream(events([block] * 2000), done=False)

    async with Upstream([endless]) as upstream, running(tmp_path, config(upstream.url, idle="300ms")) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, {**CHAT, "stream": True}))
        state, cost, status, reason = (await closed_rows(gateway, seconds=15))[0]
        assert (state, status, reason) == ("settled", 499, "client_left") and cost > 0
        for _ in range(50):
            if upstream.open_connections == 0:
                break
            await asyncio.sleep(0.05)
        assert upstream.open_connections == 0
        wire.writer.transport.abort()


# --- vendors that keep us waiting -----------------------------------------------------------------------------------


async def ask(gateway: Gateway, **more: Any) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", json={**CHAT, **more}) as answer,
    ):
        return answer.status, await answer.read()


async def test_timeouts_connect(tmp_path: Path) -> None:
    async with full_backlog() as url, running(tmp_path, config(url)) as gateway:
        status, body = await ask(gateway)
        assert status == 502 and json.loads(body)["error"]["code"] == "do_request_failed"
        assert rows(gateway)[0][:2] == ("released", 0)


async def test_timeouts_idle(tmp_path: Path) -> None:
    async def falls_silent(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for event in events(["One", " two"], finish=False):
            await writer.chunk(event)
        await asyncio.sleep(2)

    async with Upstream([falls_silent]) as upstream, running(tmp_path, config(upstream.url, idle="300ms")) as gateway:
        status, body = await ask(gateway, stream=True)
        assert status == 200 and b"[DONE]" not in body and b"upstream_timeout" in body
        state, cost, _, reason = rows(gateway)[0]
        assert (state, reason) == ("settled", "upstream_timeout") and cost > 0


async def test_timeouts_stream(tmp_path: Path) -> None:
    async def never_ends(_: Received, writer: Writer) -> None:
        await writer.stream(events([" on"] * 200), pause=0.02)

    async with Upstream([never_ends]) as upstream, running(tmp_path, config(upstream.url, stream="500ms")) as gateway:
        status, body = await ask(gateway, stream=True)
        assert status == 200 and b"[DONE]" not in body and b"upstream_timeout" in body
        assert 5 < body.count(b" on") < 100
        assert rows(gateway)[0][0] == "settled"


@pytest.mark.parametrize(("drain", "expected"), [("2s", "settled"), ("200ms", "kept")])
async def test_timeouts_drain_hidden_reasoning(drain: str, expected: str, tmp_path: Path) -> None:
    async def thinks(_: Received, writer: Writer) -> None:
        await writer.stream(events([" hm"] * 12, usage=USAGE), pause=0.05)

    async with Upstream([thinks]) as upstream, running(tmp_path, config(upstream.url, drain=drain)) as gateway:
        wire = await dial(gateway)
        await wire.send(request(gateway, {**CHAT, "model": "o1", "stream": True}))
        await wire.reader.readuntil(b"data: ")
        wire.writer.transport.abort()
        state, cost, status, _ = (await closed_rows(gateway))[0]
        assert (state, status) == (expected, 499)
        assert cost == (10 * 15_000 + 5 * 60_000 if expected == "settled" else _held(gateway))


def _held(gateway: Gateway) -> int:
    db = gateway.db()
    try:
        return int(db.execute("SELECT hold_nanos FROM requests").fetchone()[0])
    finally:
        db.close()


# --- a ledger that cannot be written --------------------------------------------------------------------------------


async def test_a_settlement_that_cannot_be_written_is_pending_until_it_lands(tmp_path: Path) -> None:
    proceed = asyncio.Event()

    async def two_halves(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        first, *others = events(["One", " two"], usage=USAGE)
        await writer.chunk(first)
        await proceed.wait()
        for event in (*others, b"data: [DONE]\n\n"):
            await writer.chunk(event)
        await writer.end()

    async with (
        Upstream([two_halves]) as upstream,
        running(tmp_path, config(upstream.url)) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        async with session.post(f"{gateway.base}/chat/completions", json={**CHAT, "stream": True}) as answer:
            book, request_id = gateway.app.book, answer.headers["X-Oneapi-Request-Id"]
            await answer.content.readuntil(b"\n\n")
            book._db.execute("PRAGMA query_only = 1")
            proceed.set()
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")

        async def cost() -> dict[str, Any]:
            async with session.get(f"{gateway.url}/api/cost/request/{request_id}") as told:
                return dict(await told.json())

        pending = await cost()
        assert pending["success"] is False and "pending" in pending["message"]
        book._db.execute("PRAGMA query_only = 0")
        for _ in range(300):
            if book.pending == 0:
                break
            await asyncio.sleep(0.02)
        assert (await cost())["cost_usd"] == COST / 1e9
