"""Ollama's own chat: what a request becomes beyond the cases of `tests/wire/ollama`, and what its replies mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from oneapi_cli.dialects.dialect import VendorError
from oneapi_cli.dialects.ollama import decode_error, decode_reply, decode_stream, encode_request
from oneapi_cli.dialects.parts import collect
from oneapi_cli.framing.sse import Frame
from oneapi_cli.values.conversation import (
    Citation,
    Conversation,
    FinishReason,
    Hosted,
    Media,
    Opaque,
    OutputFormat,
    Part,
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
from oneapi_cli.values.errors import BadRequest, Malformed
from oneapi_cli.values.events import Event, Failed, Finished, Started, UsageSeen
from oneapi_cli.values.vendor import Quirks, Traits

HELLO = Turn(role="user", parts=(Text(text="Hello"),))
CLOCK, WEATHER = Tool(name="clock"), Tool(name="weather", description="Now.", strict=True)


def talk(*turns: Turn, **members: Any) -> Conversation:
    return Conversation(model="qwen3", turns=turns or (HELLO,), **members)


def encoded(conversation: Conversation) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, notes = encode_request(conversation, Quirks(), Traits())
    decoded = msgspec.json.decode(msgspec.json.encode(body))
    assert isinstance(decoded, dict)
    return decoded, notes


# --- requests -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A conversation, members its body must have (None: must not have), and the notes."""

    name: str
    members: Mapping[str, Any]
    body: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def chose(mode: Any, *names: str) -> Mapping[str, Any]:
    return {"tools": (CLOCK,), "tool_choice": ToolChoice(mode=mode, names=names)}


ASKED = (
    Asked("nothing but to stay whole", {}, {"stream": False, "options": None, "think": None, "format": None}),
    Asked("a stream", {"stream": True}, {"stream": True}),
    Asked("any JSON", {"format": OutputFormat(kind="json_object")}, {"format": "json"}),
    Asked(
        "a schema",
        {"format": OutputFormat(kind="json_schema", schema={"type": "object"})},
        {"format": {"type": "object"}},
    ),
    Asked("text", {"format": OutputFormat(kind="text")}, {"format": None}),
    Asked("thinking off", {"reasoning": Reasoning(enabled=False, budget=100)}, {"think": False}),
    Asked("no effort", {"reasoning": Reasoning(effort="none")}, {"think": False}),
    Asked("thinking on", {"reasoning": Reasoning(enabled=True)}, {"think": True}),
    Asked("adaptive", {"reasoning": Reasoning(adaptive=True)}, {"think": True}),
    Asked("a level", {"reasoning": Reasoning(effort="medium")}, {"think": "medium"}),
    Asked("least", {"reasoning": Reasoning(effort="minimal")}, {"think": "low"}, ("changed:reasoning_effort",)),
    Asked("most", {"reasoning": Reasoning(effort="max")}, {"think": "high"}, ("changed:reasoning_effort",)),
    Asked(
        "a budget",
        {"reasoning": Reasoning(enabled=True, budget=2000)},
        {"think": True},
        ("dropped:thinking_budget",),
    ),
    Asked("only how it is shown", {"reasoning": Reasoning(show=True)}, {"think": None}),
    Asked("its own word", {"extras": {"think": "max", "keep_alive": 0}}, {"think": "max", "keep_alive": 0}),
    Asked(
        "runtime options",
        {"extras": {"options": {"num_ctx": 1, "num_predict": 5000}, "min_p": 0.1, "num_ctx": 2}, "limit": 10},
        {"options": {"num_ctx": 2, "num_predict": 10, "min_p": 0.1}},
    ),
    Asked("unknown", {"extras": {"webhook": "x"}, "user": "u"}, {"webhook": None}, ("dropped:user", "dropped:webhook")),
    Asked("probabilities", {"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    Asked("no call", chose("none"), {"tools": None, "tool_choice": None}, ("changed:tool_choice",)),
    Asked("a call", chose("required"), {"tool_choice": None}, ("dropped:tool_choice",)),
    Asked("this call", chose("named", "clock"), {"tool_choice": None}, ("dropped:tool_choice",)),
    Asked("auto", chose("auto"), {"tool_choice": None}),
)


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.name)
def test_members(case: Asked) -> None:
    body, notes = encoded(talk(**case.members))
    assert {name: body.get(name) for name in case.body} == case.body
    assert notes == case.notes


def test_a_named_tool_is_sent_alone() -> None:
    body, notes = encoded(talk(tools=(WEATHER, CLOCK), tool_choice=ToolChoice(mode="named", names=("weather",))))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]
    assert notes == ("changed:tool_choice", "dropped:tool_choice", "dropped:strict")


