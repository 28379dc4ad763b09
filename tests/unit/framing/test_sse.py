"""Where events end: the same whatever the cuts, with nothing lost; and what their fields say."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.framing.sse import Frame, SseSplitter, parse_event, split_events
from oneapi_cli.values.errors import Malformed


@dataclass(frozen=True)
class Case:
    name: str
    stream: bytes
    events: list[bytes]
    rest: bytes = b""


CASES = [
    Case("lf", b"data: 1\n\ndata: 2\n\n", [b"data: 1\n\n", b"data: 2\n\n"]),
    Case("crlf", b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"]),
    Case("cr", b"data: 1\r\rdata: 2\r\r", [b"data: 1\r\r"], b"data: 2\r\r"),
    Case("mixed ends", b"data: 1\r\n\ndata: 2\n\r\n", [b"data: 1\r\n\n", b"data: 2\n\r\n"]),
    Case("lf then cr", b"data: 1\n\rdata: 2\n\n", [b"data: 1\n\r", b"data: 2\n\n"]),
    Case("one crlf is no blank line", b"data: 1\r\ndata: 2\r\n\r\n", [b"data: 1\r\ndata: 2\r\n\r\n"]),
    Case("unfinished", b"data: 1\n\ndata: 2\n", [b"data: 1\n\n"], b"data: 2\n"),
    Case("three in a row", b"data: 1\n\n\ndata: 2\n\n", [b"data: 1\n\n", b"\ndata: 2\n\n"]),
    Case("four in a row", b"data: 1\n\n\n\ndata: 2\n\n", [b"data: 1\n\n", b"\n\n", b"data: 2\n\n"]),
    Case("u+2028 is no line end", "data: a\u2028b\u0085c\n\n".encode(), ["data: a\u2028b\u0085c\n\n".encode()]),
    Case("mark at the start", b"\xef\xbb\xbfdata: 1\n\n", [b"\xef\xbb\xbfdata: 1\n\n"]),
    Case("nothing", b"", []),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_events_do_not_depend_on_cuts(case: Case, size: int) -> None:
    splitter = SseSplitter()
    events = []
    for at in range(0, len(case.stream), size):
        events += splitter.feed(case.stream[at : at + size])
    assert (events, splitter.rest) == (case.events, case.rest)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"data: x", b":", b"\xe2\x80\xa8"]), max_size=30), st.data())
def test_round_trip_at_any_cuts(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = SseSplitter()
    expected = whole.feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter, events = SseSplitter(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += splitter.feed(stream[start:end])
    assert (events, splitter.rest) == (expected, whole.rest)
    assert b"".join(events) + splitter.rest == stream


def test_blocks_are_the_same_events_in_one_piece() -> None:
    stream = b"data: 1\n\ndata: 2\n\ndata: 3"
    splitter = SseSplitter()
    assert splitter.feed_block(stream) == b"data: 1\n\ndata: 2\n\n"
    assert split_events(b"data: 1\n\ndata: 2\n\n") == [b"data: 1\n\n", b"data: 2\n\n"]


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        (b"data: 1\n\n", Frame("", b"1")),
        (b"data:1\ndata:  2\n\n", Frame("", b"1\n 2")),
        (b"event: x\r\ndata: 1\r\nid: 7\r\n\r\n", Frame("x", b"1", "7")),
        (b": a comment\n\n", Frame("", None)),
        (b"data\n\n", Frame("", b"")),
        (b"retry: 5\nunknown: x\ndata: 1\n\n", Frame("", b"1")),
        (b"\xef\xbb\xbfdata: 1\n\n", Frame("", b"1")),
    ],
)
def test_fields(raw: bytes, frame: Frame) -> None:
    assert parse_event(raw) == frame


def test_not_utf8_is_malformed() -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        parse_event(b"data: \xff\n\n")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_over_the_limit(size: int) -> None:
    stream = b"data: 1\n\n" + b"data: " + b"x" * 100
    splitter, events = SseSplitter(limit=50), []
    with pytest.raises(Malformed, match="50 bytes"):
        for at in range(0, len(stream) + size, size):
            events += splitter.feed(stream[at : at + size])
        splitter.feed(b"")
    assert events == [b"data: 1\n\n"]


def test_a_whole_event_over_the_limit_in_one_chunk() -> None:
    splitter = SseSplitter(limit=50)
    assert splitter.feed(b"data: 1\n\ndata: " + b"x" * 100 + b"\n\ndata: 2\n\n") == [b"data: 1\n\n"]
    with pytest.raises(Malformed):
        splitter.feed(b"")


def test_an_event_just_within_the_limit() -> None:
    event = b"data: " + b"x" * 42 + b"\n\n"
    assert SseSplitter(limit=len(event)).feed(event) == [event]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_a_large_event_in_small_pieces_takes_linear_time(end: bytes) -> None:
    def seconds(size: int) -> float:
        event = b"data: " + b"x" * size + end
        splitter, out = SseSplitter(limit=len(event)), b""
        started = time.perf_counter()
        for at in range(0, len(event), 1024):
            out += splitter.feed_block(event[at : at + 1024])
        assert out == event
        return time.perf_counter() - started

    small, large = min(seconds(1 << 20) for _ in range(3)), min(seconds(1 << 23) for _ in range(2))
    assert large < small * 40, "eight times the data; quadratic would be 64 times the time"
