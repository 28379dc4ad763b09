"""One offer's way from the client's body to the vendor's, and from the vendor's reply to the client's.

There are two: relay, where both speak one dialect, and translation through the conversation. `attempts.py` sends and
reads without knowing which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from ..dialects import ReplyReading, StreamScanner, VendorError
from ..dialects.dialect import Following, Step, StepReply
from ..values.errors import GatewayError
from ..values.uploads import Assembled

FailWith = Callable[[GatewayError, str], bytes]
"""(error, request id) → the bytes that end a stream with it, in the client's dialect."""


class Outgoing(Struct, frozen=True, kw_only=True):
    """What leaves for upstream. headers: beside those of every call. more: further bodies, each a call of its own."""

    body: bytes | Assembled
    more: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}


class WholeReply(Struct, frozen=True, kw_only=True):
    """A whole reply, read and put into the client's words. content_type: "" for the upstream's own."""

    reading: ReplyReading
    body: bytes = b""
    content_type: str = ""
    notes: tuple[str, ...] = ()


class OpenStream(Struct, frozen=True, kw_only=True):
    """scanner: bytes from upstream in, bytes for the client out; fail: how this stream says that it broke.
    content_type: of what the client gets.
    """

    scanner: StreamScanner
    fail: FailWith
    content_type: str = "text/event-stream; charset=utf-8"


class Way(Protocol):
    """One offer's way there and back. Made anew for each attempt. follows: the first reply is not the last word."""

    @property
    def follows(self) -> bool: ...

    def outgoing(self, limit: int | None) -> Outgoing:
        """The body for upstream; limit: the output limit to send, None for none. Raises BadRequest."""
        ...

    def decode_error(self, status: int, body: bytes) -> VendorError: ...

    def follow(self, first: StepReply) -> Following:
        """The further requests that this vendor's reply takes. Only where `follows`."""
        ...

    def called_off(self, reply: StepReply) -> bool:
        """Whether what nobody waits for any more is not to be paid for, as the vendor's reply says. Only where
        `follows`."""
        ...

    def report(self, first: StepReply) -> Step | None:
        """What to ask for once a stream has ended, whose reply says what was used."""
        ...

    def read_report(self, body: bytes) -> bool:
        """Take what that reply says as the stream's usage; whether it said anything. Raises Malformed."""
        ...

    def is_stream(self, content_type: str) -> bool:
        """Whether a reply of this type is the stream that was asked for."""
        ...

    def read_whole(self, body: bytes) -> WholeReply:
        """Raises Malformed."""
        ...

    def open_stream(self, content_type: str) -> OpenStream: ...

    def stored_id(self, block: bytes) -> str:
        """The id under which the vendor keeps this reply, from its body or the first bytes of its stream; "" where
        it keeps none that the client could follow up on.
        """
        ...
