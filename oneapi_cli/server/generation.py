"""One config, put together into what requests need: the gate, the edge, and who may administer.

A request takes the `Generation` of the moment and keeps it. A reload makes a new one beside it and swaps the
reference, so no request ever sees half of an edit. What outlives generations (ledger, sockets, cool-downs) is handed in
as `Seams`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..config.loaded import Loaded
from ..config.schema import Config
from ..dialects import vocabulary
from ..gateway.gate import Account, Gate, Policy
from ..ledger.book import Book
from ..ledger.price_updates import update_file
from ..ledger.prices import Prices
from ..providers.models import traits
from ..providers.spoken import spoken
from ..providers.table import VENDORS
from ..providers.urls import build_url, upstream_name
from ..routing.health import Health
from ..values.asks import Transport
from ..values.vendor import Channel
from .credentials import Signer
from .edge import Edge, is_loopback
from .fetch import Fetcher

log = logging.getLogger("oneapi.server")

NEEDS_RESTART: Sequence[str] = (
    "listen",
    "workers",
    "ledger",
    "ledger_sync",
    "after_crash",
    "budget_zone",
    "grace",
    "tls",
    "metrics_listen",
    "limits.headers",
    "limits.memory",
)
"""What was given to sockets, parsers and the ledger when the process started."""


class Seams(Struct, frozen=True, kw_only=True):
    """What a process has once, whatever its config says. host: where it really listens; now: unix seconds."""

    book: Book
    transport: Transport
    fetcher: Fetcher
    signer: Signer
    health: Health
    host: str
    now: Callable[[], float]
    log: Callable[[Account], None]


class Generation(Struct, frozen=True, kw_only=True):
    """admin_key: "" is off. cors: origins as browsers send them, in lower case. taken: unix seconds."""

    loaded: Loaded
    gate: Gate
    edge: Edge
    admin_key: str
    cors: frozenset[str]
    body_limit: int
    concurrent: int
    taken: float


def assemble(loaded: Loaded, seams: Seams) -> Generation:
    """The generation of one config."""
    config = loaded.config
    return Generation(
        loaded=loaded,
        gate=_gate(loaded, seams),
        edge=Edge(
            loopback=is_loopback(seams.host),
            hosts=frozenset(name.lower() for name in config.hosts),
            trusted_proxies=config.trusted_proxies,
            headers_limit=config.limits.headers,
        ),
        admin_key=str(config.admin_key),
        cors=frozenset(config.cors),
        body_limit=config.limits.body,
        concurrent=config.limits.concurrent,
        taken=seams.now(),
    )


def warm_prices(gate: Gate) -> None:
    """Resolve every named model's price once, so that the first request finds it, and say which have none. Blocks."""
    for channel, model in gate.prices.unpriced(gate.channels):
        log.warning("channel %s: %s has no price, so requests for it are refused; see `prices:`", channel, model)


def restart_keys(running: Config, edited: Config) -> list[str]:
    """The keys of an edit that this process cannot take while it runs."""
    return [key for key in NEEDS_RESTART if _value(running, key) != _value(edited, key)]


def as_started(edited: Loaded, running: Loaded) -> Loaded:
    """An edit with what this server cannot take while it runs left as it was: its workers share one ledger."""
    kept: dict[str, object] = {}
    limits = edited.config.limits
    for key in NEEDS_RESTART:
        group, _, member = key.rpartition(".")
        if group == "limits":
            limits = replace(limits, **{member: _value(running.config, key)})
        else:
            kept[key] = _value(running.config, key)
    return replace(edited, ledger=running.ledger, config=replace(edited.config, limits=limits, **kept))


def changed_channels(before: Sequence[Channel], after: Sequence[Channel]) -> list[str]:
    """Names of the channels that are gone or not what they were: what was learned of their health no longer holds."""
    kept = {channel.name: channel for channel in after}
    # Its place in the file says nothing about a channel's health.
    return [old.name for old in before if not _same(old, kept.get(old.name))]


def _same(old: Channel, new: Channel | None) -> bool:
    return new is not None and all(
        getattr(old, field) == getattr(new, field) for field in old.__struct_fields__ if field != "rank"
    )


def _value(config: Config, key: str) -> object:
    found: object = config
    for name in key.split("."):
        found = getattr(found, name)
    return found


def _gate(loaded: Loaded, seams: Seams) -> Gate:
    config = loaded.config
    turns: dict[str, itertools.count[int]] = {channel.name: itertools.count() for channel in loaded.channels}

    def next_key(channel: Channel) -> str:
        return channel.keys[next(turns[channel.name]) % len(channel.keys)] if channel.keys else ""

    async def count(texts: Sequence[str], name: str) -> int:
        return await asyncio.to_thread(vocabulary.count, texts, name)

    return Gate(
        book=seams.book,
        transport=seams.transport,
        channels=loaded.channels,
        prices=Prices(
            config.prices,
            books={name: row.prices for name, row in VENDORS.items()},
            update=update_file(loaded.ledger),
            named=upstream_name,
        ),
        health=seams.health,
        policy=Policy(
            on_disconnect=config.on_disconnect,
            retries=config.retries,
            retry_unknown=config.retry_unknown,
            hold_wait=config.hold_wait,
            min_output=config.min_output,
            unknown_output=config.unknown_output,
            event_limit=config.limits.event,
            strict_translation=config.strict_translation,
        ),
        now=seams.now,
        dice=random.random,
        sleep=asyncio.sleep,
        traits=traits,
        spoken=spoken,
        url=build_url,
        sign=seams.signer.sign,
        fetch=seams.fetcher.fetch,
        count=count,
        log=seams.log,
        next_key=next_key,
    )
