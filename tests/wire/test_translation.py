"""Cases of translation, one folder each: `<dialect of the vendor>/talk_<case>/`. Adding a case is adding a folder.

request.json            a client's body in the format of a door
upstream_request.json   what `encode_request` must make of it, compared as JSON and held against the vendor's model
upstream_reply.json     what upstream answers; `.sse`, `.ndjson`, `.bin` (AWS frames) or `.aws` for a stream; `.aws` is
                        an AWS event stream as lines of `eventType {…}`, exceptions with a `!` before the type
reading.json            door, model, limit, notes; of the reply: text, reasoning, calls, finish, usage (`Usage.counts`),
                        reasoning_tokens, error, reply_notes; also `traits` and `quirks`, where they matter

Either pair may be missing. Every reply is read at every door, whole and as a stream, with the readers of `make wire`
(the official packages' types and accumulators); every stream is replayed whole, byte by byte and at random cuts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from oneapi_cli.dialects import LISTENERS, SPEAKERS, VendorError
from oneapi_cli.dialects.parts import collect, events_of
from oneapi_cli.framing.frames import open_frames
from oneapi_cli.values.conversation import Choice, Refusal, Reply, Text, Thinking, ToolCall
from oneapi_cli.values.events import Event, Failed
from oneapi_cli.values.vendor import Quirks, Traits
from scripts.wire.doors import DOORS
from scripts.wire.models import model_problems
from scripts.wire.replies import REQUEST_ID, cuts_of, forms_of, head_for, refusal_of
from scripts.wire.rules import rule_problems
from scripts.wire.said import Call, Counts, Said, arguments_of, differences
from tests.wire.frames import aws_frame

HERE = Path(__file__).parent
CASES = sorted(place for place in HERE.glob("*/talk_*") if place.is_dir())
REQUESTS = {"request.json", "upstream_request.json"}
TYPES = {
    ".json": "application/json",
    ".sse": "text/event-stream",
    ".ndjson": "application/x-ndjson",
    ".bin": "application/vnd.amazon.eventstream",
    ".aws": "application/vnd.amazon.eventstream",
}
MEMBERS = {
    *("door", "model", "limit", "notes", "text", "reasoning", "calls", "finish", "usage", "error"),
    *("reasoning_tokens", "reply_notes", "traits", "quirks", "refusal", "message"),
}
CUTS = 20


def name_of(place: Path) -> str:
    return f"{place.parent.name}/{place.name}"


@pytest.fixture(params=CASES, ids=name_of)
def case(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def reading_of(case: Path) -> dict[str, Any]:
    reading = json.loads((case / "reading.json").read_bytes())
    assert isinstance(reading, dict)
    return reading


def reply_of(case: Path) -> Path | None:
    return next(iter(case.glob("upstream_reply.*")), None)


def is_stream(case: Path) -> bool:
    path = reply_of(case)
    return path is not None and path.suffix != ".json"


def test_cases_are_whole() -> None:
    for case in CASES:
        assert case.parent.name in SPEAKERS, name_of(case)
        names = {file.name for file in case.iterdir()}
        replies = {name for name in names if name.startswith("upstream_reply")}
        assert names - replies - REQUESTS == {"reading.json"}, name_of(case)
        assert len(replies) <= 1 and all(Path(name).suffix in TYPES for name in replies), name_of(case)
        assert names & REQUESTS in (set(), REQUESTS), name_of(case)
        assert names & REQUESTS or replies, name_of(case)
        assert set(reading_of(case)) <= MEMBERS, name_of(case)


# --- requests -------------------------------------------------------------------------------------------------------


def test_request(case: Path) -> None:
    if not (case / "request.json").exists():
        pytest.skip("a case of a reply alone")
    reading, dialect = reading_of(case), case.parent.name
    body = json.loads((case / "request.json").read_bytes())
    talk, notes = LISTENERS[reading["door"]].decode_request(body)
    talk = replace(
        talk,
        model=reading.get("model", talk.model),
        limit=reading.get("limit", talk.limit),
        stream=talk.stream or is_stream(case),
        origin=reading["door"],
    )
    sent, more = SPEAKERS[dialect].encode_request(talk, quirks_in(reading), traits_in(reading))
    sent = json.loads(msgspec.json.encode(sent))
    assert sent == json.loads((case / "upstream_request.json").read_bytes())
    assert sorted({*notes, *more}) == sorted(reading.get("notes", []))
    assert list(model_problems(dialect, sent)) == []
    assert list(rule_problems(dialect, sent)) == []


def quirks_in(reading: Mapping[str, Any]) -> Quirks:
    return msgspec.convert(reading.get("quirks", {}), Quirks)


def traits_in(reading: Mapping[str, Any]) -> Traits:
    return msgspec.convert(reading.get("traits", {}), Traits)


# --- replies --------------------------------------------------------------------------------------------------------


def test_reply(case: Path) -> None:
    """What the dialect's decoder makes of it."""
    path, reading = reply_of(case), reading_of(case)
    if path is None:
        pytest.skip("a case of a request alone")
    speaker = SPEAKERS[case.parent.name]
    if not is_stream(case):
        reply = speaker.decode_reply(json.loads(path.read_bytes()), quirks_in(reading))
        if isinstance(reply, VendorError):
            assert reply.message == reading.get("error")
            return
        check_reply(reply, reading)
        return
    expected: list[Event] | None = None
    for chunks in cuts_of(stream_of(path), CUTS):
        events = decoded(case, chunks)
        if expected is None:
            expected = events
            failed = [event.message for event in events if isinstance(event, Failed)]
            assert (failed[0] if failed else None) == reading.get("error")
            check_reply(collect(event for event in events if not isinstance(event, Failed)), reading)
        assert events == expected


