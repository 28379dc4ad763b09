"""Language models on Replicate, by the official OpenAI client over real sockets: created, then polled or streamed, and
called off when nobody waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from tests.support.gateway import Gateway, booked, running
from tests.support.upstream import Received, Upstream, Writer

MODEL = "meta/meta-llama-3-70b-instruct"
CONFIG = """
    retries: 0
    channels:
      - name: r
        type: replicate
        base_url: '{root}'
        api_key: r8_test
        models: {{llama: meta/meta-llama-3-70b-instruct}}
        prices: {{'*': {{input: 1, output: 2}}}}
"""
MESSAGES: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say a word."}]


class Replicate:
    """Predictions in memory. statuses: what each look at one finds, the first being its creation."""

    def __init__(
        self, *statuses: str, stream: tuple[bytes, ...] | None = None, pause: float = 0.0, **last: Any
    ) -> None:
        self.statuses, self.last = list(statuses), last
        self.events, self.pause = stream, pause
        self.root = ""

    async def serve(self, request: Received, writer: Writer) -> None:
        if request.target.endswith("/cancel"):
            await writer.answer(200, self._prediction("canceled"))
        elif request.target.startswith("/events/"):
            assert self.events is not None
            await writer.stream(self.events, pause=self.pause, done=False)
        else:
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            await writer.answer(201 if request.method == "POST" else 200, self._prediction(status))

    def _prediction(self, status: str) -> dict[str, Any]:
        urls = {"get": "http://10.0.0.1/stolen", "cancel": "http://10.0.0.1/stolen"}
        if self.events is not None:
            urls["stream"] = f"{self.root}/events/1"
        over = self.last if status in ("succeeded", "failed") else {}
        return {"id": "abc123", "model": MODEL, "status": status, "output": None, "error": None, "urls": urls, **over}


@asynccontextmanager
async def serving(folder: Path, vendor: Replicate) -> AsyncIterator[tuple[Upstream, Gateway, openai.AsyncOpenAI]]:
    async with Upstream([vendor.serve]) as upstream:
        vendor.root = upstream.url.removesuffix("/v1")
        async with (
            running(folder, CONFIG.format(root=vendor.root), budget_nanos=1_000_000_000) as gateway,
            openai.AsyncOpenAI(base_url=gateway.base, api_key=gateway.key, max_retries=0) as client,
        ):
            yield upstream, gateway, client


def last_row(gateway: Gateway) -> tuple[str, int]:
    db = gateway.db()
    try:
        found = db.execute("SELECT request_id FROM requests ORDER BY id DESC LIMIT 1").fetchone()
    finally:
        db.close()
    row = booked(gateway, found[0])
    assert row is not None
    return row


def asked(upstream: Upstream) -> list[str]:
    return [f"{request.method} {request.target}" for request in upstream.received]


METRICS: Mapping[str, int] = {"input_token_count": 20, "output_token_count": 4}
CREATE = f"POST /v1/models/{MODEL}/predictions"
LOOK, CANCEL = "GET /v1/predictions/abc123", "POST /v1/predictions/abc123/cancel"


async def test_a_reply_that_is_waited_for(tmp_path: Path) -> None:
    vendor = Replicate("processing", "processing", "succeeded", output=["Wo", "rd"], metrics=METRICS)
    async with serving(tmp_path, vendor) as (upstream, gateway, client):
        reply = await client.chat.completions.create(model="llama", messages=MESSAGES, max_tokens=50)
        assert reply.choices[0].message.content == "Word"
        assert reply.choices[0].finish_reason == "stop"
        assert reply.usage is not None and (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (20, 4)
        assert asked(upstream) == [CREATE, LOOK, LOOK]
        first = upstream.received[0]
        assert first.headers["prefer"] == "wait"
        assert first.json == {"input": {"prompt": "Say a word.", "system_prompt": "Be brief.", "max_tokens": 50}}
        assert all(request.headers["authorization"] == "Bearer r8_test" for request in upstream.received)
        assert last_row(gateway) == ("settled", 28_000)
        assert gateway.differences() == []


async def test_a_stream(tmp_path: Path) -> None:
    events = (
        b"event: output\nid: 1\ndata: One\n\n",
        b"event: output\nid: 2\ndata:  two\n\n",
        b"event: output\nid: 3\ndata: \ndata: three\n\n",
        b"event: done\nid: 4\ndata: {}\n\n",
    )
    vendor = Replicate("starting", "succeeded", stream=events, output=["One two\nthree"], metrics=METRICS)
    async with serving(tmp_path, vendor) as (upstream, gateway, client):
        options: Any = {"include_usage": True}
        stream = await client.chat.completions.create(
            model="llama", messages=MESSAGES, max_tokens=50, stream=True, stream_options=options
        )
        text, finish, usage = "", None, None
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
        assert (text, finish) == ("One two\nthree", "stop")
        # A stream does not say what it used: the prediction does, once it has ended.
        assert asked(upstream) == [CREATE, "GET /events/1", LOOK]
        created, opened, _ = upstream.received
        assert created.json["stream"] is True and "prefer" not in created.headers
        assert opened.headers["accept"] == "text/event-stream"
        assert usage is not None and (usage.prompt_tokens, usage.completion_tokens) == (20, 4)
        assert last_row(gateway) == ("settled", 28_000)
        assert gateway.differences() == []


async def test_a_stream_of_a_model_that_has_none(tmp_path: Path) -> None:
    vendor = Replicate("processing", "succeeded", output="Word", metrics=METRICS)
    async with serving(tmp_path, vendor) as (upstream, gateway, client):
        stream = await client.chat.completions.create(model="llama", messages=MESSAGES, max_tokens=50, stream=True)
        text = "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices])
        assert text == "Word"
        assert asked(upstream) == [CREATE, LOOK]
        assert last_row(gateway) == ("settled", 28_000)


async def test_a_failed_prediction_costs_nothing_and_says_why(tmp_path: Path) -> None:
    vendor = Replicate("processing", "failed", error="CUDA out of memory")
    async with serving(tmp_path, vendor) as (_, gateway, client):
        with pytest.raises(openai.APIStatusError, match="CUDA out of memory"):
            await client.chat.completions.create(model="llama", messages=MESSAGES, max_tokens=50)
        assert last_row(gateway) == ("released", 0)
        assert gateway.differences() == []


async def test_a_stream_that_fails_before_it_speaks(tmp_path: Path) -> None:
    vendor = Replicate("starting", stream=(b'event: error\ndata: {"detail": "no GPU"}\n\n',))
    async with serving(tmp_path, vendor) as (_, gateway, client):
        with pytest.raises(openai.APIStatusError, match="no GPU"):
            await client.chat.completions.create(model="llama", messages=MESSAGES, max_tokens=50, stream=True)
        assert last_row(gateway) == ("released", 0)


async def test_tools_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    tool: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
    async with serving(tmp_path, Replicate("succeeded")) as (upstream, _, client):
        with pytest.raises(openai.BadRequestError, match="tools"):
            await client.chat.completions.create(model="llama", messages=MESSAGES, tools=[tool])
        assert upstream.received == []


async def test_it_is_called_off_when_the_client_leaves_a_stream(tmp_path: Path) -> None:
    words = tuple(b"event: output\ndata: word \n\n" for _ in range(500))
    vendor = Replicate("starting", stream=words)
    vendor.pause = 0.05
    async with serving(tmp_path, vendor) as (upstream, gateway, _):
        body = json.dumps({"model": "llama", "messages": MESSAGES, "max_tokens": 50, "stream": True})
        headers = {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"}
        async with aiohttp.ClientSession() as session:
            reply = await session.post(f"{gateway.base}/chat/completions", data=body, headers=headers)
            await reply.content.readany()
            reply.close()
        for _ in range(100):
            if CANCEL in asked(upstream):
                break
            await asyncio.sleep(0.05)
        assert asked(upstream) == [CREATE, "GET /events/1", CANCEL]


async def test_a_stream_elsewhere_gets_no_key(tmp_path: Path) -> None:
    class Elsewhere(Replicate):
        def _prediction(self, status: str) -> dict[str, Any]:
            return super()._prediction(status) | {"urls": {"stream": "https://evil.example/stream"}}

    async with serving(tmp_path, Elsewhere("starting")) as (upstream, _, client):
        with pytest.raises(openai.APIStatusError):
            await client.chat.completions.create(model="llama", messages=MESSAGES, max_tokens=50, stream=True)
        assert CREATE in asked(upstream)
