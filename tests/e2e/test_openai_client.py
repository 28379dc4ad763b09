"""The official client against a scripted vendor: what it sends leaves as the same bytes, what the vendor says arrives
as the same bytes, and the client reads it as what it is.

The key is unlimited, so that nothing has to be said to the vendor that the client did not say.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import BaseModel

from tests.support.clients import KINDS, Kind, Wire, async_client, use
from tests.support.gateway import booked, running
from tests.support.shapes import completion, response, response_events, vectors
from tests.support.upstream import Upstream, answering, events, reply, streaming

CONFIG = """
    ledger: ledger.db
    channels:
      - name: one
        type: openai
        base_url: {url}
        api_key: sk-vendor-one
        models: ['*']
"""
HELLO = [{"role": "user", "content": "Say hello"}]
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
SOUND = base64.b64encode(
    b"RIFF\x24\x00\x00\x00WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
).decode()
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


class Event(BaseModel):
    """A structured output."""

    name: str
    people: list[str]


def message(**more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "refusal": None, **more}


def chat(*choices: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    found = [{"index": i, "finish_reason": finish, "logprobs": None, **choice} for i, choice in enumerate(choices)]
    return {**reply(), "choices": found, **more}


def calls(*cities: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{city}",
            "type": "function",
            "function": {"name": "get_weather", "arguments": json.dumps({"city": city})},
        }
        for city in cities
    ]


VERDICT = {
    "id": "modr-1",
    "model": "omni-moderation-latest",
    "results": [{"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}],
}


def is_near(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return list(found) == pytest.approx(wanted, rel=1e-6)


@dataclass(frozen=True)
class Call:
    """use: what is called on a client, sync or async alike. says: the vendor's answer. means: what the client must read
    in it. added: what the gateway puts at the end of the client's JSON object."""

    name: str
    path: str
    use: Callable[[Any], Any]
    says: dict[str, Any]
    means: Callable[[Any], bool]
    added: bytes = b""
    cost_nanos: int | None = field(default=10 * 150 + 5 * 600)


def chatting(**members: Any) -> Callable[[Any], Any]:
    return lambda c: c.chat.completions.create(**{"model": "gpt-4o-mini", "messages": HELLO, **members})


