"""A newer price catalogue, taken on request and kept beside the ledger: `<ledger>.prices.json`.

The file holds the catalogue as it was published, when it was fetched and from where; `price_catalogue` checks and reads
it. Nothing here reaches the network; whoever fetched hands in bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from .faults import LedgerError
from .price_card import Card, Rate
from .price_catalogue import KeptFile, checked, installed, listings, read_update, use_catalogue

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot


class Change(Struct, frozen=True, kw_only=True):
    """What an update changes for one listing: rates before and after by unit, () where it is new or gone."""

    provider: str
    model: str
    before: tuple[Rate, ...]
    after: tuple[Rate, ...]

    @property
    def kind(self) -> str:
        """new, gone or changed."""
        return "new" if not self.before else ("changed" if self.after else "gone")


def update_file(ledger: Path) -> Path:
    """Where the update of a ledger lies."""
    return ledger.with_name(f"{ledger.name}.prices.json")


def parse_catalogue(raw: bytes, source: str) -> DataSnapshot:
    """Published JSON → a catalogue. Raises LedgerError with what is wrong with it."""
    try:
        providers = msgspec.json.decode(raw, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise LedgerError(f"What {source} answered is not a price list; nothing was changed.") from error
    return checked(providers, source)


def keep_update(file: Path, raw: bytes, source: str, now: float) -> None:
    """Write a catalogue that was checked, whole or not at all (0600), and use it. Raises LedgerError."""
    fetched = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    kept = KeptFile(fetched, source, msgspec.json.decode(raw, type=list[dict[str, Any]]))
    name = ""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(msgspec.json.encode(kept))
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(name, file)
    except OSError as error:
        with suppress(OSError):
            os.unlink(name)
        raise LedgerError(f"{file} cannot be written ({(error.strerror or 'unknown error').lower()}).") from error
    use_catalogue(file)


def changes(before: DataSnapshot, after: DataSnapshot) -> list[Change]:
    """What the second catalogue has otherwise, by provider and model."""
    old, new = listings(before), listings(after)
    found = []
    for key in sorted(old.keys() | new.keys()):
        was, will = _flat(old.get(key)), _flat(new.get(key))
        if _amounts(was) != _amounts(will):
            found.append(Change(provider=key[0], model=key[1], before=was, after=will))
    return found


def in_force(file: Path) -> DataSnapshot:
    """What prices come from now: the update where there is a sound one, else what is installed."""
    if file.exists():
        with suppress(LedgerError):
            return read_update(file).snapshot
    return installed()[0]


def _flat(card: Card | None) -> tuple[Rate, ...]:
    """Every rate of a card, those of its later prices and variants included."""
    if card is None:
        return ()
    bases = tuple(rate for base in card.bases for rate in base.rates)
    return bases + tuple(rate for variant in card.variants for rate in variant.rates)


def _amounts(rates: Sequence[Rate]) -> list[tuple[object, ...]]:
    """What is charged, without the words about it."""
    return [(rate.unit, rate.per, rate.nanos, rate.tiers) for rate in rates]
