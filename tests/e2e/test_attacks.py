"""A key with a budget, in hostile hands: what costs more than its hold is refused before it leaves, or held in full;
and what a vendor reports strangely is never billed as nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.gateway import Gateway, booked, running
from tests.support.shapes import response
from tests.support.upstream import Received, Upstream, Writer, answering, reply, streaming

CONFIG = """
    ledger: ledger.db
    hold_wait: 100ms
    min_output: 16
    channels:
      - name: one
        type: openai-compatible
        base_url: {url}
        api_key: k-vendor
        models: ['*']
        priced_as: openai
"""
USER = {"role": "user", "content": "hi"}
INPUT_RATE, OUTPUT_RATE, AUDIO_RATE = 150, 600, 64_000
"""Nano-dollars a token: gpt-4o-mini's text, gpt-audio's sound (openai.com/api/pricing, 2026-11)."""


def part(**content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [content]}]}


async def post(
    gateway: Gateway, body: dict[str, Any] | bytes, door: str = "chat/completions"
) -> tuple[int, str, dict[str, Any]]:
    """Status, request id and body; a stream's body is {}."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway.base}/{door}", data=data) as answer,
    ):
        text = await answer.read()
        whole = json.loads(text) if text.startswith(b"{") else {}
        return answer.status, answer.headers["x-oneapi-request-id"], whole


def cost(gateway: Gateway, request_id: str) -> int:
    found = booked(gateway, request_id)
    assert found is not None
    return found[1]


def balance(gateway: Gateway) -> tuple[int, int, int]:
    """granted, used, held of the token."""
    db = gateway.db()
    try:
        row = db.execute("SELECT granted, used, held FROM tokens WHERE name = 'test'").fetchone()
        return row[0], row[1], row[2]
    finally:
        db.close()


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("chat/completions", {"models": ["openai/o1-pro"], "route": "fallback"}, "models"),
    ("chat/completions", {"plugins": [{"id": "web"}]}, "plugins"),
    ("chat/completions", {"search_parameters": {"mode": "on"}}, "search_parameters"),
    ("chat/completions", {"enable_search": True}, "enable_search"),
    ("chat/completions", {"web_search_options": {}}, "web_search_options"),
    ("chat/completions", {"service_tier": "gold"}, "service_tier"),
    ("chat/completions", part(type="video_url", video_url={"url": "https://example.com/day.mp4"}), "messages"),
    ("chat/completions", part(type="document_url", document_url="https://example.com/book.pdf"), "messages"),
    ("chat/completions", part(type="file", file={"file_data": "https://example.com/book.pdf"}), "messages"),
    ("chat/completions", part(type="input_audio", input_audio={"data": "https://example.com/a.mp3"}), "messages"),
    ("responses", {"tools": [{"type": "namespace", "tools": [{"type": "web_search"}]}]}, "tools[0].tools[0]"),
    ("responses", {"models": ["openai/o1-pro"]}, "models"),
]


@pytest.mark.parametrize(("door", "more", "member"), REFUSED, ids=lambda value: json.dumps(value)[:70])
async def test_what_has_no_bound_never_leaves_for_a_limited_key(
    tmp_path: Path, door: str, more: dict[str, Any], member: str
) -> None:
    least = {"messages": [USER]} if door == "chat/completions" else {"input": "hi"}
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        status, _, body = await post(gateway, {"model": "gpt-4o-mini", **least, **more}, door)
        assert (status, body["error"]["code"], body["error"]["param"]) == (400, "not_priceable", member)
        assert upstream.received == []
        assert balance(gateway)[1:] == (0, 0)


@pytest.mark.parametrize(
    "tail",
    [
        b'"tools":[{"type":"web_search","type":"function"}]',
        b'"tools":[{"type":"function","typ\\u0065":"web_search"}]',
        b'"tools":[{"Type":"web_search"}]',
        b'"max_tokens":1,"max_tok\\u0065ns":100000',
        b'"Max_Tokens":100000',
        b'"n":1,"N":100',
        b'"Models":["o1-pro"]',
        b'"n":1e2',
        b'"service_tier":[1e999]',
    ],
)
async def test_members_that_two_parsers_read_differently_never_leave(tmp_path: Path, tail: bytes) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}],' + tail + b"}"
        status, _, _ = await post(gateway, body)
        assert (status, upstream.received) == (400, [])
        assert balance(gateway)[1:] == (0, 0)


async def speaks(received: Received, writer: Writer) -> None:
    """Answers with sound alone, as much of it as it may."""
    limit = received.json["max_tokens"]
    await writer.answer(200, reply(output=limit, completion_tokens_details={"audio_tokens": limit}))


async def test_sound_is_held_at_its_own_rate(tmp_path: Path) -> None:
    body = {
        "model": "gpt-audio",
        "messages": [USER],
        "max_tokens": 5000,
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "pcm16"},
    }
    budget = 1000 * AUDIO_RATE
    async with (
        Upstream([speaks]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=budget) as gateway,
    ):
        status, request_id, _ = await post(gateway, body)
        granted, used, held = balance(gateway)
        assert (status, held) == (200, 0)
        assert upstream.received[0].json["max_tokens"] < 1000
        assert 900 * AUDIO_RATE < cost(gateway, request_id) == used <= granted
        assert gateway.differences() == []


