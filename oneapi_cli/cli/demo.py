"""The demo: a channel that answers by itself, and for `serve --demo` without a config a ledger that goes when it
does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from oneapi_cli.config.files import create_private
from oneapi_cli.config.loaded import Loaded
from oneapi_cli.config.schema import Config
from oneapi_cli.ledger.accounts import NewToken, add_token
from oneapi_cli.ledger.keys import hint_of, new_key
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.values.money import NANOS_PER_USD
from oneapi_cli.values.vendor import Channel

DEMO = "demo"
DEMO_BUDGET_NANOS = 5 * NANOS_PER_USD
CONFIG_TEXT = "# The config of `oneapi serve --demo`; it is removed when the demo ends.\nledger: demo.db\n"


def demo_channel(name: str = DEMO, rank: int = 0) -> Channel:
    """A channel of the demo vendor with all its models."""
    vendor = VENDORS[DEMO]
    models = {model: model for model in vendor.example_models}
    return Channel(name=name, vendor=vendor, base=vendor.base, keys=(), models=models, rank=rank, speaks=vendor.speaks)


def with_demo(loaded: Loaded) -> Loaded:
    """The config's channels and the demo's; one of the config that serves the demo's models already stays as it is."""
    if any(channel.vendor.auth == DEMO for channel in loaded.channels):
        return loaded
    names = {channel.name.lower() for channel in loaded.channels}
    name = next(name for name in (DEMO, *(f"{DEMO}{number}" for number in range(2, 1000))) if name not in names)
    return msgspec.structs.replace(loaded, channels=(*loaded.channels, demo_channel(name, len(loaded.channels))))


@contextmanager
def temporary_demo(now: float) -> Iterator[tuple[Loaded, str]]:
    """A config, a ledger and a token with its key, in a folder of their own that is removed at the end.

    The config is a real file, so that other commands can be pointed at the same ledger with --config.
    """
    with tempfile.TemporaryDirectory(prefix="oneapi-demo-") as place:
        folder = Path(place).resolve()
        config = folder / "config.yaml"
        create_private(config, CONFIG_TEXT)
        loaded = Loaded(path=config, ledger=folder / "demo.db", config=Config(), channels=(demo_channel(),), tokens=())
        yield loaded, _first_token(loaded.ledger, now)


def _first_token(ledger: Path, now: float) -> str:
    key, digest = new_key()
    db = open_ledger(ledger, create=True)
    try:
        new = NewToken(name=DEMO, key_sha256=digest, hint=hint_of(key), budget_nanos=DEMO_BUDGET_NANOS)
        add_token(db, new, now=now)
    finally:
        db.close()
    return key
