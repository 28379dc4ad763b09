"""Replies that nobody has recorded, in every vendor's shapes, at every door: what was said is what is read.

Hypothesis makes them up (`spoken.py`). Each is read by the independent reader of its format first, which must agree
with how it was made: the proof's readers are held to something too. Then the dialect decodes it, whole and as a
stream at random cuts, and each door's official types and accumulators read what the client gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneapi_cli.dialects import LISTENERS, SPEAKERS
from scripts.wire.readers import READERS
from scripts.wire.recordings import Recording
from scripts.wire.replies import stream_problems, whole_problems
from scripts.wire.said import Carries, Said, differences
from tests.wire import spoken as say
from tests.wire.spoken import Spoken

ALL = ("text", "thinking", "call", "hosted")
PATHS = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic_messages": "/messages",
    "gemini": ":generateContent",
    "bedrock_converse": "/converse",
    "cohere_chat": "/v2/chat",
}


@dataclass(frozen=True)
class Vendor:
    """How one format is written. ids, written, reasoned: whether it has call ids, cache writes, a reasoning count."""

    dialect: str
    whole: Callable[[Spoken], bytes]
    stream: Callable[[Spoken, say.Draw], bytes]
    finishes: Sequence[str]
    kinds: Sequence[str] = ALL
    arranged: Callable[[Spoken], Spoken] = lambda reply: reply
    content_type: str = "text/event-stream"
    written: bool = True
    reasoned: bool = True

    def said(self, reply: Spoken) -> Said:
        ids = self.dialect != "gemini" or reply.marks["a"]
        return reply.said(ids=ids, written=self.written, reasoned=self.reasoned)


VENDORS = (
    Vendor(
        "anthropic_messages",
        say.anthropic_whole,
        say.anthropic_stream,
        say.ANTHROPIC_FINISHES,
        kinds=(*ALL, "redacted"),
        reasoned=False,
    ),
    Vendor(
        "openai_chat",
        say.chat_whole,
        say.chat_stream,
        say.CHAT_FINISHES,
        arranged=say.chat_ordered,
        written=False,
    ),
    Vendor("openai_responses", say.responses_whole, say.responses_stream, say.RESPONSES_FINISHES),
    Vendor("gemini", say.gemini_whole, say.gemini_stream, say.GEMINI_FINISHES, written=False),
    Vendor(
        "bedrock_converse",
        say.bedrock_whole,
        say.bedrock_stream,
        say.BEDROCK_FINISHES,
        kinds=(*ALL, "redacted"),
        content_type="application/vnd.amazon.eventstream",
        reasoned=False,
    ),
    Vendor(
        "cohere_chat",
        say.cohere_whole,
        say.cohere_stream,
        say.COHERE_FINISHES,
        arranged=say.chat_ordered,
        written=False,
        reasoned=False,
    ),
)


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.dialect)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    assert isinstance(request.param, Vendor)
    if request.param.dialect not in SPEAKERS:
        pytest.skip("this dialect is not there yet")
    return request.param


def recording(vendor: Vendor, reply: bytes, *, stream: bool) -> Recording:
    return Recording(
        id="made-up",
        provider="",
        path=PATHS[vendor.dialect],
        request=None,
        status=200,
        content_type=vendor.content_type if stream else "application/json",
        stream=stream,
        reply=reply,
    )


_SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@_SETTINGS
@given(data=st.data())
def test_whole(vendor: Vendor, data: st.DataObject) -> None:
    reply = vendor.arranged(data.draw(say.spoken(kinds=vendor.kinds, finishes=vendor.finishes)))
    body = vendor.whole(reply)
    assert_read(READERS[vendor.dialect][0](body), vendor.said(reply))
    assert_everywhere(vendor, body, vendor.said(reply), stream=False)


@_SETTINGS
@given(data=st.data())
def test_stream(vendor: Vendor, data: st.DataObject) -> None:
    reply = vendor.arranged(data.draw(say.spoken(kinds=vendor.kinds, finishes=vendor.finishes)))
    body = vendor.stream(reply, data.draw)
    assert_read(READERS[vendor.dialect][1](body), vendor.said(reply))
    assert_everywhere(vendor, body, vendor.said(reply), stream=True)


def assert_read(got: Said, wished: Said) -> None:
    assert list(differences(wished, got, Carries(ids=False))) == []


def assert_everywhere(vendor: Vendor, body: bytes, wished: Said, *, stream: bool) -> None:
    made = recording(vendor, body, stream=stream)
    problems = []
    for door in LISTENERS:
        if door != vendor.dialect:
            found = stream_problems(made, wished, door, 2) if stream else whole_problems(made, wished, door)
            problems += [f"{door}: {problem}" for problem in found]
    assert problems == [], body.decode(errors="replace")
