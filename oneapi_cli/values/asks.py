"""What a client asked for: the raw request as the edge received it, and the few members of its body that we read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

from msgspec import Struct

from .uploads import Assembled, Upload
from .usage import Count

Headers = Mapping[str, str]

Params = Mapping[str, str]
"""What a path says of a request beside its door (Gemini: `model`, `stream`, `alt`)."""

NO_PARAMS: Params = {}


class Body(Protocol):
    """A request body that can be sent again on every attempt."""

    async def read(self) -> bytes:
        """The whole body. Raises TooLarge, BadRequest (truncated upload)."""
        ...

    async def read_form(self, content_type: str) -> Upload:
        """The whole body as a form, kept in a file where it is large. Raises TooLarge, BadRequest (no such form)."""
        ...


class Presence(Protocol):
    """Whether the client is still there. `when_gone(call)` runs `call` once when it leaves (at once if it has left);
    the latest callback replaces the one before; None withdraws it."""

    @property
    def gone(self) -> bool: ...

    def when_gone(self, call: Callable[[], None] | None) -> None: ...


class Ask(Struct, frozen=True, kw_only=True):
    """One client request. headers: lower-case names. query: named members, values never logged. peer: client
    address.
    """

    id: str
    door: str
    method: str
    path: str
    headers: Headers
    query: Mapping[str, str]
    peer: str
    body: Body
    presence: Presence
    received: float
    params: Params = NO_PARAMS


class Wanted(Struct, frozen=True, kw_only=True):
    """The members of a request body that we read, whatever its dialect.

    limit: the client's output limit in tokens, None when it gave none. limit_members: the top-level (or dotted)
    members that said so, in the body's own order. outputs: n × best_of. tier: service tier asked for. usage_asked: a
    streaming client asked for the usage event itself. thinking: a thinking budget inside the limit, 0 if none.
    unknown: top-level members that this dialect's module does not know (they pass; the bill is then `bounded:
    false`). unpriceable: (member, why) pairs that can add cost nobody can bound: a 400 for limited budgets. fees:
    unit → most it can count (hosted tools). modalities: what the reply may consist of, where the client said so.
    previous: id of a stored response that this request refers to. native: what is asked for exists in this dialect
    alone, and takes no output limit. long_cache: it writes a prompt cache that lives for an hour, at a higher price.
    context: members beside the tier that a price may depend on (`size`, `quality`). counted: sets of units, any one of
    which a price must cover for this request to have one; () for tokens.
    """

    dialect: str
    model: str
    stream: bool = False
    limit: int | None = None
    limit_members: tuple[str, ...] = ()
    outputs: int = 1
    tier: str | None = None
    usage_asked: bool = False
    thinking: int = 0
    unknown: tuple[str, ...] = ()
    unpriceable: tuple[tuple[str, str], ...] = ()
    fees: Mapping[str, int] = {}
    modalities: tuple[str, ...] = ()
    previous: str = ""
    native: bool = False
    context: Mapping[str, str] = {}
    counted: tuple[tuple[str, ...], ...] = ()
    long_cache: bool = False


class Measure(Struct, frozen=True, kw_only=True):
    """How large the input can be at most. text_bytes: a bound of its text in tokens (UTF-8 bytes, overhead included);
    images, pages: how many of each, audio_seconds: of all audio parts together (rounded up; None where a part cannot
    be measured). texts: the text itself, only where it was asked for, to be counted by a tokenizer; overhead_tokens:
    what the vendor's chat template adds around those texts at most. counts: what is known exactly before anything is
    sent (characters, seconds of an uploaded sound), and is billed where the vendor does not say. fees: unit → most it
    can count, beside those of `Wanted`. loose: it is a guess by the size of a file; a bill by it is an estimate.
    """

    text_bytes: int
    images: int = 0
    pages: int = 0
    audio_seconds: int | None = 0
    texts: tuple[str, ...] = ()
    overhead_tokens: int = 0
    counts: Mapping[str, Count] = {}
    fees: Mapping[str, int] = {}
    loose: bool = False


class Change(Struct, frozen=True, kw_only=True):
    """What must change in the client's bytes for one attempt. model: name upstream. limit: output limit to send, None
    to leave what stands there. add_usage: ask for the usage event on streams. traits_*: see `Traits`; system_prompt:
    the channel's own, put before the conversation ("" for none). limit_name: the member that limits output where it
    must be inserted or renamed ("" for the dialect's own choice). body_version: see `Quirks`.
    """

    model: str
    limit: int | None = None
    limit_name: str = ""
    add_usage: bool = False
    reasoning: bool = False
    system_role: str = "system"
    dropped: tuple[str, ...] = ()
    system_prompt: str = ""
    body_version: str = ""


class Head(Struct, frozen=True):
    """Status and headers of the answer, yielded once before its body."""

    status: int
    headers: Mapping[str, str]


class Call(Struct, frozen=True, kw_only=True):
    """One HTTP request to a vendor, complete but for its signature."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | Assembled
    connect_seconds: float
    first_byte_seconds: float
    idle_seconds: float
    stream_seconds: float
    proxy: str = ""


class Reply(Protocol):
    """A vendor's answer, its body not read yet. Leaving it early is `abort()`; every reply is closed or aborted."""

    status: int
    headers: Headers

    def chunks(self) -> AsyncIterator[bytes]:
        """Body bytes as they arrive. Raises Broken, TimedOut (idle, or the whole reply too long), Malformed
        (encoding).
        """
        ...

    def abort(self) -> None:
        """Close the connection now; a pending read raises Broken. Harmless on a reply that has ended."""
        ...

    def release(self) -> None:
        """Nothing more is wanted of this reply: keep the connection if its body ends at once, else close it."""
        ...


class Transport(Protocol):
    """The way to vendors. Raises Unreachable before anything was sent; TimedOut or Broken once it may have been."""

    def send(self, call: Call) -> Awaitable[Reply]: ...
