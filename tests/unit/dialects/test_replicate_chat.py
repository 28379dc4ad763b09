"""Language models on Replicate: prompts and inputs, the steps from a prediction to its output, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from oneapi_cli.dialects.dialect import Step, StepReply, VendorError
from oneapi_cli.dialects.parts import collect
from oneapi_cli.dialects.replicate_chat import (
    decode_error,
    decode_reply,
    decode_stream,
    encode_request,
    follow,
    request_headers,
)
from oneapi_cli.dialects.replicate_follow import MOST_POLLS
from oneapi_cli.framing.sse import Frame
from oneapi_cli.providers.models import traits
from oneapi_cli.values.conversation import (
    Conversation,
    Media,
    Opaque,
    OutputFormat,
    Reasoning,
    Reply,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from oneapi_cli.values.errors import BadRequest, Malformed, TimedOut
from oneapi_cli.values.events import Event, Failed
from oneapi_cli.values.vendor import Quirks

LLAMA, GPT, CLAUDE = "meta/meta-llama-3-70b-instruct", "openai/gpt-4.1-mini", "anthropic/claude-4-sonnet"
GPT_5, O4, GEMINI_2, GEMINI_3 = "openai/gpt-5", "openai/o4-mini", "google/gemini-2.5-flash", "google/gemini-3-pro"
DEEPSEEK, UNKNOWN = "deepseek-ai/deepseek-v3.1", "someone/something"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"


def said(role: Any, text: str) -> Turn:
    return Turn(role=role, parts=(Text(text=text),))


HELLO, BRIEF = said("user", "Hello"), said("system", "Be brief.")
PICTURE = Media(kind="image", media_type="image/png", data="AAAA")


def encoded(model: str, *turns: Turn, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body, and the notes."""
    talk = Conversation(model=model, turns=turns or (HELLO,), **members)
    body, notes = encode_request(talk, Quirks(), traits(model))
    decoded = msgspec.json.decode(msgspec.json.encode(body))
    assert isinstance(decoded, dict)
    return decoded, notes


def inputs(model: str, *turns: Turn, **members: Any) -> dict[str, Any]:
    body, _ = encoded(model, *turns, **members)
    found = body["input"]
    assert isinstance(found, dict)
    return found


# --- requests -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a model is given, whole."""

    name: str
    model: str
    input: Mapping[str, Any]
    turns: tuple[Turn, ...] = (BRIEF, HELLO)
    members: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


