"""Replies and streams of the Messages format, from the vendor and to the client, read by the official client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import anthropic
import pytest

from oneapi_cli.dialects.anthropic_messages import (
    decode_error,
    decode_reply,
    decode_stream,
    encode_error,
    encode_error_event,
    encode_reply,
    encode_stream,
)
from oneapi_cli.dialects.dialect import ReplyHead, VendorError
from oneapi_cli.dialects.parts import collect, events_of
from oneapi_cli.dialects.sealing import seal, unseal
from oneapi_cli.framing.sse import Frame
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
from oneapi_cli.values.errors import (
    BadRequest,
    Forbidden,
    GatewayError,
    Malformed,
    NoChannel,
    NotFound,
    Refused,
    Throttled,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unreachable,
)
from oneapi_cli.values.events import Delta, Event, Failed, Finished, PartDone, PartStarted, Started, UsageSeen
from oneapi_cli.values.usage import Usage
from oneapi_cli.values.vendor import Quirks

OWN = "anthropic_messages"
HEAD = ReplyHead(request_id="2" * 32, model="asked", created=1)
FOREIGN = Opaque(dialect="openai_responses", data={"id": "rs_1", "encrypted_content": "x"})
USAGE = Usage(
    counts={
        "input_tokens": 100,
        "output_tokens": 9,
        "cache_read_tokens": 60,
        "cache_write_tokens": 30,
        "cache_write_1h_tokens": 10,
    },
    reasoning_tokens=4,
    tier="default",
)


# --- to the client --------------------------------------------------------------------------------------------------


@contextmanager
def served(status: int, kind: str, body: bytes) -> Iterator[anthropic.Anthropic]:
    """The official client, and a server on the loopback that answers it so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with anthropic.Anthropic(
            api_key="k", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0
        ) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def whole(reply: Reply) -> anthropic.types.Message:
    body = json.dumps(encode_reply(reply, HEAD)).encode()
    with served(200, "application/json", body) as client:
        return client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])


def streamed(events: Sequence[Event]) -> anthropic.types.Message:
    with served(200, "text/event-stream", told(events)) as client:
        return final_message(client)


def final_message(client: anthropic.Anthropic) -> anthropic.types.Message:
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream:
        return stream.get_final_message()


def told(events: Sequence[Event]) -> bytes:
    encoder = encode_stream(HEAD)
    return b"".join(encoder.feed(event) for event in events) + encoder.close()


def plain(message: anthropic.types.Message) -> list[dict[str, Any]]:
    return [block.model_dump(exclude_none=True) for block in message.content]


def reply(*parts: Part, finish: FinishReason = "stop", **more: Any) -> Reply:
    return Reply(id="chatcmpl-1", model="upstream", choices=[Choice(parts=parts, finish=finish, **more)], usage=USAGE)


RAN = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
CITED = {
    "type": "web_search_result_location",
    "url": "https://a",
    "title": "A",
    "cited_text": "q",
    "encrypted_index": "e",
}


@dataclass(frozen=True)
class Block:
    name: str
    part: Part
    block: dict[str, Any] | None


