"""A reply that is sound: bytes handed on as they come, all but the very last one, which waits for the settlement."""

from __future__ import annotations

import io
from decimal import Decimal

from ..values.errors import BadRequest
from ..values.usage import Usage
from .dialect import VendorError
from .tasks.durations import audio_seconds

HEAD_BYTES = 64 << 10
PCM_BYTES_PER_SECOND = 48_000
"""Of sound without a header: 24 kHz, 16 bit, one channel. Source: OpenAI's guide on text to speech (2026-11)"""


class ByteScanner:
    """A `StreamScanner` over bytes that mean nothing to us. size: how many came."""

    usage: Usage | None = None
    usage_is_early = False
    error: VendorError | None = None
    done = False
    seen_bytes = 0

    def __init__(self) -> None:
        self.size = 0
        self.ending = b""
        self.finished = False
        self._head = bytearray()

    def seconds(self) -> Decimal:
        """How long it plays, about: as its beginning does for its size."""
        head = bytes(self._head)
        try:
            lasts = audio_seconds(io.BytesIO(head), 0, len(head))
        except BadRequest:
            return Decimal(self.size) / PCM_BYTES_PER_SECOND
        return lasts * self.size / len(head)

    @property
    def clean(self) -> bool:
        return self.finished

    @property
    def unreported(self) -> list[bytes]:
        return []

    def take_seen(self) -> list[bytes]:
        return []

    def feed(self, chunk: bytes) -> bytes:
        if not chunk:
            return b""
        out = self.ending + chunk[:-1]
        self.ending = chunk[-1:]
        self.size += len(chunk)
        if len(self._head) < HEAD_BYTES:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
        return out

    def close(self) -> None:
        """The upstream has ended, as its framing says it does: an end too soon is the transport's to notice."""
        self.finished = self.done = self.size > 0
