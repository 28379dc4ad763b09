"""Attacks on translated requests, on what is fetched for them, and on what several calls of one request cost."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.server.fetch import Fetcher, is_public
from oneapi_cli.values.errors import BadRequest
from tests.e2e.test_attacks import balance
from tests.e2e.test_images import B64, Replicate, serving
from tests.support.gateway import Gateway, booked, running
from tests.support.shapes import response
from tests.support.upstream import Received, Script, Upstream, Writer, answering, reply
from tests.support.vendors import anthropic_whole, gemini_whole

PRICE = "prices: {{'*': {{input: 1, cache_write: 1.25, cache_write_1h: 2, output: 2}}}}"
CONFIG = f"""
    retries: 0
    channels:
      - {{{{name: claude, type: anthropic, base_url: '{{root}}', api_key: k, models: [claude, both], priority: 1,
         {PRICE}}}}}
      - {{{{name: gem, type: gemini, base_url: '{{root}}', api_key: k, models: {{{{gem: gemini-2.5-flash}}}},
         {PRICE}}}}}
      - {{{{name: chat, type: openai-compatible, base_url: '{{root}}/v1', api_key: k, models: [chat, both],
         speaks: [openai_chat], {PRICE}}}}}
      - {{{{name: resp, type: openai, base_url: '{{root}}/v1', api_key: k, models: [resp], {PRICE}}}}}
      - {{{{name: bed, type: bedrock, base_url: '{{root}}', bearer: bedrock-secret-token, region: us-east-1,
         models: {{{{bed: amazon.nova-pro-v1:0}}}}, {PRICE}}}}}
    """
USER = {"role": "user", "content": "Hello"}
FILM = base64.b64encode(b"\0\0\0\x18ftypmp42" + b"a" * 3000).decode()


@asynccontextmanager
async def gateway_over(folder: Path, *scripts: Script, **token: Any) -> AsyncIterator[tuple[Upstream, Gateway]]:
    async with Upstream(list(scripts)) as upstream:
        config = CONFIG.format(root=upstream.url.removesuffix("/v1"))
        async with running(folder, config, **token) as gateway:
            yield upstream, gateway


async def post(gateway: Gateway, path: str, body: Any) -> tuple[int, dict[str, str], Any]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.url}{path}", data=io.BytesIO(json.dumps(body).encode())) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.json()


async def rows(gateway: Gateway) -> list[Any]:
    for _ in range(100):
        db = gateway.db()
        found = db.execute("SELECT state, cost_nanos FROM requests").fetchall()
        db.close()
        if found and found[0][0] != "held":
            break
        await asyncio.sleep(0.05)
    return found


# --- what is fetched ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1"])
async def test_an_address_in_letters_of_another_width_is_not_dialled(host: str) -> None:
    """The URL's parser turns these into 127.0.0.1, which no resolver is asked about."""
    get = Fetcher("test")
    try:
        async with Upstream([answering(200, b"secret")]) as inside:
            port = inside.url.rsplit(":", 1)[1].partition("/")[0]
            with pytest.raises(BadRequest):
                await get.fetch(f"http://{host}:{port}/", 1000)
            assert inside.received == []
    finally:
        await get.close()


@pytest.mark.parametrize("address", ["::7f00:1", "fec0::1", "64:ff9b:1::7f00:1", "::ffff:0:7f00:1", "192.0.0.8"])
def test_addresses_that_are_only_called_global(address: str) -> None:
    assert not is_public(address)


# --- what leaves costs no more than what is held --------------------------------------------------------------------


@dataclass(frozen=True)
class Unbounded:
    """A body whose translation could cost what nobody has held."""

    name: str
    path: str
    body: dict[str, Any]
    says: str = ""


SEARCHES = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}


def picture(media_type: str, data: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"role": "user", "content": [{"type": "image", "source": source}]}