SAMPLED = {"limit": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "seed": 3, "stop": ("END", "STOP")}
ASKED = (
    Asked("one turn alone", LLAMA, {"prompt": "Hello"}, (HELLO,)),
    Asked("a system prompt", LLAMA, {"prompt": "Hello", "system_prompt": "Be brief."}),
    Asked("of a model without one", DEEPSEEK, {"prompt": "Be brief.\n\nHello"}),
    Asked("of a model that nobody knows", UNKNOWN, {"prompt": "Be brief.\n\nHello"}),
    Asked("under another name", GEMINI_2, {"prompt": "Hello", "system_instruction": "Be brief."}),
    Asked(
        "sampling",
        LLAMA,
        {
            "prompt": "Hello",
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 5,
            "stop_sequences": "END,STOP",
        },
        (HELLO,),
        SAMPLED,
        ("dropped:seed",),
    ),
    Asked(
        "sampling that is not taken",
        CLAUDE,
        {"prompt": "Hello", "max_tokens": 9},
        (HELLO,),
        SAMPLED,
        ("dropped:temperature", "dropped:top_p", "dropped:top_k", "dropped:seed", "dropped:stop"),
    ),
    Asked(
        "the limit by all its names",
        UNKNOWN,
        {"prompt": "Hello", "max_tokens": 9, "max_new_tokens": 9},
        (HELLO,),
        {"limit": 9},
    ),
    Asked("a stop with a comma", LLAMA, {"prompt": "Hello"}, (HELLO,), {"stop": (",",)}, ("dropped:stop",)),
    Asked(
        "messages",
        GPT,
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi."},
                {"role": "user", "content": "Hello"},
            ]
        },
        (BRIEF, HELLO, said("assistant", "Hi."), HELLO),
    ),
    Asked(
        "a transcript beside a picture",
        GPT,
        {
            "prompt": "User: Hello\n\nAssistant: Hi.\n\nUser: What is it?\n\nAssistant:",
            "system_prompt": "Be brief.",
            "image_input": ["data:image/png;base64,AAAA", "https://example.com/b.png"],
        },
        (
            BRIEF,
            HELLO,
            said("assistant", "Hi."),
            Turn(
                role="user",
                parts=(PICTURE, Text(text="What is it?"), Media(kind="image", url="https://example.com/b.png")),
            ),
        ),
    ),
    Asked(
        "one picture",
        CLAUDE,
        {"prompt": "See?", "image": "data:image/png;base64,AAAA"},
        (Turn(role="user", parts=(PICTURE, Text(text="See?"))),),
    ),
    Asked(
        "a system turn in the middle",
        LLAMA,
        {"prompt": "User: Hello\n\nSystem: In French.\n\nUser: Hello\n\nAssistant:", "system_prompt": "Be brief."},
        (BRIEF, HELLO, said("developer", "In French."), HELLO),
    ),
    Asked("half an answer", LLAMA, {"prompt": "User: Hello\n\nAssistant: He"}, (HELLO, said("assistant", "He"))),
    Asked(
        "effort",
        GPT_5,
        {"prompt": "Hello", "reasoning_effort": "low", "verbosity": "high"},
        (HELLO,),
        {"reasoning": Reasoning(effort="low"), "verbosity": "high"},
    ),
    Asked(
        "too high an effort",
        O4,
        {"prompt": "Hello", "reasoning_effort": "high"},
        (HELLO,),
        {"reasoning": Reasoning(effort="max")},
        ("changed:reasoning_effort",),
    ),
    Asked(
        "a level",
        GEMINI_3,
        {"prompt": "Hello", "thinking_level": "high"},
        (HELLO,),
        {"reasoning": Reasoning(effort="medium")},
        ("changed:reasoning_effort",),
    ),
    Asked(
        "off as well as it can be",
        GPT_5,
        {"prompt": "Hello", "reasoning_effort": "minimal"},
        (HELLO,),
        {"reasoning": Reasoning(enabled=False)},
        ("changed:reasoning_effort",),
    ),
    Asked(
        "a budget",
        GEMINI_2,
        {"prompt": "Hello", "thinking_budget": 500},
        (HELLO,),
        {"reasoning": Reasoning(budget=500)},
    ),
    Asked(
        "no budget",
        GEMINI_2,
        {"prompt": "Hello", "thinking_budget": 0},
        (HELLO,),
        {"reasoning": Reasoning(enabled=False)},
    ),
    Asked("as much as it likes", GEMINI_2, {"prompt": "Hello"}, (HELLO,), {"reasoning": Reasoning(budget=-1)}),
    Asked(
        "a switch and a budget",
        CLAUDE,
        {"prompt": "Hello", "max_tokens": 4000, "extended_thinking": True, "thinking_budget_tokens": 3999},
        (HELLO,),
        {"reasoning": Reasoning(effort="high"), "limit": 4000},
    ),
    Asked(
        "a switch off",
        CLAUDE,
        {"prompt": "Hello", "extended_thinking": False},
        (HELLO,),
        {"reasoning": Reasoning(enabled=False)},
    ),
    Asked(
        "no room to think",
        CLAUDE,
        {"prompt": "Hello", "max_tokens": 1000},
        (HELLO,),
        {"reasoning": Reasoning(enabled=True), "limit": 1000},
        ("dropped:reasoning",),
    ),
    Asked(
        "no thinking",
        LLAMA,
        {"prompt": "Hello"},
        (HELLO,),
        {"reasoning": Reasoning(effort="low")},
        ("dropped:reasoning",),
    ),
    Asked(
        "a format",
        LLAMA,
        {"prompt": "Hello"},
        (HELLO,),
        {"format": OutputFormat(kind="json_object")},
        ("dropped:response_format",),
    ),
    Asked(
        "its own inputs",
        LLAMA,
        {"prompt": "Mine", "min_tokens": 3},
        (HELLO,),
        {"extras": {"input": {"prompt": "Mine", "min_tokens": 3}}},
    ),
    Asked(
        "its own limit",
        LLAMA,
        {"prompt": "Hello", "max_tokens": 50},
        (HELLO,),
        {"extras": {"input": {"max_tokens": 50}}},
    ),
    Asked(
        "a limit that stands",
        LLAMA,
        {"prompt": "Hello", "max_tokens": 9},
        (HELLO,),
        {"limit": 9, "extras": {"input": {"max_tokens": 5000, "max_new_tokens": 5000}}},
    ),
)


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.name)
def test_inputs(case: Asked) -> None:
    body, notes = encoded(case.model, *case.turns, **case.members)
    assert body == {"input": case.input}
    assert notes == case.notes


