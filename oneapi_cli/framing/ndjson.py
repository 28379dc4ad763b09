"""JSON documents one a line: bytes → frames, each `Frame(event="", data=line)`.

Lines end at LF; a CR before it is white space. Blank lines are nothing. The last line may lack its end, if it is whole.

Source: https://github.com/ndjson/ndjson-spec (2026-11)
"""

from __future__ import annotations

import msgspec

from ..values.errors import Malformed
from .sse import EVENT_LIMIT, Frame


class NdjsonFrames:
    """A `FrameReader`. limit: bytes of one line. What came before a line that is too long is handed out first; the
    next call raises Malformed."""

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0
        self._too_large = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """The lines that `chunk` completes. Raises Malformed for one beyond the limit."""
        if self._too_large:
            raise self._fault()
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._keep(chunk)
            frames: list[Frame] = []
        else:
            lines = b"".join([*self._pieces, chunk[:cut]]).split(b"\n")
            self._pieces, self._held = [], 0
            self._keep(chunk[cut + 1 :])
            frames = self._frames(lines)
            self._too_large = len(frames) < len(lines)
            frames = [frame for frame in frames if frame.data]
        self._too_large = self._too_large or self._held > self._limit
        if self._too_large and not frames:
            raise self._fault()
        return frames

    def close(self) -> list[Frame]:
        """The stream has ended: its last line, if it is a whole document. Raises Malformed if it is not."""
        if self._too_large:
            raise self._fault()
        rest = b"".join(self._pieces).strip()
        self._pieces, self._held = [], 0
        if not rest:
            return []
        try:
            msgspec.json.decode(rest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("The upstream's stream broke off inside a line") from None
        return [Frame("", rest)]

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._held += len(piece)

    def _frames(self, lines: list[bytes]) -> list[Frame]:
        """Up to the first line that is too long."""
        frames = []
        for line in lines:
            if len(line) > self._limit:
                break
            frames.append(Frame("", line.strip()))
        return frames

    def _fault(self) -> Malformed:
        return Malformed(f"The upstream sent a line of more than {self._limit} bytes")
