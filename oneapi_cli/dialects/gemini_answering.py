"""Replies and events → what a Gemini client reads: `GenerateContentResponse`, whole or in chunks.

A stream is SSE here; `ArrayFramer` makes it the JSON array that clients without `alt=sse` want. Calls and thoughts'
signatures are sent when they are whole. The last chunk waits for `close`: it has the finish reasons, the sources and
the usage.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..values.conversation import Citation, Reply, ToolCall
from ..values.errors import GatewayError
from ..values.events import (
    Cited,
    Delta,
    Event,
    Finished,
    PartDone,
    PartKind,
    PartStarted,
    Started,
    UsageSeen,
)
from ..values.usage import Usage
from .dialect import ReplyHead
from .gemini_errors import encode_error_event
from .gemini_parts import (
    call_part,
    finish_of,
    grounding,
    hosted_part,
    logprobs_of,
    media_part,
    parts_of,
    signature_of,
    usage_of,
)
from .gemini_relay import NAME

Json = dict[str, Any]

MOST_TEXT = 1 << 20
"""Characters of an answer that are kept for the places of its sources."""

_encode = msgspec.json.encode
_CALLS = frozenset({"call", "custom_call"})


def encode_reply(reply: Reply, head: ReplyHead) -> Json:
    """A whole reply."""
    candidates: list[Json] = []
    for number, choice in enumerate(reply.choices):
        parts, sources = parts_of(choice.parts, _call_prefix(head, number))
        candidate: Json = {
            "content": {"parts": parts, "role": "model"} if parts else {"role": "model"},
            "finishReason": finish_of(choice.finish),
            "index": number,
        }
        if choice.explanation:
            candidate["finishMessage"] = choice.explanation
        if sources:
            candidate["groundingMetadata"] = sources
        candidates.append(candidate | logprobs_of(choice.logprobs))
    body: Json = {"candidates": candidates}
    if usage := usage_of(reply.usage):
        body["usageMetadata"] = usage
    return body | _names(reply.model, head)


def encode_stream(head: ReplyHead) -> Encoder:
    return Encoder(head)


def _names(model: str, head: ReplyHead) -> Json:
    return {"modelVersion": model or head.model, "responseId": head.request_id}


def _call_prefix(head: ReplyHead, number: int) -> str:
    return f"call_{head.request_id}_{number}"


class _Open(Struct):
    """A part under way. texts: pieces of a call's arguments, or of a text as far as it is kept for its sources."""

    kind: PartKind
    id: str
    name: str
    texts: list[str]
    place: int
    citations: list[Citation]