def test_streams_and_versions_are_said_in_the_body() -> None:
    body, _ = encoded(f"someone/something:{VERSION}", stream=True)
    assert (body["stream"], body["version"]) == (True, VERSION)
    assert "version" not in encoded("someone/something")[0]


def test_a_version_does_not_hide_the_model() -> None:
    assert inputs(f"{LLAMA}:{VERSION}", BRIEF, HELLO)["system_prompt"] == "Be brief."


def test_calls_of_the_past_are_told() -> None:
    thought = Thinking(text="hm", sealed=Opaque(dialect="gemini", data={}))
    call = ToolCall(id="a", name="weather", arguments='{"city":"Oslo"}')
    answer = ToolResult(id="a", content=(Text(text="4"),))
    turns = (HELLO, Turn(role="assistant", parts=(thought, call)), Turn(role="user", parts=(answer,)))
    none = ToolChoice(mode="none")
    body, notes = encoded(LLAMA, *turns, tools=(Tool(name="weather"),), tool_choice=none)
    assert body["input"]["prompt"] == (
        'User: Hello\n\nAssistant: [called weather with {"city":"Oslo"}]\n\nUser: [weather answered: 4]\n\nAssistant:'
    )
    assert notes == ("dropped:tools", "dropped:thinking_signature")


@dataclass(frozen=True)
class Refused:
    name: str
    member: str | None
    model: str = LLAMA
    parts: tuple[Any, ...] = (Text(text="Hello"),)
    members: Mapping[str, Any] = field(default_factory=dict)


REFUSED = (
    Refused("tools", "tools", members={"tools": (Tool(name="a"),)}),
    Refused("forced tools", "tools", members={"tools": (Tool(name="a"),), "tool_choice": ToolChoice(mode="required")}),
    Refused("several answers", "n", members={"outputs": 2}),
    Refused("a picture for a model that reads", "messages", parts=(PICTURE,)),
    Refused("two pictures where one is taken", "messages", CLAUDE, (PICTURE, PICTURE)),
    Refused("a PDF", "messages", GPT, (Media(kind="document", data="AAAA"),)),
    Refused("another vendor's file", "messages", GPT, (Media(kind="image", file_id="f"),)),
    Refused("another scheme", "messages", GPT, (Media(kind="image", url="gs://a/b.png"),)),
    Refused("inputs that are none", "input", members={"extras": {"input": [1]}}),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Refused) -> None:
    with pytest.raises(BadRequest) as refusal:
        encoded(case.model, Turn(role="user", parts=case.parts), **case.members)
    assert refusal.value.member == case.member


# --- the steps ------------------------------------------------------------------------------------------------------


