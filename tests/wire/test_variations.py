"""Replies that nobody has recorded, in every vendor's shapes, at every door: what was said is what is read.

Hypothesis makes them up (`spoken.py`). Each is read by the independent reader of its format first, which must agree
with how it was made: the proof's readers are held to something too. Then the dialect decodes it, whole and as a
stream at random cuts, and each door's official types and accumulators read what the client gets.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi_cli.dialects import LISTENERS, SPEAKERS
from oneapi_cli.values.errors import BadRequest
from oneapi_cli.values.vendor import Traits
from scripts.wire.asked import Asked, Described, lost
from scripts.wire.asked_others import READERS as ASKED
from scripts.wire.readers import READERS
from scripts.wire.recordings import Recording
from scripts.wire.replies import stream_problems, whole_problems
from scripts.wire.requests import TEXT_ONLY, translated
from scripts.wire.said import Call, Carries, Counts, Said, differences
from tests.wire import posed as posing
from tests.wire import spoken as say
from tests.wire.spoken import Spoken

TEXT = {"type": "text", "text": "And this?"}
PICTURE = {"url": "https://example.org/cat.png"}
SCHEMA = {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]}
ALL = ("text", "thinking", "call", "hosted")
PATHS = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic_messages": "/messages",
    "gemini": ":generateContent",
    "bedrock_converse": "/converse",
    "cohere_chat": "/v2/chat",
    "ollama": "/api/chat",
}


@dataclass(frozen=True)
class Vendor:
    """How one format is written. ids, cached, written, reasoned: whether it has call ids, cache reads and writes, and a
    count of reasoning."""

    dialect: str
    whole: Callable[[Spoken], bytes]
    stream: Callable[[Spoken, say.Draw], bytes]
    finishes: Sequence[str]
    kinds: Sequence[str] = ALL
    arranged: Callable[[Spoken], Spoken] = lambda reply: reply
    content_type: str = "text/event-stream"
    ids: bool = True
    cached: bool = True
    written: bool = True
    reasoned: bool = True

    def said(self, reply: Spoken) -> Said:
        ids = self.ids and (self.dialect != "gemini" or reply.marks["a"])
        said = reply.said(ids=ids, written=self.written, reasoned=self.reasoned)
        if said.usage is not None and not self.cached:
            said.usage.cache_read = None
        return said


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
    Vendor(
        "ollama",
        say.ollama_whole,
        say.ollama_stream,
        say.OLLAMA_FINISHES,
        arranged=say.chat_ordered,
        content_type="application/x-ndjson",
        ids=False,
        cached=False,
        written=False,
        reasoned=False,
    ),
)


EVERY_VENDOR = pytest.mark.parametrize(
    "vendor", [each for each in VENDORS if each.dialect in SPEAKERS], ids=lambda vendor: vendor.dialect
)


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


FEW = settings(max_examples=20 if settings.default and settings.default.derandomize else 300)
"""Few examples, the same on every run; many where new ones are looked for."""


@EVERY_VENDOR
@FEW
@given(data=st.data())
def test_whole(vendor: Vendor, data: st.DataObject) -> None:
    reply = vendor.arranged(data.draw(say.spoken(kinds=vendor.kinds, finishes=vendor.finishes)))
    body = vendor.whole(reply)
    assert_read(READERS[vendor.dialect][0](body), vendor.said(reply))
    assert_everywhere(vendor, body, vendor.said(reply), stream=False)


@EVERY_VENDOR
@FEW
@given(data=st.data())
def test_stream(vendor: Vendor, data: st.DataObject) -> None:
    reply = vendor.arranged(data.draw(say.spoken(kinds=vendor.kinds, finishes=vendor.finishes)))
    body = vendor.stream(reply, data.draw)
    assert_read(READERS[vendor.dialect][1](body), vendor.said(reply))
    assert_everywhere(vendor, body, vendor.said(reply), stream=True)


@pytest.mark.parametrize("door", sorted(posing.DOORS))
@FEW
@given(data=st.data())
def test_requests(door: str, data: st.DataObject) -> None:
    """Every dialect of vendors gets a body that is valid in its own terms, with everything in it that was asked."""
    posed = data.draw(posing.posed(media=("image", "link", "document")))
    has_document = any(kind == "document" for turn in posed.turns for kind, _ in turn.parts)
    body = json.loads(json.dumps(posing.DOORS[door](posed)))
    traits = data.draw(TRAITS)
    for dialect in SPEAKERS:
        if dialect in (door, *TEXT_ONLY):
            continue
        if has_document and dialect in NO_DOCUMENTS:
            with pytest.raises(BadRequest):
                translated(body, door, dialect, stream=posed.stream, traits=traits)
        else:
            _, problems = translated(body, door, dialect, stream=posed.stream, traits=traits)
            assert problems == [], (dialect, body)


TRAITS = st.builds(
    Traits,
    max_output=st.sampled_from([8192, 64_000]),
    thinking=st.sampled_from(["", "budget", "adaptive", "level"]),
    structured=st.booleans(),
)


NO_DOCUMENTS = frozenset({"cohere_chat", "ollama"})

REQUEST = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": PICTURE}],
        },
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA}}],
    "tool_choice": "required",
    "max_completion_tokens": 100,
    "temperature": 0.5,
    "stop": ["END"],
}


def test_the_proof_notices_what_is_lost() -> None:
    """Readers that see nothing would pass everything."""
    asked = ASKED["openai_chat"](REQUEST)
    assert list(lost(asked, asked, {}, ())) == []
    for member, nothing in vars(Asked()).items():
        if getattr(asked, member) != nothing:
            assert list(lost(asked, dataclasses.replace(asked, **{member: nothing}), {}, ())) != [], member
    poorer = {"look": Described("Looks.", {"type": "object", "properties": {"at": {"type": "string"}}})}
    assert list(lost(asked, dataclasses.replace(asked, tools=poorer), {}, ())) != []


def test_the_proof_notices_what_is_misread() -> None:
    said = Said(
        text="a",
        reasoning="b",
        calls=[Call("f", {"x": 1}, "1")],
        finish=("tool_calls",),
        usage=Counts(input=10, output=5, cache_read=3, cache_write=2, reasoning=1),
    )
    assert list(differences(said, said, Carries())) == []
    others: dict[str, Any] = {
        "text": "",
        "reasoning": "",
        "refusal": "no",
        "calls": [Call("f", {"x": 2}, "1")],
        "finish": ("stop",),
        "usage": None,
        "error": "broken",
    }
    for member, other in others.items():
        assert list(differences(said, dataclasses.replace(said, **{member: other}), Carries())) != [], member
    assert said.usage is not None
    for member in vars(said.usage):
        usage = dataclasses.replace(said.usage, **{member: 7})
        assert list(differences(said, dataclasses.replace(said, usage=usage), Carries())) != [], member


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