BLOCKS = [
    Block("text", Text(text="a\u2028b"), {"type": "text", "text": "a\u2028b"}),
    Block("no_text", Text(text=""), None),
    Block(
        "own_citation",
        Text(text="a", citations=(Citation(url="https://a", raw=Opaque(dialect=OWN, data=CITED)),)),
        {"type": "text", "text": "a", "citations": [CITED]},
    ),
    Block(
        "link",
        Text(text="a", citations=(Citation(url="https://b", title="B", quoted="c"),)),
        {
            "type": "text",
            "text": "a",
            "citations": [{**CITED, "url": "https://b", "title": "B", "cited_text": "c", "encrypted_index": ""}],
        },
    ),
    Block(
        "call",
        ToolCall(id="c", name="n", arguments='{"a": 1}'),
        {"type": "tool_use", "id": "c", "name": "n", "input": {"a": 1}},
    ),
    Block(
        "bare_call",
        ToolCall(id="c", name="n", arguments="{}"),
        {"type": "tool_use", "id": "c", "name": "n", "input": {}},
    ),
    Block(
        "custom",
        ToolCall(id="c", name="n", arguments='a "b"\n', custom=True),
        {"type": "tool_use", "id": "c", "name": "n", "input": {"input": 'a "b"\n'}},
    ),
    Block(
        "signed",
        Thinking(text="t", sealed=Opaque(dialect=OWN, data={"signature": "s"})),
        {"type": "thinking", "thinking": "t", "signature": "s"},
    ),
    Block(
        "omitted",
        Thinking(sealed=Opaque(dialect=OWN, data={"signature": "s"})),
        {"type": "thinking", "thinking": "", "signature": "s"},
    ),
    Block(
        "redacted",
        Thinking(sealed=Opaque(dialect=OWN, data={"redacted": "r"})),
        {"type": "redacted_thinking", "data": "r"},
    ),
    Block("unsigned", Thinking(text="t"), {"type": "thinking", "thinking": "t", "signature": ""}),
    Block(
        "foreign", Thinking(text="t", sealed=FOREIGN), {"type": "thinking", "thinking": "t", "signature": seal(FOREIGN)}
    ),
    Block("foreign_hidden", Thinking(sealed=FOREIGN), {"type": "redacted_thinking", "data": seal(FOREIGN)}),
    Block("own_tool", Hosted(kind="web_search", sealed=Opaque(dialect=OWN, data=RAN)), RAN),
    Block("foreign_tool", Hosted(kind="web_search", sealed=Opaque(dialect="gemini", data={})), None),
    Block("picture", Media(kind="image", data="AAAA"), None),
    Block("refusal", Refusal(text="no"), {"type": "text", "text": "no"}),
]


@pytest.mark.parametrize("case", BLOCKS, ids=lambda case: case.name)
def test_blocks_reach_the_official_client(case: Block) -> None:
    """The same whole and streamed, with a text on either side."""
    made = reply(Text(text="before"), case.part, Text(text="after"))
    blocks = [
        {"type": "text", "text": "before"},
        *([case.block] if case.block else []),
        {"type": "text", "text": "after"},
    ]
    assert plain(whole(made)) == blocks
    assert plain(streamed(events_of(made))) == blocks


