"""Loose deltas → the grammar of `values/events.py`; whole replies ↔ events.

Most wire formats say only "more text" or "more of call 3". `PartWriter` numbers parts, opens and closes them, and
keeps the one rule that encoders rely on: text and thoughts never overlap with anything that starts after them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from msgspec import Struct

from ..values.conversation import (
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
from ..values.events import (
    Cited,
    Delta,
    Event,
    Finished,
    Noted,
    PartDone,
    PartKind,
    PartStarted,
    Started,
    UsageSeen,
)
from ..values.usage import Usage


class PartWriter:
    """One choice of a stream. Every method returns the events to emit, in order."""

    def __init__(self, choice: int = 0) -> None:
        self._choice = choice
        self._next = 0
        self._prose: tuple[int, PartKind] | None = None  # the open text, thought or refusal
        self._calls: dict[Hashable, int] = {}  # open calls by the format's own key
        self._known: set[Hashable] = set()
        self.called = False
        """Whether a call for the client to make has begun."""

    def text(self, text: str, logprobs: Any = None) -> list[Event]:
        return self._more("text", text, logprobs)

    def thinking(self, text: str) -> list[Event]:
        return self._more("thinking", text)

    def refusal(self, text: str) -> list[Event]:
        return self._more("refusal", text)

    def seal(self, sealed: Opaque) -> list[Event]:
        """The signature of the open thought, which ends with it; without one, a thought that is nothing else."""
        events: list[Event] = []
        if self._prose is None or self._prose[1] != "thinking":
            events = self._start_prose("thinking")
        assert self._prose is not None, "a thought is open"
        index = self._prose[0]
        self._prose = None
        return [*events, PartDone(index=index, sealed=sealed, choice=self._choice)]

    def cite(self, citation: Citation) -> list[Event]:
        """A source of the open text, or of one that begins now."""
        events: list[Event] = []
        if self._prose is None or self._prose[1] != "text":
            events = self._start_prose("text")
        assert self._prose is not None, "text is open"
        return [*events, Cited(index=self._prose[0], citation=citation, choice=self._choice)]

    def call(self, key: Hashable, *, id: str, name: str, custom: bool = False) -> list[Event]:
        """A call begins. key: whatever the format tells its calls apart by; an open one of the same key ends here."""
        events = [*self.end_prose(), *self.end_call(key)]
        index = self._number()
        self._calls[key] = index
        self._known.add(key)
        self.called = True
        kind: PartKind = "custom_call" if custom else "call"
        return [*events, PartStarted(index=index, kind=kind, id=id, name=name, choice=self._choice)]

    def has_call(self, key: Hashable) -> bool:
        """Whether a call of this key has begun, be it over or not."""
        return key in self._known

    def arguments(self, key: Hashable, text: str) -> list[Event]:
        """More of an open call; nothing for one that is not open."""
        if not text or key not in self._calls:
            return []
        return [Delta(index=self._calls[key], text=text, choice=self._choice)]

    def end_call(self, key: Hashable) -> list[Event]:
        index = self._calls.pop(key, None)
        return [] if index is None else [PartDone(index=index, choice=self._choice)]

    def whole_call(self, *, id: str, name: str, arguments: str, custom: bool = False) -> list[Event]:
        """A call that comes in one piece."""
        key = object()
        return [
            *self.call(key, id=id, name=name, custom=custom),
            *self.arguments(key, arguments),
            *self.end_call(key),
        ]

    def media(self, media: Media) -> list[Event]:
        return self._whole("media", media=media)

    def hosted(self, hosted: Hosted) -> list[Event]:
        return self._whole("hosted", hosted=hosted)

    def end_prose(self) -> list[Event]:
        """End the open text, thought or refusal, if there is one."""
        if self._prose is None:
            return []
        index, self._prose = self._prose[0], None
        return [PartDone(index=index, choice=self._choice)]

    def end(self) -> list[Event]:
        """End everything that is open."""
        events = self.end_prose()
        for key in list(self._calls):
            events += self.end_call(key)
        return events

    def finish(
        self, finish: FinishReason, *, stop_sequence: str = "", raw: str = "", explanation: str = ""
    ) -> list[Event]:
        """End everything that is open, and the choice."""
        over = Finished(
            finish=finish,
            stop_sequence=stop_sequence,
            raw_finish=raw,
            explanation=explanation,
            choice=self._choice,
        )
        return [*self.end(), over]

    def _more(self, kind: PartKind, text: str, logprobs: Any = None) -> list[Event]:
        if not text and logprobs is None:
            return []
        events: list[Event] = []
        if self._prose is None or self._prose[1] != kind:
            events = self._start_prose(kind)
        assert self._prose is not None, "it was opened just now"
        return [*events, Delta(index=self._prose[0], text=text, logprobs=logprobs, choice=self._choice)]

    def _start_prose(self, kind: PartKind) -> list[Event]:
        events = self.end_prose()
        index = self._number()
        self._prose = (index, kind)
        return [*events, PartStarted(index=index, kind=kind, choice=self._choice)]

    def _whole(self, kind: PartKind, media: Media | None = None, hosted: Hosted | None = None) -> list[Event]:
        events = self.end_prose()
        index = self._number()
        return [
            *events,
            PartStarted(index=index, kind=kind, choice=self._choice),
            PartDone(index=index, media=media, hosted=hosted, choice=self._choice),
        ]

    def _number(self) -> int:
        index, self._next = self._next, self._next + 1
        return index


def events_of(reply: Reply) -> list[Event]:
    """A whole reply as the events of a stream, for vendors that do not stream and clients that want one."""
    head = Started(id=reply.id, model=reply.model, created=reply.created, fingerprint=reply.fingerprint)
    events: list[Event] = [head]
    for number, choice in enumerate(reply.choices):
        events += _events_of_choice(number, choice)
    if reply.notes:
        events.append(Noted(notes=reply.notes))
    if reply.usage is not None:
        events.append(UsageSeen(usage=reply.usage))
    return events


def _events_of_choice(number: int, choice: Choice) -> list[Event]:
    writer = PartWriter(number)
    events: list[Event] = []
    logprobs = choice.logprobs
    for part in choice.parts:
        if isinstance(part, Text):
            events += writer.end_prose() + writer.text(part.text, logprobs)
            logprobs = None
            for citation in part.citations:
                events += writer.cite(citation)
        elif isinstance(part, Thinking):
            events += writer.end_prose() + writer.thinking(part.text)
            events += writer.seal(part.sealed) if part.sealed is not None else []
        elif isinstance(part, ToolCall):
            events += writer.whole_call(id=part.id, name=part.name, arguments=part.arguments, custom=part.custom)
        elif isinstance(part, Refusal):
            events += writer.end_prose() + writer.refusal(part.text)
        elif isinstance(part, Media):
            events += writer.media(part)
        elif isinstance(part, Hosted):
            events += writer.hosted(part)
    return events + writer.finish(
        choice.finish, stop_sequence=choice.stop_sequence, raw=choice.raw_finish, explanation=choice.explanation
    )


class _Open(Struct):
    """A part that is being collected."""

    kind: PartKind
    id: str
    name: str
    texts: list[str]
    citations: list[Citation]
    sealed: Opaque | None = None
    media: Media | None = None
    hosted: Hosted | None = None

    def part(self) -> Part | None:
        text = "".join(self.texts)
        if self.kind == "text":
            return Text(text=text, citations=tuple(self.citations))
        if self.kind == "thinking":
            return Thinking(text=text, sealed=self.sealed)
        if self.kind == "refusal":
            return Refusal(text=text)
        if self.kind in ("call", "custom_call"):
            custom = self.kind == "custom_call"
            return ToolCall(id=self.id, name=self.name, arguments=text or ("" if custom else "{}"), custom=custom)
        return self.media if self.kind == "media" else self.hosted


class Collected(Struct):
    """What a stream has said so far."""

    head: Started = Started()
    usage: Usage | None = None
    notes: tuple[str, ...] = ()
    logprobs: dict[int, Any] = {}
    parts: dict[tuple[int, int], _Open] = {}
    finishes: dict[int, Finished] = {}

    def feed(self, event: Event) -> None:
        if isinstance(event, Started):
            self.head = event
        elif isinstance(event, UsageSeen):
            self.usage = event.usage
        elif isinstance(event, Noted):
            self.notes += event.notes
        elif isinstance(event, PartStarted):
            opened = _Open(kind=event.kind, id=event.id, name=event.name, texts=[], citations=[])
            self.parts[event.choice, event.index] = opened
        elif isinstance(event, Delta):
            self.parts[event.choice, event.index].texts.append(event.text)
            if event.logprobs is not None:
                self.logprobs[event.choice] = _joined(self.logprobs.get(event.choice), event.logprobs)
        elif isinstance(event, Cited):
            self.parts[event.choice, event.index].citations.append(event.citation)
        elif isinstance(event, PartDone):
            part = self.parts[event.choice, event.index]
            part.sealed, part.media, part.hosted = event.sealed, event.media, event.hosted
        elif isinstance(event, Finished):
            self.finishes[event.choice] = event

    def parts_of(self, choice: int) -> tuple[Part, ...]:
        found = [each.part() for (number, _), each in sorted(self.parts.items()) if number == choice]
        return tuple(part for part in found if part is not None)

    def reply(self) -> Reply:
        """The stream as a whole reply."""
        numbers = sorted({number for number, _ in self.parts} | set(self.finishes)) or [0]
        choices = []
        for number in numbers:
            over = self.finishes.get(number) or Finished(finish="unknown")
            choices.append(
                Choice(
                    parts=self.parts_of(number),
                    finish=over.finish,
                    stop_sequence=over.stop_sequence,
                    raw_finish=over.raw_finish,
                    explanation=over.explanation,
                    logprobs=self.logprobs.get(number),
                )
            )
        head = self.head
        return Reply(
            id=head.id,
            model=head.model,
            created=head.created,
            fingerprint=head.fingerprint,
            choices=choices,
            usage=self.usage,
            notes=tuple(dict.fromkeys(self.notes)),
        )


def _joined(before: Any, more: Any) -> Any:
    """Two pieces of logprobs in the shape of OpenAI chat (`{"content": […], "refusal": […]}`) as one."""
    if not (isinstance(before, dict) and isinstance(more, dict)):
        return more if before is None else before
    joined = dict(before)
    for name, entries in more.items():
        if isinstance(entries, list):
            known = joined.get(name)
            joined[name] = [*known, *entries] if isinstance(known, list) else entries
    return joined


def collect(events: Iterable[Event]) -> Reply:
    """All the events of a stream as a whole reply; `Failed` is for the caller to see.

    `collect(events_of(reply))` is `reply` again, except for what events have no place for: parts without any content,
    cache marks and tool results are gone, a call without arguments has `{}`, and logprobs stand only beside a text.
    """
    collected = Collected()
    for event in events:
        collected.feed(event)
    return collected.reply()
