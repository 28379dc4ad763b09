"""Messages replies and their streams, as a relay reads them beside the bytes.

The events of a stream are typed, and named twice (`event:` and `type`). The input is reported by `message_start`, the
output by `message_delta`, which may repeat the input; `message_stop` is the last one. `ping` and events that nobody
here knows pass.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from ..values.errors import Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .anthropic_errors import error_of_event
from .anthropic_usage import merged, usage_of
from .dialect import ReplyReading
from .openai_stream import Grammar, Scanner, Sight, data_lines

_members = msgspec.json.Decoder(dict[str, Raw])
_object = msgspec.json.Decoder(dict[str, Any])
_anything = msgspec.json.Decoder(float_hook=str)


class _Plain(Struct, gc=False):
    """The events in which nothing matters: neither usage, nor an error, nor an ending."""

    type: Literal["content_block_delta", "content_block_start", "content_block_stop", "ping"]


def _look(name: str, data: bytes) -> Sight:
    """One event's JSON → its meaning. Raises DecodeError (ValidationError where it is JSON but no object)."""
    members = _members.decode(data)
    kind = _anything.decode(members["type"]) if "type" in members else name
    if kind == "message_stop":
        return Sight(fate="end", finished=True)
    if kind == "message_start":
        message = _inner(members, "message")
        return Sight(usage=_block(message), early=True)
    if kind == "message_delta":
        reason = _inner(members, "delta").get("stop_reason")
        return Sight(usage=_block(members), finished=reason is not None and bytes(reason) != b"null")
    if kind == "error" or (kind not in _PASSING and bytes(members.get("error", b"")).startswith(b"{")):
        return Sight(error=error_of_event(_object.decode(data)))
    return Sight()


_PASSING = frozenset({"content_block_delta", "content_block_start", "content_block_stop", "ping"})


def _inner(members: Mapping[str, Raw], name: str) -> dict[str, Raw]:
    raw = bytes(members.get(name, b""))
    return _members.decode(raw) if raw.startswith(b"{") else {}


def _block(members: Mapping[str, Raw]) -> bytes | None:
    raw = bytes(members.get("usage", b""))
    return raw if raw.startswith(b"{") else None


def _join(earlier: bytes, later: bytes) -> bytes:
    return msgspec.json.encode(merged(_object.decode(earlier), _object.decode(later)))


def _read(raw: bytes, tier: str | None, quirks: Quirks) -> Usage | None:
    return usage_of(_object.decode(raw))


_GRAMMAR = Grammar(
    plain=msgspec.json.Decoder(_Plain).decode,
    look=_look,
    read_usage=_read,
    finish=re.compile(rb'"(?:stop_reason"\s*:\s*"|type"\s*:\s*"message_stop")'),
    join=_join,
)


def open_stream(quirks: Quirks, *, hide_usage: bool, event_limit: int) -> Scanner:
    """A scanner for Messages events. Usage is part of events that clients expect, so there is none to hide."""
    return Scanner(_GRAMMAR, quirks, hide_usage=False, event_limit=event_limit)


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole message. Raises Malformed when it is something else."""
    try:
        payload = _object.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("The upstream answered with something that is not a JSON object") from None
    content = payload.get("content")
    if payload.get("type") == "error" or (content is None and isinstance(payload.get("error"), dict)):
        return ReplyReading(usage=None, error=error_of_event(payload))
    if not isinstance(content, list):
        raise Malformed("The upstream's answer has no `content`")
    block = payload.get("usage")
    usage = usage_of(block) if isinstance(block, dict) else None
    texts = () if usage is not None else tuple(text for each in content for text in _texts_of_block(each))
    return ReplyReading(usage=usage, texts=texts, finished=isinstance(payload.get("stop_reason"), str))


def _texts_of_block(block: object) -> Iterator[str]:
    """What of a block the model produced; results of the vendor's own tools are input."""
    if not isinstance(block, dict):
        return
    for member in ("name", "text", "thinking"):
        if isinstance(text := block.get(member), str) and text:
            yield text
    if isinstance(given := block.get("input"), dict) and given:
        yield msgspec.json.encode(given).decode()


_DELTAS = ("text", "thinking", "partial_json")


def texts_of(events: list[bytes]) -> list[str]:
    """What raw events produced: one text per block and kind, from its start and its deltas."""
    texts: dict[tuple[str, str], list[str]] = {}
    for data in data_lines(events):
        payload = _anything.decode(data)
        if not isinstance(payload, dict):
            continue
        kind, place = payload.get("type"), str(payload.get("index"))
        if kind == "content_block_start":
            for number, text in enumerate(_texts_of_block(payload.get("content_block"))):
                texts.setdefault((place, f"start{number}"), []).append(text)
        elif kind == "content_block_delta" and isinstance(delta := payload.get("delta"), dict):
            for member in _DELTAS:
                if isinstance(piece := delta.get(member), str) and piece:
                    texts.setdefault((place, member), []).append(piece)
    return ["".join(parts) for parts in texts.values()]