UNBOUNDED = [
    Unbounded("no limit by a limit of 0", "/v1/messages", {"model": "chat", "max_tokens": 0, "messages": [USER]}),
    Unbounded(
        "searches whose number is lost",
        "/v1/messages",
        {"model": "gem", "max_tokens": 10, "messages": [USER], "tools": [SEARCHES]},
        says="priced",
    ),
    Unbounded(
        "a film that says it is a picture",
        "/v1/messages",
        {"model": "gem", "max_tokens": 10, "messages": [picture("video/mp4", FILM)]},
        says="picture",
    ),
]


@pytest.mark.parametrize("case", UNBOUNDED, ids=lambda case: case.name)
async def test_what_would_not_be_held_is_refused(case: Unbounded, tmp_path: Path) -> None:
    async with gateway_over(tmp_path, answering(200, reply())) as (upstream, gateway):
        status, _, body = await post(gateway, case.path, case.body)
        assert status == 400, body
        assert case.says in str(body)
        assert upstream.received == []


async def test_searches_without_a_number_are_an_unlimited_keys(tmp_path: Path) -> None:
    body = {"model": "gem", "max_tokens": 10, "messages": [USER], "tools": [SEARCHES]}
    async with gateway_over(tmp_path, answering(200, gemini_whole(False)), budget_nanos=None) as (_, gateway):
        assert (await post(gateway, "/v1/messages", body))[0] == 200


async def test_a_cache_for_an_hour_is_held_at_its_price(tmp_path: Path) -> None:
    long = {"type": "text", "text": "word " * 4000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body = {"model": "claude", "max_tokens": 16, "messages": [{"role": "user", "content": [long]}]}
    written = {"input_tokens": 0, "cache_creation_input_tokens": 20_000, "output_tokens": 5}
    usage = {**written, "cache_creation": {"ephemeral_1h_input_tokens": 20_000, "ephemeral_5m_input_tokens": 0}}
    said = {**anthropic_whole(False), "usage": usage}
    async with gateway_over(tmp_path, answering(200, said), budget_nanos=30_000_000) as (_, gateway):
        await post(gateway, "/v1/chat/completions", body)
        granted, used, _ = balance(gateway)
        assert used <= granted


async def test_a_body_that_only_one_channel_cannot_read_is_served_by_the_other(tmp_path: Path) -> None:
    odd = {"role": "user", "content": [{"type": "hologram", "beam": 1}]}
    body = {"model": "both", "max_tokens": 16, "messages": [odd]}
    async with gateway_over(tmp_path, answering(200, anthropic_whole(False))) as (upstream, gateway):
        assert (await post(gateway, "/v1/messages", body))[0] == 200
        assert upstream.received[0].json["messages"] == [odd]


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}], ids=["typed", "bare"])
async def test_an_item_that_the_vendor_keeps_is_held(item: dict[str, Any], tmp_path: Path) -> None:
    body = {"model": "resp", "input": [item, USER], "max_output_tokens": 16}
    usage = {"input_tokens": 100_000, "output_tokens": 5, "total_tokens": 100_005}
    script = answering(200, response(usage=usage))
    async with gateway_over(tmp_path, script, budget_nanos=1_000_000) as (_, gateway):
        await post(gateway, "/v1/responses", body)
        granted, used, _ = balance(gateway)
        assert used <= granted


# --- what goes back -------------------------------------------------------------------------------------------------


async def test_a_members_name_is_no_header(tmp_path: Path) -> None:
    body = {"model": "claude", "max_tokens": 16, "messages": [USER], "x\r\nX-Evil: 1": 1, "caf\u00e9, 2": 2}
    async with gateway_over(tmp_path, answering(200, anthropic_whole(False))) as (_, gateway):
        status, headers, _ = await post(gateway, "/v1/chat/completions", body)
        assert status == 200
        assert "X-Evil" not in headers
        assert "dropped:x__X-Evil:_1" in headers["X-Oneapi-Notes"]


