"""Options that several commands take, and how they come to the ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneapi_cli.config.files import Whereabouts, find_config, locate

if TYPE_CHECKING:
    from datetime import tzinfo

    from oneapi_cli.config.loaded import Loaded
    from oneapi_cli.ledger.prices import Prices
    from oneapi_cli.ledger.store import Connection

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        show_default=False,
        help="The config; else $ONEAPI_CONFIG, ./config.yaml, ~/.config/oneapi/config.yaml.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]


def now() -> float:
    """Unix seconds: where the clock of a command starts."""
    return time.time()


def whereabouts(config: Path | None) -> Whereabouts:
    """The ledger that the config names. Raises ConfigError."""
    return locate(find_config(config, os.environ), os.environ)


def zone_at(place: Whereabouts) -> tzinfo:
    """The zone in which budgets roll over. Raises LedgerError."""
    from oneapi_cli.ledger.periods import zone_of

    return zone_of(place.zone)


@contextmanager
def balances_of(place: Whereabouts) -> Iterator[Connection]:
    """The same as `ledger_of`, with what time alone changes brought up to the present. Raises LedgerError."""
    from oneapi_cli.ledger.upkeep import touch

    with ledger_of(place) as db:
        touch(db, zone_at(place), now())
        yield db


def loaded_config(config: Path | None, *, resolve: bool = False) -> Loaded:
    """The whole config, checked; without `resolve` no environment is read, so no vendor key need be there. Raises
    ConfigError."""
    from oneapi_cli.config.load import load
    from oneapi_cli.providers.table import VENDORS

    return load(find_config(config, os.environ), VENDORS, resolve=resolve, environ=os.environ)


def prices_of(loaded: Loaded, ledger: Path | None = None) -> Prices:
    """The prices in force: the config's, an update beside the ledger, the catalogue."""
    from oneapi_cli.ledger.price_updates import update_file
    from oneapi_cli.ledger.prices import Prices
    from oneapi_cli.providers.table import VENDORS
    from oneapi_cli.providers.urls import upstream_name

    books = {name: row.prices for name, row in VENDORS.items()}
    update = update_file(ledger or loaded.ledger)
    return Prices(loaded.config.prices, books=books, update=update, named=upstream_name)


@contextmanager
def ledger_of(place: Whereabouts) -> Iterator[Connection]:
    """A connection to the ledger for one command, with or without a running server. Raises LedgerError."""
    from oneapi_cli.ledger.store import open_ledger

    db = open_ledger(place.ledger, sync="normal" if place.sync == "normal" else "full")
    try:
        yield db
    finally:
        db.close()


def example(*lines: str) -> str:
    """The end of a command's help. The mark keeps its lines as they are."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