CALLS = [
    Call(
        "chat",
        "/chat/completions",
        chatting(temperature=0.7, seed=7, metadata={"a": "b"}, user="me"),
        reply("Hi"),
        lambda r: r.choices[0].message.content == "Hi" and r.usage.total_tokens == 15,
    ),
    Call(
        "letters of every kind",
        "/chat/completions",
        chatting(messages=[{"role": "user", "content": 'Zoë “漢字” \u2028 😀 \\ " \x7f </s>'}]),
        reply("“漢字” \u2028 😀"),
        lambda r: r.choices[0].message.content == "“漢字” \u2028 😀",
    ),
    Call(
        "members that nobody here knows",
        "/chat/completions",
        chatting(extra_body={"vendor_extra": {"z": 1.50, "tiny": 1e-7, "big": 12345678901234567890}, "top_k": 40}),
        {**reply("Hi"), "vendor_said": [1.0, None]},
        lambda r: r.vendor_said == [1.0, None],
    ),
    Call(
        "parallel tool calls",
        "/chat/completions",
        chatting(tools=TOOLS, tool_choice="auto", parallel_tool_calls=True),
        chat({"message": message(tool_calls=calls("Rome", "Oslo"))}, finish="tool_calls"),
        lambda r: (
            [json.loads(c.function.arguments)["city"] for c in r.choices[0].message.tool_calls] == ["Rome", "Oslo"]
        ),
    ),
    Call(
        "a tool's result",
        "/chat/completions",
        chatting(
            tools=TOOLS,
            messages=[
                *HELLO,
                {"role": "assistant", "tool_calls": calls("Rome")},
                {"role": "tool", "tool_call_id": "call_Rome", "content": '{"celsius": 31}'},
            ],
        ),
        reply("It is hot"),
        lambda r: r.choices[0].message.content == "It is hot",
    ),
    Call(
        "input audio",
        "/chat/completions",
        chatting(
            model="gpt-4o-audio-preview",
            messages=[
                {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}]}
            ],
            modalities=["text"],
        ),
        reply("A sound"),
        lambda r: r.choices[0].message.content == "A sound",
        cost_nanos=None,
    ),
    Call(
        "structured output",
        "/chat/completions",
        lambda c: c.chat.completions.parse(model="gpt-4o-mini", messages=HELLO, response_format=Event),
        reply('{"name": "lunch", "people": ["Ann", "Bo"]}'),
        lambda r: r.choices[0].message.parsed == Event(name="lunch", people=["Ann", "Bo"]),
    ),
    Call(
        "logprobs, several choices",
        "/chat/completions",
        chatting(n=2, logprobs=True, top_logprobs=1),
        chat(
            {
                "message": message(content="A"),
                "logprobs": {"content": [{"token": "A", "logprob": -0.25, "bytes": [65], "top_logprobs": []}]},
            },
            {"message": message(content="B")},
        ),
        lambda r: r.choices[0].logprobs.content[0].logprob == -0.25 and r.choices[1].message.content == "B",
    ),
    Call(
        "legacy completion of a text",
        "/completions",
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=5, echo=True),
        completion(" upon"),
        lambda r: r.choices[0].text == " upon",
        cost_nanos=10 * 1500 + 5 * 2000,
    ),
    Call(
        "legacy completion of several texts",
        "/completions",
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt=["Once", "Twice"], max_tokens=5),
        completion(" upon", " over"),
        lambda r: [choice.text for choice in r.choices] == [" upon", " over"],
        cost_nanos=10 * 1500 + 5 * 2000,
    ),
    Call(
        "legacy completion of tokens",
        "/completions",
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt=[12522, 389, 264], max_tokens=5),
        completion(" time"),
        lambda r: r.choices[0].text == " time",
        cost_nanos=10 * 1500 + 5 * 2000,
    ),
    Call(
        "legacy completion of arrays of tokens",
        "/completions",
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt=[[12522], [389, 264]], max_tokens=5),
        completion(" time", " place"),
        lambda r: len(r.choices) == 2,
        cost_nanos=10 * 1500 + 5 * 2000,
    ),
    Call(
        "an embedding, packed as the client likes it",
        "/embeddings",
        lambda c: c.embeddings.create(model="text-embedding-3-small", input="Hello"),
        vectors([0.25, -1.5]),
        lambda r: is_near(r.data[0].embedding, [0.25, -1.5]),
        cost_nanos=8 * 20,
    ),
    Call(
        "embeddings as numbers, with dimensions",
        "/embeddings",
        lambda c: c.embeddings.create(
            model="text-embedding-3-small", input=["a", "b"], encoding_format="float", dimensions=2
        ),
        vectors([0.1, 0.2], [0.3, 0.4], packed=False),
        lambda r: is_near(r.data[1].embedding, [0.3, 0.4]),
        cost_nanos=8 * 20,
    ),
    Call(
        "embeddings of tokens",
        "/embeddings",
        lambda c: c.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3], [4]], encoding_format="base64"),
        vectors([0.5], [0.75]),
        lambda r: len(r.data) == 2,
        cost_nanos=8 * 20,
    ),
    Call(
        "moderation",
        "/moderations",
        lambda c: c.moderations.create(model="omni-moderation-latest", input=["a", "b"]),
        VERDICT,
        lambda r: r.results[0].flagged is False,
        cost_nanos=0,
    ),
    Call(
        "moderation by the usual model",
        "/moderations",
        lambda c: c.moderations.create(input="a"),
        VERDICT,
        lambda r: r.model == "omni-moderation-latest",
        added=b',"model":"omni-moderation-latest"',
        cost_nanos=0,
    ),
    Call(
        "a response",
        "/responses",
        lambda c: c.responses.create(
            model="gpt-4o-mini", instructions="Be brief", input="Say hello", store=False, max_output_tokens=50
        ),
        response("Hello"),
        lambda r: r.output_text == "Hello" and r.usage.input_tokens == 10,
    ),
    Call(
        "a response with items and tools",
        "/responses",
        lambda c: c.responses.create(
            model="gpt-4o-mini",
            input=[
                {"role": "user", "content": [{"type": "input_text", "text": "Rome?"}]},
                {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": '{"city":"Rome"}'},
                {"type": "function_call_output", "call_id": "c1", "output": "31"},
            ],
            tools=[{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}],
        ),
        response("Hot"),
        lambda r: r.output_text == "Hot",
    ),
    Call(
        "a structured response",
        "/responses",
        lambda c: c.responses.parse(model="gpt-4o-mini", input="Say hello", text_format=Event),
        response('{"name":"lunch","people":[]}'),
        lambda r: r.output_parsed == Event(name="lunch", people=[]),
    ),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_whole_replies(call: Call, kind: Kind, tmp_path: Path) -> None:
    said = json.dumps(call.says, indent=1, ensure_ascii=False).encode()
    script = answering(200, said, {"Content-Type": "application/json", "X-Request-Id": "req_vendor"})
    wire = Wire()
    async with (
        Upstream([script]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=None) as gateway,
    ):
        assert call.means(await use(kind, gateway, call.use, wire))
        (received,) = upstream.received
        assert (received.method, received.target) == ("POST", "/v1" + call.path)
        assert received.headers["authorization"] == "Bearer sk-vendor-one"
        assert received.body == wire.sent[0].removesuffix(b"}") + call.added + b"}"
        assert wire.answers == [said], "the reply's bytes as they came"
        assert wire.headers[0]["x-request-id"] == "req_vendor"
        if call.cost_nanos is not None:
            assert booked(gateway, wire.request_id) == ("settled", call.cost_nanos)
        assert gateway.differences() == []


async def test_pictures_go_on_as_they_are_and_are_never_fetched(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply("A cat"))]) as upstream, Upstream([answering(200, b"png")]) as pictures:
        content: list[Any] = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "https://pictures.example.com/cat.png?size=1"}},
            {"type": "image_url", "image_url": {"url": f"{pictures.url}/cat.png"}},
        ]
        wire = Wire()
        async with running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=None) as gateway:
            work = chatting(messages=[{"role": "user", "content": content}])
            for kind in KINDS:
                assert (await use(kind, gateway, work, wire)).choices[0].message.content == "A cat"
        assert [received.body for received in upstream.received] == wire.sent
        assert pictures.received == []