def test_usage_adds_up() -> None:
    for message in (whole(reply(Text(text="a"))), streamed(events_of(reply(Text(text="a"))))):
        usage = message.usage
        assert (usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (10, 30, 60)
        assert usage.output_tokens == 9
        assert usage.output_tokens_details is not None
        assert usage.output_tokens_details.thinking_tokens == 4
        assert usage.service_tier == "standard"
    found = encode_reply(reply(), HEAD)["usage"]["cache_creation"]
    assert found == {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}


def test_usage_that_contradicts_itself_is_never_negative() -> None:
    counts = {
        "input_tokens": 10,
        "cache_read_tokens": 50,
        "cache_write_tokens": 7,
        "output_tokens": 1,
        "web_searches": 2,
    }
    made = Reply(choices=[Choice(parts=())], usage=Usage(counts=counts))
    usage = encode_reply(made, HEAD)["usage"]
    numbers = [usage[name] for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")]
    assert (min(numbers), sum(numbers)) == (0, 10)
    assert usage["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("stop_sequence", "stop_sequence"),
        ("content_filter", "refusal"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
        ("context", "model_context_window_exceeded"),
        ("error", "end_turn"),
        ("unknown", "end_turn"),
    ],
)
def test_stop_reasons(finish: FinishReason, reason: str) -> None:
    made = reply(
        Text(text="a"), finish=finish, stop_sequence="END" if finish == "stop_sequence" else "", explanation="why"
    )
    for message in (whole(made), streamed(events_of(made))):
        assert message.stop_reason == reason
        assert message.stop_sequence == ("END" if finish == "stop_sequence" else None)
        assert (message.stop_details is not None) == (reason == "refusal")


def test_ids_and_models() -> None:
    made = encode_reply(reply(ToolCall(id="", name="n")), HEAD)
    assert (made["id"], made["model"]) == ("msg_" + "2" * 32, "upstream")
    assert made["content"][0]["id"].startswith("toolu_")
    made = encode_reply(Reply(id="msg_own", choices=[Choice(parts=())]), HEAD)
    assert (made["id"], made["model"], made["usage"]["input_tokens"]) == ("msg_own", "asked", 0)


def part_events(*pieces: tuple[int, str]) -> list[Event]:
    """Two calls, begun at once, whose inputs come in these pieces."""
    begun: list[Event] = [PartStarted(index=n, kind="call", id=f"c{n}", name=f"n{n}") for n in (0, 1)]
    ended: list[Event] = [*(PartDone(index=n) for n in (0, 1)), Finished(finish="tool_calls")]
    return [*begun, *(Delta(index=n, text=text) for n, text in pieces), *ended]


@pytest.mark.parametrize(
    "pieces",
    [
        ((0, '{"a":'), (1, '{"b":'), (0, "1}"), (1, "2}")),
        ((1, '{"b":2}'), (0, '{"a":1}')),
        ((0, '{"a":1}'), (1, '{"b":'), (1, "2}")),
    ],
)
def test_mixed_calls_are_sorted_out(pieces: tuple[tuple[int, str], ...]) -> None:
    events = part_events(*pieces)
    calls = [block.input for block in streamed(events).content if block.type == "tool_use"]
    assert calls == [{"a": 1}, {"b": 2}]
    kinds = [json.loads(line[6:]) for line in told(events).split(b"\n") if line.startswith(b"data: ")]
    order = [(each["type"], each.get("index")) for each in kinds if each["type"] != "content_block_delta"]
    assert order[1:5] == [
        ("content_block_start", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_stop", 1),
    ]


def test_calls_that_never_become_whole_come_out_all_the_same() -> None:
    stream = told([*part_events((0, '{"a":'))[:3], Finished(finish="length")])
    assert stream.count(b"event: content_block_start") == stream.count(b"event: content_block_stop") == 2


def test_the_start_waits_for_what_is_known_of_the_usage() -> None:
    encoder = encode_stream(HEAD)
    assert encoder.feed(Started(id="msg_7", model="up")) == b""
    assert encoder.feed(UsageSeen(usage=Usage(counts={"input_tokens": 7}))) == b""
    assert encoder.feed(PartStarted(index=0, kind="text")) == b""
    first = encoder.feed(Delta(index=0, text="a"))
    assert first.startswith(b"event: message_start\n")
    assert b'"id":"msg_7"' in first and b'"input_tokens":7' in first
    ending = encoder.close()
    assert ending.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_an_empty_reply_is_a_whole_stream() -> None:
    message = streamed([])
    assert (message.content, message.stop_reason) == ([], "end_turn")


# --- errors ---------------------------------------------------------------------------------------------------------

ERRORS: list[tuple[GatewayError, type[anthropic.APIStatusError], str]] = [
    (BadRequest("no"), anthropic.BadRequestError, "invalid_request_error"),
    (Unauthenticated("no"), anthropic.AuthenticationError, "authentication_error"),
    (Forbidden("no"), anthropic.PermissionDeniedError, "permission_error"),
    (NotFound("no"), anthropic.NotFoundError, "not_found_error"),
    (TooLarge("no"), anthropic.APIStatusError, "request_too_large"),
    (Throttled("no"), anthropic.RateLimitError, "rate_limit_error"),
    (NoChannel("no"), anthropic.InternalServerError, "overloaded_error"),
    (TimedOut("no"), anthropic.InternalServerError, "timeout_error"),
    (Unreachable("no"), anthropic.InternalServerError, "api_error"),
    (Refused("no", status=529), anthropic.InternalServerError, "overloaded_error"),
    (Refused("no", status=422), anthropic.UnprocessableEntityError, "invalid_request_error"),
]


@pytest.mark.parametrize(("error", "raised", "kind"), ERRORS, ids=lambda value: str(value)[:40])
def test_errors_raise_the_right_exception(error: GatewayError, raised: type[Exception], kind: str) -> None:
    body = encode_error(error, "r1")
    with served(error.status, "application/json", body) as client, pytest.raises(raised) as caught:
        client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert isinstance(caught.value, anthropic.APIStatusError)
    assert (caught.value.type, caught.value.api_message) == (kind, "no")
    assert json.loads(body)["request_id"] == "r1"


def test_an_error_ends_a_stream() -> None:
    broken = told([PartStarted(index=0, kind="text"), Delta(index=0, text="a")]).partition(
        b"event: content_block_stop"
    )[0]
    broken += encode_error_event(Refused("it broke", status=529, code="busy"), "r1")
    with served(200, "text/event-stream", broken) as client, pytest.raises(anthropic.APIStatusError, match="it broke"):
        final_message(client)


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (
            429,
            b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"q"}',
            VendorError(message="slow", type="rate_limit_error", status=429),
        ),
        (
            400,
            b'{"type":"error","error":{"type":"invalid_request_error","message":"m","details":{"error_code":"c"}}}',
            VendorError(message="m", type="invalid_request_error", code="c", status=400),
        ),
        (
            403,
            b'{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED"}}',
            VendorError(message="m", type="PERMISSION_DENIED", code="403", status=403),
        ),
    ],
)
def test_decode_error(status: int, body: bytes, found: VendorError) -> None:
    assert decode_error(status, body) == found


