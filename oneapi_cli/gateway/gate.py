"""What `exchange` is given: the seams, the channels and the policy of one config generation, all of it plain values.

A request takes one `Gate` when it starts and keeps it: a reload swaps the reference and never changes a running
request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from ..ledger.book import Book
from ..ledger.prices import Prices
from ..routing.health import Health
from ..routing.select import Spoken, speaks_of
from ..values.asks import Call, Transport
from ..values.vendor import Channel, Traits


class Policy(Struct, frozen=True, kw_only=True):
    """The config's answers to DESIGN section 5. Tokens, seconds and bytes."""

    on_disconnect: Literal["cancel", "drain"] = "cancel"
    retries: int = 2
    retry_unknown: bool = False
    hold_wait: float = 30.0
    min_output: int = 1024
    unknown_output: int = 8192
    event_limit: int = 16 << 20
    reply_limit: int = 256 << 20
    strict_translation: bool = False


class Account(Struct, frozen=True, kw_only=True):
    """What one request came to, for the log and the metrics: public facts only. outcomes: (channel, outcome) of each
    attempt.
    """

    request_id: str
    door: str
    token: str
    model: str
    channel: str
    status: int
    state: str
    cost_nanos: int
    seconds: float
    attempts: int
    reason: str = ""
    outcomes: tuple[tuple[str, str], ...] = ()


class Market(Struct, frozen=True, kw_only=True):
    """What can be had, and at which price: all that planning a request takes, and nothing that sends or writes.

    `now` is unix seconds, `dice` uniform in [0, 1); `traits` knows models; `count` runs a tokenizer in a thread;
    `spoken` says what a channel speaks for a model.
    """

    channels: Sequence[Channel]
    prices: Prices
    health: Health
    policy: Policy
    now: Callable[[], float]
    dice: Callable[[], float]
    traits: Callable[[str], Traits]
    count: Callable[[Sequence[str], str], Awaitable[int]]
    spoken: Spoken = speaks_of


class Fetched(Struct, frozen=True):
    """What lay behind a client's URL."""

    media_type: str
    data: bytes


class Gate(Market, frozen=True, kw_only=True):
    """Everything a request may use. `sleep` is asyncio's. `url(channel, dialect, model, stream)` knows vendors, as does
    `sign(channel, key, call)`, which answers with the headers to add; `fetch(url, most_bytes)` gets what a client's URL
    points to, from public addresses only, and raises BadRequest.
    """

    book: Book
    transport: Transport
    sleep: Callable[[float], Awaitable[None]]
    url: Callable[[Channel, str, str, bool], str]
    sign: Callable[[Channel, str, Call], Awaitable[Mapping[str, str]]]
    fetch: Callable[[str, int], Coroutine[object, object, Fetched]]
    log: Callable[[Account], None]
    next_key: Callable[[Channel], str]
