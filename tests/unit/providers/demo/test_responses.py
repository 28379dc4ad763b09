"""/v1/responses: the reply object and the event grammar."""

from __future__ import annotations

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from .played import CREATED, Played, play

TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


def ask(prompt: object, model: str = "demo-small", **members: object) -> Played:
    return play("/responses", {"model": model, "input": prompt, **members})


def test_a_reply_of_the_sdks_own_type() -> None:
    reply = Response.model_validate(ask("Tell me about ledgers", instructions="Be brief.").json, strict=True)
    assert (reply.status, reply.created_at, reply.model) == ("completed", CREATED, "demo-small")
    assert reply.output_text.startswith("You said: Tell me about ledgers.")
    assert reply.usage is not None
    assert reply.usage.input_tokens == 9 + 6
    assert reply.usage.output_tokens == len(reply.output_text.split())
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


STREAMS: dict[str, tuple[dict[str, object], str]] = {
    "text": ({"prompt": "hello"}, "response.completed"),
    "cut": ({"prompt": "hello", "max_output_tokens": 2}, "response.incomplete"),
    "tools": ({"prompt": "[tool=weather,other]", "tools": [TOOL]}, "response.completed"),
    "reasoning": ({"prompt": "hello", "model": "demo-reasoner"}, "response.completed"),
    "only reasoning": (
        {"prompt": "[reasoning=9]", "model": "demo-reasoner", "max_output_tokens": 9},
        "response.incomplete",
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_events_are_the_sdks_and_in_order(name: str) -> None:
    members, ending = STREAMS[name]
    asked = dict(members)
    seen = ask(asked.pop("prompt"), str(asked.pop("model", "demo-small")), stream=True, **asked)
    adapter: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    for number, event in enumerate(seen.events()):
        assert adapter.validate_python(event).type == event["type"]
        assert event["sequence_number"] == number
        assert seen.sent[number].startswith(f"event: {event['type']}\n".encode())
    kinds = [event["type"] for event in seen.events()]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == ending
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done")
    assert seen.events()[-1]["response"]["output"] == [
        event["item"] for event in seen.events() if event["type"] == "response.output_item.done"
    ]


def test_a_stream_says_the_same_as_a_whole_reply() -> None:
    stream, whole = ask("hello", stream=True).events(), ask("hello").json
    deltas = [event["delta"] for event in stream if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == whole["output"][0]["content"][0]["text"]
    assert stream[-1]["response"]["usage"] == whole["usage"]
    assert stream[0]["response"]["usage"] is None


def test_limits_are_kept_to_the_token() -> None:
    reply = ask("[tokens=10]", max_output_tokens=4).json
    assert reply["usage"]["output_tokens"] == 4
    assert (reply["status"], reply["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_hidden_reasoning() -> None:
    usage = ask("[reasoning=50] [tokens=10]", "demo-reasoner").json["usage"]
    assert usage["output_tokens"] == 60
    assert usage["output_tokens_details"] == {"reasoning_tokens": 50}


def test_items_as_input() -> None:
    items = [
        {"role": "developer", "content": "rules"},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "[tool] go"}, {"type": "input_image", "image_url": "x"}],
        },
        {"type": "function_call", "call_id": "1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "sunny"},
    ]
    reply = ask(items, tools=[TOOL]).json
    assert [item["type"] for item in reply["output"]] == ["message"]
    assert reply["usage"]["input_tokens"] > 85
    assert [item["type"] for item in ask(items[:2], tools=[TOOL]).json["output"]] == ["function_call"]


def test_structured_output_and_usage_directives() -> None:
    shape = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object", "properties": {}}}}
    assert ask("hello", text=shape).json["output"][0]["content"][0]["text"] == "{}"
    assert ask("[usage=none]").json["usage"] is None
    assert ask("[prompt=7] [cached=3]").json["usage"]["input_tokens_details"]["cached_tokens"] == 3


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"input": []}, "empty_array"),
        ({"max_output_tokens": 0}, "invalid_value"),
        ({"model": "nope"}, "model_not_found"),
        ({"model": "demo-reasoner", "temperature": 0}, "unsupported_value"),
        ({"input": 5}, "invalid_request"),
    ],
)
def test_refusals(members: dict[str, object], code: str) -> None:
    seen = play("/responses", {"model": "demo-small", "input": "hi", **members})
    assert seen.error["code"] == code
