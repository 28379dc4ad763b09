"""Prices as people read them: dollars per million tokens or per one of a thing, exact to the last digit.

Amounts are Decimals made of integers, never floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from oneapi_cli.values.money import NANOS_PER_USD
from oneapi_cli.values.units import PER_MILLION, RATE_NAMES

if TYPE_CHECKING:
    from oneapi_cli.ledger.price_card import Card, Rate
    from oneapi_cli.ledger.prices import Prices
    from oneapi_cli.values.vendor import Channel

_DIGITS = 60
_ORIGINS = (("prices of channel", "channel"), ("config prices", "config"), ("genai-prices", "genai-prices"))
_PREFERRED = ("audio_minute", "input_audio_minute", "output_audio_minute", "million_characters")
# unit → (name for people, how many of it one price is for); of several spellings the first
_NAMES: Mapping[str, tuple[str, int]] = {
    **{rate.unit: (rate.name, rate.per) for rate in reversed(list(RATE_NAMES.values()))},
    **{RATE_NAMES[name].unit: (name, RATE_NAMES[name].per) for name in _PREFERRED},
}


def usd(nanos: int, per: int, of: int) -> str:
    """`nanos` for `per` units, as dollars for `of` units: every digit, at least two decimals."""
    with localcontext() as exact:
        exact.prec = _DIGITS
        amount = Decimal(nanos) * of / per / NANOS_PER_USD
    whole, _, decimals = f"{amount:f}".partition(".")
    return f"${int(whole):,}.{decimals.rstrip('0').ljust(2, '0')}"


def name_of(unit: str) -> tuple[str, int]:
    """What a config calls a unit's rate, and how many units that is the price of."""
    return _NAMES.get(unit, (unit, 1))


def rate_text(rate: Rate) -> str:
    """`$2.50/M`, `$0.04 each`, `$0.006/min`."""
    _, of = name_of(rate.unit)
    return usd(rate.nanos, rate.per, of) + suffix(of, rate.unit)


def suffix(of: int, unit: str) -> str:
    """What the amount is for."""
    if of == PER_MILLION:
        return "/M"
    if unit.endswith("seconds"):
        return {1: "/s", 60: "/min", 3600: "/h"}.get(of, f"/{of} s")
    return " each" if of == 1 else f"/{of}"


def tier_texts(rate: Rate) -> list[str]:
    """`$0.50/M over 200,000 input tokens`, for each further tier."""
    _, of = name_of(rate.unit)
    return [
        f"{usd(nanos, rate.per, of)}{suffix(of, rate.unit)} over {start:,} input tokens" for start, nanos in rate.tiers
    ]


def brief(card: Card | None, unit: str, now: Any) -> str:
    """One cell of a list: the rate of a unit now; `free`, `-` where it has none, `none` without a card."""
    if card is None:
        return "none"
    if card.free:
        return "free"
    rate = next((rate for rate in card.sheet(now, {}).rates if rate.unit == unit), None)
    return "-" if rate is None else rate_text(rate)


def others(card: Card, now: Any) -> list[str]:
    """What a card without token rates charges for: `$0.04/image`, `$0.006/min`."""
    return [
        rate_text(rate).replace(" each", f"/{name_of(rate.unit)[0]}")
        + ("char" if name_of(rate.unit)[0] == "million_characters" else "")
        for rate in card.sheet(now, {}).rates
    ]


def short_origin(card: Card | None) -> str:
    """Where a price comes from, in a word or two."""
    if card is None:
        return ""
    first = card.origin.split(":", 1)[0].split(",", 1)[0]
    return next((short for start, short in _ORIGINS if first.startswith(start)), first)


def card_document(card: Card) -> dict[str, Any]:
    """A card as JSON: integer nano-dollars per `per` units."""
    return {
        "model": card.model,
        "origin": card.origin,
        "free": card.free,
        "least_seconds": card.least_seconds,
        "prices": [{"holds": str(base.condition) or None, "rates": rates_document(base.rates)} for base in card.bases],
        "variants": [
            {
                "when": dict(variant.when),
                "holds": str(variant.condition) or None,
                "rates": rates_document(variant.rates),
            }
            for variant in card.variants
        ],
    }


def offers(prices: Prices, channels: tuple[Channel, ...], model: str) -> Iterator[tuple[Channel, str, Card | None]]:
    """(channel, name there, card) of every channel that serves a model by this name; `*` where none names it."""
    named = [channel for channel in channels if model in channel.models and model != "*"]
    for channel in named or [channel for channel in channels if "*" in channel.models]:
        target = channel.models.get(model, channel.models.get("*", ""))
        sent = model if target in ("", "*") else target
        yield channel, sent, prices.card(channel, model, sent)


def rates_document(rates: tuple[Rate, ...]) -> list[dict[str, Any]]:
    """Rates as JSON."""
    return [
        {
            "unit": rate.unit,
            "nanos": rate.nanos,
            "per": rate.per,
            "tiers": [{"over_input_tokens": start, "nanos": nanos} for start, nanos in rate.tiers],
            "rule": rate.rule,
        }
        for rate in rates
    ]
