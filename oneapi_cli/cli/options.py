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