async def test_a_token_that_the_vendor_quotes_is_not_handed_on(tmp_path: Path) -> None:
    async def quoting(received: Received, writer: Writer) -> None:
        await writer.answer(400, {"message": f"bad header {received.headers['authorization']}"})

    body = {"model": "bed", "max_tokens": 16, "messages": [USER]}
    async with gateway_over(tmp_path, quoting) as (upstream, gateway):
        status, _, said = await post(gateway, "/v1/chat/completions", body)
        assert status == 400
        assert upstream.received[0].headers["authorization"] == "Bearer bedrock-secret-token"
        assert "bedrock-secret-token" not in str(said)


async def test_a_long_conversation_can_be_counted(tmp_path: Path) -> None:
    body = {"model": "chat", "messages": [{"role": "user", "content": "word " * 300_000}]}
    async with gateway_over(tmp_path, answering(200, reply())) as (_, gateway):
        status, _, said = await post(gateway, "/v1/messages/count_tokens", body)
        assert status == 200
        assert said["input_tokens"] > 100_000


# --- several calls of one request -----------------------------------------------------------------------------------


async def test_a_call_whose_outcome_nobody_knows_is_paid_for_beside_those_that_were_served(tmp_path: Path) -> None:
    async def script(received: Received, writer: Writer) -> None:
        if received.json["parameters"]["sampleCount"] == 2:
            await writer.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")  # and closes
            raise ConnectionResetError
        await writer.answer(200, {"predictions": [{"bytesBase64Encoded": B64, "mimeType": "image/png"}] * 4})

    async with serving(tmp_path, script) as (_, gateway):
        status, headers, body = await post(
            gateway, "/v1/images/generations", {"model": "imagen", "prompt": "x", "n": 6}
        )
        assert status == 200
        assert len(body["data"]) == 4
        state, cost = booked(gateway, headers["X-Oneapi-Request-Id"]) or ("", 0)
        assert state == "settled"
        assert cost > 160_000_000
        assert gateway.differences() == []


async def test_who_leaves_pays_for_what_was_drawn_already(tmp_path: Path) -> None:
    """Two predictions: one is served, the other is called off when the client leaves."""
    vendor = Replicate(polls=1000)

    async def script(received: Received, writer: Writer) -> None:
        if received.method == "POST" and not received.target.endswith("/cancel") and not vendor.created:
            vendor.polls = 0
            await vendor(received, writer)
            vendor.polls = 1000
        else:
            await vendor(received, writer)

    async with serving(tmp_path, script) as (_, gateway):
        with pytest.raises(asyncio.TimeoutError):
            body = {"model": "flux-pro", "prompt": "x", "n": 2}
            await asyncio.wait_for(post(gateway, "/v1/images/generations", body), 1.5)
        found = await rows(gateway)
        assert vendor.cancelled == ["p2"]
        assert found[0][1] >= 40_000_000


TWO = """
    retries: 1
    channels:
      - {{name: r, type: replicate, base_url: '{root}', api_key: k, models: {{draw: black-forest-labs/flux-schnell}},
         priority: 1}}
      - {{name: o, type: openai-compatible, base_url: '{root}/v1', api_key: k, models: [draw],
         prices: {{draw: {{image: 0.07}}}}}}
"""


async def test_what_an_earlier_attempt_called_off_does_not_make_a_later_one_free(tmp_path: Path) -> None:
    async def script(received: Received, writer: Writer) -> None:
        if received.target.endswith("/cancel"):
            await writer.answer(200, {"id": "p1", "status": "canceled"})
        elif received.target.endswith("/predictions"):
            await writer.answer(201, {"id": "p1", "status": "processing"})
        elif received.method == "GET":
            await writer.answer(500, {"error": {"message": "no", "type": "server_error"}})
        else:
            await asyncio.sleep(30)

    async with (
        Upstream([script]) as upstream,
        running(tmp_path, TWO.format(root=upstream.url.removesuffix("/v1"))) as gateway,
    ):
        with pytest.raises(asyncio.TimeoutError):
            body = {"model": "draw", "prompt": "x"}
            await asyncio.wait_for(post(gateway, "/v1/images/generations", body), 2.5)
        found = await rows(gateway)
        assert "/v1/images/generations" in [each.target for each in upstream.received]
        assert found[0][0] == "kept"
        assert found[0][1] >= 70_000_000
