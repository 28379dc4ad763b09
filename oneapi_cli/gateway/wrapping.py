"""Scanners around scanners, where the bytes on one side are framed another way: AWS's frames from upstream, a JSON
array for the client. What is read stays the inner scanner's business.
"""

from __future__ import annotations

from ..dialects import StreamScanner, VendorError
from ..dialects.gemini import ArrayFramer
from ..framing.frames import as_sse, open_frames
from ..values.errors import GatewayError
from ..values.usage import Usage
from .ways import FailWith, OpenStream


class Wrapped:
    """A `StreamScanner` that leaves everything to another one."""

    def __init__(self, inner: StreamScanner) -> None:
        self._inner = inner

    def feed(self, chunk: bytes) -> bytes:
        return self._inner.feed(chunk)

    def close(self) -> None:
        self._inner.close()

    @property
    def ending(self) -> bytes:
        return self._inner.ending

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    @property
    def usage_is_early(self) -> bool:
        return self._inner.usage_is_early

    @property
    def finished(self) -> bool:
        return self._inner.finished

    @property
    def done(self) -> bool:
        return self._inner.done

    @property
    def error(self) -> VendorError | None:
        return self._inner.error

    @property
    def clean(self) -> bool:
        return self._inner.clean

    @property
    def unreported(self) -> list[bytes]:
        return self._inner.unreported

    @property
    def seen_bytes(self) -> int:
        return self._inner.seen_bytes

    def take_seen(self) -> list[bytes]:
        return self._inner.take_seen()


class Reframed(Wrapped):
    """Events that come in other frames, as the SSE that the inner scanner and the client know."""

    def __init__(self, inner: StreamScanner, content_type: str, event_limit: int) -> None:
        super().__init__(inner)
        self._frames = open_frames(content_type, event_limit)
        self._late = b""

    def feed(self, chunk: bytes) -> bytes:
        return self._inner.feed(as_sse(self._frames.feed(chunk)))

    def close(self) -> None:
        rest = as_sse(self._frames.close())
        if rest:
            self._late += self._inner.feed(rest)
        self._inner.close()

    @property
    def ending(self) -> bytes:
        return self._late + self._inner.ending


class Arrayed(Wrapped):
    """The inner scanner's SSE as one JSON array."""

    def __init__(self, inner: StreamScanner, framer: ArrayFramer) -> None:
        super().__init__(inner)
        self._framer = framer
        self._ended: bytes | None = None
        self.events = b""
        """What came out last, before it was put into the array."""

    def feed(self, chunk: bytes) -> bytes:
        self.events = self._inner.feed(chunk)
        return self._framer.feed(self.events)

    @property
    def ending(self) -> bytes:
        if self._ended is None:
            self._ended = self._framer.close(self._inner.ending)
        return self._ended


def as_array(opened: OpenStream) -> OpenStream:
    """The same stream for a client that wants it as a JSON array."""
    framer = ArrayFramer()

    def fail(error: GatewayError, request_id: str, say: FailWith = opened.fail) -> bytes:
        return framer.close(say(error, request_id))

    return OpenStream(scanner=Arrayed(opened.scanner, framer), fail=fail, content_type="application/json")
