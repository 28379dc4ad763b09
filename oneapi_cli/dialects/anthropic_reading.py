"""What a vendor of the Messages format answers → a reply, or events.

A call of the tool that stands in for an output format is the answer itself: its arguments are text. Whatever block is
neither the model's own words nor a call for the client (the vendor's tools, summaries, kinds that nobody here knows) is
`Hosted`. Frames may come without an event's name (AWS's do): the JSON says its type.

Sources: https://platform.claude.com/docs/en/api/messages ·
https://platform.claude.com/docs/en/build-with-claude/streaming ·
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..framing.sse import Frame
from ..values.conversation import (
    Choice,
    FinishReason,
    Hosted,
    Media,
    Opaque,
    Part,
    Reply,
    Text,
    Thinking,
    ToolCall,
)
from ..values.errors import Malformed
from ..values.events import Event, Failed, Started, UsageSeen
from ..values.vendor import Quirks
from .anthropic_blocks import hosted_kind, read_citation
from .anthropic_errors import error_of_event
from .anthropic_names import JSON_TOOLS, JSON_VALUE_TOOL, NAME
from .anthropic_usage import merged, usage_of
from .bedrock_errors import failed, is_exception
from .dialect import VendorError
from .parts import PartWriter
from .vendor_values import decoded_object, object_of, objects_of, place_of, text_of

_FINISHES: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
}

_anything = msgspec.json.Decoder()


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """A whole 2xx body. Raises Malformed when it is neither a message nor an error."""
    content = payload.get("content")
    if payload.get("type") == "error" or (content is None and isinstance(payload.get("error"), dict)):
        return error_of_event(payload)
    if not isinstance(content, list):
        raise Malformed("The upstream's answer has no `content`")
    parts = [part for block in objects_of(content) if (part := _part(block)) is not None]
    called = any(isinstance(part, ToolCall) for part in parts)
    block = payload.get("usage")
    choice = Choice(
        parts=tuple(parts),
        finish=_finish(payload.get("stop_reason"), called=called),
        stop_sequence=text_of(payload.get("stop_sequence")),
        raw_finish=text_of(payload.get("stop_reason")),
        explanation=_explanation(payload.get("stop_details")),
    )
    usage = usage_of(block, beside=False) if isinstance(block, dict) else None
    return Reply(id=text_of(payload.get("id")), model=text_of(payload.get("model")), choices=[choice], usage=usage)


def _finish(reason: object, *, called: bool) -> FinishReason:
    """A call for the client is to be made, whatever the vendor calls the ending; one that the limit cut off is not."""
    finish = _FINISHES.get(reason, "unknown") if isinstance(reason, str) else "unknown"
    if called and finish in ("stop", "unknown", "pause"):
        return "tool_calls"
    return "stop" if finish == "tool_calls" and not called else finish


def _explanation(details: object) -> str:
    found = object_of(details)
    return text_of(found.get("explanation")) or text_of(found.get("category"))


def _part(block: Mapping[str, Any]) -> Part | None:
    kind = block.get("type")
    if kind == "text":
        cited = tuple(read_citation(raw) for raw in objects_of(block.get("citations")))
        return Text(text=text_of(block.get("text")), citations=cited)
    if kind == "thinking":
        text, signature = text_of(block.get("thinking")), text_of(block.get("signature"))
        return Thinking(text=text, sealed=_signed(signature)) if text or signature else None
    if kind == "redacted_thinking":
        return Thinking(sealed=_redacted(block))
    if kind == "tool_use":
        name, given = text_of(block.get("name")), block.get("input")
        if name in JSON_TOOLS:
            return Text(text=_answer(name, given))
        return ToolCall(id=text_of(block.get("id")), name=name, arguments=_json(given))
    if kind == "image":
        return _drawn(block)
    return Hosted(kind=hosted_kind(block) or text_of(kind), sealed=Opaque(dialect=NAME, data=dict(block)))


def _signed(signature: str) -> Opaque | None:
    return Opaque(dialect=NAME, data={"signature": signature}) if signature else None


def _redacted(block: Mapping[str, Any]) -> Opaque:
    return Opaque(dialect=NAME, data={"redacted": text_of(block.get("data"))})


def _drawn(block: Mapping[str, Any]) -> Media:
    source = object_of(block.get("source"))
    return Media(
        kind="image",
        media_type=text_of(source.get("media_type")),
        data=text_of(source.get("data")),
        url=text_of(source.get("url")),
    )


def _json(given: object) -> str:
    if isinstance(given, str):
        return given or "{}"
    return msgspec.json.encode({} if given is None else given).decode()


def _answer(name: str, given: object) -> str:
    """What the tool that stands in for an output format was called with, as the text that it stands for."""
    if name == JSON_VALUE_TOOL and isinstance(given, dict) and "value" in given:
        given = given["value"]
    return _json(given)


class _Open(Struct):
    """A block that has begun. texts: its input's JSON in pieces; signature: of a thought."""

    kind: str
    start: Mapping[str, Any]
    name: str = ""
    texts: list[str] = []
    signature: str = ""


