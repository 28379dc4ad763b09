"""Events of OpenAI's task endpoints (pictures, speech, transcripts): typed, and ended by a `….done` or `….completed`.

Several pictures in one stream each end with a `completed` of their own and a usage of their own; only the last of them
ends the reply. So such an event is kept back until something follows it or the stream ends.

Source: https://developers.openai.com/api/reference, streaming events of images, speech and transcriptions (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from ..framing.sse import split_events
from ..values.usage import Usage
from ..values.vendor import Quirks
from .openai_errors import error_in
from .openai_stream import Grammar, Scanner, Sight, data_lines
from .openai_usage import block_at

_members = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder(float_hook=str)
_FINISH = re.compile(rb'"type"\s*:\s*"[a-z_.]{1,60}\.(?:done|completed)"')
_ENDS = (".done", ".completed")
_NAMED = 256
"""An event says what it is in its first bytes (`event:` or `type`), or after all its base64 in the last ones."""


class _Plain(Struct, gc=False):
    """The pieces that come many times and mean nothing to the bill."""

    type: Literal[
        "transcript.text.delta",
        "transcript.text.segment",
        "speech.audio.delta",
        "image_generation.partial_image",
        "image_edit.partial_image",
    ]
    usage: None = None
    error: None = None


def _look(name: str, data: bytes) -> Sight:
    members = _members.decode(data)
    kind = _anything.decode(members["type"]) if "type" in members else name
    if "error" in members or kind == "error":
        payload = _anything.decode(data)
        return Sight(error=error_in(payload if payload.get("error") else {"error": payload}))
    ends = isinstance(kind, str) and kind.endswith(_ENDS)
    return Sight(usage=block_at(members, "usage"), finished=ends)


def _joined(before: bytes, after: bytes) -> bytes:
    """Two usage blocks of one stream, added up member by member."""
    return msgspec.json.encode(_added(_anything.decode(before), _anything.decode(after)))


def _added(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _added(one.get(name), other.get(name)) for name in (*one, *(n for n in other if n not in one))}
    if isinstance(one, int) and isinstance(other, int) and not isinstance(one, bool):
        return one + other
    return one if other is None else other


class EventScanner(Scanner):
    """A `StreamScanner` whose events end one thing each, and whose reply ends with the last of them."""

    def __init__(
        self, read_usage: Callable[[bytes, str | None, Quirks], Usage | None], quirks: Quirks, event_limit: int
    ) -> None:
        grammar = Grammar(
            plain=msgspec.json.Decoder(_Plain).decode, look=_look, read_usage=read_usage, finish=_FINISH, join=_joined
        )
        super().__init__(grammar, quirks, hide_usage=False, event_limit=event_limit)
        self._kept = b""

    def feed(self, chunk: bytes) -> bytes:
        block = super().feed(chunk)
        if not block:
            return b""
        last = split_events(block)[-1]
        out = self._kept + block[: len(block) - len(last)] if _is_end(last) else self._kept + block
        self._kept = last if _is_end(last) else b""
        return out

    @property
    def ending(self) -> bytes:
        return self._kept + super().ending


def _is_end(event: bytes) -> bool:
    head, tail = event[:_NAMED], event[-_NAMED:]
    return any(
        _FINISH.search(part) or b".completed\n" in part or b".completed\r" in part or b".done\n" in part
        for part in (head, tail)
    )


def texts_of(events: list[bytes]) -> list[str]:
    """The text of a transcript's pieces; pictures and sound have none."""
    pieces = []
    for data in data_lines(events):
        payload = _anything.decode(data)
        if isinstance(payload, dict) and payload.get("type") == "transcript.text.delta":
            delta = payload.get("delta")
            pieces.append(delta if isinstance(delta, str) else "")
    return ["".join(pieces)] if pieces else []
