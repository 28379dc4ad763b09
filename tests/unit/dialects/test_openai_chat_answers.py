"""Replies for chat's clients, whole and streamed, as the official package reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from oneapi_cli.dialects import ReplyHead
from oneapi_cli.dialects.openai_chat import decode_request, encode_reply, encode_stream
from oneapi_cli.dialects.parts import events_of
from oneapi_cli.dialects.sealing import unseal
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
from oneapi_cli.values.errors import Refused
from oneapi_cli.values.events import Delta, Event, Finished, PartDone, PartStarted, UsageSeen
from oneapi_cli.values.usage import Usage

ID = "20261127000000123456789012345678"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 10).decode()
WANTS_USAGE = {"stream_options": {"include_usage": True}}
USAGE = Usage(
    counts={
        "input_tokens": 100,
        "cache_read_tokens": 40,
        "cache_write_5m_tokens": 7,
        "cache_write_1h_tokens": 3,
        "input_audio_tokens": 5,
        "output_tokens": 20,
        "output_audio_tokens": 4,
    },
    reasoning_tokens=12,
    tier="standard",
)
USAGE_SENT = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10, "audio_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 4},
}


def head(asked: dict[str, Any] | None = None, **query: str) -> ReplyHead:
    return ReplyHead(request_id=ID, model="asked-for", created=1_700_000_000, asked=asked or WANTS_USAGE, query=query)


@dataclass(frozen=True)
class Answer:
    """A choice, and the message that a client reads, whole and from a stream alike."""

    name: str
    parts: tuple[Part, ...]
    message: dict[str, Any]
    finish: str = "stop"
    said: str = "stop"
    raw: str = ""
    native: str | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


CLAUDE = Opaque(dialect="anthropic_messages", data={"signature": "c2ln"})
GEMINI = Opaque(dialect="gemini", data={"thoughtSignature": "c2ln", "call": "a"})
OWN_ENTRY = {"type": "reasoning.encrypted", "data": "x", "format": "f", "index": 0}
OWN = Opaque(dialect="openai_chat", data={"reasoning_details": [OWN_ENTRY]})
HI = Text(text="Hi")
CALL = ToolCall(id="a", name="f", arguments='{"x":1}')
CALLED = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
PICTURE = Media(kind="image", media_type="image/png", data=PNG)


def ends(finish: str, said: str, *parts: Part, raw: str = "", native: str | None = None) -> Answer:
    message: dict[str, Any] = {"content": "Hi"} if HI in parts else {}
    if CALL in parts:
        message["tool_calls"] = [CALLED]
    refused = [part.text for part in parts if isinstance(part, Refusal)]
    if refused:
        message["refusal"] = refused[0]
    return Answer(f"{finish} {[type(part).__name__ for part in parts]}", parts, message, finish, said, raw, native)


ANSWERS = [
    Answer("text", (Text(text="H\n"), Text(text="i \U0001f600 \u2028")), {"content": "H\ni \U0001f600 \u2028"}),
    Answer("nothing", (), {"content": None}),
    Answer("thoughts", (Thinking(text="Hm"), HI), {"content": "Hi", "reasoning_content": "Hm"}),
    Answer(
        "thoughts in another member",
        (Thinking(text="Hm"), HI),
        {"content": "Hi", "reasoning": "Hm"},
        query={"reasoning_format": "reasoning"},
    ),
    Answer(
        "in a third",
        (Thinking(text="Hm"), HI),
        {"content": "Hi", "thinking": "Hm"},
        query={"reasoning_format": "thinking"},
    ),
    Answer(
        "an unknown one",
        (Thinking(text="Hm"), HI),
        {"content": "Hi", "reasoning_content": "Hm"},
        query={"reasoning_format": "xml"},
    ),
    Answer(
        "details of the dialect's own",
        (Thinking(text="Hm", sealed=OWN), HI),
        {"content": "Hi", "reasoning_content": "Hm", "reasoning_details": [OWN_ENTRY]},
    ),
    Answer(
        "calls",
        (HI, CALL, ToolCall(id="", name="g", arguments="")),
        {
            "content": "Hi",
            "tool_calls": [
                CALLED,
                {"id": f"call_{ID}001", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        finish="tool_calls",
        said="tool_calls",
    ),
    Answer(
        "one call in the older shape",
        (CALL, ToolCall(id="b", name="g")),
        {"content": None, "function_call": CALLED["function"]},
        finish="tool_calls",
        said="function_call",
        asked={"functions": [{"name": "f"}]},
    ),
    Answer(
        "sources",
        (
            Text(text="One. ", citations=(Citation(url="https://a.example", title="A", quoted="q"),)),
            Text(text="Two and", citations=(Citation(url="https://b.example", start=0, end=3),)),
            Text(text=" three", citations=(Citation(title="doc.pdf", quoted="words"),)),
        ),
        {
            "content": "One. Two and three",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {
                        "start_index": 0,
                        "end_index": 5,
                        "title": "A",
                        "url": "https://a.example",
                        "content": "q",
                    },
                },
                {
                    "type": "url_citation",
                    "url_citation": {"start_index": 5, "end_index": 8, "title": "", "url": "https://b.example"},
                },
                {
                    "type": "url_citation",
                    "url_citation": {
                        "start_index": 12,
                        "end_index": 18,
                        "title": "doc.pdf",
                        "url": "",
                        "content": "words",
                    },
                },
            ],
        },
    ),
    Answer(
        "pictures",
        (HI, PICTURE, Media(kind="image", url="https://a.example/a.png")),
        {
            "content": "Hi",
            "images": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}, "index": 0},
                {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}, "index": 1},
            ],
        },
    ),
    Answer(
        "sound",
        (Media(kind="audio", media_type="audio/pcm", data="AAAA", transcript="Hi"),),
        {
            "content": None,
            "audio": {"id": f"audio_{ID}", "data": "AAAA", "transcript": "Hi", "expires_at": 1_700_000_000},
        },
    ),
    Answer("what the vendor ran is its own", (Hosted(kind="web_search", sealed=CLAUDE), HI), {"content": "Hi"}),
    ends("stop_sequence", "stop", HI),
    ends("length", "length", HI),
    ends("length", "length", CALL),
    ends("context", "length", HI, raw="model_length", native="model_length"),
    ends("content_filter", "content_filter", HI),
    ends("refusal", "content_filter", HI, raw="refusal", native="refusal"),
    ends("refusal", "stop", Refusal(text="No")),
    ends("pause", "stop", HI, raw="pause_turn", native="pause_turn"),
    ends("error", "stop", HI, raw="OTHER", native="OTHER"),
    ends("unknown", "stop", HI),
    ends("stop", "tool_calls", CALL, raw="STOP"),
    ends("pause", "tool_calls", CALL),
]


def reply_of(case: Answer) -> Reply:
    choice = Choice(parts=case.parts, finish=case.finish, raw_finish=case.raw)  # type: ignore[arg-type]
    return Reply(id="vendor", model="up", created=5, fingerprint="fp", choices=[choice], usage=USAGE)


def stated(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what it does not say."""
    return {name: value for name, value in message.items() if value is not None and name not in ("role", "parsed")}


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name)
def test_whole(case: Answer) -> None:
    body = encode_reply(reply_of(case), head(case.asked, **case.query))
    ChatCompletion.model_validate(body)
    assert {name: body[name] for name in ("id", "object", "created", "model", "system_fingerprint")} == {
        "id": f"chatcmpl-{ID}",
        "object": "chat.completion",
        "created": 5,
        "model": "up",
        "system_fingerprint": "fp",
    }
    assert body["usage"] == USAGE_SENT
    assert body["service_tier"] == "default"
    (choice,) = body["choices"]
    assert choice["message"]["role"] == "assistant"
    assert stated(choice["message"]) == stated(case.message)
    assert choice["finish_reason"] == case.said
    assert choice.get("native_finish_reason") == case.native


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name)
def test_streamed(case: Answer) -> None:
    out = streamed(events_of(reply_of(case)), head({**WANTS_USAGE, **case.asked}, **case.query))
    final = accumulated(out)
    (choice,) = final["choices"]
    message = choice["message"]
    for call in message.get("tool_calls") or ():
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    assert stated(message) == stated(case.message)
    assert choice["finish_reason"] == case.said
    (last,) = [
        each for chunk in chunks_of(out) for each in chunk["choices"] if each["finish_reason"]
    ]  # which the accumulator does not carry over
    assert last.get("native_finish_reason") == case.native
    assert final["usage"] == USAGE_SENT
    assert final["id"] == f"chatcmpl-{ID}"


