"""genai-prices, read once per model into a card: as installed, or an update of it that lies beside the ledger.

The only module that knows that library; it is imported on first use. An update is checked as a whole, when it is kept
and again when it is read: every listing must make a card, or none of it is used, because a list that is only half
understood would leave models unpriced in silence.

Importing it takes 0.27 s and asking it for a price 0.2–0.4 ms (measured 2026-11), so nothing here is on a request's
path after the first request for a model. What its own `calc_price` would answer, a card's sheets answer to the last
digit: a property test holds them together over the whole catalogue.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from .faults import LedgerError
from .price_card import ALWAYS, Base, Card, Condition, Rate, Variant, make_rate

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, Provider, TieredPrices

log = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
Listing = Mapping[tuple[str, str], Card | None]

LEAST_SECONDS: Mapping[tuple[str, str], int] = {
    ("groq", "whisper-large-v3"): 10,
    ("groq", "whisper-large-v3-turbo"): 10,
}
"""Shorter audio is billed as this long. The catalogue has the rule in its code instead of its data.
Source: https://groq.com/pricing and genai_prices/types.py, ModelInfo.calc_price (2026-11)"""


class Update(Struct, frozen=True):
    """A catalogue that passed the checks. fetched: when, UTC."""

    snapshot: DataSnapshot
    fetched: datetime
    source: str


class KeptFile(Struct, frozen=True):
    """An update as it lies beside the ledger."""

    fetched: str
    source: str
    providers: list[dict[str, Any]]


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


def catalogue_version() -> str:
    """What origins call the catalogue: `genai-prices 0.2.3`, or `genai-prices of 2026-11-22` for an update."""
    return _current()[1]


def use_catalogue(file: Path | None) -> None:
    """From now on prices come from this update where it is there, else from the installed catalogue.

    Looks at the file's stamp only, so it may be called whenever prices are made; what changed is read on first use.
    Whoever is pricing in another thread meanwhile finishes with the one or the other. Several ledgers in one process
    share the last update named.
    """
    global _stamp, _file
    try:
        found = file.stat() if file is not None else None
    except OSError:
        found = None
    stamp = (str(file), found.st_mtime_ns, found.st_size) if found is not None else None
    if stamp != _stamp:
        _stamp, _file = stamp, file if stamp is not None else None
        for cached in (_current, catalogue_card, catalogue_ids):
            cached.cache_clear()


_stamp: tuple[str, int, int] | None = None
_file: Path | None = None


def _snapshot() -> DataSnapshot:
    return _current()[0]


@cache
def _current() -> tuple[DataSnapshot, str]:
    """What is priced by, and its name. An update that cannot be read is no reason to stop: the installed one serves."""
    if _file is not None:
        try:
            update = read_update(_file)
        except LedgerError as problem:
            log.warning("%s Until then the installed prices are used.", problem.sentence)
        else:
            return update.snapshot, f"genai-prices of {update.fetched:%Y-%m-%d}"
    return installed()


def installed() -> tuple[DataSnapshot, str]:
    """The catalogue that came with the program, and its name."""
    from importlib.metadata import version

    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot(), f"genai-prices {version('genai-prices')}"


def read_update(file: Path) -> Update:
    """The update kept in `file`. Raises LedgerError: unreadable, or not a catalogue that this release understands."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MOST_BYTES + 1)
        kept = msgspec.json.decode(raw, type=KeptFile)
        fetched = datetime.fromisoformat(kept.fetched).astimezone(UTC)
    except OSError as error:
        raise LedgerError(f"{file} cannot be read ({(error.strerror or 'unknown error').lower()}).") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise LedgerError(f"{file} is not a price list; run `oneapi price update` again, or remove it.") from error
    return Update(checked(kept.providers, str(file)), fetched, kept.source)


def listings(snapshot: DataSnapshot) -> Listing:
    """(provider, model) → card, for everything in a catalogue that has amounts."""
    return {
        (provider.id, model.id): listed_card(provider, provider, model)
        for provider in snapshot.providers
        for model in provider.models
    }


def checked(raw: Sequence[Mapping[str, Any]], source: str) -> DataSnapshot:
    """Published providers → a catalogue in which every listing makes a card. Raises LedgerError otherwise."""
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import _providers_from_raw  # its own updater's way in; the version's lower bound is pinned

    if not raw:
        raise LedgerError(f"The price list of {source} is empty; nothing was changed.")
    try:
        snapshot = DataSnapshot(_providers_from_raw(list(raw)), from_auto_update=False)
        priced = sum(card is not None for card in listings(snapshot).values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise LedgerError(
            f"The price list of {source} has something that this release does not understand; upgrade oneapi. Nothing"
            " was changed."
        ) from error
    if not priced:
        raise LedgerError(f"The price list of {source} has no price in it; nothing was changed.")
    return snapshot


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
