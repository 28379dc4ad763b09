"""Chat completions and legacy completions: replies, limits, usage, tools, shapes, streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .played import CREATED, Played, chat, play

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def text(seen: Played) -> str:
    return str(seen.json["choices"][0]["message"]["content"])


def streamed(seen: Played, index: int = 0) -> str:
    chosen = [choice for event in seen.events() for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in chosen)


def test_a_reply() -> None:
    seen = chat("Tell me about ledgers")
    assert seen.status == 200
    reply = seen.json
    assert reply["object"] == "chat.completion"
    assert reply["created"] == CREATED
    assert reply["id"].startswith("chatcmpl-demo")
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert text(seen).startswith("You said: Tell me about ledgers.")
    usage = reply["usage"]
    assert usage["prompt_tokens"] == 6 + 3
    assert usage["completion_tokens"] == len(text(seen).split())
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_same_prompt_has_the_same_reply() -> None:
    assert chat("a").body == chat("a").body
    assert text(chat("a")) != text(chat("b"))


def test_a_stream_says_the_same_as_a_whole_reply() -> None:
    whole, stream = chat("hello"), chat("hello", stream=True)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert streamed(stream) == text(whole)
    assert stream.sent[-1] == b"data: [DONE]\n\n"
    assert [event["choices"][0]["finish_reason"] for event in stream.events()][-1] == "stop"
    assert all("usage" not in event for event in stream.events())


def test_usage_on_streams() -> None:
    events = chat("hello", stream=True, stream_options={"include_usage": True}).events()
    assert all(event["usage"] is None for event in events[:-1])
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == chat("hello").json["usage"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("limit", "finish", "tokens"), [(3, "length", 3), (10, "stop", 10), (50, "stop", 10)])
def test_limits_are_kept_to_the_token(stream: bool, limit: int, finish: str, tokens: int) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    seen = chat("[tokens=10] go", max_tokens=limit, **options)
    usage = seen.events()[-1]["usage"] if stream else seen.json["usage"]
    reached = seen.events()[-2]["choices"][0] if stream else seen.json["choices"][0]
    assert usage["completion_tokens"] == tokens
    assert reached["finish_reason"] == finish
    assert len((streamed(seen) if stream else text(seen)).split()) == tokens


def test_without_a_limit_the_models_own_ends_it() -> None:
    seen = chat("[tokens=20000]")
    assert seen.json["usage"]["completion_tokens"] == 16_384
    assert seen.json["choices"][0]["finish_reason"] == "length"


def test_the_smaller_of_two_limits() -> None:
    assert chat("[tokens=10]", max_tokens=7, max_completion_tokens=4).json["usage"]["completion_tokens"] == 4


def test_choices() -> None:
    seen = chat("hello", n=3)
    texts = [choice["message"]["content"] for choice in seen.json["choices"]]
    assert len(set(texts)) == 3
    assert seen.json["usage"]["completion_tokens"] == sum(len(one.split()) for one in texts)
    stream = chat("hello", n=3, stream=True)
    assert [streamed(stream, index) for index in range(3)] == texts


def test_stop_sequences() -> None:
    whole = text(chat("hello"))
    seen = chat("hello", stop=["hello", "nowhere"])
    assert text(seen) == whole[: whole.index("hello")]
    assert seen.json["choices"][0]["finish_reason"] == "stop"
    assert seen.json["usage"]["completion_tokens"] == 3  # "You", " said:" and the blank before what was cut
    assert text(chat("hello", stop="nowhere")) == whole


def test_directives_rule_what_is_reported() -> None:
    usage = chat("[prompt=1234] [cached=100] [completion=9]").json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (1234, 9, 1243)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 100
    assert "usage" not in chat("[usage=none]").json
    events = chat("[usage=none]", stream=True, stream_options={"include_usage": True}).events()
    assert all(event["choices"] and "usage" not in event for event in events)


def test_directives_of_earlier_messages_do_not_count() -> None:
    messages = [{"role": "user", "content": "[tokens=3]"}, {"role": "assistant", "content": "ok"}]
    seen = play(
        "/chat/completions", {"model": "demo-large", "messages": [*messages, {"role": "user", "content": "now"}]}
    )
    assert seen.json["usage"]["completion_tokens"] > 3


def test_parts_and_images() -> None:
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    seen = play("/chat/completions", {"model": "demo-small", "messages": [{"role": "user", "content": parts}]})
    assert seen.json["usage"]["prompt_tokens"] == 3 + 3 + 85
    assert text(seen).startswith("You said: what is it?")


def test_pauses() -> None:
    assert chat("hello").pauses == []
    slow = chat("[tokens=4] [pause=0.5] [first=1]", stream=True)
    assert slow.pauses == [1.0] + [0.5] * (len(slow.sent) - 1)
    assert chat("[tokens=4] [pause=0.5] [first=1]").pauses == [3.0]
    assert chat("[tokens=10000] [pause=10]").pauses == [600.0]


@pytest.mark.parametrize("stream", [False, True])
def test_tools(stream: bool) -> None:
    seen = chat("[tool=weather,other]", tools=[TOOL], stream=stream)
    if stream:
        deltas = [event["choices"][0]["delta"] for event in seen.events()]
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        arguments = "".join(call["function"]["arguments"] for call in calls if call["index"] == 0)
        names = [call["function"]["name"] for call in calls if "id" in call]
        finish = seen.events()[-1]["choices"][0]["finish_reason"]
    else:
        choice = seen.json["choices"][0]
        arguments = choice["message"]["tool_calls"][0]["function"]["arguments"]
        names = [call["function"]["name"] for call in choice["message"]["tool_calls"]]
        finish = choice["finish_reason"]
        assert choice["message"]["content"] is None
    assert json.loads(arguments) == {"city": "demo"}
    assert names == ["weather", "other"]
    assert finish == "tool_calls"


def calls(prompt: str, **members: Any) -> list[str]:
    message = chat(prompt, tools=[TOOL], **members).json["choices"][0]["message"]
    return [call["function"]["name"] for call in message.get("tool_calls", [])]


def test_when_tools_are_called() -> None:
    assert calls("hello") == []
    assert calls("hello", tool_choice="required") == ["weather"]
    assert calls("hello", tool_choice={"type": "function", "function": {"name": "weather"}}) == ["weather"]
    assert calls("[tool]", tool_choice="none") == []
    assert calls("[tool=a,b]", parallel_tool_calls=False) == ["a"]
    assert calls("[tool]", n=1) == ["weather"]


def test_after_a_tools_result_it_speaks() -> None:
    messages = [{"role": "user", "content": "[tool]"}, {"role": "tool", "tool_call_id": "x", "content": "sunny"}]
    seen = play("/chat/completions", {"model": "demo-small", "messages": messages, "tools": [TOOL]})
    assert seen.json["choices"][0]["finish_reason"] == "stop"


def test_tool_calls_keep_the_limit_too() -> None:
    seen = chat("[tool=weather,other]", tools=[TOOL], max_tokens=2)
    assert seen.json["usage"]["completion_tokens"] == 2
    assert seen.json["choices"][0]["finish_reason"] == "length"


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert json.loads(text(chat("hello", response_format=shape))) == {"n": 3}
    assert isinstance(json.loads(text(chat("hello", response_format={"type": "json_object"}))), dict)
    assert text(chat("hello", response_format={"type": "text"})) == text(chat("hello"))


def test_logprobs() -> None:
    seen = chat("[tokens=2] hi", logprobs=True, top_logprobs=2)
    found = seen.json["choices"][0]["logprobs"]["content"]
    assert "".join(one["token"] for one in found) == text(seen)
    assert [len(one["top_logprobs"]) for one in found] == [2, 2]
    assert bytes(found[0]["bytes"]).decode() == found[0]["token"]
    assert chat("hi").json["choices"][0]["logprobs"] is None


def test_help() -> None:
    assert "[tokens=500]" in text(chat("help"))
    assert text(chat(" Help ")) == text(chat("help"))


def test_hidden_reasoning() -> None:
    asked = {"model": "demo-reasoner", "messages": [{"role": "user", "content": "[reasoning=50] [tokens=10]"}]}
    usage = play("/chat/completions", asked).json["usage"]
    assert usage["completion_tokens"] == 60
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 50
    short = play("/chat/completions", {**asked, "max_completion_tokens": 40}).json
    assert short["choices"][0]["message"]["content"] == ""
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 40


REFUSED: list[tuple[dict[str, object], int, str | None, str | None]] = [
    ({"model": "nope"}, 404, "model_not_found", "model"),
    ({"model": "demo-image"}, 404, "model_not_found", "model"),
    ({"messages": []}, 400, "empty_array", "messages"),
    ({"messages": "hi"}, 400, "invalid_request", None),
    ({"max_tokens": 0}, 400, "invalid_value", "max_tokens"),
    ({"max_completion_tokens": -1}, 400, "invalid_value", "max_completion_tokens"),
    ({"n": 129}, 400, "invalid_value", "n"),
    ({"model": "demo-reasoner", "max_tokens": 5}, 400, "unsupported_parameter", "max_tokens"),
    ({"model": "demo-reasoner", "temperature": 0.5}, 400, "unsupported_value", "temperature"),
]


@pytest.mark.parametrize(("members", "status", "code", "param"), REFUSED)
def test_refusals(members: dict[str, object], status: int, code: str | None, param: str | None) -> None:
    seen = chat("hi", **members)
    assert (seen.status, seen.error["code"], seen.error["param"]) == (status, code, param)
    assert seen.error["type"] == "invalid_request_error"
    assert int(seen.headers["content-length"]) == len(seen.body)


DEEP = b'{"model":"demo-small","messages":[{"role":"user","content":[{"x":' + b"[" * 100_000


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":"demo-small"}', b'"\xff"', b'{"model":"\xff"}', DEEP])
def test_what_cannot_be_read_is_a_400(body: bytes) -> None:
    assert play("/chat/completions", body).status == 400


def test_legacy_completions() -> None:
    seen = play("/completions", {"model": "demo-small", "prompt": ["one [tokens=4]", "two [tokens=4]"], "n": 2})
    assert [choice["index"] for choice in seen.json["choices"]] == [0, 1, 2, 3]
    assert seen.json["usage"]["completion_tokens"] == 16
    assert seen.json["object"] == "text_completion"


def test_best_of_is_paid_for() -> None:
    seen = play("/completions", {"model": "demo-small", "prompt": "[tokens=4]", "n": 1, "best_of": 3})
    assert len(seen.json["choices"]) == 1
    assert seen.json["usage"]["completion_tokens"] == 12


@pytest.mark.parametrize(("prompt", "said"), [([1, 2], "1 2"), ([[1, 2], [3]], "1 2")])
def test_prompts_of_token_numbers(prompt: object, said: str) -> None:
    seen = play("/completions", {"model": "demo-small", "prompt": prompt})
    assert seen.json["choices"][0]["text"].startswith(f"You said: {said}.")


def test_legacy_stream_echo_and_logprobs() -> None:
    asked = {"model": "demo-small", "prompt": "hi [tokens=3]", "echo": True, "logprobs": 1}
    whole = play("/completions", asked).json["choices"][0]
    assert whole["text"].startswith("hi [tokens=3]You said:")
    assert "".join(whole["logprobs"]["tokens"]) == whole["text"].removeprefix("hi [tokens=3]")
    assert whole["logprobs"]["text_offset"] == [0, 3, 9]
    stream = play("/completions", {**asked, "stream": True})
    assert "".join(event["choices"][0]["text"] for event in stream.events()) == whole["text"]
    assert stream.sent[-1] == b"data: [DONE]\n\n"
    assert play("/completions", {"model": "demo-small", "prompt": []}).status == 400
