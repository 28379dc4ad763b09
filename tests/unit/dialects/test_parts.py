"""Loose deltas to the grammar of events, whole replies to events, and both back again."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oneapi_cli.dialects.parts import PartWriter, collect, events_of
from oneapi_cli.values.conversation import (
    CacheMark,
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
    ToolResult,
)
from oneapi_cli.values.events import (
    Cited,
    Delta,
    Event,
    Failed,
    Finished,
    Noted,
    PartDone,
    PartStarted,
    Started,
    UsageSeen,
)
from oneapi_cli.values.usage import Usage

SEAL = Opaque(dialect="some", data={"signature": "x"})
PICTURE = Media(kind="image", media_type="image/png", data="AAAA")
SEARCH = Hosted(kind="web_search", sealed=SEAL)
SOURCE = Citation(url="https://example.com", title="T", start=0, end=2)


# --- PartWriter -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """What is done to a writer, and the parts that come of it."""

    name: str
    write: Callable[[PartWriter], Sequence[Event]]
    parts: tuple[Part, ...]


WRITTEN = (
    Written("text in pieces", lambda w: [*w.text("a"), *w.text("b")], (Text(text="ab"),)),
    Written("nothing", lambda w: [*w.text(""), *w.thinking(""), *w.refusal("")], ()),
    Written(
        "a thought ends where text begins",
        lambda w: [*w.thinking("a"), *w.text("b"), *w.thinking("c")],
        (Thinking(text="a"), Text(text="b"), Thinking(text="c")),
    ),
    Written(
        "two texts, kept apart",
        lambda w: [*w.text("a"), *w.end_prose(), *w.text("b")],
        (Text(text="a"), Text(text="b")),
    ),
    Written(
        "a refusal", lambda w: [*w.text("a"), *w.refusal("no"), *w.refusal("!")], (Text(text="a"), Refusal(text="no!"))
    ),
    Written(
        "a sealed thought",
        lambda w: [*w.thinking("a"), *w.seal(SEAL), *w.thinking("b")],
        (Thinking(text="a", sealed=SEAL), Thinking(text="b")),
    ),
    Written("a seal alone", lambda w: [*w.text("a"), *w.seal(SEAL)], (Text(text="a"), Thinking(sealed=SEAL))),
    Written(
        "two seals",
        lambda w: [*w.thinking("a"), *w.seal(SEAL), *w.seal(SEAL)],
        (Thinking(text="a", sealed=SEAL), Thinking(sealed=SEAL)),
    ),
    Written(
        "a source of the open text",
        lambda w: [*w.text("ab"), *w.cite(SOURCE), *w.text("c")],
        (Text(text="abc", citations=(SOURCE,)),),
    ),
    Written(
        "a source of nothing yet",
        lambda w: [*w.thinking("a"), *w.cite(SOURCE), *w.text("b")],
        (Thinking(text="a"), Text(text="b", citations=(SOURCE,))),
    ),
    Written(
        "calls that overlap",
        lambda w: [
            *w.call(0, id="x", name="f"),
            *w.call(1, id="y", name="g"),
            *w.arguments(1, '{"b"'),
            *w.arguments(0, "{}"),
            *w.arguments(1, ":1}"),
            *w.end_call(0),
            *w.end_call(1),
        ],
        (ToolCall(id="x", name="f"), ToolCall(id="y", name="g", arguments='{"b":1}')),
    ),
    Written(
        "a key that comes again",
        lambda w: [*w.call(0, id="x", name="f"), *w.arguments(0, "{}"), *w.call(0, id="y", name="g")],
        (ToolCall(id="x", name="f"), ToolCall(id="y", name="g")),
    ),
    Written("arguments of no call", lambda w: [*w.arguments(0, "{}"), *w.end_call(0)], ()),
    Written(
        "arguments after the end",
        lambda w: [*w.call(0, id="x", name="f"), *w.end_call(0), *w.arguments(0, "{}")],
        (ToolCall(id="x", name="f"),),
    ),
    Written(
        "text beside an open call",
        lambda w: [*w.call(0, id="x", name="f"), *w.text("a"), *w.arguments(0, "[1]")],
        (ToolCall(id="x", name="f", arguments="[1]"), Text(text="a")),
    ),
    Written(
        "free text",
        lambda w: w.whole_call(id="x", name="f", arguments="*** Begin", custom=True),
        (ToolCall(id="x", name="f", arguments="*** Begin", custom=True),),
    ),
    Written(
        "no free text",
        lambda w: w.whole_call(id="x", name="f", arguments="", custom=True),
        (ToolCall(id="x", name="f", arguments="", custom=True),),
    ),
    Written(
        "pictures and hosted tools",
        lambda w: [*w.text("a"), *w.media(PICTURE), *w.hosted(SEARCH), *w.text("b")],
        (Text(text="a"), PICTURE, SEARCH, Text(text="b")),
    ),
)


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.name)
def test_writer(case: Written) -> None:
    writer = PartWriter()
    events = [*case.write(writer), *writer.finish("stop")]
    check_grammar(events)
    assert collect(events).choices[0].parts == case.parts


def test_the_end_says_what_it_was_told() -> None:
    writer = PartWriter(2)
    writer.text("a")
    done, over = writer.finish("stop_sequence", stop_sequence="END", raw="seq", explanation="why")
    assert done == PartDone(index=0, choice=2)
    assert over == Finished(finish="stop_sequence", stop_sequence="END", raw_finish="seq", explanation="why", choice=2)
    assert writer.end() == []


def test_what_the_writer_knows_of_calls() -> None:
    writer = PartWriter()
    known = [(writer.called, writer.has_call("k"))]
    writer.call("k", id="", name="f")
    writer.end_call("k")
    known.append((writer.called, writer.has_call("k")))
    assert known == [(False, False), (True, True)]
    assert not writer.has_call("other")


# --- whole replies and events ---------------------------------------------------------------------------------------


def check_grammar(events: Sequence[Event]) -> None:
    """Parts are numbered in the order of their beginning, end once, and are all over before their choice is."""
    begun: dict[int, int] = {}
    open_parts: dict[tuple[int, int], str] = {}
    over: set[int] = set()
    for place, event in enumerate(events):
        if isinstance(event, Started):
            assert place == 0
        elif isinstance(event, PartStarted):
            assert event.choice not in over and event.index == begun.get(event.choice, 0)
            prose = [kind for (choice, _), kind in open_parts.items() if choice == event.choice]
            assert not {"text", "thinking", "refusal"} & set(prose), "prose overlaps with what starts after it"
            begun[event.choice] = event.index + 1
            open_parts[event.choice, event.index] = event.kind
        elif isinstance(event, Delta | Cited):
            assert (event.choice, event.index) in open_parts
        elif isinstance(event, PartDone):
            del open_parts[event.choice, event.index]
        elif isinstance(event, Finished):
            assert not [choice for choice, _ in open_parts if choice == event.choice]
            assert event.choice not in over
            over.add(event.choice)
    assert not open_parts


# A few letters, what breaks naive joins, and nothing that JSON cannot say.
words = st.text(st.sampled_from(string.ascii_letters + ' \n\u2028é😀"\\'), min_size=1, max_size=12)
maybe = st.one_of(st.just(""), words)
data = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
opaques = st.builds(Opaque, dialect=words, data=data)
citations = st.builds(
    Citation,
    url=maybe,
    title=maybe,
    quoted=maybe,
    start=st.none() | st.integers(0, 9),
    end=st.none() | st.integers(0, 9),
    raw=st.none() | opaques,
)
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=words, citations=st.lists(citations, max_size=2).map(tuple)),
    st.builds(Text, text=st.just(""), citations=st.lists(citations, min_size=1, max_size=2).map(tuple)),
    st.builds(Thinking, text=words, sealed=st.none() | opaques),
    st.builds(Thinking, text=st.just(""), sealed=opaques),
    st.builds(Refusal, text=words),
    st.builds(ToolCall, id=maybe, name=words, arguments=words),
    st.builds(ToolCall, id=maybe, name=words, arguments=maybe, custom=st.just(True)),
    st.builds(Media, kind=st.sampled_from(("image", "audio")), data=words, transcript=maybe),
    st.builds(Hosted, kind=words, sealed=opaques),
)
finishes: st.SearchStrategy[FinishReason] = st.sampled_from(
    ("stop", "stop_sequence", "length", "tool_calls", "content_filter", "refusal", "pause", "error", "unknown")
)
plain_choices = st.builds(
    Choice,
    parts=st.lists(parts, max_size=5).map(tuple),
    finish=finishes,
    stop_sequence=maybe,
    raw_finish=maybe,
    explanation=maybe,
)
logprobs = st.builds(
    lambda entries: {"content": entries, "refusal": None}, st.lists(st.fixed_dictionaries({"token": words}))
)


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """Logprobs stand beside a text alone."""
    choice = draw(plain_choices)
    if any(isinstance(part, Text) for part in choice.parts) and draw(st.booleans()):
        return replace(choice, logprobs=draw(logprobs))
    return choice


usages = st.builds(
    Usage,
    counts=st.dictionaries(st.sampled_from(("input_tokens", "output_tokens")), st.integers(0, 99)),
    reasoning_tokens=st.none() | st.integers(0, 9),
    tier=st.none() | words,
    raw=st.none() | words,
)
replies = st.builds(
    Reply,
    id=maybe,
    model=maybe,
    created=st.integers(0, 2**33),
    fingerprint=maybe,
    choices=st.lists(choices(), min_size=1, max_size=3),
    usage=st.none() | usages,
    notes=st.lists(words, max_size=2, unique=True).map(tuple),
)


@given(replies)
def test_a_reply_survives_as_events(reply: Reply) -> None:
    events = events_of(reply)
    check_grammar(events)
    assert collect(events) == reply


@given(replies, st.randoms(use_true_random=False))
def test_how_deltas_are_cut_changes_nothing(reply: Reply, dice: Any) -> None:
    cut: list[Event] = []
    for event in events_of(reply):
        if isinstance(event, Delta) and len(event.text) > 1:
            at = dice.randrange(len(event.text))
            cut += [replace(event, text=event.text[:at]), replace(event, text=event.text[at:], logprobs=None)]
        else:
            cut.append(event)
    assert collect(cut) == reply


@dataclass(frozen=True)
class Lost:
    name: str
    before: tuple[Part, ...]
    after: tuple[Part, ...]


LOST = (
    Lost(
        "parts without content", (Text(text=""), Thinking(text=""), Refusal(text=""), Text(text="a")), (Text(text="a"),)
    ),
    Lost("cache marks", (Text(text="a", cache=CacheMark()),), (Text(text="a"),)),
    Lost("tool results", (ToolResult(id="a"), Text(text="b")), (Text(text="b"),)),
    Lost("no arguments", (ToolCall(id="a", name="f", arguments=""),), (ToolCall(id="a", name="f", arguments="{}"),)),
)


@pytest.mark.parametrize("case", LOST, ids=lambda case: case.name)
def test_documented_losses(case: Lost) -> None:
    reply = collect(events_of(Reply(choices=[Choice(parts=case.before, finish="stop")])))
    assert reply.choices[0].parts == case.after


# --- collecting what a stream says ----------------------------------------------------------------------------------


def test_nothing_at_all() -> None:
    assert collect([]) == Reply(choices=[Choice(parts=())])


def test_a_stream_that_broke_off() -> None:
    writer = PartWriter()
    reply = collect([Started(id="a"), *writer.text("Half"), Failed(message="gone")])
    assert reply == Reply(id="a", choices=[Choice(parts=(Text(text="Half"),), finish="unknown")])


def test_the_last_usage_counts_and_notes_count_once() -> None:
    first, last = Usage(counts={"input_tokens": 1}), Usage(counts={"input_tokens": 1, "output_tokens": 2})
    events: list[Event] = [
        UsageSeen(usage=first),
        Noted(notes=("a", "b")),
        UsageSeen(usage=last),
        Noted(notes=("b", "c")),
    ]
    reply = collect(events)
    assert (reply.usage, reply.notes) == (last, ("a", "b", "c"))


def test_logprobs_are_joined() -> None:
    writer = PartWriter()
    one: dict[str, Any] = {"content": [{"token": "a"}], "refusal": None}
    two: dict[str, Any] = {"content": [{"token": "b"}], "refusal": [{"token": "c"}]}
    events = [*writer.text("a", one), *writer.text("b", two), *writer.text("", "odd"), *writer.finish("stop")]
    assert collect(events).choices[0].logprobs == {
        "content": [{"token": "a"}, {"token": "b"}],
        "refusal": [{"token": "c"}],
    }
    assert one == {"content": [{"token": "a"}], "refusal": None}, "what events carry is left alone"


def test_choices_stay_apart() -> None:
    one, two = PartWriter(0), PartWriter(1)
    events = [*two.text("b"), *one.text("a"), *two.text("b"), *two.finish("length"), *one.finish("stop")]
    reply = collect(events)
    assert [(choice.parts, choice.finish) for choice in reply.choices] == [
        ((Text(text="a"),), "stop"),
        ((Text(text="bb"),), "length"),
    ]