def streamed(events: Sequence[Event], to: ReplyHead) -> bytes:
    encoder = encode_stream(to)
    return b"".join(encoder.feed(event) for event in events) + encoder.close()


def chunks_of(out: bytes) -> list[dict[str, Any]]:
    assert out.endswith(b"\n\ndata: [DONE]\n\n")
    return [json.loads(event.removeprefix(b"data: ")) for event in out.split(b"\n\n")[:-2]]


def accumulated(out: bytes) -> dict[str, Any]:
    """What the official accumulator makes of a stream, every chunk valid by its strict model."""
    state = ChatCompletionStreamState()
    for chunk in chunks_of(out):
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    return json.loads(json.dumps(state.current_completion_snapshot.to_dict()))  # type: ignore[no-any-return]


# --- the frame of a stream ------------------------------------------------------------------------------------------


def test_the_role_comes_first_and_the_usage_last() -> None:
    chunks = chunks_of(streamed(events_of(Reply(choices=[Choice(parts=(HI,), finish="stop")], usage=USAGE)), head()))
    assert [chunk["choices"][0]["delta"] if chunk["choices"] else chunk["usage"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hi"},
        {},
        USAGE_SENT,
    ]
    assert all("usage" in chunk for chunk in chunks)
    assert {chunk["model"] for chunk in chunks} == {"asked-for"}


@pytest.mark.parametrize(
    "asked", [{"stream": True}, {"stream_options": None}, {"stream_options": {"include_usage": False}}]
)
def test_no_usage_for_who_did_not_ask(asked: dict[str, Any]) -> None:
    reply = Reply(choices=[Choice(parts=(HI,), finish="stop")], usage=USAGE)
    chunks = chunks_of(streamed(events_of(reply), head(asked)))
    assert not any("usage" in chunk or not chunk["choices"] for chunk in chunks)


def test_usage_that_nobody_reported_is_not_sent() -> None:
    reply = Reply(choices=[Choice(parts=(HI,), finish="stop")])
    assert "usage" not in encode_reply(reply, head())
    assert all(chunk["choices"] for chunk in chunks_of(streamed(events_of(reply), head())))


def test_the_end_waits_for_close() -> None:
    encoder = encode_stream(head())
    fed = b"".join(encoder.feed(event) for event in events_of(Reply(choices=[Choice(parts=(HI,))], usage=USAGE)))
    assert b'finish_reason":"stop"' in fed
    assert b"DONE" not in fed and b"prompt_tokens" not in fed
    assert encoder.close().endswith(b"data: [DONE]\n\n")


def test_choices_begin_in_order() -> None:
    events: list[Event] = [
        PartStarted(index=0, kind="text", choice=2),
        Delta(index=0, text="C", choice=2),
        PartDone(index=0, choice=2),
        Finished(finish="stop", choice=2),
        PartStarted(index=0, kind="text"),
        Delta(index=0, text="A"),
        PartDone(index=0),
        Finished(finish="length"),
    ]
    final = accumulated(streamed(events, head()))
    assert [(each["message"].get("content"), each["finish_reason"]) for each in final["choices"]] == [
        ("A", "length"),
        (None, "stop"),
        ("C", "stop"),
    ]


def test_calls_that_overlap_keep_their_places() -> None:
    events: list[Event] = [
        PartStarted(index=0, kind="text"),
        Delta(index=0, text="Hi"),
        PartDone(index=0),
        PartStarted(index=1, kind="call", id="a", name="f"),
        PartStarted(index=2, kind="call", id="b", name="g"),
        Delta(index=2, text="{"),
        Delta(index=1, text='{"x"'),
        Delta(index=2, text="}"),
        PartDone(index=2),
        Delta(index=1, text=":1}"),
        PartDone(index=1),
        Finished(finish="stop"),
    ]
    final = accumulated(streamed(events, head()))
    made = [(call["id"], call["function"]["arguments"]) for call in final["choices"][0]["message"]["tool_calls"]]
    assert made == [("a", '{"x":1}'), ("b", "{}")]


def test_free_text_calls_in_a_stream() -> None:
    call = ToolCall(id="a", name="sh", arguments="ls", custom=True)
    reply = Reply(choices=[Choice(parts=(call,), finish="tool_calls")])
    deltas = [chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks_of(streamed(events_of(reply), head()))]
    assert [each[0] for each in deltas if each] == [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": ""}},
        {"index": 0, "custom": {"input": "ls"}},
    ]
    (whole,) = encode_reply(reply, head())["choices"][0]["message"]["tool_calls"]
    assert whole == {"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}


def test_log_probabilities() -> None:
    logprobs = {
        "content": [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}],
        "refusal": None,
    }
    reply = Reply(choices=[Choice(parts=(HI,), finish="stop", logprobs=logprobs)])
    body = encode_reply(reply, head())
    ChatCompletion.model_validate(body)
    assert body["choices"][0]["logprobs"] == logprobs
    final = accumulated(streamed(events_of(reply), head()))
    assert final["choices"][0]["logprobs"] == logprobs


def test_an_error_ends_a_stream_without_done() -> None:
    encoder = encode_stream(head())
    encoder.feed(PartStarted(index=0, kind="text"))
    out = encoder.fail(Refused("No", status=500), ID)
    assert json.loads(out.removeprefix(b"data: "))["error"]["message"].startswith("No")
    assert b"DONE" not in out


def test_the_last_usage_counts() -> None:
    encoder = encode_stream(head())
    encoder.feed(UsageSeen(usage=USAGE))
    encoder.feed(UsageSeen(usage=Usage(counts={"input_tokens": 1, "output_tokens": 2})))
    (last,) = [chunk["usage"] for chunk in chunks_of(encoder.close()) if not chunk["choices"]]
    assert last == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


# --- the official client's own helper -------------------------------------------------------------------------------


class Sky(BaseModel):
    at: str


def test_the_streaming_helper_parses_text_and_calls() -> None:
    """`client.chat.completions.stream` is this state over the chunks."""
    parts = (
        Thinking(text="Hm"),
        Text(text='{"at": '),
        Text(text='"sky"}'),
        ToolCall(id="a", name="Sky", arguments='{"at": "sea"}'),
        ToolCall(id="b", name="Sky", arguments='{"at": "land"}'),
    )
    reply = Reply(choices=[Choice(parts=parts, finish="tool_calls")], usage=USAGE)
    state = ChatCompletionStreamState(response_format=Sky, input_tools=[openai.pydantic_function_tool(Sky)])
    kinds = [
        event.type
        for chunk in chunks_of(streamed(events_of(reply), head()))
        for event in state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    ]
    final = state.get_final_completion()
    message = final.choices[0].message
    assert message.parsed == Sky(at="sky")
    assert [call.function.parsed_arguments for call in message.tool_calls or ()] == [Sky(at="sea"), Sky(at="land")]
    assert kinds.count("tool_calls.function.arguments.done") == 2
    assert kinds.count("content.done") == 1
    assert final.usage is not None and final.usage.prompt_tokens == 100


# --- what is sealed comes back --------------------------------------------------------------------------------------

SEALED = [
    (Thinking(text="Hm", sealed=CLAUDE), HI),
    (Thinking(text="Hm", sealed=CLAUDE), Thinking(text="Well", sealed=CLAUDE), HI),
    (Thinking(text="Hm", sealed=CLAUDE), Thinking(sealed=GEMINI), CALL),
    (Thinking(sealed=CLAUDE), HI),
    (Thinking(text="Hm"), HI),
    (Thinking(text="Hm", sealed=OWN), HI),
]


@pytest.mark.parametrize("parts", SEALED)
def test_thoughts_return_as_they_were(parts: tuple[Part, ...]) -> None:
    """Whole and from a stream: what a client keeps of a message is what it brings back."""
    reply = Reply(choices=[Choice(parts=parts, finish="stop")])
    whole = encode_reply(reply, head())["choices"][0]["message"]
    from_stream = accumulated(streamed(events_of(reply), head()))["choices"][0]["message"]
    for message in (whole, from_stream):
        talk, notes = decode_request({"model": "m", "messages": [message]})
        assert talk.turns[0].parts == parts
        assert notes == ()


def test_seals_stand_where_clients_of_openrouter_look() -> None:
    parts = (Thinking(text="Hm", sealed=CLAUDE), Thinking(sealed=GEMINI))
    reply = Reply(choices=[Choice(parts=parts, finish="stop")])
    first, second = encode_reply(reply, head())["choices"][0]["message"]["reasoning_details"]
    assert (first["type"], first["text"], first["format"], first["index"]) == ("reasoning.text", "Hm", "oneapi-v1", 0)
    assert unseal(first["signature"]) == CLAUDE
    assert (second["type"], second["format"], second["index"]) == ("reasoning.encrypted", "oneapi-v1", 1)
    assert unseal(second["data"]) == GEMINI
