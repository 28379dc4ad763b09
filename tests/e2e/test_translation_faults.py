"""What cannot be translated is refused before anything is held or sent, in the door's own words, naming the place; what
an upstream breaks off ends with an error event and an honest bill.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.gateway import Gateway, running
from tests.support.upstream import Received, Script, Upstream, Writer, answering
from tests.support.vendors import VENDORS, anthropic_events, gemini_whole, sse, telling

PRICE = "prices: {{'*': {{input: 1, cache_read: 0.1, output: 2}}}}"
CONFIG = f"""
    retries: 0
    channels:
      - {{{{name: claude, type: anthropic, base_url: '{{root}}', api_key: k, models: [claude], {PRICE}}}}}
      - {{{{name: gem, type: gemini, base_url: '{{root}}', api_key: k, models: {{{{gem: gemini-2.5-flash}}}},
         {PRICE}}}}}
      - {{{{name: chat, type: openai-compatible, base_url: '{{root}}/v1', api_key: k, models: [chat],
         speaks: [openai_chat], {PRICE}}}}}
    """
USER = {"role": "user", "content": "Hello"}
BROKEN_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}


@asynccontextmanager
async def gateway_over(folder: Path, *scripts: Script, extra: str = "") -> AsyncIterator[tuple[Upstream, Gateway]]:
    async with Upstream(list(scripts)) as upstream:
        config = CONFIG.format(root=upstream.url.removesuffix("/v1"))
        async with running(folder, extra + config) as gateway:
            yield upstream, gateway


@dataclass(frozen=True)
class Bad:
    """A body that no channel of this model can be sent. member: what the error names."""

    name: str
    body: dict[str, Any]
    path: str = "/v1/chat/completions"
    member: str = ""
    says: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def chat(model: str, *messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": list(messages), "max_tokens": 100, **more}


IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/cat.png"}}
NO_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
MESSAGES = "/v1/messages"
GEMINI = "/v1beta/models/chat:generateContent"

BAD = [
    Bad(
        "arguments that are no JSON",
        chat("claude", USER, {"role": "assistant", "tool_calls": [BROKEN_CALL]}),
        member="messages[1].tool_calls[0].function.arguments",
    ),
    Bad(
        "a result without a call",
        chat("claude", USER, {"role": "tool", "tool_call_id": "call_9", "content": "x"}),
        member="messages[1].tool_call_id",
    ),
    Bad("an unknown role", chat("claude", {"role": "boss", "content": "x"}), member="messages[0].role"),
    Bad("an empty conversation", chat("claude"), member="messages"),
    Bad("sound to a vendor without ears", chat("claude", {"role": "user", "content": [AUDIO]}), says="audio"),
    Bad("several answers of a vendor that gives one", chat("claude", USER, n=3), member="n"),
    Bad("a picture behind a private address", chat("gem", {"role": "user", "content": [IMAGE]}), says="not a public"),
    Bad(
        "a picture that is no base64",
        chat(
            "claude",
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}]},
        ),
        member="messages[0].content[0].image_url.url",
    ),
    Bad(
        "a part of no known type",
        chat("claude", {"role": "user", "content": [{"type": "hologram"}]}),
        member="messages[0].content[0].type",
    ),
    Bad(
        "Anthropic: a result without a call",
        {
            "model": "chat",
            "max_tokens": 10,
            "messages": [
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": "x"}]}
            ],
        },
        path=MESSAGES,
        says="messages[0].content[0].tool_use_id",
    ),
    Bad("Anthropic: no limit", {"model": "chat", "messages": [USER]}, path=MESSAGES, says="max_tokens"),
    Bad("Anthropic: empty", {"model": "chat", "max_tokens": 10, "messages": []}, path=MESSAGES, says="messages"),
    Bad("Gemini: empty", {"contents": []}, path=GEMINI, says="contents"),
    Bad("Gemini: a role", {"contents": [{"role": "boss", "parts": [{"text": "x"}]}]}, path=GEMINI, says="role"),
    Bad("Gemini: no parts", {"contents": [{"role": "user", "parts": [{}]}]}, path=GEMINI, says="parts"),
    Bad(
        "Responses: what is kept elsewhere",
        {"model": "chat", "input": [{"type": "item_reference", "id": "msg_1"}]},
        path="/v1/responses",
        says="item_reference",
    ),
    Bad(
        "Responses: a result without a call",
        {"model": "chat", "input": [{"type": "function_call_output", "call_id": "c9", "output": "x"}]},
        path="/v1/responses",
        says="call_id",
    ),
]


def error_of(path: str, body: Any) -> tuple[str, str]:
    """(message, member) in the words of each door."""
    if path == MESSAGES:
        assert body["type"] == "error"
        assert body["error"]["type"] == "invalid_request_error"
        return body["error"]["message"], ""
    if path == GEMINI:
        assert (body["error"]["code"], body["error"]["status"]) == (400, "INVALID_ARGUMENT")
        return body["error"]["message"], ""
    return body["error"]["message"], body["error"].get("param") or ""


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
async def test_what_nobody_can_be_sent_is_a_400_before_anything_is_held(tmp_path: Path, case: Bad) -> None:
    async with (
        gateway_over(tmp_path, answering(500, b"never asked")) as (upstream, gateway),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
    ):
        async with session.post(f"{gateway.url}{case.path}", json=case.body, headers=case.headers) as answer:
            body = await answer.json()
            assert answer.status == 400, body
        message, member = error_of(case.path, body)
        assert case.says in message
        assert member == case.member or not case.member
        assert case.member in message or not case.member
        assert upstream.received == []
        db = gateway.db()
        rows = db.execute("SELECT state, hold_nanos, cost_nanos FROM requests").fetchall()
        db.close()
        assert rows == [("refused", 0, 0)] or all(row[0] == "refused" for row in rows)
        assert gateway.differences() == []


async def stream_of(gateway: Gateway, body: dict[str, Any], path: str = "/v1/chat/completions") -> tuple[int, str, str]:
    """(status, body, request id)"""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.url}{path}", json={**body, "stream": True}) as answer,
    ):
        return answer.status, await answer.text(), answer.headers["x-oneapi-request-id"]


def row_of(gateway: Gateway, request_id: str) -> tuple[str, int, str]:
    db = gateway.db()
    try:
        found = db.execute(
            "SELECT state, cost_nanos, coalesce(usage, '') FROM requests WHERE request_id = ?", (request_id,)
        ).fetchone()
        return found[0], found[1], found[2]
    finally:
        db.close()


def pouring(*events: bytes, kind: str = "text/event-stream") -> Script:
    async def script(_: Received, writer: Writer) -> None:
        await writer.head(200, {"Content-Type": kind, "Transfer-Encoding": "chunked"})
        for event in events:
            await writer.chunk(event)
        await writer.end()

    return script


EVENTS = sse(*anthropic_events(False), named=True)
TURN = chat("claude", USER)
BUSY = sse({"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}, named=True)
STRAY = sse({"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}}, named=True)


@pytest.mark.parametrize(
    ("name", "events", "says"),
    [
        ("an error event", [*EVENTS[:5], *BUSY], "too busy"),
        ("no JSON", [*EVENTS[:5], b"event: content_block_delta\ndata: {not json\n\n"], "JSON"),
        ("the end without its end", EVENTS[:5], "without finishing"),
        ("a block that never began", [*EVENTS[:5], *STRAY], ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_broken_stream_ends_with_an_error_and_an_honest_bill(
    tmp_path: Path, name: str, events: list[bytes], says: str
) -> None:
    async with gateway_over(tmp_path, pouring(*events)) as (_, gateway):
        status, body, request_id = await stream_of(gateway, TURN)
        assert status == 200
        last = body.strip().split("\n\n")[-1]
        assert says in json.loads(last.removeprefix("data: "))["error"]["message"]
        assert "[DONE]" not in body
        state, cost, usage = row_of(gateway, request_id)
        assert state == "settled"
        assert cost >= 80 * 1000 + 20 * 100  # the input that was reported, and what was seen
        assert json.loads(usage)["estimated"] is True
        assert gateway.differences() == []


async def test_unknown_events_are_passed_over(tmp_path: Path) -> None:
    strange = sse({"type": "weather_report", "cloudy": True}, {"type": "ping"}, named=True)
    async with gateway_over(tmp_path, pouring(*EVENTS[:4], *strange, *EVENTS[4:])) as (_, gateway):
        _, body, request_id = await stream_of(gateway, TURN)
        assert body.endswith("data: [DONE]\n\n")
        assert row_of(gateway, request_id)[0] == "settled"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_blocked_prompt_is_an_error_not_an_empty_answer(tmp_path: Path, stream: bool) -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 8}}
    script = pouring(*sse(blocked)) if stream else answering(200, blocked)
    async with (
        gateway_over(tmp_path, script) as (_, gateway),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", json={**chat("gem", USER), "stream": stream}) as answer,
    ):
        body = await answer.text()
        assert answer.status == 400, body
        assert "SAFETY" in body


async def test_notes_are_in_the_header_and_refuse_under_strict(tmp_path: Path) -> None:
    body = chat("claude", USER, seed=7, logit_bias={"1": 5})
    async with (
        gateway_over(tmp_path, telling(VENDORS["anthropic_messages"])) as (upstream, gateway),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert {"dropped:seed", "dropped:logit_bias"} <= set(answer.headers["X-Oneapi-Notes"].split(","))
        assert {"seed", "logit_bias"}.isdisjoint(upstream.received[0].json)
    strict = tmp_path / "strict"
    strict.mkdir()
    async with (
        gateway_over(strict, answering(500, b""), extra="\n    strict_translation: true") as (upstream, gateway),
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", json=body) as answer,
    ):
        assert answer.status == 400
        assert "dropped:seed" in await answer.text()
        assert upstream.received == []


async def test_the_json_array_of_geminis_clients(tmp_path: Path) -> None:
    """Without `alt=sse` a stream is one JSON array, from whichever dialect it comes."""
    asked = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    for model, dialect in (("gem", "gemini"), ("claude", "anthropic_messages"), ("chat", "openai_chat")):
        folder = tmp_path / model
        folder.mkdir()
        async with (
            gateway_over(folder, telling(VENDORS[dialect])) as (_, gateway),
            aiohttp.ClientSession(headers={"x-goog-api-key": gateway.key}) as session,
            session.post(f"{gateway.url}/v1beta/models/{model}:streamGenerateContent", json=asked) as answer,
        ):
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "application/json"
            chunks = json.loads(await answer.text())
            text = "".join(
                part.get("text", "") for chunk in chunks for part in chunk["candidates"][0]["content"].get("parts", [])
            )
            assert text == "Sunny, 21 °C."
            assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
            assert chunks[-1]["usageMetadata"]["promptTokenCount"] == 100


async def test_counting_asks_the_vendor_or_counts_here(tmp_path: Path) -> None:
    async def counts(request: Received, writer: Writer) -> None:
        tokens = {"input_tokens": 42} if "count_tokens" in request.target else {"totalTokens": 43}
        await writer.answer(200, tokens)

    turn = {"messages": [USER]}
    asked = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    async with (
        gateway_over(tmp_path, counts) as (upstream, gateway),
        aiohttp.ClientSession(headers={"x-api-key": gateway.key}) as session,
    ):
        for path, body, expected in [
            ("/v1/messages/count_tokens", {"model": "claude", **turn}, {"input_tokens": 42}),
            ("/v1beta/models/gem:countTokens", asked, {"totalTokens": 43}),
        ]:
            async with session.post(f"{gateway.url}{path}", json=body) as answer:
                assert (answer.status, await answer.json()) == (200, expected)
        assert [each.target for each in upstream.received] == [
            "/v1/messages/count_tokens",
            "/v1beta/models/gemini-2.5-flash:countTokens",
        ]
        for path, body, member in [
            ("/v1/messages/count_tokens", {"model": "chat", **turn}, "input_tokens"),
            ("/v1beta/models/chat:countTokens", asked, "totalTokens"),
            ("/v1/responses/input_tokens", {"model": "chat", "input": "Hello"}, "input_tokens"),
        ]:
            async with session.post(f"{gateway.url}{path}", json=body) as answer:
                assert answer.status == 200, await answer.text()
                assert 1 <= (await answer.json())[member] < 200
        assert len(upstream.received) == 2
        assert gateway.differences() == []


async def test_models_in_the_words_of_each_door(tmp_path: Path) -> None:
    async with (
        gateway_over(tmp_path, answering(200, gemini_whole(False))) as (_, gateway),
        aiohttp.ClientSession(headers={"x-api-key": gateway.key}) as session,
    ):
        version = {"anthropic-version": "2023-06-01"}
        async with session.get(f"{gateway.base}/models?limit=2", headers=version) as answer:
            page = await answer.json()
            assert [each["id"] for each in page["data"]] == ["chat", "claude"]
            assert page["has_more"] is True
        async with session.get(f"{gateway.base}/models?after_id={page['last_id']}", headers=version) as answer:
            assert [each["id"] for each in (await answer.json())["data"]] == ["gem"]
        async with session.get(f"{gateway.url}/v1beta/models?pageSize=2") as answer:
            listed = await answer.json()
            assert [each["name"] for each in listed["models"]] == ["models/chat", "models/claude"]
        async with session.get(f"{gateway.url}/v1beta/models?pageToken={listed['nextPageToken']}") as answer:
            assert [each["name"] for each in (await answer.json())["models"]] == ["models/gem"]
        async with session.get(f"{gateway.url}/v1beta/models/gem") as answer:
            assert (await answer.json())["outputTokenLimit"] == 65_536
        async with session.get(f"{gateway.base}/models/none", headers=version) as answer:
            assert (answer.status, (await answer.json())["type"]) == (404, "error")
        async with session.get(f"{gateway.url}/v1beta/models/none") as answer:
            assert (answer.status, (await answer.json())["error"]["status"]) == (404, "NOT_FOUND")
