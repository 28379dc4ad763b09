"""Server-sent events on bytes: where one event ends, and what its fields say.

Lines end at CR, LF or CRLF and nowhere else (U+2028 is an ordinary character inside JSON, so `str.splitlines` would cut
events in two). The invariant: what `feed` and `rest` hand out, concatenated, equals the input byte for byte, and where
the cuts of the network fall changes nothing about where events end.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (2026-11)
"""

from __future__ import annotations

import re

from msgspec import Struct

from ..values.errors import Malformed

EVENT_LIMIT = 16 << 20
BOM = b"\xef\xbb\xbf"

# Two line ends in a row. A CR that may be half of a CRLF is no line end of its own, so a CR at the very end waits.
_BLANK = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LONGEST_BLANK = 4


class Frame(Struct, frozen=True):
    """One event, read. event: "" where it has no name; data: its `data` lines joined by LF, None where it has none."""

    event: str
    data: bytes | None
    id: str = ""


class SseSplitter:
    """Cuts a stream of chunks into whole raw events, each with the blank line that ends it. Linear in the input.

    limit: bytes of one event. What came before an event that is too large is handed out first; the next call raises.
    """

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0
        self._tail = b""  # the last bytes of `rest`, enough to see a blank line that a cut went through
        self._has_cr = False
        self._too_large = False

    @property
    def rest(self) -> bytes:
        """What is not a whole event yet."""
        return b"".join(self._pieces)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes. Raises Malformed for an event beyond the limit."""
        return split_events(self.feed_block(chunk))

    def feed_block(self, chunk: bytes) -> bytes:
        """The same events in one piece, b"" for none: what a relay hands on. Raises Malformed as `feed` does."""
        if self._too_large:
            raise self._fault()
        cut = self._last_cut(chunk)
        if cut < 0:
            self._keep(chunk)
            block = b""
        else:
            block = chunk[:cut]
            if self._pieces:
                self._pieces.append(block)
                block = b"".join(self._pieces)
                self._pieces, self._held = [], 0
            self._tail = b""
            if cut < len(chunk):
                self._keep(chunk[cut:])
            if len(block) > self._limit:
                block = self._within_limit(block)
        if self._held > self._limit:
            self._too_large = True
        if self._too_large and not block:
            raise self._fault()
        return block

    def _last_cut(self, chunk: bytes) -> int:
        """Where in `chunk` the last whole event ends: 0 is before its first byte, -1 nowhere."""
        if not self._has_cr:
            if b"\r" not in chunk:
                return self._last_cut_lf(chunk)
            self._has_cr = True
        if chunk.endswith(b"\r\n\r\n") and chunk[-5:-4] not in (b"", b"\r", b"\n"):
            return len(chunk)  # a vendor that ends lines so sends whole events, mostly
        return _end_of_last(self._tail, chunk)

    def _last_cut_lf(self, chunk: bytes) -> int:
        at = chunk.rfind(b"\n\n")
        if at > 0 and chunk[at - 1] == 0x0A:  # three or more in a row: where the pairs fall depends on the first
            return _end_of_last(self._tail, chunk)
        if at >= 0 and not (at == 0 and self._tail.endswith(b"\n")):
            return at + 2
        return 1 if chunk.startswith(b"\n") and self._tail.endswith(b"\n") else -1

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._held += len(piece)
            self._tail = (self._tail + piece[1 - _LONGEST_BLANK :])[1 - _LONGEST_BLANK :]

    def _within_limit(self, block: bytes) -> bytes:
        """What of `block` comes before the first event that is too large."""
        end = 0
        for event in split_events(block):
            if len(event) > self._limit:
                self._too_large = True
                return block[:end]
            end += len(event)
        return block

    def _fault(self) -> Malformed:
        return Malformed(f"The upstream sent an event of more than {self._limit} bytes")


def _end_of_last(tail: bytes, chunk: bytes) -> int:
    end = -1
    for found in _BLANK.finditer(tail + chunk):
        end = found.end() - len(tail)
    return end


def split_events(block: bytes) -> list[bytes]:
    """Whole events in one piece → each alone. Bytes after the last blank line, if any, come as a last item."""
    if not block:
        return []
    events, start = [], 0
    for found in _BLANK.finditer(block):
        events.append(block[start : found.end()])
        start = found.end()
    if start < len(block):
        events.append(block[start:])
    return events


def parse_event(raw: bytes) -> Frame:
    """One raw event → its fields. Unknown fields and comments are passed over, as the standard says.

    Raises Malformed when it is not UTF-8.
    """
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise Malformed("The upstream sent an event that is not UTF-8") from None
    event, id_ = b"", b""
    data: list[bytes] = []
    for line in _LINE_END.split(raw.removeprefix(BOM)):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
        elif name == b"id":
            id_ = value
    return Frame(event.decode(), b"\n".join(data) if data else None, id_.decode())