def test_texts_are_one_and_pictures_stand_beside_them() -> None:
    parts = (
        Text(text="One."),
        Media(kind="image", media_type="image/png", data="AAAA"),
        Media(kind="document", text="Twelve.", name="answer.txt"),
        Media(kind="image", data="BBBB"),
    )
    body, _ = encoded(talk(Turn(role="user", parts=parts)))
    assert body["messages"] == [
        {"role": "user", "content": "One.\n\nanswer.txt\n\nTwelve.", "images": ["AAAA", "BBBB"]}
    ]


def test_results_name_their_tool() -> None:
    calls = (
        ToolCall(id="a", name="weather", arguments='{"city": "Oslo"}'),
        ToolCall(id="b", name="patch", arguments="*** Begin", custom=True),
        ToolCall(id="c", name="clock", arguments=""),
    )
    shot = Media(kind="image", data="AAAA")
    results = (
        Text(text="Well?"),
        ToolResult(id="a", content=(Text(text="4"), shot)),
        ToolResult(id="b", content=(Text(text="no"),), is_error=True),
        ToolResult(id="c", name="the clock"),
    )
    body, notes = encoded(talk(HELLO, Turn(role="assistant", parts=calls), Turn(role="user", parts=results)))
    assert [call["function"]["arguments"] for call in body["messages"][1]["tool_calls"]] == [
        {"city": "Oslo"},
        {"input": "*** Begin"},
        {},
    ]
    assert body["messages"][2:] == [
        {"role": "tool", "content": "4", "tool_call_id": "a", "tool_name": "weather"},
        {"role": "tool", "content": "Error: no", "tool_call_id": "b", "tool_name": "patch"},
        {"role": "tool", "content": "", "tool_call_id": "c", "tool_name": "the clock"},
        {"role": "user", "content": "Well?", "images": ["AAAA"]},
    ]
    assert notes == ("changed:tool_result_media",)


def test_what_the_model_said() -> None:
    parts = (
        Thinking(text="Hm."),
        Thinking(text="sealed", sealed=Opaque(dialect="gemini", data={})),
        Text(text="So.", citations=(Citation(url="https://a"),)),
        Hosted(kind="web_search", sealed=Opaque(dialect="gemini", data={})),
        Media(kind="audio", data="AAAA", transcript="Spoken."),
        Media(kind="image", data="AAAA"),
    )
    body, notes = encoded(talk(HELLO, Turn(role="assistant", parts=parts), HELLO))
    assert body["messages"][1] == {"role": "assistant", "content": "So.\n\nSpoken.", "thinking": "Hm."}
    assert set(notes) == {
        "dropped:messages.image",
        "dropped:hosted:web_search",
        "dropped:citations",
        "dropped:thinking_signature",
    }


def test_empty_turns_are_left_out() -> None:
    body, _ = encoded(talk(Turn(role="system", parts=()), HELLO, Turn(role="assistant", parts=()), HELLO))
    assert [message["role"] for message in body["messages"]] == ["user", "user"]


@dataclass(frozen=True)
class Refused:
    name: str
    member: str
    parts: tuple[Part, ...] = (Text(text="Hello"),)
    members: Mapping[str, Any] = field(default_factory=dict)


REFUSED = (
    Refused("several answers", "n", members={"outputs": 2}),
    Refused("sound wanted", "modalities", members={"modalities": ("audio",)}),
    Refused("sound given", "messages", (Media(kind="audio", data="AAAA"),)),
    Refused("a PDF", "messages", (Media(kind="document", data="AAAA"),)),
    Refused("a link that was not fetched", "messages", (Media(kind="image", url="https://example.com/a.png"),)),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Refused) -> None:
    with pytest.raises(BadRequest) as refusal:
        encoded(talk(Turn(role="user", parts=case.parts), **case.members))
    assert refusal.value.member == case.member


# --- replies --------------------------------------------------------------------------------------------------------


def replied(**members: Any) -> Reply:
    plain = {"model": "qwen3", "message": {"role": "assistant", "content": "So."}, "done": True}
    reply = decode_reply(plain | members, Quirks())
    assert isinstance(reply, Reply)
    return reply


@dataclass(frozen=True)
class Ended:
    word: str
    finish: FinishReason


@pytest.mark.parametrize(
    "case",
    (Ended("stop", "stop"), Ended("length", "length"), Ended("load", "stop"), Ended("new", "unknown")),
    ids=lambda case: case.word,
)
def test_finishes(case: Ended) -> None:
    assert replied(done_reason=case.word).choices[0].finish == case.finish


def test_parts() -> None:
    message = {
        "role": "assistant",
        "thinking": "Hm.",
        "content": "So.",
        "images": ["AAAA", 3],
        "tool_calls": [
            {"function": {"name": "weather", "arguments": {"city": "Oslo"}}},
            {"id": "c", "function": {"name": "clock", "arguments": '{"zone": 1}'}},
            {"function": {"name": "clock"}},
            "what",
        ],
    }
    choice = replied(message=message, done_reason="stop").choices[0]
    assert choice.parts == (
        Thinking(text="Hm."),
        Text(text="So."),
        Media(kind="image", data="AAAA"),
        ToolCall(id="", name="weather", arguments='{"city":"Oslo"}'),
        ToolCall(id="c", name="clock", arguments='{"zone": 1}'),
        ToolCall(id="", name="clock", arguments="{}"),
    )
    assert choice.finish == "tool_calls"


