"""Cohere's chat: what a request becomes beyond the cases of `tests/wire/cohere_chat`, and what its replies mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from oneapi_cli.dialects.cohere_chat import decode_error, decode_reply, decode_stream, encode_request
from oneapi_cli.dialects.dialect import VendorError
from oneapi_cli.dialects.parts import collect
from oneapi_cli.framing.sse import Frame
from oneapi_cli.ledger.cost import cost_of
from oneapi_cli.ledger.prices import line_card
from oneapi_cli.values.conversation import (
    Citation,
    Conversation,
    FinishReason,
    HostedTool,
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
from oneapi_cli.values.events import Event, Failed, Finished, Noted, UsageSeen
from oneapi_cli.values.units import parse_line
from oneapi_cli.values.usage import Usage
from oneapi_cli.values.vendor import Quirks, Traits

HELLO = Turn(role="user", parts=(Text(text="Hello"),))
WEATHER = Tool(name="weather", schema={"type": "object", "properties": {"city": {}}, "required": ["city"]})
CLOCK = Tool(name="clock")


def talk(*turns: Turn, **members: Any) -> Conversation:
    return Conversation(model="command-a", turns=turns or (HELLO,), **members)


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


ASKED = (
    Asked("nothing beside the messages", {}, {"stream": False, "max_tokens": None, "tools": None, "thinking": None}),
    Asked("a stream", {"stream": True}, {"stream": True}),
    Asked("the limit", {"limit": 77}, {"max_tokens": 77}),
    Asked("within bounds", {"top_p": 0.5, "top_k": 3}, {"p": 0.5, "k": 3}),
    Asked("all of the mass", {"top_p": 1.0}, {"p": 0.99}, ("changed:top_p",)),
    Asked("none of the mass", {"top_p": 0.0}, {"p": 0.01}, ("changed:top_p",)),
    Asked("too many candidates", {"top_k": 5000}, {"k": 500}, ("changed:top_k",)),
    Asked("a reward", {"frequency_penalty": -1.0}, {"frequency_penalty": 0.0}, ("changed:frequency_penalty",)),
    Asked("dear words", {"presence_penalty": 1.5}, {"presence_penalty": 1.0}, ("changed:presence_penalty",)),
    Asked("probabilities", {"logprobs": True, "top_logprobs": 2}, {"logprobs": True}, ("dropped:top_logprobs",)),
    Asked("thinking off", {"reasoning": Reasoning(enabled=False)}, {"thinking": {"type": "disabled"}}),
    Asked("no effort", {"reasoning": Reasoning(effort="none")}, {"thinking": {"type": "disabled"}}),
    Asked("no budget", {"reasoning": Reasoning(budget=0)}, {"thinking": {"type": "disabled"}}),
    Asked("thinking on", {"reasoning": Reasoning(enabled=True)}, {"thinking": {"type": "enabled"}}),
    Asked("as it likes", {"reasoning": Reasoning(budget=-1)}, {"thinking": {"type": "enabled"}}),
    Asked("adaptive", {"reasoning": Reasoning(adaptive=True)}, {"thinking": {"type": "enabled"}}),
    Asked("an effort", {"reasoning": Reasoning(effort="low")}, {"thinking": {"type": "enabled", "token_budget": 2048}}),
    Asked("all it can", {"reasoning": Reasoning(effort="max")}, {"thinking": {"type": "enabled"}}),
    Asked(
        "a budget over the limit",
        {"reasoning": Reasoning(enabled=True, budget=9000), "limit": 500},
        {"thinking": {"type": "enabled", "token_budget": 499}},
    ),
    Asked("only how it is shown", {"reasoning": Reasoning(show=True)}, {"thinking": None}),
    Asked("any JSON", {"format": OutputFormat(kind="json_object")}, {"response_format": {"type": "json_object"}}),
    Asked("text", {"format": OutputFormat(kind="text")}, {"response_format": None}),
    Asked(
        "JSON beside tools",
        {"format": OutputFormat(kind="json_object"), "tools": (CLOCK,)},
        {"response_format": None},
        ("dropped:response_format",),
    ),
    Asked(
        "JSON beside documents",
        {"format": OutputFormat(kind="json_object"), "extras": {"documents": ["One."], "unknown": 1}},
        {"response_format": None, "documents": ["One."], "unknown": None},
        ("dropped:unknown", "dropped:response_format"),
    ),
    Asked("auto goes unsaid", {"tools": (CLOCK,), "tool_choice": ToolChoice(mode="auto")}, {"tool_choice": None}),
    Asked("no call", {"tools": (CLOCK,), "tool_choice": ToolChoice(mode="none")}, {"tool_choice": "NONE"}),
    Asked("any call", {"tools": (CLOCK,), "tool_choice": ToolChoice(mode="required")}, {"tool_choice": "REQUIRED"}),
    Asked(
        "the only tool by name",
        {"tools": (CLOCK,), "tool_choice": ToolChoice(mode="named", names=("clock",))},
        {"tool_choice": "REQUIRED"},
    ),
    Asked(
        "a choice without tools",
        {"tool_choice": ToolChoice(mode="required")},
        {"tool_choice": None, "tools": None},
        ("dropped:tool_choice",),
    ),
    Asked("strict for all", {"tools": (msgspec.structs.replace(WEATHER, strict=True),)}, {"strict_tools": True}),
    Asked(
        "strict for some",
        {"tools": (msgspec.structs.replace(WEATHER, strict=True), CLOCK)},
        {"strict_tools": None},
        ("dropped:strict",),
    ),
    Asked(
        "what others run",
        {"hosted": (HostedTool(kind="web_search", own=Opaque(dialect="other", data={})),), "parallel_tools": False},
        {},
        ("dropped:tool:web_search",),
    ),
    Asked(
        "the rest",
        {"user": "u", "store": True, "tier": "flex", "verbosity": "low", "metadata": {"a": "b"}, "cache_key": "k"},
        {},
        (
            "dropped:verbosity",
            "dropped:service_tier",
            "dropped:user",
            "dropped:metadata",
            "dropped:prompt_cache_key",
            "dropped:store",
        ),
    ),
)


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.name)
def test_members(case: Asked) -> None:
    body, notes = encoded(talk(**case.members))
    assert {name: body.get(name) for name in case.body} == case.body
    assert notes == case.notes


def test_a_named_tool_is_sent_alone() -> None:
    body, notes = encoded(talk(tools=(WEATHER, CLOCK), tool_choice=ToolChoice(mode="named", names=("clock",))))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["clock"]
    assert body["tool_choice"] == "REQUIRED"
    assert notes == ("changed:tool_choice",)


def test_a_tool_without_a_schema_takes_no_arguments() -> None:
    body, _ = encoded(talk(tools=(CLOCK,)))
    assert body["tools"] == [
        {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
    ]


def test_free_text_becomes_a_member() -> None:
    tool = Tool(name="patch", custom=True, grammar={"type": "grammar", "definition": "start: LINE"})
    call = ToolCall(id="c", name="patch", arguments="*** Begin", custom=True)
    answer = ToolResult(id="c", content=(Text(text="done"),), custom=True)
    turns = (Turn(role="assistant", parts=(call,)), Turn(role="user", parts=(answer,)))
    body, notes = encoded(talk(HELLO, *turns, tools=(tool,)))
    schema = body["tools"][0]["function"]["parameters"]
    assert schema["required"] == ["input"] and "start: LINE" in schema["properties"]["input"]["description"]
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"input":"*** Begin"}'
    assert notes == ("changed:tool:custom",)


def test_answers_stand_right_after_their_calls() -> None:
    """Whatever the turns they came in, and whatever was said between them."""
    turns = (
        HELLO,
        Turn(role="assistant", parts=(ToolCall(id="a", name="weather"),)),
        Turn(role="assistant", parts=(ToolCall(id="b", name="clock"),)),
        Turn(role="user", parts=(Text(text="Wait."), ToolResult(id="a", content=(Text(text="4"),)))),
        Turn(role="user", parts=(ToolResult(id="b", content=(Text(text="no clock"),), is_error=True),)),
        Turn(role="user", parts=(Text(text="Well?"),)),
    )
    body, notes = encoded(talk(*turns))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert [call["id"] for call in body["messages"][1]["tool_calls"]] == ["a", "b"]
    assert [message["content"] for message in body["messages"][2:4]] == ["4", "Error: no clock"]
    assert body["messages"][4]["content"] == [{"type": "text", "text": "Wait."}, {"type": "text", "text": "Well?"}]
    assert notes == ()


def test_calls_without_ids_are_numbered_by_name() -> None:
    turns = (
        HELLO,
        Turn(role="assistant", parts=(ToolCall(id="", name="weather"), ToolCall(id="", name="weather"))),
        Turn(role="user", parts=(ToolResult(id="", name="weather"), ToolResult(id="", name="weather"))),
    )
    body, _ = encoded(talk(*turns))
    ids = [call["id"] for call in body["messages"][1]["tool_calls"]]
    assert len(set(ids)) == 2 and all(ids)
    assert [message["tool_call_id"] for message in body["messages"][2:]] == ids


def test_pictures_in_an_answer_follow_it() -> None:
    picture = Media(kind="image", media_type="image/jpeg", data="AAAA")
    answer = ToolResult(id="a", content=(Text(text="here"), picture))
    turns = (
        HELLO,
        Turn(role="assistant", parts=(ToolCall(id="a", name="shot"),)),
        Turn(role="user", parts=(answer, Text(text="See?"))),
    )
    body, notes = encoded(talk(*turns))
    assert body["messages"][2]["content"] == "here"
    assert body["messages"][3]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
        {"type": "text", "text": "See?"},
    ]
    assert notes == ("changed:tool_result_media",)


def test_a_plain_document_is_text() -> None:
    paper = Media(kind="document", media_type="text/plain", text="Twelve.", name="answer.txt", cites=True)
    body, notes = encoded(talk(Turn(role="user", parts=(paper, Text(text="How many?")))))
    assert body["messages"][0]["content"][0] == {"type": "text", "text": "answer.txt\n\nTwelve."}
    assert notes == ("dropped:citations",)


def test_own_thoughts_go_back_and_others_do_not() -> None:
    own = Thinking(text="said", sealed=Opaque(dialect="cohere_chat", data={"thinking": "as it was"}))
    plan = Thinking(text="plan", sealed=Opaque(dialect="cohere_chat", data={"tool_plan": "look it up"}))
    foreign = Thinking(text="hm", sealed=Opaque(dialect="gemini", data={"thoughtSignature": "x"}))
    parts = (own, Thinking(text="plain"), foreign, Text(text="So."), plan, ToolCall(id="a", name="clock"))
    answered = Turn(role="user", parts=(ToolResult(id="a"),))
    body, notes = encoded(talk(HELLO, Turn(role="assistant", parts=parts), answered))
    assert body["messages"][1] == {
        "role": "assistant",
        "tool_plan": "look it up",
        "content": [{"type": "thinking", "thinking": "as it was"}, {"type": "text", "text": "So."}],
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "clock", "arguments": "{}"}}],
    }
    assert notes == ("dropped:thinking", "dropped:thinking_signature")


def test_own_citations_go_back_once() -> None:
    raw = Opaque(dialect="cohere_chat", data={"start": 0, "end": 2})
    cited = Text(
        text="So.", citations=(Citation(raw=raw), Citation(raw=raw, url="https://a"), Citation(url="https://b"))
    )
    body, notes = encoded(talk(HELLO, Turn(role="assistant", parts=(cited,)), HELLO))
    assert body["messages"][1]["citations"] == [{"start": 0, "end": 2}]
    assert notes == ("dropped:citations",)


def test_empty_turns_are_left_out() -> None:
    empty = Turn(role="assistant", parts=(Thinking(text="hm"),))
    body, _ = encoded(talk(Turn(role="system", parts=()), HELLO, empty, Turn(role="user", parts=(Text(text=""),))))
    assert body["messages"] == [
        {"role": "user", "content": "Hello"},
    ]


@dataclass(frozen=True)
class Refused:
    name: str
    member: str
    parts: tuple[Part, ...] = (Text(text="Hello"),)
    members: Mapping[str, Any] = field(default_factory=dict)


REFUSED = (
    Refused("several answers", "n", members={"outputs": 2}),
    Refused("sound wanted", "modalities", members={"modalities": ("text", "audio")}),
    Refused("sound given", "messages", (Media(kind="audio", data="AAAA"),)),
    Refused("a film", "messages", (Media(kind="video", url="https://example.com/a.mp4"),)),
    Refused("a PDF", "messages", (Media(kind="document", media_type="application/pdf", data="AAAA"),)),
    Refused("another vendor's file", "messages", (Media(kind="image", file_id="file-1", origin="openai_chat"),)),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Refused) -> None:
    with pytest.raises(BadRequest) as refusal:
        encoded(talk(Turn(role="user", parts=case.parts), **case.members))
    assert refusal.value.member == case.member


# --- replies --------------------------------------------------------------------------------------------------------


def replied(**members: Any) -> Reply:
    reply = decode_reply(
        {"id": "r", "finish_reason": "COMPLETE", "message": {"role": "assistant"}, **members}, Quirks()
    )
    assert isinstance(reply, Reply)
    return reply


@dataclass(frozen=True)
class Ended:
    word: str
    finish: FinishReason


@pytest.mark.parametrize(
    "case",
    (
        Ended("COMPLETE", "stop"),
        Ended("STOP_SEQUENCE", "stop_sequence"),
        Ended("MAX_TOKENS", "length"),
        Ended("ERROR_TOXIC", "content_filter"),
        Ended("NEW_ONE", "unknown"),
        Ended("ERROR", "error"),
        Ended("TIMEOUT", "error"),
    ),
    ids=lambda case: case.word,
)
def test_finishes(case: Ended) -> None:
    said = {"role": "assistant", "content": [{"type": "text", "text": "So."}]}
    reply = replied(finish_reason=case.word, message=said)
    assert (reply.choices[0].finish, reply.choices[0].raw_finish) == (case.finish, case.word)


def test_a_generation_that_failed_before_it_spoke_is_an_error() -> None:
    error = decode_reply({"id": "r", "finish_reason": "TIMEOUT", "message": {"role": "assistant"}}, Quirks())
    assert isinstance(error, VendorError) and "TIMEOUT" in error.message


def test_an_error_in_a_200() -> None:
    assert decode_reply({"message": "no such model"}, Quirks()) == VendorError(message="no such model")


def test_no_message_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode_reply({"id": "r"}, Quirks())


def test_plan_and_calls() -> None:
    call = {"id": "w1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    reply = replied(message={"tool_plan": "Look.", "tool_calls": [call]}, finish_reason="COMPLETE")
    choice = reply.choices[0]
    assert choice.finish == "tool_calls"
    plan, made = choice.parts
    assert plan == Thinking(text="Look.", sealed=Opaque(dialect="cohere_chat", data={"tool_plan": "Look."}))
    assert made == ToolCall(id="w1", name="weather", arguments="{}")


def test_citations_stand_in_the_text_that_they_are_of() -> None:
    document = {"type": "document", "id": "d", "document": {"title": "T", "url": "https://a", "text": "quoted"}}
    tool = {"type": "tool", "id": "w:0", "tool_output": {"celsius": "4"}}
    content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "A."}, {"type": "text", "text": "B."}]
    citations = [
        {"start": 0, "end": 1, "text": "A", "sources": [document, tool], "content_index": 1},
        {"start": 0, "end": 1, "text": "B", "sources": [], "content_index": 2},
        {"start": 0, "end": 2, "text": "Hm", "sources": [tool], "type": "THINKING_CONTENT"},
    ]
    reply = replied(message={"content": content, "citations": citations})
    _, first, second = reply.choices[0].parts
    assert isinstance(first, Text) and isinstance(second, Text)
    assert [(c.url, c.title, c.quoted, c.start, c.end) for c in first.citations] == [
        ("https://a", "T", "quoted", 0, 1),
        ("", "w:0", "", 0, 1),
    ]
    assert len(second.citations) == 1
    assert reply.notes == ("dropped:citations",)


def test_logprobs() -> None:
    items = [{"text": " so", "token_ids": [1, 2], "logprobs": [-0.25, -0.5]}, {"text": "", "token_ids": []}]
    assert replied(logprobs=items).choices[0].logprobs == {
        "content": [{"token": " so", "logprob": -0.75, "bytes": [32, 115, 111], "top_logprobs": []}],
        "refusal": None,
    }


@dataclass(frozen=True)
class Counted:
    name: str
    block: Any
    counts: Mapping[str, int] | None
    billed: Mapping[str, int] | None = None


BILLED = {"input_tokens": 41.0, "output_tokens": 28.0}
TOKENS = {"input_tokens": 1442.0, "output_tokens": 29.0}


@pytest.mark.parametrize(
    "case",
    (
        Counted(
            "both",
            {"billed_units": BILLED, "tokens": TOKENS, "cached_tokens": 1040.0},
            {"input_tokens": 1442, "output_tokens": 29, "cache_read_tokens": 1040},
            {"input_tokens": 41, "output_tokens": 28},
        ),
        Counted("alike", {"billed_units": TOKENS, "tokens": TOKENS}, {"input_tokens": 1442, "output_tokens": 29}),
        Counted("all that was read", {"tokens": TOKENS}, {"input_tokens": 1442, "output_tokens": 29}),
        Counted("what is charged", {"billed_units": BILLED}, {"input_tokens": 41, "output_tokens": 28}),
        Counted("half of it", {"tokens": {"input_tokens": 1442}}, None),
        Counted("nothing", None, None),
        Counted("words", {"tokens": "many", "billed_units": {"input_tokens": "a", "output_tokens": -1}}, None),
    ),
    ids=lambda case: case.name,
)
def test_usage(case: Counted) -> None:
    usage = replied(usage=case.block).usage
    assert (None if usage is None else usage.counts) == case.counts
    assert (None if usage is None else usage.billed) == case.billed


def test_errors() -> None:
    error = decode_error(404, b'{"id": "1", "message": "model not found"}')
    assert (error.message, error.status, error.is_vendor_body) == ("model not found", 404, True)


# --- streams --------------------------------------------------------------------------------------------------------


def streamed(*events: Mapping[str, Any]) -> list[Event]:
    decoder = decode_stream(Quirks())
    said = [event for each in events for event in decoder.feed(Frame("", msgspec.json.encode(each)))]
    return [*said, *decoder.close()]


def delta(kind: str, message: Mapping[str, Any], **members: Any) -> Mapping[str, Any]:
    return {"type": kind, "delta": {"message": message}, **members}


END = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}


def test_blocks_stay_apart() -> None:
    """Two texts in a row are two, and each thought is sealed with its own text."""
    events = streamed(
        {"type": "message-start", "id": "m"},
        delta("content-start", {"content": {"type": "thinking", "thinking": "One"}}, index=0),
        delta("content-delta", {"content": {"thinking": "."}}, index=0),
        {"type": "content-end", "index": 0},
        delta("content-start", {"content": {"type": "thinking", "thinking": "Two."}}, index=1),
        delta("content-start", {"content": {"type": "text", "text": "A"}}, index=2),
        delta("content-delta", {"content": {"text": "."}}, index=2),
        {"type": "content-end", "index": 2},
        delta("content-start", {"content": {"type": "text", "text": "B."}}, index=3),
        END,
    )
    reply = collect(events)
    assert reply.id == "m"
    assert reply.choices[0].parts == (
        Thinking(text="One.", sealed=Opaque(dialect="cohere_chat", data={"thinking": "One."})),
        Thinking(text="Two.", sealed=Opaque(dialect="cohere_chat", data={"thinking": "Two."})),
        Text(text="A."),
        Text(text="B."),
    )


def test_citations_without_a_text_are_noted() -> None:
    cite = delta("citation-start", {"citations": {"start": 0, "end": 1, "sources": []}}, index=0)
    events = streamed(cite, delta("content-delta", {"content": {"text": "A"}}), cite, END)
    assert [event for event in events if isinstance(event, Noted)] == [Noted(notes=("dropped:citations",))]
    (text,) = collect(events).choices[0].parts
    assert isinstance(text, Text) and len(text.citations) == 1


def test_a_call_without_an_end_is_ended() -> None:
    start = delta(
        "tool-call-start", {"tool_calls": {"id": "a", "function": {"name": "clock", "arguments": "{"}}}, index=0
    )
    more = delta("tool-call-delta", {"tool_calls": {"function": {"arguments": "}"}}}, index=0)
    stray = delta("tool-call-delta", {"tool_calls": {"function": {"arguments": "?"}}}, index=9)
    events = streamed(start, more, stray, END)
    reply = collect(events)
    assert reply.choices[0].parts == (ToolCall(id="a", name="clock", arguments="{}"),)
    assert reply.choices[0].finish == "tool_calls"


def test_usage_stands_before_the_end() -> None:
    end = {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS", "usage": {"tokens": TOKENS}}}
    events = streamed(delta("content-delta", {"content": {"text": "A"}}), end)
    assert isinstance(events[-2], UsageSeen) and isinstance(events[-1], Finished)
    assert events[-1].finish == "length"


@pytest.mark.parametrize(
    "said",
    ({"message": "internal server error"}, {"type": "error", "message": "internal server error"}),
    ids=("bare", "typed"),
)
def test_an_error_where_an_event_was_due(said: Mapping[str, Any]) -> None:
    assert streamed(said) == [Failed(message="internal server error")]


def test_a_stream_that_just_ends_has_no_finish() -> None:
    events = streamed(delta("content-delta", {"content": {"text": "A"}}))
    assert not any(isinstance(event, Finished) for event in events)


def test_what_is_no_object_is_malformed() -> None:
    for data in (b"[1]", b"{", b"\xff"):
        with pytest.raises(Malformed):
            decode_stream(Quirks()).feed(Frame("", data))
    assert decode_stream(Quirks()).feed(Frame("", b"[DONE]")) == []
    assert decode_stream(Quirks()).feed(Frame("ping", None)) == []


def test_what_is_billed_is_charged() -> None:
    """The preamble of Cohere's own that `tokens` counts is not on its bill."""
    card = line_card("m", parse_line("m", {"input": "1", "output": "1"}), "config")
    usage = Usage(counts={"input_tokens": 1442, "output_tokens": 29}, billed={"input_tokens": 41, "output_tokens": 28})
    assert cost_of(usage, card.sheet(datetime(2026, 11, 1, tzinfo=UTC), {})).nanos == 69_000
