"""What compatible vendors answer, whole and in streams, down to their oddities."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from oneapi_cli.dialects import VendorError
from oneapi_cli.dialects.openai_chat import decode_reply, decode_stream
from oneapi_cli.dialects.openai_chat_thoughts import InlineThoughts
from oneapi_cli.dialects.parts import collect
from oneapi_cli.framing.sse import Frame
from oneapi_cli.values.conversation import (
    Choice,
    Citation,
    Hosted,
    Media,
    Opaque,
    Part,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
)
from oneapi_cli.values.errors import Malformed
from oneapi_cli.values.events import (
    Delta,
    Event,
    Failed,
    Finished,
    PartDone,
    PartStarted,
    Started,
    UsageSeen,
)
from oneapi_cli.values.vendor import Quirks

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 10).decode()
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
COUNTS = {"input_tokens": 5, "output_tokens": 2}


def own(**data: Any) -> Opaque:
    return Opaque(dialect="openai_chat", data=data)


def function(name: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


# --- whole replies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Whole:
    """A message (and what stands beside it) and the choice that it is."""

    name: str
    message: dict[str, Any]
    parts: tuple[Part, ...]
    finish: str = "stop"
    choice: dict[str, Any] = field(default_factory=lambda: {"finish_reason": "stop"})
    payload: dict[str, Any] = field(default_factory=dict)
    stop_sequence: str = ""
    raw: str = "stop"
    explanation: str = ""


THOUGHT = {"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}
HIDDEN = {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "index": 0}
SUMMARY = {"type": "reasoning.summary", "summary": "Sum", "format": "openai-responses-v1", "index": 0}
SIGNATURE = {"thought_signature": "c2ln"}
GOOGLE = {"google": SIGNATURE}
SEARCH = {"type": "search", "arguments": '{"query":"x"}', "output": "found", "index": 0}
CITED: dict[str, Any] = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A", "start_index": 3, "end_index": 5},
}
UNPLACED = {
    "type": "url_citation",
    "url_citation": {"url": "https://b.example", "title": "", "content": "says", "start_index": 0, "end_index": 0},
}


def ends(word: str | None, finish: str, *parts: Part, **choice: Any) -> Whole:
    calls = [function(part.name, part.arguments, id=part.id) for part in parts if isinstance(part, ToolCall)]
    texts = [part.text for part in parts if isinstance(part, Text)]
    message = {"content": "".join(texts) or None, "tool_calls": calls or None}
    raw = choice.get("native_finish_reason") or word or ""
    return Whole(f"ends with {word}", message, parts, finish, {"finish_reason": word, **choice}, raw=raw)


HI, CALL = Text(text="Hi"), ToolCall(id="a", name="f")

WHOLE = [
    Whole("text", {"role": "assistant", "content": "Hi", "refusal": None, "tool_calls": None}, (HI,)),
    Whole("nothing", {"content": ""}, ()),
    Whole("thoughts beside it", {"content": "Hi", "reasoning_content": "Hm"}, (Thinking(text="Hm"), HI)),
    Whole("in the other member", {"content": "Hi", "reasoning": "Hm"}, (Thinking(text="Hm"), HI)),
    Whole(
        "in both, the same", {"content": "Hi", "reasoning": "Hm", "reasoning_content": "Hm"}, (Thinking(text="Hm"), HI)
    ),
    Whole(
        "thoughts in tags", {"content": "<think>\nHm\n</think>\n\nHi"}, (Thinking(text="\nHm\n"), Text(text="\n\nHi"))
    ),
    Whole("after white space", {"content": "\n<think>Hm</think>Hi"}, (Thinking(text="Hm"), HI)),
    Whole("never closed", {"content": "<think>Hm"}, (Thinking(text="Hm"),)),
    Whole("an empty thought", {"content": "<think></think>Hi"}, (HI,)),
    Whole("tags later on are text", {"content": "Say <think>x</think>"}, (Text(text="Say <think>x</think>"),)),
    Whole("no tag after all", {"content": "<thin ice"}, (Text(text="<thin ice"),)),
    Whole(
        "details with their text",
        {"content": "Hi", "reasoning": "Hm", "reasoning_details": [THOUGHT]},
        (Thinking(text="Hm", sealed=own(reasoning_details=[THOUGHT])), HI),
    ),
    Whole(
        "details alone",
        {"content": "Hi", "reasoning": None, "reasoning_details": [SUMMARY, HIDDEN]},
        (Thinking(text="Sum", sealed=own(reasoning_details=[SUMMARY, HIDDEN])), HI),
    ),
    Whole(
        "a hidden thought",
        {"content": "Hi", "reasoning_details": [HIDDEN]},
        (HI, Thinking(sealed=own(reasoning_details=[HIDDEN]))),
    ),
    Whole(
        "an array of parts",
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True},
                {"type": "text", "text": "H"},
                {"type": "reference", "reference_ids": [1]},
                {"type": "text", "text": "i"},
                {"type": "unheard_of"},
            ]
        },
        (Thinking(text="Hm"), HI),
    ),
    Whole(
        "a thought as one string, a picture",
        {
            "content": [
                {"type": "thinking", "thinking": "Hm"},
                {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
            ]
        },
        (Thinking(text="Hm"), Media(kind="image", media_type="image/png", data=PNG)),
    ),
    Whole(
        "a signature of Google's with a call without id",
        {"tool_calls": [function("f", "{}", id="", extra_content=GOOGLE)]},
        (Thinking(sealed=own(extra_content=GOOGLE, call="")), ToolCall(id="", name="f")),
        finish="tool_calls",
    ),
    Whole(
        "a signature of a message",
        {
            "extra_content": {"google": {"thought": True, **SIGNATURE}},
            "tool_calls": [function("f", "{}", id="a")],
        },
        (
            Thinking(sealed=own(extra_content={"google": {"thought": True, **SIGNATURE}}, call="")),
            CALL,
        ),
        finish="tool_calls",
    ),
    Whole(
        "a thought of Google's",
        {"content": "<thought>Hm</thought>Hi", "extra_content": {"google": {"thought": True}}},
        (Thinking(text="Hm"), HI),
    ),
    Whole(
        "and without tags",
        {"content": "Hm", "extra_content": {"google": {"thought": True}}},
        (Thinking(text="Hm"),),
    ),
    Whole(
        "calls, the same twice",
        {"tool_calls": [function("f", ""), function("f", None)]},
        (ToolCall(id="", name="f"), ToolCall(id="", name="f")),
        finish="tool_calls",
    ),
    Whole(
        "arguments as an object",
        {"tool_calls": [function("f", {"a": 1}, id="a")]},
        (ToolCall(id="a", name="f", arguments='{"a":1}'),),
        finish="tool_calls",
    ),
    Whole(
        "a call in free text",
        {"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
        (ToolCall(id="a", name="sh", arguments="ls", custom=True),),
        finish="tool_calls",
    ),
    Whole(
        "a call of the older kind",
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        (ToolCall(id="", name="f"),),
        finish="tool_calls",
        choice={"finish_reason": "function_call"},
        raw="function_call",
    ),
    Whole("a refusal", {"content": None, "refusal": "No"}, (Refusal(text="No"),), finish="refusal"),
    Whole(
        "what the vendor ran itself",
        {"content": "Hi", "executed_tools": [SEARCH, {"type": "python"}, {"name": "visit_website"}]},
        (
            Hosted(kind="web_search", sealed=Opaque(dialect="openai_chat", data=SEARCH)),
            Hosted(kind="code_execution", sealed=own(type="python")),
            Hosted(kind="url_context", sealed=own(name="visit_website")),
            HI,
        ),
    ),
    Whole(
        "sources, with a place and without",
        {"content": "He said", "annotations": [CITED, UNPLACED, {"type": "file", "file": {"name": "a"}}, "x"]},
        (
            Text(
                text="He said",
                citations=(
                    Citation(
                        url="https://a.example",
                        title="A",
                        start=3,
                        end=5,
                        raw=Opaque(dialect="openai_chat", data=CITED),
                    ),
                    Citation(url="https://b.example", quoted="says", raw=Opaque(dialect="openai_chat", data=UNPLACED)),
                ),
            ),
        ),
    ),
    Whole(
        "places behind a thought that stood in the content",
        {
            "content": "<think>x</think>He said",
            "annotations": [{**CITED, "url_citation": {**CITED["url_citation"], "start_index": 19, "end_index": 21}}],
        },
        (
            Thinking(text="x"),
            Text(
                text="He said",
                citations=(
                    Citation(
                        url="https://a.example",
                        title="A",
                        start=3,
                        end=5,
                        raw=Opaque(
                            dialect="openai_chat",
                            data={
                                **CITED,
                                "url_citation": {**CITED["url_citation"], "start_index": 19, "end_index": 21},
                            },
                        ),
                    ),
                ),
            ),
        ),
    ),
    Whole(
        "sources of the whole reply",
        {"content": "Hi"},
        (Text(text="Hi", citations=(Citation(url="https://a.example", title="A", quoted="s"),)),),
        payload={
            "citations": ["https://a.example"],
            "search_results": [{"title": "A", "url": "https://a.example", "snippet": "s", "date": None}],
        },
    ),
    Whole(
        "addresses alone",
        {"content": "Hi"},
        (Text(text="Hi", citations=(Citation(url="https://a.example"),)),),
        payload={"citations": ["https://a.example", None]},
    ),
    Whole(
        "sound and pictures",
        {
            "content": None,
            "audio": {"id": "audio_1", "data": "UklGRg==", "transcript": "Hi", "expires_at": 5},
            "images": [{"type": "image_url", "image_url": {"url": "https://a.example/a.png"}}],
        },
        (
            Media(kind="image", url="https://a.example/a.png"),
            Media(kind="audio", media_type="audio/pcm", data="UklGRg==", transcript="Hi"),
        ),
    ),
    ends("stop", "stop", HI),
    ends("length", "length", HI),
    ends("model_length", "context", HI),
    ends("content_filter", "content_filter", HI),
    ends("sensitive", "content_filter", HI),
    ends("network_error", "error", HI),
    ends("something new", "unknown", HI),
    ends(None, "stop", HI),
    ends("", "stop", HI),
    ends(None, "tool_calls", CALL),
    ends("stop", "tool_calls", CALL),
    ends("STOP", "tool_calls", CALL),
    ends("something new", "tool_calls", CALL),
    ends("length", "length", CALL),
    ends("tool_calls", "stop", HI),
    ends("stop", "stop", HI, native_finish_reason="end_turn"),
    Whole(
        "a stop sequence as vLLM names it",
        {"content": "Hi"},
        (HI,),
        finish="stop_sequence",
        choice={"finish_reason": "stop", "stop_reason": "END"},
        stop_sequence="END",
    ),
    Whole("a stop token", {"content": "Hi"}, (HI,), choice={"finish_reason": "stop", "stop_reason": 128009}),
]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_whole(case: Whole) -> None:
    payload = {"choices": [{"index": 0, "message": case.message, **case.choice}], **case.payload}
    reply = decode_reply(payload, Quirks())
    assert isinstance(reply, Reply)
    assert reply.choices == [
        Choice(parts=case.parts, finish=case.finish, raw_finish=case.raw, stop_sequence=case.stop_sequence)  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_whole_as_one_delta(case: Whole) -> None:
    """A vendor that sends all of it in one chunk says the same, but for calls that nothing tells apart."""
    if case.name == "calls, the same twice":
        pytest.skip("in a stream the second goes on with the first")
    chunk = {"choices": [{"index": 0, "delta": case.message, **case.choice}], **case.payload}
    (choice,) = collect(events_of([chunk])).choices
    assert choice.parts == case.parts
    assert choice.finish == case.finish


def test_what_stands_beside_the_choices() -> None:
    logprobs: dict[str, Any] = {
        "content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}],
        "refusal": None,
    }
    reply = decode_reply(
        {
            "id": "c-1",
            "created": 17.5,
            "model": "m",
            "system_fingerprint": "fp",
            "service_tier": "flex",
            "choices": [
                {"index": 0, "message": {"content": "A"}, "finish_reason": "stop", "logprobs": logprobs},
                {"index": 1, "message": {"content": "B"}, "finish_reason": "length"},
            ],
            "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 3}},
        },
        Quirks(),
    )
    assert isinstance(reply, Reply)
    assert (reply.id, reply.created, reply.model, reply.fingerprint) == ("c-1", 17, "m", "fp")
    assert [choice.finish for choice in reply.choices] == ["stop", "length"]
    assert reply.choices[0].logprobs == logprobs
    assert reply.usage is not None
    assert reply.usage.counts == {**COUNTS, "cache_read_tokens": 3}
    assert reply.usage.tier == "flex"


@pytest.mark.parametrize(
    ("payload", "counts"),
    [
        ({"usage": USAGE}, COUNTS),
        ({"x_groq": {"usage": USAGE}}, COUNTS),
        ({"usage": None}, None),
        ({}, None),
    ],
)
def test_usage_wherever_it_stands(payload: dict[str, Any], counts: dict[str, int] | None) -> None:
    reply = decode_reply({"choices": [{"message": {"content": "Hi"}}], **payload}, Quirks())
    assert isinstance(reply, Reply)
    assert (reply.usage and reply.usage.counts) == counts


@dataclass(frozen=True)
class Refused:
    payload: dict[str, Any]
    message: str
    code: str | None = None
    status: int | None = None


REFUSED = [
    Refused({"error": {"message": "No", "code": 429}}, "No", "429", 429),
    Refused({"error": "No"}, "No", "bad_response_status_code"),
    Refused({"error": {"message": "No", "code": "x", "status_code": 400}}, "No", "x", 400),
    Refused({"choices": [{"error": {"message": "No", "code": 502}, "finish_reason": "error"}]}, "No", "502", 502),
    Refused({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "No"}}, "No", "1004"),
    Refused({"object": "error", "message": "No", "code": 400}, "No", "400"),
    Refused({"detail": "No"}, "No", "bad_response_status_code"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: json.dumps(case.payload))
def test_errors_inside_a_200(case: Refused) -> None:
    error = decode_reply(case.payload, Quirks())
    assert isinstance(error, VendorError)
    assert (error.message, error.code, error.status) == (case.message, case.code, case.status)
    events = events_of([case.payload], close=False)
    assert events[-1] == Failed(message=case.message, type=error.type or "", code=case.code or "", status=case.status)


@pytest.mark.parametrize("payload", [{}, {"choices": []}, {"choices": [None]}, {"choices": [], "usage": USAGE}])
def test_an_answer_without_choices_is_malformed(payload: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode_reply(payload, Quirks())


# --- streams --------------------------------------------------------------------------------------------------------


def events_of(
    chunks: Sequence[Any], *, done: bool = True, close: bool = True, quirks: Quirks | None = None
) -> list[Event]:
    """chunks: objects, or Frames as they are."""
    decoder = decode_stream(quirks or Quirks())
    events: list[Event] = []
    for chunk in chunks:
        frame = chunk if isinstance(chunk, Frame) else Frame("", json.dumps(chunk).encode())
        events += decoder.feed(frame)
    if done:
        events += decoder.feed(Frame("", b"[DONE]"))
    if close:
        events += decoder.close()
        assert decoder.close() == []
        assert decoder.feed(Frame("", b'{"choices":[{"delta":{"content":"late"}}]}')) == []
    return events


def delta(finish: str | None = None, *, index: int = 0, **members: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": index, "delta": members, "finish_reason": finish}]}


def calls(*pieces: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return delta(finish, tool_calls=list(pieces))


def piece(arguments: str | None = None, name: str | None = None, **more: Any) -> dict[str, Any]:
    held = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**more, "function": held}


@dataclass(frozen=True)
class Streamed:
    """Chunks and the parts that they are."""

    name: str
    chunks: list[Any]
    parts: tuple[Part, ...]
    finish: str = "stop"
    usage: dict[str, int] | None = None
    done: bool = True


TWO = (ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="g", arguments="{}"))
NAMELESS = (ToolCall(id="", name="f", arguments='{"x":1}'), ToolCall(id="", name="g", arguments="{}"))
STOP = delta("stop")

STREAMED = [
    Streamed("text", [delta(role="assistant", content=""), delta(content="H"), delta(content="i"), STOP], (HI,)),
    Streamed("the last text with the finish", [delta(content="H"), delta("stop", content="i")], (HI,)),
    Streamed("an empty finish until then", [delta("", content="H"), delta("", content="i"), STOP], (HI,)),
    Streamed("a finish given twice", [delta(content="Hi"), STOP, STOP], (HI,)),
    Streamed("a finish that never comes", [delta(content="Hi")], (HI,)),
    Streamed("the same with calls", [calls(piece("{}", "f", index=0, id="a"))], (CALL,), finish="tool_calls"),
    Streamed("nothing but the end", [], ()),
    Streamed("no [DONE], all finished", [delta(content="Hi"), delta("length")], (HI,), finish="length", done=False),
    Streamed(
        "no finish and no [DONE], usage last",
        [delta(content="Hi"), {"choices": [], "usage": USAGE}],
        (HI,),
        usage=COUNTS,
        done=False,
    ),
    Streamed(
        "Azure's first chunk, pings, other shapes",
        [
            {"id": "", "model": "", "choices": [], "prompt_filter_results": []},
            {"type": "ping"},
            Frame("", None),
            Frame("", b"null"),
            Frame("", b"[]"),
            Frame("", b"7"),
            delta(content="Hi"),
            {"choices": [{"index": 0, "delta": None}, None]},
            STOP,
        ],
        (HI,),
    ),
    Streamed(
        "text, thoughts and text again",
        [
            delta(reasoning="H"),
            delta(reasoning="m"),
            delta(content="H"),
            delta(content="i"),
            delta(reasoning="x"),
            delta(content="!"),
            STOP,
        ],
        (Thinking(text="Hm"), HI, Thinking(text="x"), Text(text="!")),
    ),
    Streamed(
        "thoughts in Mistral's parts",
        [
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "H"}]}]),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]),
            delta(content="Hi"),
            STOP,
        ],
        (Thinking(text="Hm"), HI),
    ),
    Streamed(
        "details in pieces, their seal when the thought is over",
        [
            delta(
                reasoning="H", reasoning_details=[{"type": "reasoning.text", "text": "H", "index": 0, "format": "f"}]
            ),
            delta(
                reasoning="m", reasoning_details=[{"type": "reasoning.text", "text": "m", "index": 0, "format": "f"}]
            ),
            delta(reasoning_details=[{"type": "reasoning.text", "signature": "s", "index": 0, "format": "f"}]),
            delta(content="Hi"),
            delta(reasoning_details=[HIDDEN]),
            STOP,
        ],
        (
            Thinking(
                text="Hm",
                sealed=own(
                    reasoning_details=[
                        {"type": "reasoning.text", "text": "Hm", "index": 0, "format": "f", "signature": "s"}
                    ]
                ),
            ),
            HI,
            Thinking(sealed=own(reasoning_details=[HIDDEN])),
        ),
    ),
    # calls
    Streamed(
        "calls by index",
        [
            calls(piece("", "f", index=0, id="a", type="function")),
            calls(piece('{"x"', index=0)),
            calls(piece(":1}", index=0)),
            calls(piece("", "g", index=1, id="b")),
            calls(piece("{}", index=1)),
            delta("tool_calls"),
        ],
        TWO,
        finish="tool_calls",
    ),
    Streamed(
        "calls that overlap",
        [
            calls(piece("", "f", index=0, id="a"), piece("", "g", index=1, id="b")),
            calls(piece('{"x"', index=0), piece("{", index=1)),
            calls(piece("}", index=1), piece(":1}", index=0)),
            STOP,
        ],
        TWO,
        finish="tool_calls",
    ),
    Streamed(
        "all in one chunk, without index",
        [calls(piece('{"x":1}', "f", id="a"), piece("{}", "g", id="b"), finish="tool_calls")],
        TWO,
        finish="tool_calls",
    ),
    Streamed(
        "all numbered 0",
        [calls(piece('{"x":1}', "f", index=0, id="a")), calls(piece("{}", "g", index=0, id="b")), STOP],
        TWO,
        finish="tool_calls",
    ),
    Streamed(
        "all numbered 0, without ids",
        [calls(piece('{"x":1}', "f", index=0, id="")), calls(piece("{}", "g", index=0)), STOP],
        NAMELESS,
        finish="tool_calls",
    ),
    Streamed(
        "by id alone",
        [
            calls(piece('{"x"', "f", id="a")),
            calls(piece(":1}", id="a")),
            calls(piece("{}", "g", id="b")),
            STOP,
        ],
        TWO,
        finish="tool_calls",
    ),
    Streamed(
        "by nothing but their names",
        [calls(piece('{"x"', "f")), calls(piece(":1}")), calls(piece("{}", "g")), STOP],
        NAMELESS,
        finish="tool_calls",
    ),
    Streamed(
        "the same tool twice, whole, by nothing at all",
        [calls(piece("{}", "f")), calls(piece("{}", "f")), STOP],
        (ToolCall(id="", name="f"), ToolCall(id="", name="f")),
        finish="tool_calls",
    ),
    Streamed(
        "ids and names that repeat or are empty",
        [
            calls(piece("", "f", index=0, id="a")),
            calls(piece('{"x"', "f", index=0, id="a")),
            calls(piece(":1}", "", index=0, id="")),
            calls(piece("", "f", index=0)),
            calls(piece("{}", "g", index=1, id="b")),
            STOP,
        ],
        TWO,
        finish="tool_calls",
    ),
    Streamed(
        "a name that comes after the id",
        [calls(piece("", index=0, id="a")), calls(piece('{"x"', index=0)), calls(piece(":1}", "f", index=0)), STOP],
        TWO[:1],
        finish="tool_calls",
    ),
    Streamed(
        "text, calls, text",
        [delta(content="Hi"), calls(piece("{}", "f", index=0, id="a")), delta(content="Hi"), STOP],
        (HI, CALL, HI),
        finish="tool_calls",
    ),
    Streamed(
        "the older kind",
        [
            delta(function_call={"name": "f", "arguments": ""}),
            delta(function_call={"arguments": '{"x"'}),
            delta(function_call={"arguments": ":1}"}),
            delta("function_call"),
        ],
        NAMELESS[:1],
        finish="tool_calls",
    ),
    Streamed(
        "free text",
        [
            calls({"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": ""}}),
            calls({"index": 0, "custom": {"input": "l"}}),
            calls({"index": 0, "type": "custom", "custom": {"input": "s"}}),
            STOP,
        ],
        (ToolCall(id="a", name="sh", arguments="ls", custom=True),),
        finish="tool_calls",
    ),
    # sources, sound, pictures
    Streamed(
        "sources before, with and after the text, and calls then",
        [
            delta(annotations=[UNPLACED]),
            delta(content="He said", annotations=[CITED]),
            calls(piece("{}", "f", index=0, id="a")),
            STOP,
        ],
        (
            Text(
                text="He said",
                citations=(
                    Citation(url="https://b.example", quoted="says", raw=Opaque(dialect="openai_chat", data=UNPLACED)),
                    Citation(
                        url="https://a.example",
                        title="A",
                        start=3,
                        end=5,
                        raw=Opaque(dialect="openai_chat", data=CITED),
                    ),
                ),
            ),
            CALL,
        ),
        finish="tool_calls",
    ),
    Streamed(
        "the same sources with every chunk",
        [
            {**delta(content="H"), "citations": ["https://a.example"]},
            {**delta("stop", content="i"), "citations": ["https://a.example", "https://b.example"]},
        ],
        (Text(text="Hi", citations=(Citation(url="https://a.example"), Citation(url="https://b.example"))),),
    ),
    Streamed(
        "sound in pieces of base64",
        [
            delta(audio={"id": "audio_1", "transcript": "H"}),
            delta(audio={"data": base64.b64encode(b"\1\2\3\4").decode()}),
            delta(audio={"data": base64.b64encode(b"\5\6").decode(), "transcript": "i"}),
            delta("stop", audio={"expires_at": 5}),
        ],
        (
            Media(
                kind="audio", media_type="audio/pcm", data=base64.b64encode(b"\1\2\3\4\5\6").decode(), transcript="Hi"
            ),
        ),
    ),
    Streamed(
        "pictures",
        [delta(content="Hi"), delta(images=[{"index": 0, "image_url": {"url": f"data:image/png;base64,{PNG}"}}]), STOP],
        (HI, Media(kind="image", media_type="image/png", data=PNG)),
    ),
    Streamed("refusals", [delta(refusal="N"), delta(refusal="o"), STOP], (Refusal(text="No"),), finish="refusal"),
    # usage
    Streamed(
        "usage in its own chunk", [delta(content="Hi"), STOP, {"choices": [], "usage": USAGE}], (HI,), usage=COUNTS
    ),
    Streamed("with the finish", [delta(content="Hi"), {**STOP, "usage": USAGE}], (HI,), usage=COUNTS),
    Streamed(
        "in the choice",
        [delta(content="Hi"), {"choices": [{**STOP["choices"][0], "usage": USAGE}]}],
        (HI,),
        usage=COUNTS,
    ),
    Streamed("at Groq", [delta(content="Hi"), {**STOP, "x_groq": {"id": "r", "usage": USAGE}}], (HI,), usage=COUNTS),
    Streamed(
        "growing, then zeros",
        [
            {**delta(content="H"), "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
            {**delta(content="i"), "usage": {**USAGE, "completion_tokens": 1, "total_tokens": 6}},
            {**STOP, "usage": USAGE},
            {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        ],
        (HI,),
        usage=COUNTS,
    ),
]


@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.name)
def test_streamed(case: Streamed) -> None:
    events = events_of(case.chunks, done=case.done)
    reply = collect(events)
    (choice,) = reply.choices
    assert choice.parts == case.parts
    assert choice.finish == case.finish
    assert (reply.usage and reply.usage.counts) == case.usage
    check_grammar(events)


def check_grammar(events: Sequence[Event]) -> None:
    """`values/events.py`: what opens is closed before its choice is over; text and thoughts do not overlap."""
    opened: dict[tuple[int, int], str] = {}
    over: set[int] = set()
    for place, event in enumerate(events):
        if isinstance(event, Started):
            assert place == 0
        elif isinstance(event, PartStarted):
            prose = [kind for (choice, _), kind in opened.items() if choice == event.choice and "call" not in kind]
            assert not prose and event.choice not in over
            opened[event.choice, event.index] = event.kind
        elif isinstance(event, Delta):
            assert (event.choice, event.index) in opened
        elif isinstance(event, PartDone):
            del opened[event.choice, event.index]
        elif isinstance(event, Finished):
            assert not any(choice == event.choice for choice, _ in opened) and event.choice not in over
            over.add(event.choice)
    assert not opened


def test_several_choices_end_in_order() -> None:
    events = events_of([delta(index=1, content="B"), delta(content="A"), delta("length", index=1), STOP])
    reply = collect(events)
    assert [choice.parts for choice in reply.choices] == [(Text(text="A"),), (Text(text="B"),)]
    assert [event.choice for event in events if isinstance(event, Finished)] == [0, 1]
    assert [choice.finish for choice in reply.choices] == ["stop", "length"]


@pytest.mark.parametrize("index", [-1, 10**9, 10**30, "0", None])
def test_an_index_out_of_reason_is_none(index: Any) -> None:
    events = events_of([delta(index=index, content="A"), delta("stop", index=index)])
    assert {event.choice for event in events if isinstance(event, Finished | Delta)} == {0}


def test_log_probabilities_come_with_their_text() -> None:
    first = {"content": [{"token": "<"}], "refusal": None}
    second = {"content": [{"token": "b>"}], "refusal": None}
    chunks = []
    for text, logprobs in (("<", first), ("b>", second), ("!", first)):
        chunk = delta(content=text)
        chunk["choices"][0]["logprobs"] = logprobs
        chunks.append(chunk)
    texts = [(event.text, event.logprobs) for event in events_of(chunks) if isinstance(event, Delta)]
    both = {"content": [*first["content"], *second["content"]], "refusal": None}  # type: ignore[misc]
    assert texts == [("<b>", both), ("!", first)]


def test_the_head_is_said_once() -> None:
    chunks = [{**delta(content="Hi"), "created": 5, "system_fingerprint": "fp"}, STOP]
    heads = [event for event in events_of(chunks) if isinstance(event, Started)]
    assert heads == [Started(id="c", model="m", created=5, fingerprint="fp")]


def test_the_same_usage_is_no_news() -> None:
    chunks = [{**delta(content="Hi"), "usage": USAGE}, {**STOP, "usage": USAGE}]
    assert len([event for event in events_of(chunks) if isinstance(event, UsageSeen)]) == 1


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [delta(content="Hi")],
        [calls(piece('{"x', "f", index=0, id="a"))],
        [delta("stop", content="A"), delta(index=1, content="B")],
    ],
    ids=["at once", "in the text", "in a call", "in one of two"],
)
def test_a_stream_that_just_stops_is_not_finished(chunks: list[Any]) -> None:
    events = events_of(chunks, done=False)
    assert not any(isinstance(event, Finished) for event in events)
    check_grammar(events)


def test_what_was_held_back_is_said_when_a_stream_stops() -> None:
    assert collect(events_of([delta(content="<thi")], done=False)).choices[0].parts == (Text(text="<thi"),)


def test_an_error_event_ends_it() -> None:
    error = Frame("error", b'{"error":{"message":"No","type":"t","code":"c","status_code":400}}')
    events = events_of([delta(content="Hi"), error, delta(content="more"), STOP])
    assert events[-1] == Failed(message="No", type="t", code="c", status=400)


def test_an_error_of_a_choice_comes_after_what_was_said() -> None:
    broken = delta("error", content="")
    broken["choices"][0]["error"] = {"message": "No", "code": 502}
    events = events_of([delta(content="Hi"), broken])
    assert [type(event) for event in events] == [Started, PartStarted, Delta, Failed]


def test_an_array_with_an_error() -> None:
    assert events_of([[{"error": {"message": "No", "status": "UNAVAILABLE", "code": 503}}]])[-1] == Failed(
        message="No", type="UNAVAILABLE", code="503", status=503
    )


@pytest.mark.parametrize("data", [b"{", b"hello", b'{"a":1}x', b"[" * 100_000])
def test_what_is_not_json_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_stream(Quirks()).feed(Frame("", data))


# --- thoughts in tags, cut anywhere ---------------------------------------------------------------------------------

TAGGED = [
    "<think>Hm</think>Hi",
    "\n \n<think>a < b </thin </think></think> then",
    "<thought>Hm</thought>",
    "<think>never closed </thi",
    "< think>no tag</think>",
    "<thinking>no tag</thinking>",
    "  \n",
    "<",
]


def split_everywhere(text: str) -> Iterator[list[str]]:
    yield [text]
    yield list(text)
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            yield [text[:first], text[first:second], text[second:]]


def said_by(pieces: Sequence[str]) -> tuple[str, str, int]:
    inline = InlineThoughts()
    found = [each for piece in pieces for each in inline.feed(piece)] + inline.close()
    thought = "".join(text for is_thought, text in found if is_thought)
    return thought, "".join(text for is_thought, text in found if not is_thought), inline.removed


@pytest.mark.parametrize("text", TAGGED)
def test_tags_cut_anywhere(text: str) -> None:
    expected = said_by([text])
    for pieces in split_everywhere(text):
        assert said_by(pieces) == expected


def test_nothing_vanishes() -> None:
    assert said_by([TAGGED[0]]) == ("Hm", "Hi", 17)
    assert said_by([TAGGED[1]]) == ("a < b </thin ", "</think> then", 31)
    assert said_by([TAGGED[3]]) == ("never closed </thi", "", 25)
    assert all(said_by([text])[1] == text for text in TAGGED[4:])