@dataclass(frozen=True)
class Dated:
    text: Any
    seconds: int


@pytest.mark.parametrize(
    "case",
    (
        Dated("1970-01-01T00:00:09.5Z", 9),
        Dated("1970-01-01T01:00:09.123456789+01:00", 9),
        Dated("1970-01-01T00:00:09", 9),
        Dated("yesterday", 0),
        Dated(None, 0),
        Dated("0001-01-01T00:00:00Z", 0),
    ),
    ids=lambda case: str(case.text),
)
def test_dates(case: Dated) -> None:
    assert replied(created_at=case.text).created == case.seconds


def test_logprobs() -> None:
    items = [{"token": "So", "logprob": -0.5, "top_logprobs": [{"token": "Ah", "logprob": -1, "bytes": [65, 104]}]}]
    assert replied(logprobs=items).choices[0].logprobs == {
        "content": [
            {
                "token": "So",
                "logprob": -0.5,
                "bytes": [83, 111],
                "top_logprobs": [{"token": "Ah", "logprob": -1.0, "bytes": [65, 104]}],
            }
        ],
        "refusal": None,
    }


@dataclass(frozen=True)
class Counted:
    name: str
    members: Mapping[str, Any]
    counts: Mapping[str, int] | None


@pytest.mark.parametrize(
    "case",
    (
        Counted("both", {"prompt_eval_count": 26, "eval_count": 290}, {"input_tokens": 26, "output_tokens": 290}),
        Counted("a cached prompt", {"eval_count": 290}, {"output_tokens": 290}),
        Counted("nothing said", {"prompt_eval_count": 26}, {"input_tokens": 26}),
        Counted(
            "partly cached",
            {"prompt_eval_count": 26, "prompt_eval_cached_count": 20, "eval_count": 1},
            {"input_tokens": 26, "output_tokens": 1, "cache_read_tokens": 20},
        ),
        Counted("nothing", {"total_duration": 5}, None),
    ),
    ids=lambda case: case.name,
)
def test_usage(case: Counted) -> None:
    usage = replied(**case.members).usage
    assert (None if usage is None else usage.counts) == case.counts


def test_errors() -> None:
    assert decode_error(404, b'{"error": "model \'x\' not found"}').message == "model 'x' not found"
    assert decode_reply({"error": "broken"}, Quirks()) == VendorError(message="broken")
    assert decode_reply({"error": {"message": "broken"}}, Quirks()) == VendorError(message="broken")
    with pytest.raises(Malformed):
        decode_reply({"models": []}, Quirks())


# --- streams --------------------------------------------------------------------------------------------------------


def streamed(*lines: Mapping[str, Any]) -> list[Event]:
    decoder = decode_stream(Quirks())
    said = [event for each in lines for event in decoder.feed(Frame("", msgspec.json.encode(each)))]
    return [*said, *decoder.close()]


def more(**message: Any) -> Mapping[str, Any]:
    return {"model": "qwen3", "created_at": "1970-01-01T00:00:09Z", "message": {"role": "assistant", **message}}


def test_a_stream() -> None:
    events = streamed(
        more(thinking="H"),
        more(thinking="m."),
        more(content="So"),
        more(content=".", images=["AAAA"]),
        more(tool_calls=[{"function": {"name": "clock", "arguments": {}}}]),
        {**more(content=""), "done": True, "done_reason": "stop", "eval_count": 3},
        more(content="after the end"),
    )
    assert events[0] == Started(model="qwen3", created=9)
    assert isinstance(events[-2], UsageSeen) and isinstance(events[-1], Finished)
    choice = collect(events).choices[0]
    assert choice.parts == (
        Thinking(text="Hm."),
        Text(text="So."),
        Media(kind="image", data="AAAA"),
        ToolCall(id="", name="clock", arguments="{}"),
    )
    assert choice.finish == "tool_calls"


def test_the_last_line_may_have_the_text() -> None:
    reply = collect(streamed({**more(content="All."), "done": True, "done_reason": ""}))
    assert (reply.choices[0].parts, reply.choices[0].finish) == ((Text(text="All."),), "stop")


def test_an_error_in_the_middle() -> None:
    events = streamed(more(content="So"), {"error": "out of memory"})
    assert Failed(message="out of memory") in events


def test_a_stream_that_just_ends_has_no_finish() -> None:
    assert not any(isinstance(event, Finished) for event in streamed(more(content="So")))


def test_what_is_no_object_is_malformed() -> None:
    for line in (b"[1]", b"{", b"\xff"):
        with pytest.raises(Malformed):
            decode_stream(Quirks()).feed(Frame("", line))