def got(status: str, **members: Any) -> StepReply:
    body = msgspec.json.encode({"id": "gm3qorzd", "status": status, **members})
    return StepReply(status=200, headers={}, body=body)


def test_waiting_is_asked_for_where_nothing_streams() -> None:
    assert request_headers(stream=False)["Prefer"] == "wait"
    assert "Prefer" not in request_headers(stream=True)
    assert request_headers(stream=True)["Accept"] == "application/json"


def test_polls_back_off_until_it_has_ended() -> None:
    following = follow(got("starting"), stream=False)
    steps = [next(following)]
    steps += [following.send(got("processing")) for _ in range(5)]
    assert [step.wait_seconds for step in steps] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    cancel = Step(method="POST", path="/v1/predictions/gm3qorzd/cancel")
    for step in steps:
        assert (step.method, step.path, step.url) == ("GET", "/v1/predictions/gm3qorzd", "")
        assert step.on_abandon == cancel and not step.stream
    last = got("succeeded", output=["a"])
    with pytest.raises(StopIteration) as end:
        following.send(last)
    assert end.value.value is last


@pytest.mark.parametrize("stream", (False, True))
@pytest.mark.parametrize("status", ("succeeded", "failed", "canceled", "aborted"))
def test_what_has_ended_takes_no_step(status: str, stream: bool) -> None:
    first = got(status, urls={"stream": "https://stream.example/1"})
    with pytest.raises(StopIteration) as end:
        next(follow(first, stream=stream))
    assert end.value.value is first


