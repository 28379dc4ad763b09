"""A ConverseStream → events.

Frames are named by their event type. A text or a thought begins with its first delta, a call with `contentBlockStart`;
`contentBlockStop` ends any of them. `metadata`, with the usage, comes after `messageStop`: what `messageStop` said is
kept until then, so that the usage stands before the end. A stream without `messageStop` did not finish. Names that
nobody knows are passed over.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html (2026-11)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..framing.sse import Frame
from ..values.conversation import FinishReason, Opaque
from ..values.errors import Malformed
from ..values.events import Event, Started, UsageSeen
from ..values.vendor import Quirks
from .anthropic_names import JSON_TOOL, JSON_TOOLS
from .bedrock_errors import failed, is_exception
from .bedrock_names import KINDS, SEAL, SERVER_TOOL
from .bedrock_reading import (
    block_index,
    citation_of,
    explanation_of,
    finish_of,
    hosted,
    kind_of_result,
    media_of,
    redacted_seal,
    stop_sequence_of,
)
from .bedrock_usage import read_usage
from .parts import PartWriter
from .vendor_values import decoded_object, object_of, objects_of, text_of


class _Used(Struct):
    input: str | None = None


class _Thought(Struct):
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None


class _Piece(Struct):
    text: str | None = None
    toolUse: _Used | None = None
    reasoningContent: _Thought | None = None
    toolResult: list[dict[str, Any]] | dict[str, Any] | None = None
    citation: dict[str, Any] | None = None
    image: dict[str, Any] | None = None


class _DeltaEvent(Struct):
    contentBlockIndex: int = 0
    delta: _Piece | None = None


class _Block(Struct):
    """A block that is held back until it is whole. kind: seal, redacted, server (a call of the vendor's own), result,
    value (the answer inside a tool's arguments), image."""

    kind: str
    start: Mapping[str, Any] = {}
    pieces: list[Any] = []


_decode_delta = msgspec.json.Decoder(_DeltaEvent).decode


def decode_stream(quirks: Quirks) -> Decoder:
    return Decoder(quirks)


class Decoder:
    """An `EventDecoder`."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._writer = PartWriter()
        self._held: dict[int, _Block] = {}
        self._answers: set[int] = set()  # blocks whose arguments are the answer itself
        self._server: dict[str, str] = {}
        self._over: tuple[FinishReason, str, str] | None = None  # finish, raw, stop sequence
        self._answered = False

    def feed(self, frame: Frame) -> list[Event]:
        if frame.event == "contentBlockDelta":
            return self._delta(frame.data or b"")
        if is_exception(frame):
            return [failed(frame)]
        read = _READERS.get(frame.event)
        return read(self, decoded_object(frame.data, "an event")) if read is not None else []

    def close(self) -> list[Event]:
        if self._over is None:
            return self._writer.end()
        return self._finish("")

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _message_start(self, payload: Mapping[str, Any]) -> list[Event]:
        return [Started()]

    def _start(self, payload: Mapping[str, Any]) -> list[Event]:
        index, start = block_index(payload), object_of(payload.get("start"))
        if isinstance(used := start.get("toolUse"), dict):
            return self._call(index, used)
        if isinstance(result := start.get("toolResult"), dict):
            self._held[index] = _Block("result", start=result, pieces=[])
        elif isinstance(image := start.get("image"), dict):
            self._held[index] = _Block("image", start=image, pieces=[])
        return self._writer.end_prose()

    def _call(self, index: int, used: Mapping[str, Any]) -> list[Event]:
        name, id_ = text_of(used.get("name")), text_of(used.get("toolUseId"))
        if used.get("type") == SERVER_TOOL:
            self._server[id_] = KINDS.get(name, name)
            self._held[index] = _Block("server", start=used, pieces=[])
            return self._writer.end_prose()
        if name in JSON_TOOLS:
            self._answered = True
            if name == JSON_TOOL:
                self._answers.add(index)
            else:
                self._held[index] = _Block("value", pieces=[])
            return self._writer.end_prose()
        return self._writer.call(index, id=id_, name=name)

    def _delta(self, data: bytes) -> list[Event]:
        try:
            event = _decode_delta(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("The upstream sent a content block that is none") from None
        piece, index = event.delta, event.contentBlockIndex
        if piece is None:
            return []
        if piece.text is not None:
            return self._writer.text(piece.text)
        if piece.toolUse is not None:
            return self._input(index, piece.toolUse.input or "")
        if piece.reasoningContent is not None:
            return self._thought(index, piece.reasoningContent)
        if piece.citation is not None:
            return self._writer.cite(citation_of(piece.citation))
        if piece.toolResult is not None:
            self._hold(index, "result").pieces.extend(objects_of(piece.toolResult))
        elif piece.image is not None:
            self._hold(index, "image").pieces.append(piece.image)
        return []

    def _input(self, index: int, text: str) -> list[Event]:
        if index in self._answers:
            return self._writer.text(text)
        if index in self._held:
            self._held[index].pieces.append(text)
            return []
        return self._writer.arguments(index, text)

    def _thought(self, index: int, thought: _Thought) -> list[Event]:
        if thought.signature:
            self._hold(index, "seal").pieces.append(thought.signature)
        if thought.redactedContent:
            self._hold(index, "redacted").pieces.append(thought.redactedContent)
        return self._writer.thinking(thought.text) if thought.text else []

    def _hold(self, index: int, kind: str) -> _Block:
        return self._held.setdefault(index, _Block(kind, pieces=[]))

    def _stop(self, payload: Mapping[str, Any]) -> list[Event]:
        index = block_index(payload)
        events = self._release(index)
        return [*events, *self._writer.end_call(index), *self._writer.end_prose()]

    def _release(self, index: int) -> list[Event]:
        """What was held back of a block, now that it is whole."""
        block = self._held.pop(index, None)
        if block is None:
            return []
        if block.kind == "seal":
            return self._writer.seal(Opaque(dialect=SEAL, data={"signature": "".join(block.pieces)}))
        if block.kind == "redacted":
            return self._writer.end_prose() + self._writer.seal(redacted_seal(_joined(block.pieces)))
        if block.kind == "server":
            used = {**block.start, "input": _parsed("".join(block.pieces))}
            kind = self._server.get(text_of(used.get("toolUseId")), "")
            return self._writer.hosted(hosted(kind, {"toolUse": used}))
        if block.kind == "result":
            result = {**block.start, "content": block.pieces}
            kind = self._server.get(text_of(result.get("toolUseId"))) or kind_of_result(result)
            return self._writer.hosted(hosted(kind, {"toolResult": result}))
        if block.kind == "value":
            answer = object_of(_parsed("".join(block.pieces))).get("value")
            return self._writer.text(msgspec.json.encode(answer).decode())
        return self._image(block)

    def _image(self, block: _Block) -> list[Event]:
        sources = [object_of(piece.get("source")) for piece in block.pieces]
        data = _joined([text for source in sources if (text := text_of(source.get("bytes")))])
        whole = {"format": block.start.get("format"), "source": {"bytes": data}}
        return [event for media in media_of("image", whole) for event in self._writer.media(media)]

    # -- the end --------------------------------------------------------------------------------------------------

    def _message_stop(self, payload: Mapping[str, Any]) -> list[Event]:
        events = [event for index in sorted(self._held) for event in self._release(index)]
        raw = text_of(payload.get("stopReason"))
        finish = finish_of(raw, called=self._writer.called, answered=self._answered)
        self._over = (finish, raw, stop_sequence_of(payload))
        return events + self._writer.end()

    def _metadata(self, payload: Mapping[str, Any]) -> list[Event]:
        usage = read_usage(payload, self._quirks)
        events: list[Event] = [UsageSeen(usage=usage)] if usage is not None else []
        return events + self._finish(explanation_of(payload))

    def _finish(self, explanation: str) -> list[Event]:
        if self._over is None:
            return []
        (finish, raw, sequence), self._over = self._over, None
        return self._writer.finish(finish, stop_sequence=sequence, raw=raw, explanation=explanation)


_READERS: Mapping[str, Callable[[Decoder, Mapping[str, Any]], list[Event]]] = {
    "messageStart": Decoder._message_start,
    "contentBlockStart": Decoder._start,
    "contentBlockStop": Decoder._stop,
    "messageStop": Decoder._message_stop,
    "metadata": Decoder._metadata,
}


def _joined(pieces: list[str]) -> str:
    """Base64 in pieces, each whole by itself, as one."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece, validate=True) for piece in pieces)).decode()
    except (binascii.Error, ValueError):
        return "".join(pieces)


def _parsed(text: str) -> Any:
    """Arguments as JSON; text that is none stays text."""
    if not text:
        return {}
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
