"""Streams through the whole gateway: wherever the network cuts them, the client gets the same bytes and pays the same
bill; and however long they are, memory stays flat.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger.store import open_ledger
from tests.support.gateway import Gateway, booked, make_token, running, write_config
from tests.support.process import ServeProcess
from tests.support.shapes import response_events
from tests.support.upstream import Received, Script, Upstream, Writer, events, reply, streaming

CONFIG = """
    ledger: ledger.db
    channels:
      - {{name: one, type: openai, base_url: '{url}', api_key: k, models: [gpt-4o-mini]}}
"""
HELLO = [{"role": "user", "content": "Say hello"}]
USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 9,
    "total_tokens": 28,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
COST = 15 * 150 + 4 * 75 + 9 * 600


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with every member that OpenAI sends. Source: platform.openai.com, chat streaming (2026-11)."""
    return {
        "id": "chatcmpl-AbCdEf",
        "object": "chat.completion.chunk",
        "created": 1732300000,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_0aa8d3e20b",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        "usage": None,
        "obfuscation": "x7Qp",
        **more,
    }


WORDS = ["Hello", ", “wörld” ", "\u2028", "漢字", " 😀", ' \\n "quoted" ', "data: [DONE]", "!"]


def sse(end: str, *, usage: bool = True) -> bytes:
    """A whole stream as a vendor sends it, with its usage event or without; end: how its lines end."""
    payloads = [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        *(chunk({"content": word}) for word in WORDS),
        chunk({}, "stop"),
        *([chunk({}, choices=[], usage=USAGE)] if usage else []),
    ]
    lines = [f"data: {json.dumps(p, ensure_ascii=False, separators=(',', ':'))}{end}{end}" for p in payloads]
    return (f": welcome{end}{end}" + "".join(lines) + f"data: [DONE]{end}{end}").encode()


def whole(stream: bytes) -> list[bytes]:
    return [stream]


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[i : i + 1] for i in range(len(stream))]


def anywhere(seed: int) -> Any:
    def cut(stream: bytes) -> list[bytes]:
        dice = random.Random(seed)
        places = sorted({0, len(stream), *(dice.randrange(len(stream)) for _ in range(dice.randrange(1, 60)))})
        return [stream[a:b] for a, b in itertools.pairwise(places)]

    return cut


CUTS = {"whole": whole, "byte by byte": bytewise, **{f"at random, {seed}": anywhere(seed) for seed in range(8)}}