def test_a_stream_is_the_last_step() -> None:
    urls = {"stream": "https://stream.example/1", "get": "https://evil.example/get", "cancel": "https://evil.example/c"}
    step = next(follow(got("starting", urls=urls), stream=True))
    assert step.stream and step.url == "https://stream.example/1"
    assert step.headers == {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    assert step.on_abandon == Step(method="POST", path="/v1/predictions/gm3qorzd/cancel")


def test_a_model_without_a_stream_is_polled() -> None:
    step = next(follow(got("starting", urls={"get": "https://evil.example/get"}), stream=True))
    assert not step.stream and step.path == "/v1/predictions/gm3qorzd"


@pytest.mark.parametrize("name", ("", "../secrets", "a/b", "a?b", "a\n", "é", None, 7, "x" * 65))
def test_an_id_that_is_none(name: Any) -> None:
    with pytest.raises(Malformed):
        next(follow(got("starting", id=name), stream=False))


@pytest.mark.parametrize("body", (b"", b"[]", b"<html>"))
def test_what_is_no_prediction(body: bytes) -> None:
    with pytest.raises(Malformed):
        next(follow(StepReply(status=201, headers={}, body=body), stream=False))


def test_polling_ends() -> None:
    following = follow(got("starting"), stream=False)
    next(following)
    with pytest.raises(TimedOut):
        for _ in range(MOST_POLLS):
            following.send(got("processing"))


# --- replies --------------------------------------------------------------------------------------------------------


def replied(**members: Any) -> Reply:
    reply = decode_reply({"id": "p", "status": "succeeded", **members}, Quirks())
    assert isinstance(reply, Reply)
    return reply


@dataclass(frozen=True)
class Output:
    name: str
    output: Any
    text: str


@pytest.mark.parametrize(
    "case",
    (
        Output("text", "Hello\n", "Hello\n"),
        Output("pieces", ["Hel", "lo", "\n"], "Hello\n"),
        Output("an object with a text", {"text": "Hello", "response_id": "r"}, "Hello"),
        Output("an object", {"answer": 42}, '{"answer":42}'),
        Output("things", [1, "a"], '[1,"a"]'),
    ),
    ids=lambda case: case.name,
)
def test_outputs(case: Output) -> None:
    assert replied(output=case.output).choices[0].parts == (Text(text=case.text),)


def test_no_output_is_an_empty_answer() -> None:
    for nothing in (None, "", list[str]()):
        assert replied(output=nothing).choices[0].parts == ()


def test_usage_and_the_limit_it_reached() -> None:
    metrics = {"input_token_count": 12, "output_token_count": 9, "predict_time": 0.5}
    reply = replied(output="So", metrics=metrics, input={"max_completion_tokens": 9})
    assert reply.usage is not None and reply.usage.counts == {"input_tokens": 12, "output_tokens": 9}
    assert reply.choices[0].finish == "length"
    assert replied(output="So", metrics=metrics, input={"max_tokens": 10}).choices[0].finish == "stop"
    assert replied(output="So", metrics=metrics).choices[0].finish == "stop"
    assert replied(output="So", metrics={"predict_time": 0.5}).usage is None


@dataclass(frozen=True)
class Ended:
    status: str
    error: Any
    message: str
    code: str | None = None


@pytest.mark.parametrize(
    "case",
    (
        Ended("failed", "CUDA out of memory", "CUDA out of memory"),
        Ended("failed", "Flagged as sensitive. (E005)", "Flagged as sensitive. (E005)", "E005"),
        Ended("failed", {"detail": "No more"}, "No more"),
        Ended("failed", None, "The prediction failed and did not say why"),
        Ended("canceled", None, "The prediction was cancelled"),
        Ended("aborted", "", "The prediction was cancelled"),
    ),
    ids=lambda case: f"{case.status} {case.error}",
)
def test_failures(case: Ended) -> None:
    error = decode_reply({"status": case.status, "error": case.error, "output": ["half"]}, Quirks())
    assert error == VendorError(message=case.message, type=f"prediction_{case.status}", code=case.code)


def test_what_has_not_ended_is_malformed() -> None:
    for status in ("starting", "processing", None):
        with pytest.raises(Malformed):
            decode_reply({"status": status}, Quirks())


def test_errors() -> None:
    body = b'{"title": "Input validation failed", "detail": "- input: prompt is required", "status": 422}'
    error = decode_error(422, body)
    assert (error.message, error.status) == ("- input: prompt is required", 422)
    assert decode_error(401, b'{"title":"Unauthenticated","detail":"No token"}').message == "No token"


# --- streams --------------------------------------------------------------------------------------------------------


def streamed(*frames: tuple[str, str]) -> list[Event]:
    decoder = decode_stream(Quirks())
    events = [event for kind, data in frames for event in decoder.feed(Frame(kind, data.encode()))]
    return [*events, *decoder.close()]


def test_output_is_text_whatever_it_looks_like() -> None:
    events = streamed(("output", '{"a": '), ("logs", "noise"), ("output", ""), ("output", "\n1}"), ("done", "{}"))
    choice = collect(events).choices[0]
    assert (choice.parts, choice.finish) == ((Text(text='{"a": \n1}'),), "stop")


@dataclass(frozen=True)
class Broken:
    name: str
    frames: tuple[tuple[str, str], ...]
    message: str


@pytest.mark.parametrize(
    "case",
    (
        Broken("cancelled", (("done", '{"reason": "canceled"}'),), "The prediction was cancelled"),
        Broken("failed", (("done", '{"reason": "error"}'),), "The prediction did not finish: error"),
        Broken("said why", (("error", '{"detail": "No GPU"}'), ("done", '{"reason": "error"}')), "No GPU"),
        Broken("in plain words", (("error", "No GPU"),), "No GPU"),
        Broken("wordless", (("error", ""),), "The prediction failed"),
    ),
    ids=lambda case: case.name,
)
def test_broken_streams(case: Broken) -> None:
    events = streamed(("output", "Half"), *case.frames)
    assert [event.message for event in events if isinstance(event, Failed)] == [case.message]


def test_output_that_is_no_text() -> None:
    with pytest.raises(Malformed):
        decode_stream(Quirks()).feed(Frame("output", b"\xff"))
