"""A reply that is sound: bytes handed on as they come, all but the very last one, which waits for the settlement."""

from __future__ import annotations

from ..values.usage import Usage
from .dialect import VendorError


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
        return out

    def close(self) -> None:
        """The upstream has ended, as its framing says it does: an end too soon is the transport's to notice."""
        self.finished = self.size > 0
