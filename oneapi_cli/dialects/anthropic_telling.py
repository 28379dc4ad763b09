"""Events → the stream of a Messages reply.

Blocks are numbered in the order in which they begin, and each is stopped before the next one begins: this format has no
overlapping blocks, and clients read a call's input when it stops. A vendor that mixes the pieces of several calls is
sorted out here: while the open call's input is not whole, what belongs to others waits. Prose begins with its first
text, so that no empty block comes to stand in a client's history. `message_start` waits for the first block or for the
end, so that it can say the usage that is known by then.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..values.conversation import Choice, Hosted, Opaque
from ..values.errors import GatewayError
from ..values.events import Cited, Delta, Event, Finished, PartDone, PartKind, PartStarted, Started, UsageSeen
from ..values.usage import Usage
from .anthropic_errors import encode_error_event
from .anthropic_names import CUSTOM_INPUT
from .anthropic_replying import (
    call_id,
    citation_block,
    message_id,
    own_block,
    seals_of,
    stop_details,
    stop_reason,
    thinking_block,
    usage_block,
)
from .dialect import ReplyHead

_OfPart = PartStarted | Delta | Cited | PartDone

_encode = msgspec.json.encode
_anything = msgspec.json.Decoder()

_DELTA_HEAD = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
_TEXT = _DELTA_HEAD + b'{"type":"text_delta","text":%b}}\n\n'
_THOUGHT = _DELTA_HEAD + b'{"type":"thinking_delta","thinking":%b}}\n\n'
_ARGUMENTS = _DELTA_HEAD + b'{"type":"input_json_delta","partial_json":%b}}\n\n'
_SIGNATURE = _DELTA_HEAD + b'{"type":"signature_delta","signature":%b}}\n\n'
_CITATION = _DELTA_HEAD + b'{"type":"citations_delta","citation":%b}}\n\n'
_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_CUSTOM_OPEN = '{"' + CUSTOM_INPUT + '": "'


class _Block(Struct):
    """place: its number in the stream, -1 until it has begun."""

    kind: PartKind
    place: int = -1


class MessageStream:
    """An `EventEncoder`."""

    def __init__(self, head: ReplyHead) -> None:
        self._head = head
        self._started = Started()
        self._usage: Usage | None = None
        self._finished = Finished(finish="unknown")
        self._begun = False
        self._called = False
        self._blocks: dict[int, _Block] = {}
        self._next = 0
        self._open = -1  # the number of the block that is not stopped yet
        self._call = -1  # the open call by its number among the parts, -1 where no call is open
        self._input: list[str] = []  # what has come of its input
        self._waiting: list[_OfPart] = []

    def feed(self, event: Event) -> bytes:
        if isinstance(event, PartStarted | Delta | Cited | PartDone):
            if event.choice != 0:
                return b""
            if self._waiting:
                return self._feed_waiting(event)
            if isinstance(event, PartStarted) and self._is_blocked():
                self._waiting.append(event)
                return b""
            return self._tell(event)
        if isinstance(event, UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Started):
            self._started = event
        elif isinstance(event, Finished) and event.choice == 0:
            self._finished = event
        return b""

    def _tell(self, event: _OfPart) -> bytes:
        if isinstance(event, Delta):
            return self._delta(event.index, event.text)
        if isinstance(event, PartStarted):
            return self._part(event)
        return self._cited(event) if isinstance(event, Cited) else self._done(event)

    def _feed_waiting(self, event: _OfPart) -> bytes:
        if event.index != self._call:
            self._waiting.append(event)
            return b""
        out = self._tell(event)
        return out if self._is_blocked() else out + self._tell_waiting()

    def _tell_waiting(self) -> bytes:
        waiting, self._waiting = self._waiting, []
        return b"".join([self.feed(event) for event in waiting])

    def _is_blocked(self) -> bool:
        """Whether a call is open whose input is not whole yet."""
        if self._call < 0:
            return False
        try:
            _anything.decode("".join(self._input))
        except (msgspec.DecodeError, RecursionError):
            return True
        return False

    def close(self) -> bytes:
        """`message_delta` with the whole usage, and `message_stop`."""
        waited = b""
        while self._waiting:
            self._call = -1
            waited += self._tell_waiting()
        over = self._finished
        choice = Choice(parts=(), finish=over.finish, explanation=over.explanation)
        usage = usage_block(self._usage)
        del usage["service_tier"], usage["cache_creation"]  # said at the start
        last = {
            "type": "message_delta",
            "delta": {
                "stop_reason": stop_reason(over.finish, called=self._called),
                "stop_sequence": over.stop_sequence or None,
                "stop_details": stop_details(choice),
            },
            "usage": usage,
        }
        parts = (
            waited,
            self._begin(),
            self._stop(),
            b"event: message_delta\ndata: ",
            _encode(last),
            b"\n\n",
            _MESSAGE_STOP,
        )
        return b"".join(parts)

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        return encode_error_event(error, request_id)

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _part(self, event: PartStarted) -> bytes:
        block = self._blocks[event.index] = _Block(kind=event.kind)
        if event.kind not in ("call", "custom_call"):
            return b""
        self._called = True
        start = {
            "type": "tool_use",
            "id": call_id(event.id, self._head, self._next),
            "name": event.name,
            "input": {},
        }
        out = self._start(block, start)
        self._call, self._input = event.index, []
        if event.kind == "custom_call":
            out += _ARGUMENTS % (block.place, _encode(_CUSTOM_OPEN))
        return out

    def _delta(self, index: int, text: str) -> bytes:
        block = self._blocks.get(index)
        if block is None or not text:
            return b""
        kind = block.kind
        if kind == "call":
            if index == self._call:
                self._input.append(text)
            return _ARGUMENTS % (block.place, _encode(text))
        if kind == "custom_call":
            return _ARGUMENTS % (block.place, _encode(_encode(text)[1:-1].decode()))
        out = b"" if block.place >= 0 else self._start(block, _empty(kind))
        form = _THOUGHT if kind == "thinking" else _TEXT
        return out + form % (block.place, _encode(text))

    def _cited(self, event: Cited) -> bytes:
        block, raw = self._blocks.get(event.index), citation_block(event.citation)
        if block is None or raw is None:
            return b""
        out = b"" if block.place >= 0 else self._start(block, _empty(block.kind))
        return out + _CITATION % (block.place, _encode(raw))

    def _done(self, event: PartDone) -> bytes:
        block = self._blocks.get(event.index)
        if block is None:
            return b""
        if event.index == self._call:
            self._call = -1
        if block.kind == "hosted":
            return self._hosted(block, event.hosted) if event.hosted is not None else b""
        if block.kind == "thinking":
            return self._thought(block, event.sealed)
        out = b""
        if block.kind == "custom_call":
            out = _ARGUMENTS % (block.place, _encode('"}'))
        return out + (self._stop() if block.place == self._open else b"")

    def _thought(self, block: _Block, sealed: Opaque | None) -> bytes:
        if block.place < 0:  # no text came: what there is, is its seal
            whole = thinking_block("", sealed)
            if whole is None:
                return b""
            if whole["type"] == "redacted_thinking":
                return self._start(block, whole) + self._stop()
        out = b"" if block.place >= 0 else self._start(block, _empty("thinking"))
        signature, _ = seals_of(sealed)
        if signature:
            out += _SIGNATURE % (block.place, _encode(signature))
        return out + (self._stop() if block.place == self._open else b"")

    def _hosted(self, block: _Block, hosted: Hosted) -> bytes:
        """A block of the vendor's own tools; a call's input comes as a delta, where clients look for it."""
        whole = own_block(hosted)
        if whole is None:
            return b""
        given = whole.get("input")
        if not isinstance(given, dict) or not given:
            return self._start(block, whole) + self._stop()
        out = self._start(block, {**whole, "input": {}})
        return out + _ARGUMENTS % (block.place, _encode(_encode(given).decode())) + self._stop()

    # -- the frame around them ------------------------------------------------------------------------------------

    def _start(self, block: _Block, content: dict[str, Any]) -> bytes:
        out = self._begin() + self._stop()
        self._call = -1
        block.place = self._open = self._next
        self._next += 1
        return out + _START % (block.place, _encode(content))

    def _stop(self) -> bytes:
        place, self._open = self._open, -1
        return b"" if place < 0 else _STOP % place

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message: dict[str, Any] = {
            "id": message_id(self._started.id, self._head),
            "type": "message",
            "role": "assistant",
            "model": self._started.model or self._head.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_block(self._usage),
        }
        start = _encode({"type": "message_start", "message": message})
        return b"event: message_start\ndata: " + start + b"\n\n"


def _empty(kind: PartKind) -> dict[str, Any]:
    if kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def encode_stream(head: ReplyHead) -> MessageStream:
    return MessageStream(head)