def in_pieces(pieces: Sequence[bytes]) -> Script:
    """Each piece is an HTTP chunk and, as far as the system lets us, a packet of its own."""

    async def script(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for piece in pieces:
            await writer.chunk(piece)
            await asyncio.sleep(0)
        await writer.end()

    return script


async def get(gateway: Gateway, path: str, **members: Any) -> tuple[bytes, str]:
    """(the stream's bytes, the request's id)"""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(gateway.base + path, json={"model": "gpt-4o-mini", "stream": True, **members}) as answer,
    ):
        assert answer.status == 200
        return await answer.read(), answer.headers["X-Oneapi-Request-Id"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("cut", CUTS)
async def test_cuts_change_nothing(cut: str, end: str, tmp_path: Path) -> None:
    stream = sse(end)
    async with (
        Upstream([in_pieces(CUTS[cut](stream))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        asked = {"messages": HELLO, "stream_options": {"include_usage": True}}
        body, request_id = await get(gateway, "/chat/completions", **asked)
        assert body == stream
        assert booked(gateway, request_id) == ("settled", COST)
        # The same where the usage event is ours: it is missing, and nothing else.
        body, request_id = await get(gateway, "/chat/completions", messages=HELLO)
        assert body == sse(end, usage=False)
        assert booked(gateway, request_id) == ("settled", COST)
        assert gateway.differences() == []


@pytest.mark.parametrize("cut", CUTS)
async def test_cuts_change_nothing_of_a_response(cut: str, tmp_path: Path) -> None:
    stream = b"".join(response_events("Hel", "lo “漢字”"))
    async with (
        Upstream([in_pieces(CUTS[cut](stream))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        body, request_id = await get(gateway, "/responses", input="hi")
        assert body == stream
        assert booked(gateway, request_id) == ("settled", 10 * 150 + 5 * 600)
        assert gateway.differences() == []


@pytest.mark.parametrize("cut", ["whole", "byte by byte", "at random, 3"])
async def test_cuts_change_nothing_of_an_estimate(cut: str, tmp_path: Path) -> None:
    """Without usage we count ourselves, and count the same."""
    stream = b"".join(events(["Hello", " there", " friend"])) + b"data: [DONE]\n\n"
    async with (
        Upstream([in_pieces(CUTS[cut](stream)), streaming(events(["Hello", " there", " friend"]))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        body, first = await get(gateway, "/chat/completions", messages=HELLO)
        again, second = await get(gateway, "/chat/completions", messages=HELLO)
        assert body == again == stream
        assert booked(gateway, first) == booked(gateway, second)
        assert gateway.differences() == []


# --- length ---------------------------------------------------------------------------------------------------------

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Long:
    """A stream of so many bytes, in blocks of whole events. usage: whether the vendor reports any in the end."""

    size: int
    usage: bool

    async def __call__(self, _: Received, writer: Writer) -> None:
        block = b"".join(events([f" word{i} and some more of them" for i in range(300)], finish=False))
        await writer.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for _number in range(-(-self.size // len(block))):
            await writer.chunk(block)
        last = events([], usage=reply()["usage"] if self.usage else None)
        await writer.chunk(b"".join(last) + b"data: [DONE]\n\n")
        await writer.end()


def resident_bytes(pid: int) -> int:
    """What a process has in memory now, as Linux and macOS both tell."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(said.stdout) * 1024


async def read_on(url: str, key: str, pid: int) -> tuple[int, int]:
    """(bytes of the stream, the most that the server had in memory meanwhile)"""
    size, most, seen = 0, 0, 0
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
        session.post(
            f"{url}/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": HELLO, "stream": True}
        ) as answer,
    ):
        tail = b""
        async for piece in answer.content.iter_any():
            size += len(piece)
            tail = (tail + piece)[-14:]
            if size - seen > MEGABYTE:
                seen = size
                most = max(most, await asyncio.to_thread(resident_bytes, pid))
    assert tail == b"data: [DONE]\n\n"
    return size, max(most, resident_bytes(pid))


@pytest.mark.seconds(60)
@pytest.mark.parametrize("usage", [False, True], ids=["counted by us", "usage reported"])
async def test_memory_stays_flat(usage: bool, tmp_path: Path) -> None:
    short, long = Long(3 * MEGABYTE, usage), Long(30 * MEGABYTE, usage)
    db = open_ledger(tmp_path / "ledger.db", create=True)
    key = make_token(db, "long", None)
    db.close()
    async with Upstream([short, short, long]) as upstream:
        with ServeProcess(write_config(tmp_path, CONFIG.format(url=upstream.url))) as server:
            pid = server.process.pid
            for _ in range(2):  # the tokenizer's tables and the buffers are there after this
                _, before = await read_on(server.url, key, pid)
            size, most = await read_on(server.url, key, pid)
            assert await asyncio.to_thread(server.stop) == 0
    assert size >= 30 * MEGABYTE
    assert most - before < 20 * MEGABYTE, f"{before >> 20} MiB before, {most >> 20} MiB at most"
    db = open_ledger(tmp_path / "ledger.db")
    try:
        rows = db.execute("SELECT state, cost_nanos FROM requests ORDER BY id").fetchall()
    finally:
        db.close()
    assert [state for state, _ in rows] == ["settled"] * 3
    if usage:
        assert rows[2][1] == 10 * 150 + 5 * 600
    else:
        assert rows[2][1] == pytest.approx(rows[0][1] * 10, rel=0.01), "ten times the words, ten times the price"
