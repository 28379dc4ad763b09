"""Responses that a vendor keeps: they belong to the user that made them and live at the channel that made them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import openai
import pytest

from oneapi_cli.ledger.accounts import NewUser, add_user
from tests.support.gateway import Gateway, make_token, running
from tests.support.shapes import response, response_events
from tests.support.upstream import Received, Upstream, Writer, answering

CONFIG = """
    channels:
      - {{name: other, type: openai-compatible, base_url: '{other}', api_key: k1, models: [gpt-4o-mini], priority: 9,
         priced_as: openai}}
      - {{name: maker, type: openai-compatible, base_url: '{maker}', api_key: k2, models: [gpt-4o-mini],
         priced_as: openai}}
      - {{name: chat, type: openai-compatible, base_url: '{maker}', api_key: k3, models: [chatty], priced_as: openai,
         prices: {{chatty: {{input: 1, output: 1}}}}, speaks: [openai_chat]}}
    """


@asynccontextmanager
async def two_channels(folder: Path, maker: Upstream, other: Upstream) -> AsyncIterator[Gateway]:
    async with running(folder, CONFIG.format(maker=maker.url, other=other.url)) as gateway:
        yield gateway


def client(gateway: Gateway, key: str = "") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key or gateway.key, base_url=gateway.base, max_retries=0)


def stranger(gateway: Gateway) -> str:
    db = gateway.db()
    try:
        add_user(db, NewUser(name="stranger", budget_nanos=5_000_000_000), now=1.0)
        return make_token(db, "theirs", 1_000_000_000, user="stranger")
    finally:
        db.close()


DOWN = answering(503, {"error": {"message": "busy", "type": "server_error"}})


async def serve_maker(request: Received, writer: Writer) -> None:
    if request.method == "GET" and "input_items" in request.target:
        await writer.answer(200, {"object": "list", "data": [], "has_more": False})
    elif request.method == "DELETE":
        await writer.answer(200, {"id": "resp_1", "object": "response", "deleted": True})
    elif request.method == "POST" and request.json.get("stream") if request.body else False:
        await writer.stream(response_events("Hi"), done=False)
    else:
        await writer.answer(200, response("Hi"))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_follow_up_goes_to_the_channel_that_made_the_first(tmp_path: Path, stream: bool) -> None:
    ok = answering(200, response("from the other"))
    async with (
        Upstream([serve_maker]) as maker,
        Upstream([DOWN, ok]) as other,
        two_channels(tmp_path, maker, other) as gateway,
        client(gateway) as api,
    ):
        if stream:
            async for _ in await api.responses.create(model="gpt-4o-mini", input="hello", stream=True):
                pass
        else:
            first = await api.responses.create(model="gpt-4o-mini", input="hello")
            assert first.id == "resp_1"
        asked_before = len(other.received)
        again = await api.responses.create(model="gpt-4o-mini", input="more", previous_response_id="resp_1")
        assert again.output_text == "Hi"
        assert len(other.received) == asked_before  # though it comes first by priority
        assert maker.received[-1].json["previous_response_id"] == "resp_1"
        assert gateway.differences() == []


async def test_what_is_kept_can_be_read_listed_cancelled_and_deleted(tmp_path: Path) -> None:
    async with (
        Upstream([serve_maker]) as maker,
        Upstream([DOWN]) as other,
        two_channels(tmp_path, maker, other) as gateway,
        client(gateway) as api,
    ):
        await api.responses.create(model="gpt-4o-mini", input="hello")
        assert (await api.responses.retrieve("resp_1")).id == "resp_1"
        assert (await api.responses.input_items.list("resp_1", limit=5)).data == []
        assert (await api.responses.cancel("resp_1")).id == "resp_1"
        await api.responses.delete("resp_1")
        targets = [(each.method, each.target) for each in maker.received[1:]]
        assert targets == [
            ("GET", "/v1/responses/resp_1"),
            ("GET", "/v1/responses/resp_1/input_items?limit=5"),
            ("POST", "/v1/responses/resp_1/cancel"),
            ("DELETE", "/v1/responses/resp_1"),
        ]
        assert all(each.headers["authorization"] == "Bearer k2" for each in maker.received)
        with pytest.raises(openai.NotFoundError):
            await api.responses.retrieve("resp_1")


async def test_nobody_else_finds_it(tmp_path: Path) -> None:
    async with (
        Upstream([serve_maker]) as maker,
        Upstream([DOWN]) as other,
        two_channels(tmp_path, maker, other) as gateway,
        client(gateway) as api,
    ):
        await api.responses.create(model="gpt-4o-mini", input="hello")
        sent = len(maker.received)
        async with client(gateway, stranger(gateway)) as theirs:
            with pytest.raises(openai.NotFoundError):
                await theirs.responses.retrieve("resp_1")
            with pytest.raises(openai.NotFoundError):
                await theirs.responses.delete("resp_1")
            with pytest.raises(openai.NotFoundError):
                await theirs.responses.create(model="gpt-4o-mini", input="more", previous_response_id="resp_1")
        assert len(maker.received) == sent


async def test_what_is_not_stored_is_not_remembered(tmp_path: Path) -> None:
    async with (
        Upstream([serve_maker]) as maker,
        Upstream([DOWN]) as other,
        two_channels(tmp_path, maker, other) as gateway,
        client(gateway) as api,
    ):
        await api.responses.create(model="gpt-4o-mini", input="hello", store=False)
        with pytest.raises(openai.NotFoundError):
            await api.responses.create(model="gpt-4o-mini", input="more", previous_response_id="resp_1")


async def test_compacting_is_billed_and_goes_to_its_own_path(tmp_path: Path) -> None:
    compacted = {
        "id": "resp_c",
        "object": "response.compaction",
        "created_at": 1,
        "output": [{"id": "cmp_1", "type": "compaction", "encrypted_content": "x"}],
        "usage": response()["usage"],
    }
    async with (
        Upstream([answering(200, compacted)]) as maker,
        Upstream([DOWN]) as other,
        two_channels(tmp_path, maker, other) as gateway,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        body = {"model": "gpt-4o-mini", "input": "a long conversation"}
        async with session.post(f"{gateway.base}/responses/compact", json=body) as answer:
            assert answer.status == 200, await answer.text()
            assert await answer.json() == compacted
            request_id = answer.headers["x-oneapi-request-id"]
        assert maker.received[-1].target == "/v1/responses/compact"
        assert maker.received[-1].json == body  # no output limit was put in: there is no such member
        async with session.get(f"{gateway.url}/api/cost/request/{request_id}") as cost:
            assert (await cost.json())["cost_usd"] > 0
        async with session.post(f"{gateway.base}/responses/compact", json={**body, "model": "chatty"}) as refused:
            assert refused.status == 503
