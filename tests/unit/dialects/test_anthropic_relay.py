"""Messages relayed: what is read of a request, what is changed in it, and the scanner beside a stream."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import pytest
from anthropic.types import message_create_params

from oneapi_cli.dialects import anthropic_messages as messages
from oneapi_cli.dialects.anthropic_messages import KNOWN, measure, open_stream, peek, rewrite
from oneapi_cli.dialects.sealing import seal
from oneapi_cli.values.asks import Change, Wanted
from oneapi_cli.values.conversation import Opaque
from oneapi_cli.values.errors import BadRequest, Malformed
from oneapi_cli.values.vendor import Quirks

LEAST: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def body(**more: Any) -> bytes:
    return json.dumps({**LEAST, **more}).encode()


def tool(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": "t", **more}


# --- peek -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    more: dict[str, Any]
    wanted: dict[str, Any] = field(default_factory=dict)


PEEKED = [
    Case({}),
    Case({"stream": True, "max_tokens": 0}, {"stream": True, "limit": 0}),
    Case({"service_tier": "standard_only"}),
    Case({"service_tier": "auto"}, {"tier": "auto"}),
    Case({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinking": 2000}),
    Case({"thinking": {"type": "adaptive"}}),
    Case({"thinking": {"type": "disabled", "budget_tokens": 7}}),
    Case(
        {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"long_cache": True},
    ),
    Case({"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]}),
    Case({"tools": [tool("custom"), {"name": "t"}, tool("bash_20250124"), tool("computer_20250124")]}),
    Case(
        {"tools": [tool("web_search_20250305", max_uses=3), tool("web_search_20260209", max_uses=2)]},
        {"fees": {"web_searches": 5}, "unknown": ("tools[0]", "tools[1]")},
    ),
    Case({"tools": [tool("tool_search_tool_bm25_20251119")]}, {"unknown": ("tools[0]",)}),
    Case({"speed": "standard", "inference_geo": "global", "mcp_servers": []}),
    Case({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
    Case({"context_management": {"edits": [{"type": "compact_20260112"}]}}, {"unknown": ("context_management.edits",)}),
    Case({"container": "c_1", "new_member": 1}, {"unknown": ("new_member", "container")}),
]


@pytest.mark.parametrize("case", PEEKED, ids=lambda case: str(case.more)[:60])
def test_peek(case: Case) -> None:
    expected = Wanted(
        dialect="anthropic_messages",
        model="m",
        limit=case.wanted.pop("limit", 9),
        limit_members=("max_tokens",),
        usage_asked=True,
        **case.wanted,
    )
    assert peek(body(**case.more)) == expected


UNPRICEABLE = [
    ({"tools": [tool("web_search_20250305")]}, "tools[0]"),
    ({"tools": [{"name": "a"}, tool("code_execution_20250825")]}, "tools[1]"),
    ({"tools": [tool("mcp_toolset")]}, "tools[0]"),
    ({"tools": [tool("advisor_20260301", max_uses=1)]}, "tools[0]"),
    ({"speed": "fast"}, "speed"),
    ({"inference_geo": "us"}, "inference_geo"),
    ({"mcp_servers": [{"type": "url", "url": "https://a.example"}]}, "mcp_servers"),
    ({"fallbacks": "default"}, "fallbacks"),
    ({"container": {"skills": [{"type": "anthropic", "skill_id": "pdf"}]}}, "container"),
    ({"thread": {"type": "create"}}, "thread"),
]


@pytest.mark.parametrize(("more", "member"), UNPRICEABLE, ids=lambda value: str(value)[:40])
def test_what_no_count_bounds(more: dict[str, Any], member: str) -> None:
    assert [name for name, _ in peek(body(**more)).unpriceable] == [member]


def document(source: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "document", "source": source}]}]


def test_documents_kept_elsewhere_have_no_bound() -> None:
    wanted = peek(body(messages=document({"type": "url", "url": "https://a.example/a.pdf"})))
    assert wanted.unknown == ("messages",)
    assert [name for name, _ in wanted.unpriceable] == ["messages"]
    assert peek(body(messages=document({"type": "text", "data": "x", "media_type": "text/plain"}))).unknown == ()


REFUSED = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"model": ""}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"stream": "yes"}, "stream"),
    ({"tools": {}}, "tools"),
    ({"tools": ["a"]}, "tools[0]"),
    ({"thinking": "on"}, "thinking"),
    ({"Max_Tokens": 3}, "Max_Tokens"),
]


@pytest.mark.parametrize(("more", "member"), REFUSED, ids=lambda value: str(value)[:40])
def test_refusals_name_the_member(more: dict[str, Any], member: str) -> None:
    with pytest.raises(BadRequest) as refused:
        peek(body(**more))
    assert refused.value.member == member


def test_a_member_given_twice_is_refused() -> None:
    with pytest.raises(BadRequest, match="twice"):
        peek(b'{"model":"m","max_tokens":1,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}')
    image = '{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA==","data":"BB=="}}'
    twice = f'{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":[{image}]}}]}}'.encode()
    with pytest.raises(BadRequest, match="`data`"):
        measure(twice, peek(twice))


def test_every_member_of_the_official_client_is_known() -> None:
    """What the package can send and we do not know leaves bills unbounded: on purpose, and listed here."""
    theirs = set(get_type_hints(message_create_params.MessageCreateParamsStreaming))
    unknown = theirs - KNOWN - {"user_profile_id", "workspace_id"}  # sent as headers
    assert unknown == set()


# --- measure --------------------------------------------------------------------------------------------------------

PNG = "iVBORw0KGgo" + "A" * 10_000


def image(data: str = PNG) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def measured(content: Any, **more: Any) -> Any:
    given = body(messages=[{"role": "user", "content": content}], **more)
    return given, measure(given, peek(given))


def test_pictures_are_counted_and_not_read_as_text() -> None:
    given, bound = measured([image(), {"type": "tool_result", "tool_use_id": "a", "content": [image(), image()]}])
    assert bound.images == 3
    assert len(given) - 3 * len(PNG) < bound.text_bytes < len(given) - 3 * len(PNG) + 256


def test_what_only_looks_like_a_picture_is_text() -> None:
    call = {"type": "tool_use", "id": "a", "name": "n", "input": image()}
    given = body(messages=[{"role": "assistant", "content": [call]}])
    bound = measure(given, peek(given))
    assert (bound.images, bound.text_bytes >= len(given)) == (0, True)


def test_pages_are_counted_and_their_file_stays_text() -> None:
    import base64

    pdf = base64.b64encode(b"%PDF-1.4 /Type /Page /Type /Page /Type /Pages").decode()
    given, bound = measured([{"type": "document", "source": {"type": "base64", "data": pdf}}])
    assert bound.pages == 2
    assert bound.text_bytes >= len(given)


def test_what_the_vendor_writes_around_tools_is_held() -> None:
    _, plain = measured("hi")
    given, custom = measured("hi", tools=[{"name": "t", "input_schema": {}}])
    assert custom.text_bytes - len(given) > 800
    given, typed = measured("hi", tools=[tool("code_execution_20260120")])
    assert typed.text_bytes - len(given) > 4_500  # a recorded one added about 2 200
    assert plain.text_bytes < 300


def test_texts_are_everything_that_is_said() -> None:
    given = body(
        system="be brief",
        messages=[
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "n", "input": {"q": 1}}]},
            {"role": "user", "content": [image("AAAA"), {"type": "text", "text": "why"}]},
        ],
    )
    texts = measure(given, peek(given), texts=True).texts
    assert {'{"q":1}', "why", '"be brief"'} <= set(texts)
    assert "AAAA" not in texts


# --- rewrite --------------------------------------------------------------------------------------------------------


def rewritten(given: bytes, **change: Any) -> tuple[bytes, tuple[str, ...]]:
    return rewrite(given, peek(given), Change(**{"model": "m", **change}))


def test_an_unchanged_body_leaves_as_the_same_bytes() -> None:
    given = b'{ "model":"m" , "max_tokens":9,"messages":[{"role":"user","content":"hi"}], "temperature":1.0 }'
    assert rewritten(given)[0] is given


def test_the_channels_prompt_takes_the_systems_place() -> None:
    sent, notes = rewritten(body(system=[{"type": "text", "text": "s"}]), system_prompt="ours")
    assert json.loads(sent)["system"] == "ours"
    assert notes == ("system_prompt",)


def test_where_the_model_stands_in_the_url() -> None:
    given = body(stream=True)
    sent = json.loads(rewritten(given, body_version="bedrock-2023-05-31")[0])
    assert sent == {"max_tokens": 9, "messages": LEAST["messages"], "anthropic_version": "bedrock-2023-05-31"}
    sent = json.loads(rewritten(given, body_version="vertex-2023-10-16")[0])
    assert (sent["stream"], "model" in sent, sent["anthropic_version"]) == (True, False, "vertex-2023-10-16")
    own = json.loads(rewritten(body(anthropic_version="mine"), body_version="bedrock-2023-05-31")[0])
    assert own["anthropic_version"] == "mine"


def test_sealed_thoughts_of_other_vendors_are_taken_out() -> None:
    sealed = seal(Opaque(dialect="gemini", data={"thoughtSignature": "x"}))
    own = {"type": "thinking", "thinking": "mine", "signature": "c2ln"}
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "theirs", "signature": sealed}]},
        {
            "role": "assistant",
            "content": [own, {"type": "redacted_thinking", "data": sealed}, {"type": "text", "text": "4"}],
        },
    ]
    sent, notes = rewritten(body(messages=history))
    assert json.loads(sent)["messages"] == [
        history[0],
        {"role": "assistant", "content": [own, {"type": "text", "text": "4"}]},
    ]
    assert notes == ("dropped:thinking",)


def test_a_text_about_seals_is_no_seal() -> None:
    given = body(messages=[{"role": "user", "content": [{"type": "text", "text": 'say "signature":""'}]}])
    assert rewritten(given)[0] is given


# --- the scanner ----------------------------------------------------------------------------------------------------


def event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def started(**usage: Any) -> bytes:
    return event("message_start", message={"id": "msg_1", "usage": usage})


def delta(text: str = "hi") -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def ended(reason: str | None = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason}, usage=usage)


STOP = event("message_stop")


@dataclass(frozen=True)
class Stream:
    name: str
    stream: bytes
    counts: dict[str, int] | None
    early: bool = False
    finished: bool = True
    clean: bool = True
    ending: bytes = STOP


STREAMS = [
    Stream(
        "repeated",
        started(input_tokens=5, cache_read_input_tokens=7, output_tokens=1)
        + delta()
        + ended(input_tokens=5, cache_read_input_tokens=7, output_tokens=4)
        + STOP,
        {"input_tokens": 12, "output_tokens": 4, "cache_read_tokens": 7},
    ),
    Stream(
        "output_alone",
        started(input_tokens=5, output_tokens=1) + delta() + ended(output_tokens=4) + STOP,
        {"input_tokens": 5, "output_tokens": 4},
    ),
    Stream(
        "grown",
        started(input_tokens=5, output_tokens=1)
        + ended(None, input_tokens=50, output_tokens=3)
        + ended(output_tokens=9)
        + STOP,
        {"input_tokens": 50, "output_tokens": 9},
    ),
    Stream(
        "late_input",
        started(input_tokens=0, output_tokens=0) + delta() + ended(input_tokens=8, output_tokens=2) + STOP,
        {"input_tokens": 8, "output_tokens": 2},
    ),
    Stream(
        "zeros_say_nothing",
        started(input_tokens=8, output_tokens=0) + delta() + ended(input_tokens=0, output_tokens=2) + STOP,
        {"input_tokens": 8, "output_tokens": 2},
    ),
    Stream(
        "moved_to_the_cache",
        started(input_tokens=100, cache_read_input_tokens=0)
        + ended(input_tokens=10, cache_read_input_tokens=90, output_tokens=2)
        + STOP,
        {"input_tokens": 100, "output_tokens": 2, "cache_read_tokens": 90},
    ),
    Stream(
        "broke_off", started(input_tokens=5, output_tokens=1) + delta(), {"input_tokens": 5}, True, False, False, b""
    ),
    Stream(
        "no_stop_event",
        started(input_tokens=5) + delta() + ended(output_tokens=2),
        {"input_tokens": 5, "output_tokens": 2},
        ending=b"",
    ),
    Stream(
        "unknown_events",
        started(input_tokens=5) + event("weather", error=None) + ended(output_tokens=2) + STOP,
        {"input_tokens": 5, "output_tokens": 2},
    ),
    Stream("without_usage", event("message_start", message={}) + delta() + ended() + STOP, None),
]


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
def test_scanner(case: Stream) -> None:
    for chunks in cuts(case.stream):
        scanner = open_stream(Quirks(), hide_usage=True, event_limit=1 << 20)
        out = b"".join(scanner.feed(chunk) for chunk in chunks)
        scanner.close()
        assert out + scanner.ending == case.stream
        assert scanner.ending == case.ending
        assert (scanner.usage and dict(scanner.usage.counts)) == case.counts
        assert (scanner.usage_is_early, scanner.finished, scanner.clean) == (case.early, case.finished, case.clean)


def cuts(stream: bytes) -> list[list[bytes]]:
    dice = random.Random(len(stream))
    found = [[stream], [stream[at : at + 1] for at in range(len(stream))]]
    for _ in range(10):
        places = sorted(dice.randint(0, len(stream)) for _ in range(6))
        found.append([stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)])
    return found


def test_what_is_seen_after_an_early_report_is_kept_to_be_counted() -> None:
    scanner = open_stream(Quirks(), hide_usage=False, event_limit=1 << 20)
    scanner.feed(started(input_tokens=5, output_tokens=1))
    scanner.feed(delta("one ") * 3)
    assert messages.texts_of(scanner.take_seen()) == ["one one one "]
    scanner.feed(delta("two"))
    assert messages.texts_of(scanner.take_seen()) == ["two"]
    scanner.feed(delta("three") + ended(output_tokens=9))
    assert (scanner.seen_bytes, scanner.unreported) == (0, [])


def test_raw_usage_is_both_reports_in_one() -> None:
    scanner = open_stream(Quirks(), hide_usage=False, event_limit=1 << 20)
    scanner.feed(
        started(input_tokens=5, service_tier="standard")
        + ended(output_tokens=9, output_tokens_details={"thinking_tokens": 4})
    )
    assert scanner.usage is not None
    assert json.loads(scanner.usage.raw or "") == {
        "input_tokens": 5,
        "service_tier": "standard",
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    assert (scanner.usage.reasoning_tokens, scanner.usage.tier) == (4, "standard")


def test_an_error_event_is_an_error_with_the_status_of_its_type() -> None:
    scanner = open_stream(Quirks(), hide_usage=False, event_limit=1 << 20)
    scanner.feed(
        event("error", error={"type": "overloaded_error", "message": "Overloaded", "details": {"error_code": "busy"}})
    )
    assert scanner.error is not None
    assert (scanner.error.status, scanner.error.message, scanner.error.code) == (529, "Overloaded", "busy")
    assert not scanner.clean


def test_data_that_is_no_json_is_malformed() -> None:
    scanner = open_stream(Quirks(), hide_usage=False, event_limit=1 << 20)
    with pytest.raises(Malformed):
        scanner.feed(b"event: content_block_delta\ndata: {oops\n\n")


def test_usage_beside_the_totals_is_counted_too() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 2,
        "iterations": [
            {"type": "compaction", "input_tokens": 100, "output_tokens": 30, "cache_read_input_tokens": 5},
            {"type": "message", "input_tokens": 10, "output_tokens": 2},
        ],
    }
    found = messages.read_usage({"usage": usage}, Quirks())
    assert found is not None
    assert dict(found.counts) == {"input_tokens": 115, "output_tokens": 32, "cache_read_tokens": 5}


def test_usage_that_is_none() -> None:
    assert messages.read_usage({"usage": {"input_tokens": -1, "output_tokens": "2"}}, Quirks()) is None
    assert messages.read_usage(b"[]", Quirks()) is None
    assert messages.read_usage({}, Quirks()) is None


def test_replies_that_are_none() -> None:
    for broken in (b"", b"<html>", b"[]", b'{"id":"x"}'):
        with pytest.raises(Malformed):
            messages.read_reply(broken, Quirks())
    found = messages.read_reply(b'{"content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}', Quirks())
    assert (found.texts, found.usage, found.finished) == (("a",), None, True)
