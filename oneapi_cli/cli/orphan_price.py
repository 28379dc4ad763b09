"""What an orphan really cost: the tokens that somebody read on the vendor's own page, at the prices of the config.

A request whose process died left no rates behind, so they are looked up again: by the channel that served it, or, where
even that is unknown, by the first channel of the config that serves and prices its model; at the time of the request,
in the tier that its usage names, with its user's multiplier. Imports the price catalogue, so only `--settle` comes
here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from oneapi_cli.config.load import load
from oneapi_cli.ledger.accounts import get_user
from oneapi_cli.ledger.cost import cost_of
from oneapi_cli.ledger.receipts import Receipt
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.values.usage import Usage
from oneapi_cli.values.vendor import Channel

from .demo import demo_channel
from .mistakes import Refused
from .options import prices_of


def price(db: sqlite3.Connection, config: Path, receipt: Receipt, usage: Usage) -> tuple[int, str]:
    """(cost in nanos, where the price comes from). Raises Refused where nothing in the config prices the model."""
    loaded = load(config, VENDORS, resolve=False, environ=os.environ)
    prices = prices_of(loaded)
    multiplier = get_user(db, receipt.user_id).multiplier
    tier = receipt.usage.tier if receipt.usage else None
    for channel, sent in _servers(receipt, (*loaded.channels, demo_channel())):
        card = prices.card(channel, receipt.model_asked, sent)
        if card is not None:
            sheet = card.sheet(datetime.fromtimestamp(receipt.created, UTC), {"service_tier": tier} if tier else {})
            return cost_of(usage, sheet, multiplier).nanos, card.origin
    where = f"Nothing in {config} prices {receipt.model_asked}"
    raise Refused(f"{where}; add it to `prices:`, or release it.")


def _servers(receipt: Receipt, channels: Sequence[Channel]) -> Iterator[tuple[Channel, str]]:
    """(channel, model's name there): the one that served it, else all that would, higher priority first."""
    if receipt.channel:
        named = [channel for channel in channels if channel.name == receipt.channel]
        yield from ((channel, receipt.model_sent or receipt.model_asked) for channel in named)
        return
    for channel in sorted(channels, key=lambda channel: -channel.priority):
        if (sent := channel.models.get(receipt.model_asked, channel.models.get("*"))) is not None:
            yield channel, receipt.model_asked if sent in ("", "*") else sent
