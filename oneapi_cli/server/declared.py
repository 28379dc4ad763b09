"""Tokens that the config declares → their mirror rows in the ledger: the config's words into the ledger's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..config import loaded
from ..ledger.declared import DeclaredToken, mirror_declared


def mirror(db: sqlite3.Connection, tokens: Sequence[loaded.DeclaredToken], now: float) -> list[str]:
    """Make the mirror rows agree with the config; notices. The same config again changes nothing."""
    return mirror_declared(db, [_in_ledger_words(token) for token in tokens], now)


def _in_ledger_words(token: loaded.DeclaredToken) -> DeclaredToken:
    return DeclaredToken(
        name=token.name,
        key_sha256=token.digest,
        hint=token.hint,
        user=token.user,
        where=f"{token.file}:{token.line}",
        budget_nanos=token.budget.nanos if token.budget else None,
        budget_period=(token.budget.period or None) if token.budget else None,
        unlimited=token.budget is None,
        expires=token.expires,
        models=token.models,
        subnets=token.subnets,
        rpm=token.rpm,
        tpm=token.tpm,
        concurrent=token.concurrent,
        clamp=token.clamp,
        holds=token.holds,
        passthrough=token.passthrough,
    )