def check_reply(reply: Reply, reading: Mapping[str, Any]) -> None:
    choice = reply.choices[0]
    assert said_by(choice, Text) == reading.get("text", "")
    assert said_by(choice, Thinking) == reading.get("reasoning", "")
    assert said_by(choice, Refusal) == reading.get("refusal", "")
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    assert [(call.name, arguments_of(call.arguments)) for call in calls] == [
        (call["name"], call["arguments"]) for call in reading.get("calls", [])
    ]
    if reading.get("error") is None:
        assert choice.finish == reading["finish"]
    assert (reply.usage and dict(reply.usage.counts)) == reading.get("usage")
    if "reasoning_tokens" in reading:
        assert reply.usage is not None and reply.usage.reasoning_tokens == reading["reasoning_tokens"]
    if "reply_notes" in reading:
        assert list(reply.notes) == reading["reply_notes"]


def said_by(choice: Choice, kind: type[Text | Thinking | Refusal]) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, kind))


def decoded(case: Path, chunks: Iterator[bytes]) -> list[Event]:
    path = reply_of(case)
    assert path is not None
    frames = open_frames(TYPES[path.suffix], 1 << 20)
    decoder = SPEAKERS[case.parent.name].decode_stream(quirks_in(reading_of(case)))
    events: list[Event] = []
    for chunk in chunks:
        for frame in frames.feed(chunk):
            events += decoder.feed(frame)
    for frame in frames.close():
        events += decoder.feed(frame)
    if not any(isinstance(event, Failed) for event in events):
        events += decoder.close()
    return events


def stream_of(path: Path) -> bytes:
    if path.suffix != ".aws":
        return path.read_bytes()
    return b"".join(aws_frame(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


# --- doors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", sorted(DOORS))
def test_at_every_door(case: Path, door: str) -> None:
    """The client reads what reading.json says, whole and as a stream, in every form that the door has."""
    path, reading = reply_of(case), reading_of(case)
    if path is None or door not in LISTENERS:
        pytest.skip("a case of a request alone" if path is None else f"{door} is not there yet")
    wished = wished_of(reading)
    if not is_stream(case):
        reply = SPEAKERS[case.parent.name].decode_reply(json.loads(path.read_bytes()), quirks_in(reading))
        if isinstance(reply, VendorError):
            return
        events = events_of(reply)
        body = msgspec.json.encode(LISTENERS[door].encode_reply(reply, head_for(door)))
        check_door(DOORS[door].whole(body), wished, door)
    else:
        events = decoded(case, iter((stream_of(path),)))
        if wished.error is None:
            body = msgspec.json.encode(LISTENERS[door].encode_reply(collect(events), head_for(door)))
            check_door(DOORS[door].whole(body), wished, door)
    encoder = LISTENERS[door].encode_stream(head_for(door))
    out = b""
    for event in events:
        out += encoder.fail(refusal_of(event), REQUEST_ID) if isinstance(event, Failed) else encoder.feed(event)
    out += b"" if wished.error is not None else encoder.close()
    for form in forms_of(door, out):
        check_door(DOORS[door].stream(form), wished, door)


def check_door(got: Said, wished: Said, door: str) -> None:
    assert list(differences(wished, got, DOORS[door].carries)) == []


def wished_of(reading: Mapping[str, Any]) -> Said:
    counts = reading.get("usage")
    written = (
        ("cache_write_tokens",)
        if counts and "cache_write_tokens" in counts
        else (
            "cache_write_5m_tokens",
            "cache_write_1h_tokens",
        )
    )
    usage = counts and Counts(
        input=counts.get("input_tokens"),
        output=counts.get("output_tokens"),
        cache_read=counts.get("cache_read_tokens"),
        cache_write=sum(counts.get(name, 0) for name in written),
        reasoning=reading.get("reasoning_tokens"),
    )
    return Said(
        text=reading.get("text", ""),
        reasoning=reading.get("reasoning", ""),
        refusal=reading.get("refusal", ""),
        calls=[Call(call["name"], call["arguments"]) for call in reading.get("calls", [])],
        finish=(reading.get("finish", ""),),
        usage=usage,
        error=reading.get("error"),
    )
