"""What vendors that speak Responses answer: whole, in pieces, with the pieces that some of them leave out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from oneapi_cli.dialects.dialect import VendorError
from oneapi_cli.dialects.openai_responses import decode_reply, decode_stream
from oneapi_cli.dialects.parts import collect
from oneapi_cli.framing.sse import Frame
from oneapi_cli.values.conversation import (
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
from oneapi_cli.values.errors import Malformed
from oneapi_cli.values.events import Event, Failed, Finished, PartDone, UsageSeen
from oneapi_cli.values.vendor import Quirks

PNG = "iVBORw0KGgoAAAANSUhEUg=="
SITE = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
FILE = {"type": "file_citation", "file_id": "f", "filename": "a.pdf", "index": 3}
INSIDE = {
    "type": "container_file_citation",
    "container_id": "c",
    "file_id": "f",
    "filename": "plot.png",
    "start_index": 1,
    "end_index": 4,
}
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 21,
}
COUNTS = {"input_tokens": 12, "cache_read_tokens": 4, "output_tokens": 9}


def own(data: Any) -> Opaque:
    return Opaque(dialect="openai_responses", data=data)


def text(words: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": list(annotations), "logprobs": []}


def message(*content: dict[str, Any], id: str = "msg_1", **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": list(content), **more}


def call(name: str = "weather", arguments: Any = "{}", *, id: str = "fc_1", call_id: str = "c1") -> dict[str, Any]:
    return {"type": "function_call", "id": id, "call_id": call_id, "name": name, "arguments": arguments}


def reasoning(*summary: str, id: str = "rs_1", **more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": id, "summary": [{"type": "summary_text", "text": t} for t in summary], **more}


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000.0,
        "status": "completed",
        "model": "vendor-1",
        "error": None,
        "incomplete_details": None,
        "output": list(output),
        "usage": USAGE,
        **more,
    }


@dataclass(frozen=True)
class Case:
    """Output items, and what they say."""

    id: str
    output: tuple[dict[str, Any], ...]
    parts: tuple[Part, ...]
    finish: FinishReason = "stop"
    more: dict[str, Any] = field(default_factory=dict)


SEARCH: dict[str, Any] = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}
CODE = {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "1", "container_id": "c"}
FILES = {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["x"]}
MCP = {"type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": "{}", "server_label": "s"}
COMPUTER = {"type": "computer_call", "id": "cu_1", "call_id": "c", "action": {"type": "wait"}}
CUT: dict[str, Any] = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}

CASES = [
    Case("text", (message(text("Hello")),), (Text(text="Hello"),)),
    Case("nothing", (), ()),
    Case(
        "thoughts, sealed; several passages of a summary",
        (reasoning("One", "Two", encrypted_content="E"), message(text("A"))),
        (
            Thinking(text="One\n\nTwo", sealed=own({"id": "rs_1", "encrypted_content": "E"})),
            Text(text="A"),
        ),
    ),
    Case(
        "a seal alone, and an item that says nothing",
        (reasoning(encrypted_content="E"), reasoning(id="rs_2"), message(text("A"))),
        (Thinking(sealed=own({"id": "rs_1", "encrypted_content": "E"})), Text(text="A")),
    ),
    Case(
        "thoughts in the open",
        (reasoning(content=[{"type": "reasoning_text", "text": "Open"}], encrypted_content=None), message(text("A"))),
        (
            Thinking(text="Open", sealed=own({"id": "rs_1", "encrypted_content": "", "content": True})),
            Text(text="A"),
        ),
    ),
    Case(
        "two messages",
        (message(text("A"), phase="commentary"), message(text("B"), id="msg_2")),
        (Text(text="A"), Text(text="B")),
    ),
    Case(
        "sources",
        (message(text("Here", SITE, FILE, INSIDE)),),
        (
            Text(
                text="Here",
                citations=(
                    Citation(url="https://a.example", title="A", start=0, end=2, raw=own(SITE)),
                    Citation(title="a.pdf", raw=own(FILE)),
                    Citation(title="plot.png", start=1, end=4, raw=own(INSIDE)),
                ),
            ),
        ),
    ),
    Case("a refusal", (message({"type": "refusal", "refusal": "No"}),), (Refusal(text="No"),), finish="refusal"),
    Case(
        "calls",
        (message(text("A")), call("weather", '{"a":1}'), call("other", "", id="fc_2", call_id="c2")),
        (
            Text(text="A"),
            ToolCall(id="c1", name="weather", arguments='{"a":1}'),
            ToolCall(id="c2", name="other", arguments="{}"),
        ),
        finish="tool_calls",
    ),
    Case(
        "arguments as an object",
        (call(arguments={"a": 1}),),
        (ToolCall(id="c1", name="weather", arguments='{"a":1}'),),
        finish="tool_calls",
    ),
    Case(
        "free text",
        ({"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "patch", "input": "*** Begin"},),
        (ToolCall(id="c1", name="patch", arguments="*** Begin", custom=True),),
        finish="tool_calls",
    ),
    Case(
        "what the vendor ran",
        (SEARCH, CODE, FILES, MCP, COMPUTER, {"type": "novelty_call", "id": "n"}, message(text("A"))),
        (
            Hosted(kind="web_search", sealed=own(SEARCH)),
            Hosted(kind="code_execution", sealed=own(CODE)),
            Hosted(kind="file_search", sealed=own(FILES)),
            Hosted(kind="mcp", sealed=own(MCP)),
            Hosted(kind="computer", sealed=own(COMPUTER)),
            Hosted(kind="novelty", sealed=own({"type": "novelty_call", "id": "n"})),
            Text(text="A"),
        ),
    ),
    Case(
        "a picture, and one that failed",
        (
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": PNG},
            {"type": "image_generation_call", "id": "ig_2", "status": "failed", "result": None},
        ),
        (
            Media(kind="image", media_type="image/png", data=PNG),
            Hosted(
                kind="image_generation",
                sealed=own({"type": "image_generation_call", "id": "ig_2", "status": "failed", "result": None}),
            ),
        ),
    ),
    Case("cut text", (message(text("Hel")),), (Text(text="Hel"),), finish="length", more=CUT),
    Case(
        "a cut call",
        (call(arguments='{"a": '),),
        (ToolCall(id="c1", name="weather", arguments='{"a": '),),
        finish="length",
        more=CUT,
    ),
    Case("a call behind which it was cut", (call(),), (ToolCall(id="c1", name="weather"),), "tool_calls", CUT),
    Case(
        "filtered",
        (message(text("A")),),
        (Text(text="A"),),
        finish="content_filter",
        more={"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
    ),
    Case("incomplete, nobody says why", (message(text("A")),), (Text(text="A"),), "length", {"status": "incomplete"}),
    Case("steered", (), (), "unknown", {"status": "incomplete", "incomplete_details": {"reason": "steered"}}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_reply(case: Case) -> None:
    reply = decode_reply(response(*case.output, **case.more), Quirks())
    assert isinstance(reply, Reply)
    assert (reply.id, reply.model, reply.created) == ("resp_1", "vendor-1", 1_790_000_000)
    assert reply.choices[0].parts == case.parts
    assert reply.choices[0].finish == case.finish
    assert reply.usage is not None
    assert reply.usage.reasoning_tokens == 5
    searches = {"web_searches": 1, "storage_searches": 1} if SEARCH in case.output else {}
    assert reply.usage.counts == {**COUNTS, **searches}


def test_messages_of_others_say_nothing() -> None:
    reply = decode_reply(response({"type": "message", "role": "user", "content": [text("x")]}), Quirks())
    assert isinstance(reply, Reply)
    assert reply.choices[0].parts == ()


def test_a_seal_that_comes_too_late_seals_nothing() -> None:
    """A thought is over when what it led to begins; a seal behind that would stand before the next answer's words."""
    place = {"output_index": 0, "item_id": "rs_1"}
    events: list[dict[str, Any]] = [
        {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": "Hm"},
        {"type": "response.output_text.delta", "output_index": 1, "item_id": "msg_1", "content_index": 0, "delta": "A"},
        {
            "type": "response.completed",
            "response": response(reasoning("Hm", encrypted_content="E"), message(text("A"))),
        },
    ]
    assert collect(decoded(events)).choices[0].parts == (Thinking(text="Hm"), Text(text="A"))


def test_logprobs_are_chats() -> None:
    token = {"token": "A", "logprob": -0.5, "bytes": [65], "top_logprobs": []}
    reply = decode_reply(response(message({**text("A"), "logprobs": [token]})), Quirks())
    assert isinstance(reply, Reply)
    assert reply.choices[0].logprobs == {"content": [token], "refusal": None}


# --- streams --------------------------------------------------------------------------------------------------------


def frame(event: dict[str, Any], name: str = "") -> Frame:
    return Frame(name or event.get("type", ""), json.dumps(event).encode())


def pieces(words: str) -> Iterable[str]:
    return (words[at : at + 3] for at in range(0, len(words), 3))


def events_for(output: Sequence[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    """The whole grammar, as OpenAI sends it."""
    begun = response(status="in_progress", usage=None)
    found: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(output):
        place: dict[str, Any] = {"output_index": index, "item_id": item.get("id", "")}
        blank = {name: [] if isinstance(value, list) else value for name, value in item.items()}
        blank |= {name: "" for name in ("arguments", "input") if name in item}
        found.append({"type": "response.output_item.added", "output_index": index, "item": blank})
        found += _inside(item, place)
        found.append({"type": "response.output_item.done", "output_index": index, "item": item})
    whole = response(*output, **more)
    found.append({"type": f"response.{whole['status']}", "response": whole})
    return [{**event, "sequence_number": number} for number, event in enumerate(found)]


def _inside(item: dict[str, Any], place: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, part in enumerate(item.get("content") or ()):
        here = {**place, "content_index": number}
        kind = part["type"]
        member = "refusal" if kind == "refusal" else "text"
        found.append({"type": "response.content_part.added", **here, "part": {**part, member: ""}})
        found += [{"type": f"response.{kind}.delta", **here, "delta": piece} for piece in pieces(part[member])]
        for at, annotation in enumerate(part.get("annotations") or ()):
            name = "response.output_text.annotation.added"
            found.append({"type": name, **here, "annotation_index": at, "annotation": annotation})
        found.append({"type": f"response.{kind}.done", **here, member: part[member]})
        found.append({"type": "response.content_part.done", **here, "part": part})
    for number, part in enumerate(item.get("summary") or ()):
        here = {**place, "summary_index": number}
        name = "response.reasoning_summary_text"
        found += [{"type": f"{name}.delta", **here, "delta": piece} for piece in pieces(part["text"])]
        found.append({"type": f"{name}.done", **here, "text": part["text"]})
    for member, name in (("arguments", "function_call_arguments"), ("input", "custom_tool_call_input")):
        value = item.get(member)
        if isinstance(value, str) and item["type"] != "mcp_call":
            found += [{"type": f"response.{name}.delta", **place, "delta": piece} for piece in pieces(value)]
            found.append({"type": f"response.{name}.done", **place, member: value})
    return found


def decoded(events: Iterable[dict[str, Any]]) -> list[Event]:
    decoder = decode_stream(Quirks())
    found = [made for event in events for made in decoder.feed(frame(event))]
    return found + decoder.close()


def _without(*ends: str) -> Any:
    return lambda event: not event["type"].endswith(ends)


@dataclass(frozen=True)
class Habit:
    """A vendor's way of leaving things out or changing them."""

    id: str
    keep: Any = lambda event: True
    change: Any = lambda event, number: event


def _shifting_ids(event: dict[str, Any], number: int) -> dict[str, Any]:
    item = event.get("item")
    changed = {"item": {**item, "id": f"{item.get('id')}_{number}"}} if isinstance(item, dict) else {}
    return {**event, **changed, **({"item_id": f"x{number}"} if "item_id" in event else {})}


def _one_id(event: dict[str, Any], number: int) -> dict[str, Any]:
    item = event.get("item")
    changed = {"item": {**item, "id": "same"}} if isinstance(item, dict) else {}
    return {**event, **changed, **({"item_id": "same"} if "item_id" in event else {})}


def _no_index_in_deltas(event: dict[str, Any], number: int) -> dict[str, Any]:
    return {**event, "output_index": 0} if "item_id" in event else event


def _no_list_at_the_end(event: dict[str, Any], number: int) -> dict[str, Any]:
    if event["type"] not in ("response.completed", "response.incomplete"):
        return event
    return {**event, "response": {name: value for name, value in event["response"].items() if name != "output"}}


HABITS = [
    Habit("everything"),
    Habit("no deltas", _without(".delta")),
    Habit("no deltas, no parts", _without(".delta", "_text.done", "refusal.done", "part.done", "input.done", "added")),
    Habit("only deltas and items", _without("_text.done", "refusal.done", "part.done", "arguments.done", "input.done")),
    Habit("only deltas", _without(".done", "part.added", "in_progress")),
    Habit("only the end", lambda event: event["type"].count(".") == 1 and not event["type"].endswith("progress")),
    Habit("ids that shift", change=_shifting_ids),
    Habit("one id for all", change=_one_id),
    Habit("indices that are wrong", change=_no_index_in_deltas),
    Habit("an end without a list", change=_no_list_at_the_end),
]
# What comes only behind the answer that it belongs before.
_LATE = {
    ("only deltas", "thoughts, sealed; several passages of a summary"),
    ("only deltas", "a seal alone, and an item that says nothing"),
    ("only deltas", "thoughts in the open"),
    ("only deltas", "what the vendor ran"),
}


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.id)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_stream_is_the_reply(case: Case, habit: Habit) -> None:
    if (habit.id, case.id) in _LATE:
        pytest.skip("a vendor that never says when its thoughts are over")
    events = [event for event in events_for(case.output, **case.more) if habit.keep(event)]
    found = decoded(habit.change(event, number) for number, event in enumerate(events))
    reply = collect(found)
    shown = [_bare(part) for part in reply.choices[0].parts]
    assert shown == [_bare(part) for part in case.parts]
    assert reply.choices[0].finish == case.finish
    assert (reply.id, reply.model, reply.created) == ("resp_1", "vendor-1", 1_790_000_000)
    assert isinstance(found[-1], Finished)
    assert sum(isinstance(event, UsageSeen) for event in found) == 1


def _bare(part: Part) -> Part:
    """Ids inside seals may be what a habit makes of them."""
    if isinstance(part, Thinking) and part.sealed is not None:
        data = {name: value for name, value in part.sealed.data.items() if name != "id"}
        return Thinking(text=part.text, sealed=own(data))
    if isinstance(part, Hosted):
        return Hosted(kind=part.kind, sealed=own(None))
    return part


def test_names_may_stand_outside() -> None:
    decoder = decode_stream(Quirks())
    found: list[Event] = []
    for event in events_for([message(text("Hello"))]):
        name = event.pop("type")
        found += decoder.feed(frame(event, name))
    assert collect(found).choices[0].parts == (Text(text="Hello"),)


def test_parallel_calls() -> None:
    events = events_for([call("a", '{"x":1}'), call("b", '{"y":2}', id="fc_2", call_id="c2")])
    added = [event for event in events if event["type"].endswith("added")]
    rest = [event for event in events if event not in added]
    mixed = [*rest[:2], *added, *sorted(rest[2:-1], key=lambda event: event["type"]), rest[-1]]
    parts = collect(decoded(mixed)).choices[0].parts
    assert [(part.id, part.arguments) for part in parts if isinstance(part, ToolCall)] == [
        ("c1", '{"x":1}'),
        ("c2", '{"y":2}'),
    ]


def test_thoughts_told_twice_are_told_once() -> None:
    """Some vendors stream both the thoughts and their summary."""
    item = reasoning("Short", content=[{"type": "reasoning_text", "text": "Long"}])
    place = {"output_index": 0, "item_id": "rs_1"}
    events: list[dict[str, Any]] = [
        {"type": "response.reasoning_text.delta", **place, "content_index": 0, "delta": "Long"},
        {"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": "Short"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response(item)},
    ]
    parts = collect(decoded(events)).choices[0].parts
    assert [part.text for part in parts if isinstance(part, Thinking)] == ["Long"]


def test_unknown_events_are_passed_over() -> None:
    events = events_for([message(text("Hello"))])
    events[3:3] = [{"type": "response.web_search_call.searching"}, {"type": "keepalive"}, {"something": 1}]
    assert collect(decoded(events)).choices[0].parts == (Text(text="Hello"),)


def test_a_stream_that_stops_does_not_finish() -> None:
    found = decoded(events_for([message(text("Hello"))])[:6])
    assert not any(isinstance(event, Finished) for event in found)
    assert isinstance(found[-1], PartDone)


@dataclass(frozen=True)
class Broke:
    id: str
    event: dict[str, Any]
    failed: Failed


BROKE = [
    Broke(
        "documented",
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow", "param": None, "sequence_number": 4},
        Failed(message="Slow", code="rate_limit_exceeded"),
    ),
    Broke(
        "inside",
        {"type": "error", "error": {"type": "server_error", "code": 500, "message": "Oh"}},
        Failed(message="Oh", type="server_error", code="500", status=500),
    ),
    Broke("nameless", {"error": {"message": "Oh", "type": "x"}}, Failed(message="Oh", type="x")),
    Broke(
        "failed",
        {
            "type": "response.failed",
            "response": response(status="failed", error={"code": "server_error", "message": "Oh"}),
        },
        Failed(message="Oh", code="server_error"),
    ),
    Broke(
        "failed, nobody says why",
        {"type": "response.failed", "response": {"status": "failed"}},
        Failed(message="The upstream's response failed without saying why", type="upstream_error"),
    ),
    Broke(
        "cancelled",
        {"type": "response.cancelled", "response": response(status="cancelled")},
        Failed(message="The upstream cancelled the response", type="upstream_error", code="cancelled"),
    ),
]


@pytest.mark.parametrize("case", BROKE, ids=lambda case: case.id)
def test_broken_streams(case: Broke) -> None:
    before = events_for([message(text("Hello"))])[:6]
    found = decoded([*before, case.event, *before])
    assert found[-1] == case.failed
    assert sum(isinstance(event, Failed) for event in found) == 1
    assert not any(isinstance(event, Finished) for event in found)


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff"], ids=repr)
def test_malformed_events(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_stream(Quirks()).feed(Frame("", data))


def test_done_is_no_event() -> None:
    assert decode_stream(Quirks()).feed(Frame("", b"[DONE]")) == []


@dataclass(frozen=True)
class Refused:
    id: str
    payload: dict[str, Any]
    message: str


@pytest.mark.parametrize(
    "case",
    [
        Refused("an error alone", {"error": {"message": "No", "type": "x"}}, "No"),
        Refused("failed", response(status="failed", error={"code": "server_error", "message": "Oh"}), "Oh"),
        Refused("cancelled", response(status="cancelled"), "cancelled"),
        Refused("put off", response(status="queued"), "put the response off"),
    ],
    ids=lambda case: case.id,
)
def test_replies_that_are_errors(case: Refused) -> None:
    found = decode_reply(case.payload, Quirks())
    assert isinstance(found, VendorError)
    assert case.message in found.message


def test_what_is_no_response() -> None:
    with pytest.raises(Malformed):
        decode_reply({"object": "list", "data": []}, Quirks())
