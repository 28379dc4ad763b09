"""Which card prices a model on a channel: the user's own lines, else the catalogue, else our table, else none.

Never a guess: a model that none of these knows has no card, and the caller refuses it with the line that would price
it. A listing without amounts (the catalogue has some, for trials and free tiers) is no price either: only `free: true`
is free.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from msgspec import json

from oneapi_cli.values.units import RATE_NAMES, parse_line
from oneapi_cli.values.vendor import Channel, PriceLine

from .cost import Mode, dearest, fee_nanos
from .price_card import Base, Card, Rate, Sheet, make_rate
from .price_catalogue import catalogue_card, use_catalogue
from .price_table import free_rates, own_card, with_own

__all__ = [
    "RATE_NAMES",
    "Card",
    "Mode",
    "Prices",
    "Rate",
    "Sheet",
    "dearest",
    "fee_nanos",
    "line_card",
    "parse_line",
]

MOST_CARDS = 10_000
"""Cards kept per generation. A `*` channel lets clients name any model, and a cache without a bound would be a leak."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*\Z")


class Prices:
    """The prices of one config generation.

    global_lines: the config's `prices:`. books: our vendors' names → their id in the catalogue, for `priced_as:
    moonshot`. update: where a newer catalogue may lie (`price_updates.update_file`). named: what a vendor itself calls
    a model that the config calls otherwise (Bedrock's ids): the name that its list has.
    """

    def __init__(
        self,
        global_lines: Mapping[str, PriceLine],
        *,
        books: Mapping[str, str] | None = None,
        update: Path | None = None,
        named: Callable[[Channel, str], str] = lambda _, model: model,
    ) -> None:
        use_catalogue(update)
        self._named = named
        self._lines = global_lines
        self._books = books or {}
        self._cards: dict[tuple[str, str, str], Card | None] = {}

    def card(self, channel: Channel, model_asked: str, model_sent: str) -> Card | None:
        """The card for this model on this channel, or None: unpriced. The first call may load the catalogue (0.3 s)."""
        key = (channel.name, model_asked, model_sent)
        if key not in self._cards:
            if len(self._cards) >= MOST_CARDS:
                self._cards.clear()
            self._cards[key] = self._find(channel, model_asked, model_sent)
        return self._cards[key]

    def unpriced(self, channels: Iterable[Channel]) -> list[tuple[str, str]]:
        """(channel, model) of everything named in the channels that has no price. Resolves all their cards on the way,
        so that no request waits for the catalogue: for a thread, when a config is taken."""
        named = ((c, asked, sent or asked) for c in channels for asked, sent in c.models.items() if asked != "*")
        return [(c.name, asked) for c, asked, sent in named if self.card(c, asked, sent) is None]

    def unpriced_line(self, channel: Channel, model: str) -> str:
        """The line of YAML that would price this model. Its amounts are left to fill in: pasted as it is, it is
        refused."""
        name = model if _PLAIN.match(model) else json.encode(model).decode()
        return f"{name}: {{input: DOLLARS, output: DOLLARS}} (per million tokens; or {{image: …}}, or {{free: true}})"

    def _find(self, channel: Channel, asked: str, sent: str) -> Card | None:
        names = tuple(dict.fromkeys((asked, sent)))
        for lines, origin in ((channel.prices, f"prices of channel {channel.name}"), (self._lines, "config prices")):
            if (found := _matching(lines, names)) is not None:
                return line_card(found[0], found[1], origin)
        listed, books = self._lists_of(channel)
        models = tuple(dict.fromkeys((self._named(channel, sent), sent, asked)))
        for model in models if listed else ():
            if (card := catalogue_card(listed, model)) is not None:
                return with_own(card, books, model)
        return next((card for model in models if (card := own_card(books, model)) is not None), None)

    def _lists_of(self, channel: Channel) -> tuple[str, tuple[str, ...]]:
        """(id in the catalogue or "", the books of our table). `priced_as` takes the vendor's place."""
        if named := channel.priced_as:
            listed = self._books.get(named, named)
            return listed, tuple(dict.fromkeys((listed, named)))
        vendor = channel.vendor
        return vendor.prices, tuple(dict.fromkeys(book for book in (vendor.prices, vendor.name) if book))


def line_card(name: str, line: PriceLine, origin: str) -> Card:
    """A line of the user's own → a card. It replaces whatever is listed elsewhere, whole."""
    if line.free:
        rates = free_rates(f"{origin}: {name}, free")
    else:
        rates = tuple(_line_rate(key, text, f"{origin}: {name}, {key}") for key, text in line.rates.items())
    return Card(model=name, origin=f"{origin}: {name}", bases=(Base(rates),), free=line.free)


def _line_rate(key: str, usd: str, rule: str) -> Rate:
    known = RATE_NAMES[key]
    return make_rate(known.unit, known.per, [Decimal(usd)], rule=rule)


def _matching(lines: Mapping[str, PriceLine], names: Iterable[str]) -> tuple[str, PriceLine] | None:
    """The line for the first of `names` that has one under its own name, else under the longest pattern that fits."""
    for name in names:
        if name in lines:
            return name, lines[name]
    patterns = sorted((key for key in lines if set(key) & set("*?[")), key=len, reverse=True)
    for name in names:
        for pattern in patterns:
            if fnmatch.fnmatchcase(name, pattern):
                return pattern, lines[pattern]
    return None
