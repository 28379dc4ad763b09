"""What a config comes to once it is loaded: plain values, everything resolved, nothing that still has to be looked
up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from oneapi_cli.values.vendor import Channel

from .problems import Problem
from .schema import Config
from .words import Budget


class Source(Struct, frozen=True):
    """Where a value stands in the file, and the variables that it was made of; () for text that stands there as it
    is."""

    line: int
    variables: tuple[str, ...] = ()


class DeclaredToken(Struct, frozen=True, kw_only=True):
    """A token of the file, ready to be mirrored into the ledger. digest: SHA-256 of its key without `sk-`; hint: the
    key's last four characters, "" where only its digest is known. budget None: unlimited. expires: unix seconds or
    None."""

    name: str
    digest: bytes
    hint: str
    budget: Budget | None
    file: str
    line: int
    user: str = "root"
    models: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    expires: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None
    clamp: bool | None = None
    holds: str = "auto"
    passthrough: bool = False


class Loaded(Struct, frozen=True, kw_only=True):
    """One generation of the config. path: the file, absolute; None where the config was made in code. ledger: absolute.
    notices: what is worth knowing and stops nothing. sources: key path → where its value came from. generation: changes
    whenever the file or its `.env` does, so that a reload swaps one reference."""

    path: Path | None
    ledger: Path
    config: Config
    channels: tuple[Channel, ...]
    tokens: tuple[DeclaredToken, ...]
    notices: tuple[Problem, ...] = ()
    sources: Mapping[str, Source] = {}
    generation: str = ""
