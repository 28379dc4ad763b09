"""What a client of the Responses door gets: every event and object valid by the official package's types, and read by
its own accumulators over an in-process transport."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from oneapi_cli.dialects.dialect import ReplyHead
from oneapi_cli.dialects.openai_responses import encode_reply, encode_stream
from oneapi_cli.dialects.parts import events_of
from oneapi_cli.dialects.sealing import seal
from oneapi_cli.values.conversation import (
    Choice,
    Citation,
    FinishReason,
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
from oneapi_cli.values.errors import Broken, GatewayError, Throttled
from oneapi_cli.values.events import Cited, Delta, Event, Finished, PartDone, PartKind, PartStarted, Started
from oneapi_cli.values.usage import Usage

ID = "0" * 31 + "7"
PNG = "iVBORw0KGgo="
SIGNED = Opaque(dialect="anthropic_messages", data={"signature": "c2ln"})
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": True}
ASKED: dict[str, Any] = {
    "model": "m",
    "input": "Hello",
    "instructions": "Be brief.",
    "temperature": 0.5,
    "max_output_tokens": 500,
    "metadata": {"team": "a"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}, "verbosity": "low"},
    "tools": [
        FUNCTION,
        {"type": "web_search"},
        {"type": "custom", "name": "patch"},
        {"type": "local_shell"},
        {"type": "apply_patch"},
        {"type": "namespace", "name": "crm", "description": "", "tools": [{**FUNCTION, "name": "find"}]},
        {"type": "tool_search", "execution": "client"},
    ],
    "tool_choice": {"type": "function", "name": "weather"},
    "user": "u1",
}


def head(asked: dict[str, Any] | None = None) -> ReplyHead:
    return ReplyHead(request_id=ID, model="m", created=1_790_000_000, asked=ASKED if asked is None else asked)


def frames_of(body: bytes) -> list[dict[str, Any]]:
    """The events, checked: both names are the same, the numbers rise one by one, the SDK's types take them."""
    found = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        EVENT.validate_python(event, strict=True)
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def frames_like(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n") if line.startswith(b"data: ")]


def streamed(events: Sequence[Event], asked: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    encoder = encode_stream(head(asked))
    return frames_of(b"".join(map(encoder.feed, events)) + encoder.close())


@dataclass(frozen=True)
class Case:
    """Parts of a reply, and the output items (without ids) that they are to be."""

    id: str
    parts: tuple[Part, ...]
    items: tuple[dict[str, Any], ...]
    finish: FinishReason = "stop"
    status: str = "completed"
    explanation: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def message(*content: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "status": status, "content": list(content)}


def text(words: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": list(annotations), "logprobs": []}


def call(name: str, arguments: str, *, call_id: str = "c1", status: str = "completed", **more: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "name": name,
        "arguments": arguments,
        "call_id": call_id,
        "status": status,
        **more,
    }


def thought(words: str, **more: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": words}] if words else [], **more}


SITE = Citation(url="https://a.example", title="A", start=0, end=2)
CASES = [
    Case("text", (Text(text="Hello"),), (message(text("Hello")),)),
    Case("nothing", (), ()),
    Case(
        "texts are one, citations move along",
        (Text(text="One. "), Text(text="Two", citations=(SITE, Citation(url="https://b.example")))),
        (
            message(
                text(
                    "One. Two",
                    {
                        "type": "url_citation",
                        "url": "https://a.example",
                        "title": "A",
                        "start_index": 5,
                        "end_index": 7,
                    },
                    {
                        "type": "url_citation",
                        "url": "https://b.example",
                        "title": "https://b.example",
                        "start_index": 5,
                        "end_index": 8,
                    },
                )
            ),
        ),
    ),
    Case(
        "a document of the client's is cited as a file",
        (Text(text="Grass", citations=(Citation(title="Notes", quoted="green"),)),),
        (message(text("Grass", {"type": "file_citation", "file_id": "", "filename": "Notes", "index": 5})),),
    ),
    Case(
        "thoughts and text alternate",
        (Thinking(text="Hm."), Text(text="A"), Thinking(text="So.", sealed=SIGNED), Text(text="B")),
        (
            thought("Hm."),
            message(text("A")),
            thought("So.", encrypted_content=seal(SIGNED)),
            message(text("B")),
        ),
    ),
    Case(
        "a seal alone",
        (Thinking(text="", sealed=SIGNED), Text(text="A")),
        (thought("", encrypted_content=seal(SIGNED)), message(text("A"))),
    ),
    Case(
        "own seals go back as they were",
        (Thinking(text="x", sealed=Opaque(dialect="openai_responses", data={"id": "rs", "encrypted_content": "E"})),),
        (thought("x", encrypted_content="E"),),
    ),
    Case(
        "calls",
        (Text(text="Look:"), ToolCall(id="c1", name="weather", arguments='{"a": 1}'), ToolCall(id="c2", name="other")),
        (message(text("Look:")), call("weather", '{"a": 1}'), call("other", "{}", call_id="c2")),
        finish="tool_calls",
    ),
    Case(
        "calls without an id, and with one given twice",
        tuple(ToolCall(id=id, name="weather") for id in ("", "c1", "c1")),
        (
            call("weather", "{}", call_id=f"call_{ID}_0"),
            call("weather", "{}"),
            call("weather", "{}", call_id=f"call_{ID}_2"),
        ),
        finish="tool_calls",
    ),
    Case(
        "a call of a tool in a namespace",
        (ToolCall(id="c1", name="find"),),
        (call("find", "{}", namespace="crm"),),
        finish="tool_calls",
    ),
    Case(
        "free text, from a vendor that has it",
        (ToolCall(id="c1", name="patch", arguments="*** Begin", custom=True),),
        ({"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin", "status": "completed"},),
        finish="tool_calls",
    ),
    Case(
        "free text, from a vendor that has only arguments",
        (ToolCall(id="c1", name="patch", arguments='{"input": "*** Begin\\n"}'),),
        (
            {
                "type": "custom_tool_call",
                "call_id": "c1",
                "name": "patch",
                "input": "*** Begin\n",
                "status": "completed",
            },
        ),
        finish="tool_calls",
    ),
    Case(
        "a command for the client's shell",
        (ToolCall(id="c1", name="local_shell", arguments='{"command": "ls", "timeout_ms": 9, "stray": 1}'),),
        (
            {
                "type": "local_shell_call",
                "call_id": "c1",
                "status": "completed",
                "action": {"type": "exec", "env": {}, "command": ["bash", "-lc", "ls"], "timeout_ms": 9},
            },
        ),
        finish="tool_calls",
    ),
    Case(
        "a command that is none stays what the model said",
        (ToolCall(id="c1", name="local_shell", arguments='{"cmd": 1}'),),
        (call("local_shell", '{"cmd": 1}'),),
        finish="tool_calls",
    ),
    Case(
        "a patch",
        (ToolCall(id="c1", name="apply_patch", arguments='{"type": "delete_file", "path": "a"}'),),
        (
            {
                "type": "apply_patch_call",
                "call_id": "c1",
                "status": "completed",
                "operation": {"type": "delete_file", "path": "a"},
            },
        ),
        finish="tool_calls",
    ),
    Case(
        "a search of the client's own",
        (ToolCall(id="c1", name="tool_search", arguments='{"goal": "pay"}'),),
        (
            {
                "type": "tool_search_call",
                "call_id": "c1",
                "status": "completed",
                "execution": "client",
                "arguments": {"goal": "pay"},
            },
        ),
        finish="tool_calls",
    ),
    Case(
        "a picture",
        (Text(text="Here:"), Media(kind="image", media_type="image/png", data=PNG)),
        (
            message(text("Here:")),
            {"type": "image_generation_call", "status": "completed", "result": PNG, "output_format": "png"},
        ),
    ),
    Case(
        "a picture at a URL, and what a sound says",
        (Media(kind="image", url="https://a.example/x.png"), Media(kind="audio", data="AAAA", transcript=" Hi")),
        (message(text("![image](https://a.example/x.png) Hi")),),
    ),
    Case(
        "what another vendor ran is left out",
        (Hosted(kind="web_search", sealed=SIGNED), Text(text="A")),
        (message(text("A")),),
    ),
    Case(
        "a refusal after text",
        (Text(text="Well. "), Refusal(text="No.")),
        (message(text("Well. "), {"type": "refusal", "refusal": "No."}),),
        finish="refusal",
    ),
    Case(
        "a refusal without words, explained",
        (),
        (message({"type": "refusal", "refusal": "Not this."}),),
        finish="refusal",
        explanation="Not this.",
    ),
    Case(
        "cut text",
        (Text(text="Hel"),),
        (message(text("Hel"), status="incomplete"),),
        finish="length",
        status="incomplete",
        more={"incomplete_details": {"reason": "max_output_tokens"}},
    ),
    Case(
        "a cut call",
        (ToolCall(id="c1", name="weather", arguments='{"a": '),),
        (call("weather", '{"a": ', status="incomplete"),),
        finish="length",
        status="incomplete",
    ),
    Case(
        "filtered",
        (Text(text="A"),),
        (message(text("A")),),
        finish="content_filter",
        status="incomplete",
        more={"incomplete_details": {"reason": "content_filter"}},
    ),
    Case(
        "not finished by the vendor's fault",
        (),
        (),
        finish="error",
        status="failed",
        explanation="Malformed call",
        more={"error": {"code": "server_error", "message": "Malformed call"}},
    ),
    Case("paused", (Text(text="A"),), (message(text("A")),), finish="pause"),
]

USAGE = Usage(
    counts={"input_tokens": 12, "cache_read_tokens": 4, "cache_write_tokens": 2, "output_tokens": 9},
    reasoning_tokens=5,
)


def plain(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"}


def reply_of(case: Case) -> Reply:
    choice = Choice(parts=case.parts, finish=case.finish, explanation=case.explanation)
    return Reply(id="v1", model="vendor-model", choices=(choice,), usage=USAGE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_reply(case: Case) -> None:
    whole = json.loads(json.dumps(encode_reply(reply_of(case), head())))
    Response.model_validate(whole, strict=True)
    assert [plain(item) for item in whole["output"]] == list(case.items)
    assert whole["status"] == case.status
    assert case.more.items() <= whole.items()
    assert whole["usage"] == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 21,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_stream_is_the_reply_in_pieces(case: Case) -> None:
    """The stream ends with the very object, items are done as they were begun, and the deltas add up to them."""
    reply = reply_of(case)
    events = streamed(events_of(reply))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == f"response.{case.status}"
    assert events[-1]["response"] == json.loads(json.dumps(encode_reply(reply, head())))
    output = events[-1]["response"]["output"]
    added = {event["output_index"]: event["item"] for event in events if event["type"].endswith("item.added")}
    done = {event["output_index"]: event["item"] for event in events if event["type"].endswith("item.done")}
    assert list(added) == list(range(len(output)))
    assert [done[number] for number in sorted(done)] == output
    for number, item in added.items():
        assert (item["type"], item.get("id")) == (output[number]["type"], output[number].get("id"))
        deltas = [e["delta"] for e in events if e["type"].endswith(".delta") and e.get("output_index") == number]
        assert "".join(deltas) == _words(output[number])


def _words(item: dict[str, Any]) -> str:
    found = [item.get("arguments") or item.get("input") or ""]
    for part in (*item.get("content", ()), *item.get("summary", ())):
        found.append(part.get("text") or part.get("refusal") or "")
    return "".join(each for each in found if isinstance(each, str))


def test_it_repeats_what_was_asked() -> None:
    whole = encode_reply(reply_of(CASES[0]), head())
    assert whole["id"] == f"resp_{ID}"
    assert whole["model"] == "vendor-model"
    assert whole["created_at"] == 1_790_000_000
    for name in ("instructions", "temperature", "max_output_tokens", "metadata", "tool_choice", "user", "reasoning"):
        assert whole[name] == ASKED[name]
    assert whole["text"] == ASKED["text"]
    assert [tool["type"] for tool in whole["tools"]] == [tool["type"] for tool in ASKED["tools"]]
    assert whole["output"][0]["id"] == f"msg_{ID}_0"


def test_what_was_left_open_is_said_too() -> None:
    whole = encode_reply(reply_of(CASES[0]), head({}))
    Response.model_validate(whole, strict=True)
    assert (whole["tool_choice"], whole["tools"], whole["truncation"]) == ("auto", [], "disabled")
    assert (whole["temperature"], whole["top_p"], whole["parallel_tool_calls"]) == (1.0, 1.0, True)
    assert whole["text"]["format"] == {"type": "text"}
    assert whole["store"] is False


@dataclass(frozen=True)
class Tier:
    said: str | None
    told: str


@pytest.mark.parametrize("case", [Tier("flex", "flex"), Tier("standard", "default"), Tier(None, "default")], ids=str)
def test_service_tier(case: Tier) -> None:
    usage = Usage(counts={"input_tokens": 1, "output_tokens": 1}, tier=case.said)
    reply = Reply(choices=(Choice(parts=()),), usage=usage)
    assert encode_reply(reply, head({}))["service_tier"] == case.told


def test_logprobs_have_every_member() -> None:
    token = {"token": "Hé", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "H", "logprob": -1.0}]}
    reply = Reply(choices=(Choice(parts=(Text(text="Hé"),), finish="stop", logprobs={"content": [token]}),))
    whole = encode_reply(reply, head({}))
    Response.model_validate(whole, strict=True)
    found = whole["output"][0]["content"][0]["logprobs"][0]
    assert found["bytes"] == list("Hé".encode())
    assert found["top_logprobs"] == [{"token": "H", "logprob": -1.0, "bytes": [72]}]
    events = streamed(events_of(reply), {})
    assert next(e for e in events if e["type"].endswith("text.delta"))["logprobs"] == [found]


def test_parallel_calls_may_overlap() -> None:
    events: list[Event] = [
        PartStarted(index=0, kind="call", id="a", name="weather"),
        PartStarted(index=1, kind="call", id="b", name="weather"),
        Delta(index=1, text='{"b"'),
        Delta(index=0, text='{"a":1}'),
        Delta(index=1, text=":2}"),
        PartDone(index=0),
        PartDone(index=1),
        Finished(finish="tool_calls"),
    ]
    output = streamed(events)[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [("a", '{"a":1}'), ("b", '{"b":2}')]


def test_a_call_is_done_as_soon_as_more_is_known() -> None:
    encoder = encode_stream(head())
    for event in (PartStarted(index=0, kind="call", id="a", name="weather"), Delta(index=0, text="{}")):
        encoder.feed(event)
    assert encoder.feed(PartDone(index=0)) == b""
    assert b"response.output_item.done" in encoder.feed(PartStarted(index=1, kind="call", id="b", name="weather"))


def test_citations_may_come_before_their_text_is_whole() -> None:
    events: list[Event] = [
        PartStarted(index=0, kind="text"),
        Delta(index=0, text="Sky"),
        Cited(index=0, citation=Citation(url="https://a.example")),
        Delta(index=0, text=" is blue"),
        PartDone(index=0),
        Finished(finish="stop"),
    ]
    part = streamed(events)[-1]["response"]["output"][0]["content"][0]
    assert (part["annotations"][0]["start_index"], part["annotations"][0]["end_index"]) == (0, 11)


@pytest.mark.parametrize("kind", ["text", "refusal"])
def test_the_short_way_says_the_same(kind: PartKind) -> None:
    """Deltas of an open part are framed by hand: the first of a part takes the long way, the second must be like it."""
    encoder = encode_stream(head())
    encoder.feed(PartStarted(index=0, kind=kind))
    words = Delta(index=0, text='"Hé"\n\u2028%d')
    first, second = (frames_like(encoder.feed(words))[-1] for _ in range(2))
    assert second.pop("sequence_number") == first.pop("sequence_number") + 1
    assert list(first.items()) == list(second.items())


def test_other_choices_have_no_place() -> None:
    choices = (Choice(parts=(Text(text="A"),), finish="stop"), Choice(parts=(Text(text="B"),), finish="stop"))
    output = encode_reply(Reply(choices=choices), head())["output"]
    assert [item["content"][0]["text"] for item in output] == ["A"]


def test_the_end_waits_for_close() -> None:
    encoder = encode_stream(head())
    body = b"".join(map(encoder.feed, events_of(reply_of(CASES[0]))))
    assert b"response.completed" not in body
    assert frames_of(body + encoder.close())[-1]["type"] == "response.completed"


@dataclass(frozen=True)
class Broke:
    error: GatewayError
    code: str


@pytest.mark.parametrize(
    "case",
    [
        Broke(Broken("The connection broke"), "server_error"),
        Broke(Throttled("Slow down"), "rate_limit_exceeded"),
        Broke(GatewayError("Bad picture", status=400), "invalid_prompt"),
        Broke(GatewayError("Bad picture", code="invalid_image"), "invalid_image"),
    ],
    ids=lambda case: case.code,
)
def test_failure_is_a_failed_response(case: Broke) -> None:
    encoder = encode_stream(head())
    begun: list[Event] = [
        Started(model="vendor-model"),
        PartStarted(index=0, kind="text"),
        Delta(index=0, text="Hel"),
    ]
    events = frames_of(b"".join(map(encoder.feed, begun)) + encoder.fail(case.error, ID))
    assert not any(event["type"].endswith(("completed", "item.done")) for event in events)
    failed = events[-1]["response"]
    assert (events[-1]["type"], failed["status"]) == ("response.failed", "failed")
    assert failed["error"] == {"code": case.code, "message": f"{case.error.message} (request id: {ID})"}
    assert failed["output"][0]["content"][0]["text"] == "Hel"
    assert failed["output"][0]["status"] == "incomplete"


def test_a_call_that_broke_off_is_not_handed_out() -> None:
    encoder = encode_stream(head())
    begun: list[Event] = [
        PartStarted(index=0, kind="call", id="a", name="weather"),
        Delta(index=0, text="{}"),
        PartDone(index=0),
        PartStarted(index=1, kind="call", id="b", name="weather"),
        Delta(index=1, text='{"c'),
    ]
    events = frames_of(b"".join(map(encoder.feed, begun)) + encoder.fail(Broken("Gone"), ID))
    done = [event["item"]["call_id"] for event in events if event["type"] == "response.output_item.done"]
    assert done == ["a"]
    assert [item["call_id"] for item in events[-1]["response"]["output"]] == ["a"]


# --- the official client --------------------------------------------------------------------------------------------


_HTTP: Any = sys.modules[openai.DefaultHttpxClient.__bases__[0].__module__]  # the HTTP library that the package brings


def client_for(body: bytes, content_type: str) -> openai.OpenAI:
    def answer(_: Any) -> Any:
        return _HTTP.Response(200, content=body, headers={"content-type": content_type})

    http = _HTTP.Client(transport=_HTTP.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http)


class City(BaseModel):
    name: str


PARTS = (
    Thinking(text="Think.", sealed=SIGNED),
    Text(text='{"name": '),
    Text(text='"Rome"}'),
    ToolCall(id="c1", name="weather", arguments='{"a": 1}'),
)


def test_official_client_streams() -> None:
    encoder = encode_stream(head())
    reply = Reply(model="vendor-model", choices=(Choice(parts=PARTS, finish="tool_calls"),), usage=USAGE)
    body = b"".join(map(encoder.feed, events_of(reply))) + encoder.close()
    client = client_for(body, "text/event-stream")
    with client.responses.stream(model="m", input="x", text_format=City) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds.count("response.output_text.delta") == 2
    assert final.output_text == '{"name": "Rome"}'
    assert final.output_parsed == City(name="Rome")
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert final.usage is not None
    assert final.usage.total_tokens == 21


def test_official_client_parses() -> None:
    reply = Reply(model="vendor-model", choices=(Choice(parts=PARTS[:3], finish="stop"),), usage=USAGE)
    client = client_for(json.dumps(encode_reply(reply, head())).encode(), "application/json")
    assert client.responses.parse(model="m", input="x", text_format=City).output_parsed == City(name="Rome")


def test_official_client_sees_the_failure() -> None:
    encoder = encode_stream(head())
    body = encoder.fail(Broken("Gone"), ID)
    with client_for(body, "text/event-stream").responses.stream(model="m", input="x") as stream:
        last = list(stream)[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.message.startswith("Gone")