def test_a_proxys_page_is_not_the_vendors_word() -> None:
    assert not decode_error(502, b"<html>").is_vendor_body
    assert decode_error(400, b'{"message":"Malformed input request"}').message == "Malformed input request"


# --- from the vendor ------------------------------------------------------------------------------------------------


def events(*payloads: dict[str, Any]) -> list[Event]:
    """Frames without names, as AWS frames them."""
    decoder = decode_stream(Quirks())
    found = [event for payload in payloads for event in decoder.feed(Frame("", json.dumps(payload).encode()))]
    return [*found, *decoder.close()]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(reason: str = "end_turn", **more: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, **more}, "usage": {"output_tokens": 3}}


FOUND: list[tuple[str, list[dict[str, Any]], tuple[Part, ...]]] = [
    (
        "call_with_input_at_its_start",
        block(0, {"type": "tool_use", "id": "c", "name": "n", "input": {"a": 1}}),
        (ToolCall(id="c", name="n", arguments='{"a":1}'),),
    ),
    (
        "call_without_input",
        block(0, {"type": "tool_use", "id": "c", "name": "n", "input": {}}),
        (ToolCall(id="c", name="n"),),
    ),
    (
        "texts_apart",
        [
            *block(0, {"type": "text", "text": "a"}),
            *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "b"}),
        ],
        (Text(text="a"), Text(text="b")),
    ),
    (
        "signature_alone",
        block(0, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "signature_delta", "signature": "s"}),
        (Thinking(sealed=Opaque(dialect=OWN, data={"signature": "s"})),),
    ),
    (
        "redacted",
        block(0, {"type": "redacted_thinking", "data": "r"}),
        (Thinking(sealed=Opaque(dialect=OWN, data={"redacted": "r"})),),
    ),
    (
        "thought_without_seal",
        block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "t"}),
        (Thinking(text="t"),),
    ),
    (
        "compaction",
        block(0, {"type": "compaction", "content": None}, {"type": "compaction_delta", "content": "sum"}),
        (Hosted(kind="compaction", sealed=Opaque(dialect=OWN, data={"type": "compaction", "content": "sum"})),),
    ),
    (
        "remote_tool",
        block(
            0,
            {"type": "mcp_tool_use", "id": "m", "name": "n", "server_name": "s", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"a":1}'},
        ),
        (
            Hosted(
                kind="mcp",
                sealed=Opaque(
                    dialect=OWN,
                    data={"type": "mcp_tool_use", "id": "m", "name": "n", "server_name": "s", "input": {"a": 1}},
                ),
            ),
        ),
    ),
    (
        "unknown_block",
        block(0, {"type": "hologram", "x": 1}),
        (Hosted(kind="hologram", sealed=Opaque(dialect=OWN, data={"type": "hologram", "x": 1})),),
    ),
    ("unknown_delta", block(0, {"type": "text", "text": "a"}, {"type": "sparkle_delta", "x": 1}), (Text(text="a"),)),
    (
        "text_never_started",
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}],
        (Text(text="a"),),
    ),
]