def chunks(usage: object, *, last: object = None) -> list[bytes]:
    """Twenty words, each chunk with this usage object; the finish with another."""

    def event(delta: dict[str, Any], finish: str | None, said: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + json.dumps({"choices": [choice], "usage": said}).encode() + b"\n\n"

    return [*(event({"content": f" word{n}"}, None, usage) for n in range(20)), event({}, "stop", last)]


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"prompt_tokens": 10},
        {"prompt_tokens": 10, "completion_tokens": None},
        {"prompt_tokens": 10, "completion_tokens": -5},
        {"prompt_tokens": 10, "completion_tokens": 10**30},
        {"prompt_tokens": 10, "completion_tokens": 1e300},
        {"total_tokens": 50},
        {"cost": 0.25},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_report_that_says_nothing_of_the_output_is_not_a_report_of_nothing(
    tmp_path: Path, usage: dict[str, Any], stream: bool
) -> None:
    words = "".join(f" word{n}" for n in range(20))
    whole = answering(200, {**reply(words), "usage": usage})
    async with (
        Upstream([streaming(chunks(usage, last=usage)) if stream else whole]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        body = {"model": "gpt-4o-mini", "messages": [USER], "max_tokens": 100, "stream": stream}
        status, request_id, _ = await post(gateway, body)
        assert status == 200
        assert 40 * OUTPUT_RATE <= cost(gateway, request_id) <= 60 * OUTPUT_RATE + 30 * INPUT_RATE
        assert gateway.differences() == []


async def test_usage_in_every_chunk_is_billed_once_and_by_the_last(tmp_path: Path) -> None:
    early, late = {"prompt_tokens": 10, "completion_tokens": 3}, {"prompt_tokens": 10, "completion_tokens": 44}
    async with (
        Upstream([streaming(chunks(early, last=late))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        body = {"model": "gpt-4o-mini", "messages": [USER], "max_tokens": 100, "stream": True}
        _, request_id, _ = await post(gateway, body)
        assert cost(gateway, request_id) == 10 * INPUT_RATE + 44 * OUTPUT_RATE


async def test_searches_of_the_vendor_cost_the_same_in_a_stream(tmp_path: Path) -> None:
    calls = [{"type": "web_search_call", "id": f"ws_{n}", "action": {"type": "search"}} for n in range(3)]
    done = response("Hello", output=calls)
    event = (
        b"event: response.completed\ndata: %b\n\n"
        % json.dumps({"type": "response.completed", "response": done}).encode()
    )
    body = {"model": "gpt-4o-mini", "input": "hi", "tools": [{"type": "web_search"}]}
    costs = []
    for stream, script in ((False, answering(200, done)), (True, streaming([event], done=False))):
        folder = tmp_path / str(stream)
        folder.mkdir()
        async with (
            Upstream([script]) as upstream,
            running(folder, CONFIG.format(url=upstream.url), budget_nanos=None) as gateway,
        ):
            status, request_id, _ = await post(gateway, {**body, "stream": stream}, "responses")
            assert status == 200
            costs.append(cost(gateway, request_id))
    assert costs == [10 * INPUT_RATE + 5 * OUTPUT_RATE + 3 * 10_000_000] * 2


async def test_a_model_that_always_searches_is_held_and_billed_with_its_fee(tmp_path: Path) -> None:
    body = {"model": "gpt-4o-mini-search-preview", "messages": [USER], "max_tokens": 16}
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=26_000_000) as gateway,
    ):
        status, request_id, _ = await post(gateway, body)
        assert (status, cost(gateway, request_id)) == (200, 10 * INPUT_RATE + 5 * OUTPUT_RATE + 25_000_000)
        status, _, refused = await post(gateway, body)
        assert (status, refused["error"]["code"]) == (403, "insufficient_user_quota")


@pytest.mark.parametrize("model", ["..", ".", "gpt-4o-mini/../o1-pro", "%2e%2e", "gpt-4o-mini*", "[g]pt-4o-mini"])
async def test_names_that_are_no_models_have_no_price(tmp_path: Path, model: str) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        status, _, body = await post(gateway, {"model": model, "messages": [USER]})
        assert (status, body["error"]["code"], upstream.received) == (403, "model_not_priced", [])


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4o-mini-search-preview", "GPT-4O-MINI", "gpt-4o-mini "])
async def test_a_list_of_models_admits_its_own_names_alone(tmp_path: Path, model: str) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), models=("gpt-4o-mini",)) as gateway,
    ):
        status, _, body = await post(gateway, {"model": model, "messages": [USER]})
        assert (status, body["error"]["code"], upstream.received) == (403, "model_not_allowed", [])


@pytest.mark.parametrize("budget", [1_000_000_000, None], ids=["limited", "unlimited"])
async def test_an_absurd_order_is_an_answer_and_not_a_fault(tmp_path: Path, budget: int | None) -> None:
    body = {"model": "davinci-002", "prompt": ["x"] * 20_000, "n": 128, "best_of": 128, "max_tokens": 2**31 - 1}
    async with (
        Upstream([answering(400, {"error": {"message": "no", "type": "invalid_request_error"}})]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=budget) as gateway,
    ):
        status, _, _ = await post(gateway, body, "completions")
        assert status < 500
        assert balance(gateway)[1:] == (0, 0)
        assert gateway.differences() == []
