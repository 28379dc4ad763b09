"""AWS event streams (`application/vnd.amazon.eventstream`): binary messages → frames, checksums proved.

One message, numbers big-endian: total length, headers' length, CRC-32 of those eight bytes; headers; payload; CRC-32 of
everything before it. Where the cuts of the network fall changes nothing. A reader of its own, because botocore's adds
up and cuts its buffer anew for every message and costs 50 ms to import; the tests hold the two together.

Which frame a message becomes:

* an event → `Frame(event=its type, data=payload)`;
* a `chunk` event, what InvokeModelWithResponseStream wraps a model's own event in (`{"bytes": base64}`) →
  `Frame(event="", data=the model's JSON)`, so that the model's own dialect reads it;
* an exception or error → `Frame(event="exception:" + its type, data=payload, JSON)`.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html (the framing's description),
botocore 1.43 `eventstream.py` (2026-11)
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from functools import lru_cache

import msgspec

from ..values.errors import Malformed
from .sse import EVENT_LIMIT, Frame

EXCEPTION = "exception:"
"""What the event of a frame that reports a failure begins with."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_AROUND = _PRELUDE.size + _CRC.size
_HEADERS_LIMIT = 128 << 10
_STRING = 7
_CHUNK = "chunk"
_MOST_KEPT = 1024
# Type of a header's value → its length in bytes. 6 and 7 say their own length in two bytes.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class _Chunk(msgspec.Struct):
    bytes: str | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class AwsFrames:
    """A `FrameReader`. limit: bytes of one message. What came before a fault is handed out first; the next call raises
    Malformed."""

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()
        self._fault: Malformed | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes. Raises Malformed: a wrong checksum, a message too large or none."""
        if self._fault is not None:
            raise self._fault
        self._held += chunk
        frames: list[Frame] = []
        at = 0
        try:
            while (size := self._size_at(at)) and len(self._held) - at >= size:
                frames.append(_read(bytes(self._held[at : at + size])))
                at += size
        except Malformed as fault:
            self._fault = fault
            if not frames:
                raise
        del self._held[:at]
        return frames

    def close(self) -> list[Frame]:
        """The stream has ended. Raises Malformed: inside a message, or what `feed` still owes."""
        if self._fault is not None:
            raise self._fault
        if self._held:
            raise Malformed("The upstream's event stream broke off inside a message")
        return []

    def _size_at(self, at: int) -> int:
        """The length of the message that begins there, 0 where its prelude is not whole yet."""
        if len(self._held) - at < _PRELUDE.size:
            return 0
        total, headers, crc = _PRELUDE.unpack_from(self._held, at)
        if zlib.crc32(memoryview(self._held)[at : at + 8]) != crc:
            raise _fault("the checksum of a message's head is wrong")
        if total > self._limit:
            raise Malformed(f"The upstream sent an event of more than {self._limit} bytes")
        if headers > _HEADERS_LIMIT or total < headers + _AROUND:
            raise _fault("the lengths in a message's head are impossible")
        return int(total)


def _read(message: bytes) -> Frame:
    end = len(message) - _CRC.size
    if zlib.crc32(memoryview(message)[:end]) != _CRC.unpack_from(message, end)[0]:
        raise _fault("the checksum of a message is wrong")
    start = _PRELUDE.size + _PRELUDE.unpack_from(message)[1]
    block = message[_PRELUDE.size : start]
    event, error = _known(block) if len(block) <= _MOST_KEPT else _meaning(block)
    payload = message[start:end]
    if event == _CHUNK:
        return _unwrapped(payload)
    if error and not payload.strip():
        payload = msgspec.json.encode({"message": error})
    return Frame(event, payload)


def _meaning(block: bytes) -> tuple[str, str]:
    """(the frame's event, an error's message or the word that stands in for it) by a message's headers, which are the
    same for all messages of a type. Raises Malformed."""
    headers = _headers(block)
    kind = headers.get(":message-type", "event")
    if kind == "event":
        return headers.get(":event-type", ""), ""
    name = headers.get(":exception-type") or headers.get(":error-code") or kind
    return EXCEPTION + name, headers.get(":error-message") or name


_known = lru_cache(maxsize=256)(_meaning)


def _headers(block: bytes) -> dict[str, str]:
    """The headers that are strings; the others are passed over. Raises Malformed."""
    found: dict[str, str] = {}
    at, end = 0, len(block)
    try:
        while at < end:
            length = block[at]
            name = block[at + 1 : at + 1 + length].decode()
            at += 1 + length
            kind = block[at]
            at += 1
            if kind in _FIXED:
                at += _FIXED[kind]
                continue
            size = int.from_bytes(block[at : at + 2], "big")
            at += 2
            if kind == _STRING:
                found[name] = block[at : at + size].decode()
            elif kind != _STRING - 1:
                raise _fault(f"a header's value has the unknown type {kind}")
            at += size
    except (IndexError, UnicodeDecodeError):
        raise _fault("its headers cannot be read") from None
    if at != end:
        raise _fault("its headers are longer than their message says")
    return found


def _unwrapped(payload: bytes) -> Frame:
    """The model's own event out of a `chunk`; a chunk that wraps nothing stays what it is. Raises Malformed."""
    try:
        inner = _decode_chunk(payload).bytes
        return Frame(_CHUNK, payload) if inner is None else Frame("", base64.b64decode(inner, validate=True))
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise _fault("a chunk is not what it should be") from None


def _fault(what: str) -> Malformed:
    return Malformed(f"The upstream's event stream is damaged: {what}")