@pytest.mark.parametrize(("name", "payloads", "parts"), FOUND, ids=[name for name, _, _ in FOUND])
def test_decode_stream(name: str, payloads: list[dict[str, Any]], parts: tuple[Part, ...]) -> None:
    start = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 5}}}
    found = collect(events(start, {"type": "ping"}, *payloads, end(), {"type": "message_stop"}))
    assert found.choices[0].parts == parts
    assert found.usage is not None
    assert dict(found.usage.counts) == {"input_tokens": 5, "output_tokens": 3}
    assert found.id == "msg_1"


def test_usage_is_reported_early_and_once_more_at_the_end() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}
    seen = [dict(event.usage.counts) for event in events(start, end()) if isinstance(event, UsageSeen)]
    assert seen == [{"input_tokens": 5}, {"input_tokens": 5, "output_tokens": 3}]


def test_usage_after_the_end_still_counts() -> None:
    late = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 8}}
    found = collect(events(end(), late))
    assert found.usage is not None and found.usage.get("output_tokens") == 8


@pytest.mark.parametrize(
    ("reason", "call", "finish"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", True, "tool_calls"),
        ("tool_use", False, "stop"),
        ("max_tokens", True, "length"),
        ("pause_turn", False, "pause"),
        ("compaction", False, "pause"),
        ("refusal", False, "refusal"),
        ("model_context_window_exceeded", False, "context"),
        ("something_new", False, "unknown"),
        ("something_new", True, "tool_calls"),
    ],
)
def test_finishes(reason: str, call: bool, finish: str) -> None:
    start = {"type": "tool_use", "id": "c", "name": "n", "input": {}} if call else {"type": "text", "text": "a"}
    found = collect(events(*block(0, start), end(reason)))
    assert found.choices[0].finish == finish
    whole_reply = decode_reply({"content": [start], "stop_reason": reason}, Quirks())
    assert isinstance(whole_reply, Reply)
    assert whole_reply.choices[0].finish == finish


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It may do harm."}
    (over,) = [event for event in events(end("refusal", stop_details=details)) if isinstance(event, Finished)]
    assert over.explanation == "It may do harm."


def test_a_stream_that_breaks_off_has_no_finish() -> None:
    found = events(*block(0, {"type": "text", "text": "a"})[:1])
    assert [type(event) for event in found] == [PartStarted, Delta, PartDone]


def test_an_error_in_a_stream_or_a_reply() -> None:
    payload = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert events(payload)[0] == Failed(message="Overloaded", type="overloaded_error", status=529)
    found = decode_reply(payload, Quirks())
    assert isinstance(found, VendorError)
    assert (found.status, found.message) == (529, "Overloaded")


@pytest.mark.parametrize("data", [b"{", b"[]", b'"x"', b"\xff"])
def test_events_that_are_no_object_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_stream(Quirks()).feed(Frame("", data))


def test_a_reply_that_is_none_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode_reply({"id": "x"}, Quirks())


def test_what_a_client_keeps_comes_back_whole() -> None:
    made = encode_reply(reply(Thinking(text="t", sealed=FOREIGN)), HEAD)
    assert unseal(made["content"][0]["signature"]) == FOREIGN
