"""The scanner beside a relayed Gemini stream, and its framing as a JSON array: whole, byte by byte, at random cuts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from oneapi_cli.dialects import gemini
from oneapi_cli.values.errors import Malformed
from oneapi_cli.values.vendor import Quirks

LIMIT = 1 << 16


def event(text: str = "", finish: str = "", usage: dict[str, Any] | None = None, end: str = "\r\n") -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-3.5-flash"}
    if usage is not None:
        chunk["usageMetadata"] = usage
    return f"data: {json.dumps(chunk, ensure_ascii=False)}{end}{end}".encode()


PROMPT = {"promptTokenCount": 5}
ONE = {"promptTokenCount": 5, "candidatesTokenCount": 1}
TWO = {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}
ERROR = b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n'
FIRST = {"input_tokens": 5, "output_tokens": 1}
ALL = {"input_tokens": 5, "output_tokens": 5}
BLOCKED = b'data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":5}}\r\n\r\n'


@dataclass(frozen=True)
class Case:
    name: str
    out: bytes
    ending: bytes = b""
    counts: dict[str, int] | None = None
    finished: bool = True
    clean: bool = True
    error: str | None = None
    unreported: list[bytes] = field(default_factory=list)
    seen: int = 0


CASES = [
    Case("plain", event("a", usage=ONE), event("b", "STOP", TWO), ALL),
    Case("LF", event("a", end="\n"), event("b", "STOP", TWO, "\n"), ALL),
    Case("umlauts", event("größer", usage=ONE), event("ß", "STOP", TWO), ALL),
    Case(
        "comments",
        b": hi\n\n" + event("a"),
        event("b", "STOP", TWO) + b": bye\n\n",
        ALL,
    ),
    Case("one chunk", b"", event("all", "STOP", ONE), FIRST),
    Case(
        "more after the finish",
        event("a", "STOP", ONE) + event("", usage=TWO),
        event("", "STOP", TWO),
        ALL,
    ),
    Case(
        "a report that tells less",
        event("a", usage=TWO),
        event("", "STOP", PROMPT),
        ALL,
        unreported=[event("", "STOP", PROMPT)],
    ),
    Case(
        "never told what was produced",
        event("a", usage=PROMPT),
        event("b", "STOP", PROMPT),
        {"input_tokens": 5},
        unreported=[event("a", usage=PROMPT), event("b", "STOP", PROMPT)],
    ),
    Case("no usage", event("a"), event("b", "STOP"), None, seen=len(event("a") + event("b", "STOP"))),
    Case("blocked", b"", BLOCKED, {"input_tokens": 5}, unreported=[BLOCKED]),
    Case("died", event("a", usage=ONE), b"", FIRST, finished=False, clean=False),
    Case(
        "error",
        event("a", usage=ONE) + ERROR,
        b"",
        {"input_tokens": 5, "output_tokens": 1},
        False,
        False,
        "busy",
        [ERROR],
    ),
    Case(
        "a cut last event", event("a", usage=ONE), event("b", "STOP", TWO)[:-4], {"input_tokens": 5, "output_tokens": 5}
    ),
]


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    dice = random.Random(len(stream))
    for _ in range(10):
        places = sorted(dice.randint(0, len(stream)) for _ in range(dice.randint(1, 8)))
        yield [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_stream(case: Case) -> None:
    for chunks in cuts(case.out + case.ending):
        scanner = gemini.open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
        out = b"".join(scanner.feed(chunk) for chunk in chunks)
        scanner.close()
        scanner.close()
        assert (out, scanner.ending) == (case.out, case.ending)
        assert (scanner.finished, scanner.clean, scanner.done) == (case.finished, case.clean, case.clean)
        assert (scanner.usage and dict(scanner.usage.counts)) == case.counts
        assert (scanner.error and scanner.error.message) == case.error
        assert (scanner.unreported, scanner.seen_bytes) == (case.unreported, case.seen)


def test_nothing_is_held_back_before_the_finish() -> None:
    scanner = gemini.open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
    assert scanner.feed(event("a", usage=ONE)) == event("a", usage=ONE)
    assert scanner.feed(event("b", "STOP", TWO)) == b""
    assert not scanner.done


def test_searches_are_counted_over_all_events() -> None:
    def grounded(*queries: str) -> bytes:
        candidate = {"index": 0, "groundingMetadata": {"webSearchQueries": queries}}
        return f"data: {json.dumps({'candidates': [candidate], 'usageMetadata': ONE})}\r\n\r\n".encode()

    scanner = gemini.open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
    scanner.feed(grounded("a", "b") + grounded("b", "c") + event("", "STOP", TWO))
    assert scanner.usage is not None
    assert scanner.usage.get("web_searches") == 3


def test_malformed() -> None:
    scanner = gemini.open_stream(Quirks(), hide_usage=False, event_limit=LIMIT)
    assert scanner.feed(event("a") + b"data: {nope}\r\n\r\n") == event("a")
    with pytest.raises(Malformed):
        scanner.feed(b"")
    with pytest.raises(Malformed):
        scanner.close()
    assert not scanner.clean


def test_too_large() -> None:
    scanner = gemini.open_stream(Quirks(), hide_usage=False, event_limit=100)
    with pytest.raises(Malformed):
        scanner.feed(event("x" * 200))


@pytest.mark.parametrize("events", [[], [event("größe")], [event("a"), event("b"), event("c", "STOP", TWO)]])
def test_as_an_array(events: list[bytes]) -> None:
    framer = gemini.ArrayFramer()
    out = b"".join(framer.feed(each) for each in events[:-1]) + framer.close(b"".join(events[-1:]))
    assert json.loads(out) == [json.loads(each[5:]) for each in events]


def test_an_array_may_end_in_an_error() -> None:
    framer = gemini.ArrayFramer()
    found = json.loads(framer.feed(event("a")) + framer.close(ERROR))
    assert found[1]["error"]["code"] == 503


def test_whole_replies() -> None:
    plain = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}
    reading = gemini.read_reply(json.dumps(plain).encode(), Quirks())
    assert (reading.finished, reading.usage, reading.texts) == (True, None, ("a",))
    for broken in (b"<html>", b"[]", b"{}", b'{"candidates":\xff}'):
        with pytest.raises(Malformed):
            gemini.read_reply(broken, Quirks())
