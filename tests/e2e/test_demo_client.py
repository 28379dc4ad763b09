"""The official client against the demo vendor, with a limited key: everything it offers is served, and priced at once.

What each call costs is worked out here from the usage that the client was given, at the demo's list prices.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.clients import KINDS, Kind, Wire, async_client, use
from tests.support.gateway import booked, running

CONFIG = """
    ledger: ledger.db
    channels:
      - {name: demo, type: demo,
         models: [demo-small, demo-large, demo-reasoner, demo-embedding, omni-moderation-latest],
         prices: {omni-moderation-latest: {free: true}}}
"""
# Nano-dollars a token: fresh input, cached input, output.
SMALL, REASONER, EMBEDDING = (150, 75, 600), (1_100, 275, 4_400), (20, 20, 0)
HELLO: list[Any] = [{"role": "user", "content": "Say hello [tokens=12]"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("get_weather", "get_time")
]


class Event(BaseModel):
    """A structured output."""

    name: str
    people: list[str]


def cost_of(usage: Any, rates: tuple[int, int, int]) -> int:
    """A usage object of any OpenAI surface → nano-dollars."""
    said = usage if isinstance(usage, dict) else usage.model_dump()
    details = said.get("prompt_tokens_details") or said.get("input_tokens_details") or {}
    cached = details.get("cached_tokens") or 0
    tokens_in = said.get("prompt_tokens") or said.get("input_tokens") or 0
    tokens_out = said.get("completion_tokens") or said.get("output_tokens") or 0
    return (tokens_in - cached) * rates[0] + cached * rates[1] + tokens_out * rates[2]


@dataclass(frozen=True)
class Call:
    """usage: finds the usage in what the client returned; None for what costs nothing."""

    name: str
    use: Callable[[Any], Any]
    means: Callable[[Any], bool]
    usage: Callable[[Any], Any] | None = lambda r: r.usage
    rates: tuple[int, int, int] = SMALL


def chatting(**members: Any) -> Callable[[Any], Any]:
    return lambda c: c.chat.completions.create(**{"model": "demo-small", "messages": HELLO, **members})


def text_of(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


CALLS = [
    Call(
        "chat",
        chatting(),
        lambda r: r.usage.completion_tokens == 12 and bool(r.choices[0].message.content),
    ),
    Call(
        "cached input", chatting(messages=said("[prompt=900] [cached=400] hi")), lambda r: r.usage.prompt_tokens == 900
    ),
    Call("a limit", chatting(max_completion_tokens=5), lambda r: r.choices[0].finish_reason == "length"),
    Call("several choices", chatting(n=3), lambda r: [c.index for c in r.choices] == [0, 1, 2]),
    Call(
        "logprobs",
        chatting(logprobs=True, top_logprobs=2),
        lambda r: len(r.choices[0].logprobs.content) == 12 and len(r.choices[0].logprobs.content[0].top_logprobs) == 2,
    ),
    Call(
        "parallel tool calls",
        chatting(messages=said("[tool=get_weather,get_time] in Rome?"), tools=TOOLS),
        lambda r: [c.function.name for c in r.choices[0].message.tool_calls] == ["get_weather", "get_time"],
    ),
    Call(
        "structured output",
        lambda c: c.chat.completions.parse(model="demo-small", messages=HELLO, response_format=Event),
        lambda r: isinstance(r.choices[0].message.parsed, Event),
    ),
    Call(
        "a JSON schema by hand",
        chatting(
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            }
        ),
        lambda r: isinstance(json.loads(r.choices[0].message.content), dict),
    ),
    Call(
        "hidden reasoning is output",
        chatting(model="demo-reasoner", max_completion_tokens=500, messages=said("[reasoning=40] [tokens=3] why?")),
        lambda r: r.usage.completion_tokens_details.reasoning_tokens == 40 and r.usage.completion_tokens == 43,
        rates=REASONER,
    ),
    Call(
        "a stream with usage",
        chatting(stream=True, stream_options={"include_usage": True}),
        lambda chunks: text_of(chunks).startswith("You said"),
        usage=lambda chunks: chunks[-1].usage,
    ),
    Call(
        "a stream of tool calls",
        chatting(
            messages=said("[tool=get_time] in Rome?"), tools=TOOLS, stream=True, stream_options={"include_usage": True}
        ),
        lambda chunks: any(c.choices and c.choices[0].finish_reason == "tool_calls" for c in chunks),
        usage=lambda chunks: chunks[-1].usage,
    ),
    Call(
        "legacy completion",
        lambda c: c.completions.create(
            model="demo-small", prompt=["Once [tokens=4]", "Twice [tokens=4]"], max_tokens=9
        ),
        lambda r: len(r.choices) == 2,
    ),
    Call(
        "legacy completion, streamed",
        lambda c: c.completions.create(
            model="demo-small", prompt="Once", max_tokens=9, stream=True, stream_options={"include_usage": True}
        ),
        lambda chunks: "".join(c.choices[0].text for c in chunks if c.choices) != "",
        usage=lambda chunks: chunks[-1].usage,
    ),
    Call(
        "embeddings",
        lambda c: c.embeddings.create(model="demo-embedding", input=["a", "b"], dimensions=16),
        lambda r: [len(d.embedding) for d in r.data] == [16, 16],
        rates=EMBEDDING,
    ),
    Call(
        "embeddings as numbers",
        lambda c: c.embeddings.create(model="demo-embedding", input=[[1, 2, 3]], encoding_format="float"),
        lambda r: isinstance(r.data[0].embedding[0], float),
        rates=EMBEDDING,
    ),
    Call("moderation", lambda c: c.moderations.create(input="hello"), lambda r: not r.results[0].flagged, usage=None),
    Call(
        "a response",
        lambda c: c.responses.create(model="demo-small", input="Say hello [tokens=7]", instructions="Be brief"),
        lambda r: r.status == "completed" and r.usage.output_tokens == 7,
    ),
    Call(
        "a response, streamed",
        lambda c: c.responses.create(model="demo-small", input="Say hello [tokens=7]", stream=True),
        lambda found: [e.sequence_number for e in found] == list(range(len(found))),
        usage=lambda found: found[-1].response.usage,
    ),
    Call(
        "a structured response",
        lambda c: c.responses.parse(model="demo-small", input="Say hello", text_format=Event),
        lambda r: isinstance(r.output_parsed, Event),
    ),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_the_demo_serves_it_and_the_bill_is_right(call: Call, kind: Kind, tmp_path: Path) -> None:
    wire = Wire()
    async with running(tmp_path, CONFIG) as gateway:
        found = await use(kind, gateway, call.use, wire)
        assert call.means(found), found
        wanted = cost_of(call.usage(found), call.rates) if call.usage is not None else 0
        assert booked(gateway, wire.request_id) == ("settled", wanted)
        assert gateway.differences() == []


async def test_a_tool_loop_with_a_picture_and_a_sound(tmp_path: Path) -> None:
    """Call, result, answer, with everything that a message can carry on the way."""
    wire = Wire()
    async with running(tmp_path, CONFIG) as gateway, async_client(gateway, wire) as client:
        parts = [
            {"type": "text", "text": "[tool=get_weather,get_time] where is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            {"type": "image_url", "image_url": {"url": "https://pictures.example.com/rome.png"}},
        ]
        messages: list[Any] = [{"role": "user", "content": parts}]
        first = await client.chat.completions.create(model="demo-small", messages=messages, tools=TOOLS)
        asked = first.choices[0].message
        assert first.choices[0].finish_reason == "tool_calls" and asked.tool_calls is not None
        messages.append(asked)
        messages += [{"role": "tool", "tool_call_id": call.id, "content": "31"} for call in asked.tool_calls]
        last = await client.chat.completions.create(model="demo-small", messages=messages, tools=TOOLS)
        assert last.choices[0].finish_reason == "stop" and last.choices[0].message.content
        paid = sum(cost_of(r.usage, SMALL) for r in (first, last))
        bills = [booked(gateway, headers["x-oneapi-request-id"]) for headers in wire.headers]
        assert sum(bill[1] for bill in bills if bill is not None) == paid
        assert gateway.differences() == []


async def test_the_grammar_of_a_streamed_response(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG) as gateway, async_client(gateway, Wire()) as client:
        async with client.responses.stream(model="demo-small", input="Say hello [tokens=3]") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert kinds == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            *["response.output_text.delta"] * 3,
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        assert final.usage is not None and final.usage.output_tokens == 3
