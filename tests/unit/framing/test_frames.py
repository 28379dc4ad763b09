"""The right reader for a content type, lines of JSON, the last event of a stream, and frames as server-sent events."""

from __future__ import annotations

import json

import pytest

from oneapi_cli.framing.aws_eventstream import AwsFrames
from oneapi_cli.framing.frames import SseFrames, as_sse, open_frames
from oneapi_cli.framing.ndjson import NdjsonFrames
from oneapi_cli.framing.sse import Frame
from oneapi_cli.values.errors import Malformed


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("text/event-stream; charset=utf-8", SseFrames),
        ("text/plain", SseFrames),
        ("", SseFrames),
        ("Application/vnd.amazon.eventstream", AwsFrames),
        ("application/x-ndjson", NdjsonFrames),
        ("application/stream+json;charset=UTF-8", NdjsonFrames),
        ("application/jsonl", NdjsonFrames),
    ],
)
def test_the_content_type_says_which(content_type: str, kind: type) -> None:
    assert type(open_frames(content_type, 1000)) is kind


LINES = b'{"a":1}\n\r\n{"b":"\xe2\x80\xa8"}\r\n  {"c":[]}'


@pytest.mark.parametrize("cut", range(len(LINES) + 1))
def test_lines_at_any_cut(cut: int) -> None:
    reader = NdjsonFrames()
    frames = [*reader.feed(LINES[:cut]), *reader.feed(LINES[cut:]), *reader.close()]
    assert [frame.data for frame in frames] == [b'{"a":1}', b'{"b":"\xe2\x80\xa8"}', b'{"c":[]}']


def test_a_cut_line_is_malformed() -> None:
    reader = NdjsonFrames()
    assert reader.feed(b'{"a":1}\n{"b":') == [Frame("", b'{"a":1}')]
    with pytest.raises(Malformed, match="broke off"):
        reader.close()


@pytest.mark.parametrize("kind", [NdjsonFrames, SseFrames])
def test_what_is_too_long_comes_after_what_was_whole(kind: type[NdjsonFrames] | type[SseFrames]) -> None:
    reader = kind(limit=20)
    start = b"data: 1\n\n" if kind is SseFrames else b"1\n"
    assert reader.feed(start + b"data: " + b"x" * 30) == [Frame("", b"1")]
    with pytest.raises(Malformed, match="more than 20 bytes"):
        reader.feed(b"")
    with pytest.raises(Malformed):
        reader.close()


def test_events_without_data_are_nothing() -> None:
    reader = SseFrames()
    assert reader.feed(b": hello\n\nevent: ping\n\nevent: x\ndata: 1\n\n") == [Frame("x", b"1")]
    assert reader.close() == []


@pytest.mark.parametrize(
    ("rest", "frames"),
    [
        (b'data: {"a":1}', [Frame("", b'{"a":1}')]),
        (b"data: [DONE]", [Frame("", b"[DONE]")]),
        (b"event: output\ndata: words\n", [Frame("output", b"words")]),
        (b": comment", []),
        (b"\n", []),
    ],
)
def test_a_last_event_without_its_blank_line(rest: bytes, frames: list[Frame]) -> None:
    reader = SseFrames()
    reader.feed(rest)
    assert reader.close() == frames


@pytest.mark.parametrize("rest", [b'data: {"a":', b"dat", b"event: x"])
def test_a_cut_event_is_malformed(rest: bytes) -> None:
    reader = SseFrames()
    reader.feed(b"data: 1\n\n" + rest)
    with pytest.raises(Malformed, match="broke off"):
        reader.close()


def test_not_utf8_comes_after_what_was() -> None:
    reader = SseFrames()
    assert reader.feed(b"data: 1\n\ndata: \xff\n\n") == [Frame("", b"1")]
    with pytest.raises(Malformed, match="UTF-8"):
        reader.close()


def test_frames_as_events() -> None:
    out = as_sse(
        [
            Frame("", b'{"type":"message_start","message":{}}'),
            Frame("named", b'{"a":1,\n"b":2}'),
            Frame("", b"[1]"),
            Frame("exception:throttlingException", b'{"message":"slow down"}'),
            Frame("exception:newException", b""),
        ]
    )
    reader = SseFrames()
    frames = [*reader.feed(out), *reader.close()]
    assert [frame.event for frame in frames] == ["message_start", "named", "", "error", "error"]
    assert frames[1].data == b'{"a":1,\n"b":2}'
    errors = [json.loads(frame.data or b"")["error"] for frame in frames[3:]]
    assert errors == [
        {"type": "rate_limit_error", "message": "slow down"},
        {"type": "api_error", "message": "newException"},
    ]