class MessageReader:
    """An `EventDecoder`."""

    def __init__(self) -> None:
        self._writer = PartWriter()
        self._open: dict[object, _Open] = {}
        self._usage: dict[str, Any] = {}
        self._over = False

    def feed(self, frame: Frame) -> list[Event]:
        """Raises Malformed for data that is no JSON object."""
        if frame.data is None:
            return []
        if is_exception(frame):
            return [failed(frame)]
        if frame.data.strip() == b"[DONE]":
            return []
        payload = decoded_object(frame.data, "an event")
        kind = payload.get("type") or frame.event
        if self._over:  # of a message that has ended only its usage may still come
            return self._report(payload.get("usage")) if kind == "message_delta" else []
        if kind == "content_block_delta":
            return self._delta(place_of(payload.get("index")), object_of(payload.get("delta")))
        if kind == "content_block_start":
            return self._start(place_of(payload.get("index")), object_of(payload.get("content_block")))
        if kind == "content_block_stop":
            return self._stop(place_of(payload.get("index")))
        if kind == "message_start":
            return self._begin(object_of(payload.get("message")))
        if kind == "message_delta":
            return self._end(payload)
        if kind == "message_stop":
            return self._finish({})
        if kind == "error" or (kind != "ping" and isinstance(payload.get("error"), dict)):
            return [_failed(payload)]
        return []

    def close(self) -> list[Event]:
        return [] if self._over else self._writer.end()

    # -- the frame around the blocks ------------------------------------------------------------------------------

    def _begin(self, message: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = [Started(id=text_of(message.get("id")), model=text_of(message.get("model")))]
        self._usage = dict(object_of(message.get("usage")))
        usage = usage_of(self._usage, early=True, beside=False)
        if usage is not None and any(usage.counts.values()):
            events.append(UsageSeen(usage=usage))
        for number, block in enumerate(objects_of(message.get("content"))):  # some compatible vendors fill it in
            events += [*self._start(number, block), *self._stop(number)]
        return events

    def _end(self, payload: Mapping[str, Any]) -> list[Event]:
        """`message_delta`: usage so far, and why the model stopped."""
        events = self._report(payload.get("usage"))
        delta = object_of(payload.get("delta"))
        return [*events, *self._finish(delta)] if isinstance(delta.get("stop_reason"), str) else events

    def _report(self, block: object) -> list[Event]:
        if not isinstance(block, dict):
            return []
        self._usage = merged(self._usage, block)
        usage = usage_of(self._usage, beside=False)
        return [] if usage is None else [UsageSeen(usage=usage)]

    def _finish(self, delta: Mapping[str, Any]) -> list[Event]:
        self._over = True
        events: list[Event] = []
        for place in list(self._open):
            events += self._stop(place)
        reason = delta.get("stop_reason")
        over = self._writer.finish(
            _finish(reason, called=self._writer.called),
            stop_sequence=text_of(delta.get("stop_sequence")),
            raw=text_of(reason),
            explanation=_explanation(delta.get("stop_details")),
        )
        return [*events, *over]

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _start(self, place: object, block: Mapping[str, Any]) -> list[Event]:
        kind, writer = text_of(block.get("type")), self._writer
        opened = self._open[place] = _Open(kind=kind, start=block)
        events = writer.end_prose()
        if kind == "text":
            events += writer.text(text_of(block.get("text")))
            for raw in objects_of(block.get("citations")):
                events += writer.cite(read_citation(raw))
        elif kind == "thinking":
            opened.signature = text_of(block.get("signature"))
            events += writer.thinking(text_of(block.get("thinking")))
        elif kind == "tool_use":
            opened.name = text_of(block.get("name"))
            if opened.name not in JSON_TOOLS:
                events += writer.call(place, id=text_of(block.get("id")), name=opened.name)
        return events

    def _delta(self, place: object, delta: Mapping[str, Any]) -> list[Event]:
        kind, writer, opened = delta.get("type"), self._writer, self._open.get(place)
        if kind == "text_delta":
            return writer.text(text_of(delta.get("text")))
        if kind == "input_json_delta":
            return [] if opened is None else self._arguments(place, opened, text_of(delta.get("partial_json")))
        if kind == "thinking_delta":
            return writer.thinking(text_of(delta.get("thinking")))
        if kind == "signature_delta" and opened is not None:
            opened.signature = text_of(delta.get("signature"))
        elif kind == "citations_delta" and isinstance(raw := delta.get("citation"), dict):
            return writer.cite(read_citation(raw))
        elif kind == "compaction_delta" and opened is not None:
            opened.start = {**opened.start, **{name: value for name, value in delta.items() if name != "type"}}
        return []

    def _arguments(self, place: object, opened: _Open, text: str) -> list[Event]:
        if text:
            opened.texts.append(text)
        if opened.kind == "tool_use" and opened.name not in JSON_TOOLS:
            return self._writer.arguments(place, text)
        if opened.kind == "tool_use" and opened.name != JSON_VALUE_TOOL:
            return self._writer.text(text)
        return []

    def _stop(self, place: object) -> list[Event]:
        opened, writer = self._open.pop(place, None), self._writer
        if opened is None:
            return []
        if opened.kind == "thinking":
            sealed = _signed(opened.signature)
            return writer.end_prose() if sealed is None else writer.seal(sealed)
        if opened.kind == "text":
            return writer.end_prose()
        if opened.kind == "redacted_thinking":
            return writer.seal(_redacted(opened.start))
        if opened.kind == "image":
            return writer.media(_drawn(opened.start))
        if opened.kind == "tool_use":
            return self._stop_call(place, opened)
        return writer.hosted(_hosted(opened))

    def _stop_call(self, place: object, opened: _Open) -> list[Event]:
        """A call whose input came whole with its start, as some vendors send it, has no deltas."""
        whole, writer = opened.start.get("input"), self._writer
        if opened.name not in JSON_TOOLS:
            late = writer.arguments(place, _json(whole)) if whole and not opened.texts else []
            return [*late, *writer.end_call(place)]
        if opened.name == JSON_VALUE_TOOL and opened.texts:
            return [*writer.text(_value_in("".join(opened.texts))), *writer.end_prose()]
        late = [] if opened.texts else writer.text(_answer(opened.name, whole))
        return [*late, *writer.end_prose()]


def _value_in(text: str) -> str:
    try:
        return _answer(JSON_VALUE_TOOL, _anything.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return text


def _hosted(opened: _Open) -> Hosted:
    block = dict(opened.start)
    if opened.texts:
        try:
            block["input"] = _anything.decode("".join(opened.texts))
        except (msgspec.DecodeError, RecursionError):
            block["input"] = {}
    return Hosted(kind=hosted_kind(block) or opened.kind, sealed=Opaque(dialect=NAME, data=block))


def _failed(payload: Mapping[str, Any]) -> Failed:
    error = error_of_event(payload)
    return Failed(message=error.message, type=error.type or "", code=error.code or "", status=error.status)


def decode_stream(quirks: Quirks) -> MessageReader:
    return MessageReader()