async def test_a_body_of_some_megabytes(tmp_path: Path) -> None:
    picture = f"data:image/png;base64,{PICTURE}{'A' * (3 << 20)}"
    content: list[Any] = [{"type": "image_url", "image_url": {"url": picture}}]
    wire = Wire()
    async with (
        Upstream([answering(200, reply("A cat"))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=None) as gateway,
    ):
        await use("async", gateway, chatting(messages=[{"role": "user", "content": content}]), wire)
        assert upstream.received[0].headers["content-length"] == str(len(wire.sent[0]))
        assert upstream.received[0].body == wire.sent[0]


async def test_a_conversation_with_a_tool(tmp_path: Path) -> None:
    """Call, result, answer: every message the vendor made goes back to it as the client understood it."""
    asked = chat({"message": message(tool_calls=calls("Rome", "Oslo"))}, finish="tool_calls")
    wire = Wire()
    async with (
        Upstream([answering(200, asked), answering(200, reply("Rome is warmer"))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
        async_client(gateway, wire) as client,
    ):
        messages: list[Any] = [*HELLO]
        first = await client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=TOOLS)
        messages.append(first.choices[0].message)
        for tool_call in first.choices[0].message.tool_calls or []:
            messages.append({"role": "tool", "tool_call_id": tool_call.id, "content": "31"})
        last = await client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=TOOLS)
        assert last.choices[0].message.content == "Rome is warmer"
        roles = [m["role"] for m in upstream.received[1].json["messages"]]
        assert roles == ["user", "assistant", "tool", "tool"]
        assert upstream.received[1].json["messages"] == json.loads(wire.sent[1])["messages"]


async def test_a_limited_key_adds_the_limit_that_it_holds_and_nothing_else(tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        for kind in KINDS:
            await use(kind, gateway, chatting(temperature=0.10, extra_body={"odd": 1.0}), wire)
            assert upstream.received[-1].body == wire.sent[-1].removesuffix(b"}") + b',"max_tokens":16384}'
            await use(kind, gateway, chatting(max_tokens=9, temperature=0.10), wire)
            assert upstream.received[-1].body == wire.sent[-1]


async def test_another_name_upstream_changes_the_name_alone(tmp_path: Path) -> None:
    wire = Wire()
    text = CONFIG.replace("['*']", "{{mine: gpt-4o-mini}}")
    said = {**reply("Hi"), "model": "gpt-4o-mini-2024-07-18"}
    async with (
        Upstream([answering(200, said)]) as upstream,
        running(tmp_path, text.format(url=upstream.url), budget_nanos=None) as gateway,
    ):
        work = chatting(model="mine", extra_body={"note": '"model":"mine"'})
        for kind in KINDS:
            found = await use(kind, gateway, work, wire)
            assert found.model == "gpt-4o-mini-2024-07-18", "the reply says what the vendor said"
            assert upstream.received[-1].body == wire.sent[-1].replace(b'"model":"mine"', b'"model":"gpt-4o-mini"', 1)


# --- streams --------------------------------------------------------------------------------------------------------


USAGE = reply()["usage"]
ANNOUNCED = {"include_usage": True}


def text_of(chunks: Sequence[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@dataclass(frozen=True)
class Streamed:
    """parts: the vendor's events. hidden: how many of the last ones are ours and not the client's."""

    name: str
    path: str
    use: Callable[[Any], Any]
    parts: Sequence[bytes]
    means: Callable[[Any], bool]
    added: bytes = b""
    hidden: int = 0
    done: bool = True
    cost_nanos: int = 10 * 150 + 5 * 600


TOOL_PARTS = [
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    + json.dumps(delta).encode()
    + b',"finish_reason":'
    + finish
    + b"}]}\n\n"
    for delta, finish in [
        ({"role": "assistant", "tool_calls": [{"index": 0, **calls("Rome")[0]}]}, b"null"),
        ({"tool_calls": [{"index": 1, **calls("Oslo")[0]}]}, b"null"),
        ({}, b'"tool_calls"'),
    ]
]
TEXT_PARTS = [
    b'data: {"id":"c1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"%b",'
    b'"logprobs":null,"finish_reason":%b}]}\n\n' % (word, finish)
    for word, finish in [(b" upon", b"null"), (b" a", b'"stop"')]
]
USAGE_PART = events([], usage=USAGE, finish=False)

STREAMS = [
    Streamed(
        "chat",
        "/chat/completions",
        chatting(stream=True),
        events(["Hel", "lo"], usage=USAGE),
        lambda chunks: text_of(chunks) == "Hello" and all(c.usage is None for c in chunks),
        added=b',"stream_options":{"include_usage":true}',
        hidden=1,
    ),
    Streamed(
        "chat with usage",
        "/chat/completions",
        chatting(stream=True, stream_options=ANNOUNCED),
        events(["Hel", "lo \u2028 漢"], usage=USAGE),
        lambda chunks: text_of(chunks) == "Hello \u2028 漢" and chunks[-1].usage.total_tokens == 15,
    ),
    Streamed(
        "chat with tool calls",
        "/chat/completions",
        chatting(stream=True, tools=TOOLS, stream_options=ANNOUNCED),
        [*TOOL_PARTS, *USAGE_PART],
        lambda chunks: [c.choices[0].delta.tool_calls[0].id for c in chunks[:2]] == ["call_Rome", "call_Oslo"],
    ),
    Streamed(
        "several choices",
        "/chat/completions",
        chatting(stream=True, n=2, stream_options=ANNOUNCED),
        [events(["A"])[0], events(["B"])[0].replace(b'"index":0', b'"index":1'), *events([], usage=USAGE)],
        lambda chunks: [c.choices[0].index for c in chunks[:2]] == [0, 1],
    ),
    Streamed(
        "comments, names and usage in every event",
        "/chat/completions",
        chatting(stream=True, stream_options=ANNOUNCED),
        [
            b": keep-alive\n\n",
            b"event: message\n" + events(["Hel"])[0],
            events(["lo"])[0].replace(b'"choices"', b'"usage":{"prompt_tokens":1,"completion_tokens":1},"choices"'),
            *events([], usage=USAGE),
        ],
        lambda chunks: text_of(chunks) == "Hello",
    ),
    Streamed(
        "legacy completion",
        "/completions",
        lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=5, stream=True),
        [*TEXT_PARTS, *USAGE_PART],
        lambda chunks: "".join(c.choices[0].text for c in chunks) == " upon a",
        added=b',"stream_options":{"include_usage":true}',
        hidden=1,
        cost_nanos=10 * 1500 + 5 * 2000,
    ),
    Streamed(
        "a response",
        "/responses",
        lambda c: c.responses.create(model="gpt-4o-mini", input="Say hello", stream=True),
        response_events("Hel", "lo"),
        lambda found: found[-1].type == "response.completed" and found[-1].response.output_text == "Hello",
        done=False,
    ),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
async def test_streams(case: Streamed, kind: Kind, tmp_path: Path) -> None:
    wire = Wire()
    async with (
        Upstream([streaming(case.parts, done=case.done)]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=None) as gateway,
    ):
        assert case.means(await use(kind, gateway, case.use, wire))
        (received,) = upstream.received
        assert received.target == "/v1" + case.path
        assert received.body == wire.sent[0].removesuffix(b"}") + case.added + b"}"
        assert booked(gateway, wire.request_id) == ("settled", case.cost_nanos)
        headers = {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(gateway.base + case.path, data=wire.sent[0]) as answer,
        ):
            body = await answer.read()
        relayed = case.parts[: len(case.parts) - case.hidden]
        assert body == b"".join(relayed) + (b"data: [DONE]\n\n" if case.done else b"")
        assert gateway.differences() == []


async def test_the_clients_own_gatherers(tmp_path: Path) -> None:
    """`chat.completions.stream` and `responses.stream` put the pieces together and mind the grammar of events."""
    async with (
        Upstream([streaming(events(["Hel", "lo"])), streaming(response_events("Hel", "lo"), done=False)]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
        async_client(gateway, Wire()) as client,
    ):
        messages: list[Any] = HELLO
        async with client.chat.completions.stream(model="gpt-4o-mini", messages=messages) as chatted:
            deltas = [event.delta async for event in chatted if event.type == "content.delta"]
            final = await chatted.get_final_completion()
        assert deltas == ["Hel", "lo"] and final.choices[0].message.content == "Hello"
        async with client.responses.stream(model="gpt-4o-mini", input="Say hello") as responded:
            kinds = [event.type async for event in responded]
            whole = await responded.get_final_response()
        assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
        assert whole.output_text == "Hello"


def retrieving(name: str) -> Callable[[Any], Any]:
    return lambda c: c.models.retrieve(name)


async def test_models(tmp_path: Path) -> None:
    text = """
        ledger: ledger.db
        channels:
          - {name: a, type: openai, base_url: 'http://127.0.0.1:9/v1', api_key: k, models: [gpt-4o-mini, o1, mine/x:y]}
          - {name: b, type: demo, models: [demo-small, gpt-4o-mini]}
    """
    async with running(tmp_path, text, models=("gpt-*", "demo-*", "mine/*")) as gateway:
        for kind in KINDS:
            page = await use(kind, gateway, lambda c: c.models.list())
            assert [(m.id, m.owned_by) for m in page.data] == [
                ("demo-small", "demo"),
                ("gpt-4o-mini", "openai"),
                ("mine/x:y", "openai"),
            ]
            for name in ("gpt-4o-mini", "mine/x:y"):
                found = await use(kind, gateway, retrieving(name))
                assert (found.id, found.object) == (name, "model")