class Encoder:
    """An `EventEncoder`."""

    def __init__(self, head: ReplyHead) -> None:
        self._head = head
        self._model = ""
        self._usage: Usage | None = None
        self._open: dict[tuple[int, int], _Open] = {}
        self._early: dict[tuple[int, int], PartDone] = {}  # calls that are whole before one that began earlier is
        self._places: dict[int, int] = {}  # how many parts each candidate has begun
        self._cited: dict[int, list[tuple[int, str, list[Citation]]]] = {}
        self._finishes: dict[int, Finished] = {}
        self._waiting: dict[int, str] = {}  # a signature of this dialect for the part to come
        self._kept = 0
        self._tail = b""

    def feed(self, event: Event) -> bytes:
        match event:
            case Delta():
                return self._delta(event)
            case PartStarted(choice=choice):
                place = self._places.get(choice, 0)
                self._places[choice] = place + 1
                opened = _Open(event.kind, event.id, event.name, [], place, [])
                self._open[choice, event.index] = opened
            case PartDone():
                return self._done(event)
            case Cited(choice=choice):
                self._open[choice, event.index].citations.append(event.citation)
            case UsageSeen(usage=usage):
                self._usage = usage
            case Started(model=model):
                self._model = model
            case Finished(choice=choice):
                self._finishes[choice] = event
        return b""

    def close(self) -> bytes:
        """The chunk that ends the reply."""
        candidates = []
        for number in sorted({*self._finishes, *self._places, *self._waiting}) or [0]:
            over = self._finishes.get(number)
            part: Json = {"text": ""}
            if signature := self._waiting.pop(number, ""):
                part["thoughtSignature"] = signature
            candidate: Json = {
                "content": {"parts": [part], "role": "model"},
                "finishReason": finish_of(over.finish if over is not None else "unknown"),
                "index": number,
            }
            if over is not None and over.explanation:
                candidate["finishMessage"] = over.explanation
            if sources := grounding(self._cited.get(number, [])):
                candidate["groundingMetadata"] = sources
            candidates.append(candidate)
        chunk: Json = {"candidates": candidates}
        if usage := usage_of(self._usage):
            chunk["usageMetadata"] = usage
        return b"data: " + _encode(chunk | _names(self._model, self._head)) + b"\n\n"

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """The error as an event. What ends in it has no last chunk."""
        return encode_error_event(error, request_id)

    def _delta(self, event: Delta) -> bytes:
        part = self._open[event.choice, event.index]
        kind = part.kind
        if kind in _CALLS:
            part.texts.append(event.text)
            return b""
        if kind == "thinking":
            return self._chunk(event.choice, b'{"text":' + _encode(event.text) + b',"thought":true}')
        if self._kept < MOST_TEXT:
            part.texts.append(event.text)
            self._kept += len(event.text)
        text = b'{"text":' + _encode(event.text)
        if waiting := self._waiting.pop(event.choice, ""):
            text += b',"thoughtSignature":' + _encode(waiting)
        return self._chunk(event.choice, text + b"}", logprobs_of(event.logprobs))

    def _done(self, event: PartDone) -> bytes:
        """Calls come in the order in which they began, whichever is whole first."""
        if self._follows(event):
            self._early[event.choice, event.index] = event
            return b""
        out = self._whole(event)
        for early in sorted(self._early):
            if not self._follows(self._early[early]):
                out += self._whole(self._early.pop(early))
        return out

    def _follows(self, event: PartDone) -> bool:
        """Whether it is a call, and one before it is still open."""
        if len(self._open) == 1 or self._open[event.choice, event.index].kind not in _CALLS:
            return False
        return any(
            choice == event.choice and index < event.index and part.kind in _CALLS
            for (choice, index), part in self._open.items()
        )

    def _whole(self, event: PartDone) -> bytes:
        part = self._open.pop((event.choice, event.index))
        made: Json | None = None
        match part.kind:
            case "call" | "custom_call":
                call = ToolCall(
                    id=part.id, name=part.name, arguments="".join(part.texts), custom=part.kind == "custom_call"
                )
                made = call_part(call, f"{_call_prefix(self._head, event.choice)}_{part.place}")
            case "thinking" if event.sealed is not None:
                signature = signature_of(event.sealed)
                if event.sealed.dialect == NAME and not part.texts:
                    self._waiting[event.choice] = signature
                    return b""
                made = {"text": "", "thought": True, "thoughtSignature": signature}
            case "media" if event.media is not None:
                made = media_part(event.media)
            case "hosted" if event.hosted is not None:
                made = hosted_part(event.hosted)
            case "text" if part.citations:
                text = "".join(part.texts)
                self._cited.setdefault(event.choice, []).append((part.place, text, part.citations))
        if made is None:
            return b""
        if "thought" not in made and (waiting := self._waiting.pop(event.choice, "")):
            made["thoughtSignature"] = waiting
        return self._chunk(event.choice, _encode(made))

    def _chunk(self, choice: int, part: bytes, more: Json | None = None) -> bytes:
        """One part as an event."""
        if not self._tail:
            names = _encode(_names(self._model, self._head))
            self._tail = b"}]," + names[1:] + b"\n\n"
        beside = b"," + _encode(more)[1:-1] if more else b""
        start = b'data: {"candidates":[{"content":{"parts":['
        return start + part + b'],"role":"model"},"index":' + str(choice).encode() + beside + self._tail
