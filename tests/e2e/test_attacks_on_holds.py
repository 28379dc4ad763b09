"""What a hold has to cover beside the request's own text, and what a client that leaves early still owes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.test_attacks import CONFIG, INPUT_RATE, OUTPUT_RATE, USER, balance, chunks, cost, post
from tests.support.gateway import Gateway, booked, running
from tests.support.shapes import response
from tests.support.upstream import Received, Upstream, Writer, answering, reply, streaming
from tests.unit.dialects.test_media import wav

GEMINI = CONFIG.replace("type: openai-compatible", "type: gemini-openai").replace("        priced_as: openai\n", "")


async def test_a_channels_own_prompt_is_held(tmp_path: Path) -> None:
    config = CONFIG + "        system_prompt: " + "word " * 8000 + "\n"
    body = {"model": "gpt-4o-mini", "messages": [USER], "max_tokens": 16}
    async with (
        Upstream([answering(200, reply(prompt=8010))]) as upstream,
        running(tmp_path, config.format(url=upstream.url), budget_nanos=300 * INPUT_RATE + 16 * OUTPUT_RATE) as gateway,
    ):
        await post(gateway, body)
        granted, used, _ = balance(gateway)
        assert used <= granted


async def leave_after_first(gateway: Gateway, body: dict[str, Any]) -> str:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", json={**body, "stream": True}) as answer,
    ):
        request_id = answer.headers["x-oneapi-request-id"]
        await answer.content.readany()
        answer.close()
    for _ in range(100):
        if (found := booked(gateway, request_id)) and found[0] != "held":
            break
        await asyncio.sleep(0.05)
    return request_id


def slow(parts: list[bytes]) -> Any:
    return streaming(parts, pause=0.05)


async def test_thoughts_that_no_stream_shows_are_paid_for_by_who_leaves(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 20_030}
    body = {"model": "gemini-2.5-pro", "messages": [USER], "max_tokens": 30_000}
    async with (
        Upstream([slow(chunks(None, last=usage))]) as upstream,
        running(tmp_path, GEMINI.format(url=upstream.url)) as gateway,
    ):
        request_id = await leave_after_first(gateway, body)
        assert cost(gateway, request_id) >= 20_000 * 10_000


async def test_sound_is_paid_for_by_who_leaves(tmp_path: Path) -> None:
    sound = {"choices": [{"index": 0, "delta": {"audio": {"data": "A" * 64_000}}, "finish_reason": None}]}
    event = b"data: " + json.dumps(sound).encode() + b"\n\n"
    usage = {"prompt_tokens": 10, "completion_tokens": 400, "completion_tokens_details": {"audio_tokens": 400}}
    body = {"model": "gpt-audio", "messages": [USER], "max_tokens": 1000, "modalities": ["text", "audio"]}
    async with (
        Upstream([slow([event] * 20 + chunks(None, last=usage)[-1:])]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        request_id = await leave_after_first(gateway, body)
        assert cost(gateway, request_id) >= 20 * 64_000


async def test_a_dear_tier_is_paid_for_where_the_reply_does_not_say(tmp_path: Path) -> None:
    body = {"model": "gpt-4o-mini", "messages": [USER], "max_tokens": 100, "service_tier": "priority"}
    async with (
        Upstream([answering(200, reply(output=50))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        _, request_id, _ = await post(gateway, body)
        assert cost(gateway, request_id) > 10 * INPUT_RATE + 50 * OUTPUT_RATE


async def test_a_cheap_tier_is_not_given_where_the_reply_does_not_say(tmp_path: Path) -> None:
    body = {"model": "o3", "messages": [USER], "max_tokens": 100, "service_tier": "flex"}
    async with (
        Upstream([answering(200, reply(output=50))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        _, request_id, _ = await post(gateway, body)
        assert cost(gateway, request_id) == 10 * 2_000 + 50 * 8_000


async def test_sound_is_held_as_gemini_counts_it(tmp_path: Path) -> None:
    part = {"type": "input_audio", "input_audio": {"data": wav(40), "format": "wav"}}
    body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": [part]}], "max_tokens": 16}
    script = answering(200, reply(prompt=1290, output=5, prompt_tokens_details={"audio_tokens": 1280}))
    async with (
        Upstream([script]) as upstream,
        running(tmp_path, GEMINI.format(url=upstream.url), budget_nanos=1_000_000) as gateway,
    ):
        await post(gateway, body)
        granted, used, _ = balance(gateway)
        assert used <= granted


async def draws(received: Received, writer: Writer) -> None:
    limit = received.json["max_tokens"]
    await writer.answer(200, reply(output=limit, completion_tokens_details={"image_tokens": limit}))


async def test_pictures_are_held_at_their_own_rate(tmp_path: Path) -> None:
    body = {"model": "gemini-2.5-flash-image", "messages": [USER], "max_tokens": 1290}
    async with (
        Upstream([draws]) as upstream,
        running(tmp_path, GEMINI.format(url=upstream.url), budget_nanos=10_000_000) as gateway,
    ):
        await post(gateway, body)
        granted, used, _ = balance(gateway)
        assert used <= granted


async def test_a_conversation_that_is_kept_at_the_vendor_is_held(tmp_path: Path) -> None:
    usage = {"input_tokens": 100_000, "output_tokens": 5, "total_tokens": 100_005}

    async def script(request: Received, writer: Writer) -> None:
        follows = "previous_response_id" in request.json
        await asyncio.sleep(0.3 * follows)
        await writer.answer(200, response(usage=usage) if follows else response())

    first = {"model": "gpt-4o-mini", "input": "begin", "max_output_tokens": 16}
    body = {"model": "gpt-4o-mini", "input": "go on", "previous_response_id": "resp_1", "max_output_tokens": 16}
    async with (
        Upstream([script]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=200_000_000) as gateway,
    ):
        assert (await post(gateway, first, "responses"))[0] == 200
        await asyncio.gather(*(post(gateway, body, "responses") for _ in range(20)))
        granted, used, _ = balance(gateway)
        assert any(b"previous_response_id" in received.body for received in upstream.received)
        assert used <= granted


async def test_what_came_after_the_last_report_is_counted(tmp_path: Path) -> None:
    early = {"prompt_tokens": 10, "completion_tokens": 1}
    parts = chunks(early)[:1] + chunks(None)[1:20]
    async with (
        Upstream([streaming(parts, done=False)]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        _, request_id, _ = await post(
            gateway, {"model": "gpt-4o-mini", "messages": [USER], "max_tokens": 100, "stream": True}
        )
        assert cost(gateway, request_id) > 30 * OUTPUT_RATE
