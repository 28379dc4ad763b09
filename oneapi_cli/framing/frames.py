"""Any vendor's stream → frames, whatever it is framed in; and frames → server-sent events.

Which framing it is stands in the reply's content type. Everything that is neither AWS's nor lines of JSON is read as
server-sent events: vendors send those under `text/plain` and `application/octet-stream` too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from ..values.errors import Malformed
from .aws_eventstream import EXCEPTION, AwsFrames
from .ndjson import NdjsonFrames
from .sse import EVENT_LIMIT, Frame, SseSplitter, parse_event

AWS = "application/vnd.amazon.eventstream"
_LINES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/jsonlines",
        "application/stream+json",
    }
)

# What stands in an error event of Anthropic's for an exception inside an event stream of AWS's.
# Source: https://docs.anthropic.com/en/api/errors, InvokeModelWithResponseStream's exceptions (2026-11)
_ERROR_TYPES = {
    "throttlingException": "rate_limit_error",
    "serviceQuotaExceededException": "rate_limit_error",
    "validationException": "invalid_request_error",
    "accessDeniedException": "permission_error",
    "resourceNotFoundException": "not_found_error",
    "modelTimeoutException": "timeout_error",
    "serviceUnavailableException": "overloaded_error",
    "modelNotReadyException": "overloaded_error",
}


class FrameReader(Protocol):
    """Chunks → frames. What came before a fault is handed out first; the next call raises Malformed."""

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes."""
        ...

    def close(self) -> list[Frame]:
        """The stream has ended: what was still held back. Raises Malformed where it ended inside a frame."""
        ...


def open_frames(content_type: str, limit: int = EVENT_LIMIT) -> FrameReader:
    """The reader for a stream of this content type (parameters and capitals do not matter). limit: bytes of a frame."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == AWS:
        return AwsFrames(limit)
    return NdjsonFrames(limit) if kind in _LINES else SseFrames(limit)


class SseFrames:
    """Server-sent events. Comments and events without data are nothing to anybody and are passed over."""

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._splitter = SseSplitter(limit)
        self._fault: Malformed | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        if self._fault is not None:
            raise self._fault
        frames: list[Frame] = []
        try:
            for raw in self._splitter.feed(chunk):
                frame = parse_event(raw)
                if frame.data is not None:
                    frames.append(frame)
        except Malformed as fault:
            self._fault = fault
            if not frames:
                raise
        return frames

    def close(self) -> list[Frame]:
        """A last event whose blank line is missing is one, if its line has ended or its data is whole."""
        frames = self.feed(b"")  # what it still owes
        rest = self._splitter.rest
        self._splitter = SseSplitter()
        frame = parse_event(rest)
        if frame.data is None:
            if rest.strip() and not rest.endswith((b"\n", b"\r")) and not rest.startswith(b":"):
                raise _broke_off()
            return frames
        if not rest.endswith((b"\n", b"\r")) and not _is_whole(frame.data):
            raise _broke_off()
        return [*frames, frame]


def as_sse(frames: Iterable[Frame]) -> bytes:
    """Frames as server-sent events, for a client of the dialect that is inside them. The event's name is the frame's,
    or the `type` that its JSON says; an exception of AWS's becomes an `error` event as Anthropic has it.
    """
    return b"".join(_event(frame) for frame in frames)


class _Typed(msgspec.Struct):
    type: str | None = None


class _Said(msgspec.Struct):
    message: str | None = None
    Message: str | None = None


_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_said = msgspec.json.Decoder(_Said).decode


def _event(frame: Frame) -> bytes:
    name, data = frame.event, frame.data or b""
    if name.startswith(EXCEPTION):
        name, data = "error", _error(name.removeprefix(EXCEPTION), data)
    elif not name:
        try:
            name = _decode_typed(data).type or ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            name = ""
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
    name = name.replace("\n", "").replace("\r", "")
    head = f"event: {name}\n".encode() if name else b""
    return b"%sdata: %s\n\n" % (head, data)


def _error(name: str, data: bytes) -> bytes:
    try:
        said = _decode_said(data)
        message = said.message or said.Message or name
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = name
    error = {"type": _ERROR_TYPES.get(name, "api_error"), "message": message}
    return msgspec.json.encode({"type": "error", "error": error})


def _is_whole(data: bytes) -> bool:
    if data.strip() == b"[DONE]":
        return True
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _broke_off() -> Malformed:
    return Malformed("The upstream's stream broke off inside an event")
