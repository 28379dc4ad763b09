"""genai-prices, read once per model into a card. The only module that knows that library; it is imported on first use.

Importing it takes 0.27 s and asking it for a price 0.2–0.4 ms (measured 2026-11), so nothing here is on a request's
path after the first request for a model. What its own `calc_price` would answer, a card's sheets answer to the last
digit: a property test holds them together over the whole catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from .price_card import ALWAYS, Base, Card, Condition, Rate, Variant, make_rate

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, Provider, TieredPrices

LEAST_SECONDS: Mapping[tuple[str, str], int] = {
    ("groq", "whisper-large-v3"): 10,
    ("groq", "whisper-large-v3-turbo"): 10,
}
"""Shorter audio is billed as this long. The catalogue has the rule in its code instead of its data.
Source: https://groq.com/pricing and genai_prices/types.py, ModelInfo.calc_price (2026-11)"""


@lru_cache(maxsize=10_000)
def catalogue_card(provider_id: str, model: str) -> Card | None:
    """The catalogue's price of a model at a provider (its own id, exactly), or None.

    None also where the model is listed without any amount: that is not a price. A provider that sells others' models is
    looked up there too, as the catalogue says (azure → openai); variants (tiers, batch) are then left out, as it does.
    """
    snapshot = _snapshot()
    provider = next((p for p in snapshot.providers if p.id == provider_id), None)
    found = provider.find_model(model, all_providers=snapshot.providers) if provider is not None else None
    if provider is None or found is None:
        return None
    return listed_card(provider, _owner(snapshot, provider, found), found)


def listed_card(provider: Provider, owner: Provider, model: ModelInfo) -> Card | None:
    """A listing as a card, or None where it has no amounts. owner: whose listing it is; `provider` itself, or whom it
    falls back to."""
    card = _card(provider, owner, model)
    return card if any(base.rates for base in card.bases) else None


@cache
def catalogue_ids() -> tuple[str, ...]:
    """The ids that `priced_as` may name."""
    return tuple(provider.id for provider in _snapshot().providers)


@cache
def catalogue_version() -> str:
    """What origins call the catalogue: `genai-prices 0.2.3`."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}"


def _snapshot() -> DataSnapshot:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


def _owner(snapshot: DataSnapshot, provider: Provider, model: ModelInfo) -> Provider:
    sources = [provider, *snapshot.providers]
    return next(source for source in sources if any(model is listed for listed in source.models))


def _card(provider: Provider, owner: Provider, model: ModelInfo) -> Card:
    via = "" if owner is provider else f" (for {provider.id})"
    origin = f"{catalogue_version()}: {owner.id}/{model.id}{via}"
    prices = model.prices if isinstance(model.prices, list) else None
    bases = [Base(_rates(model.prices, origin))] if not isinstance(model.prices, list) else []
    bases += [_base(conditional, origin) for conditional in prices or ()]
    variants = model.price_variants if owner is provider and model.price_variants else ()
    return Card(
        model=model.id,
        origin=origin,
        bases=tuple(bases),
        variants=tuple(_variant(variant, origin) for variant in variants),
        least_seconds=LEAST_SECONDS.get((provider.id, model.id), 0),
    )


def _base(conditional: ConditionalPrice, origin: str) -> Base:
    condition = _condition(conditional.constraint)
    return Base(_rates(conditional.prices, origin, str(condition)), condition)


def _variant(variant: PriceVariant, origin: str) -> Variant:
    condition = _condition(variant.constraint)
    said = [f"{key} {value}" for key, value in variant.when.items()]
    rates = _rates(variant.prices, origin, ", ".join((*said, *filter(None, (str(condition),)))))
    return Variant(dict(variant.when), rates, condition)


def _rates(prices: ModelPrice, origin: str, said: str = "") -> tuple[Rate, ...]:
    from genai_prices.units import _get_registry  # its only door to the units; the lower bound of the version is pinned

    registry = _get_registry()
    tail = f", {said}" if said else ""
    rates = []
    for key, price in vars(prices).items():
        if price is not None and not key.startswith("_"):
            unit = registry.unit_for_price_key(key)
            rates.append(_rate(unit.usage_key, unit.per, price, f"{origin}, {key}{tail}"))
    return tuple(rates)


def _rate(unit: str, per: int, price: Decimal | TieredPrices, rule: str) -> Rate:
    if isinstance(price, Decimal):
        return make_rate(unit, per, [price], rule=rule)
    prices = [price.base, *(tier.price for tier in price.tiers)]
    return make_rate(unit, per, prices, [tier.start for tier in price.tiers], rule)


def _condition(constraint: object) -> Condition:
    if constraint is None:
        return ALWAYS
    if isinstance(start := getattr(constraint, "start_date", None), date):
        return Condition(start=start)
    begin, end = getattr(constraint, "start_time", None), getattr(constraint, "end_time", None)
    if not isinstance(begin, time) or not isinstance(end, time):
        raise ValueError(f"a price holds on a condition that is not known here: {constraint!r}")
    return Condition(window=(_utc(begin), _utc(end)))


def _utc(moment: time) -> time:
    """A time of day in UTC, without its zone."""
    if moment.tzinfo is None:
        return moment
    return datetime.combine(date(1970, 1, 1), moment).astimezone(UTC).time()
