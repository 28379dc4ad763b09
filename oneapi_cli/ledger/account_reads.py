"""Tokens and users as they stand. Only reads: touch the ledger before (`upkeep.py`), so that what is due is done."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from .account_values import AccountRow, TokenRow, UserRow
from .faults import LedgerError
from .rows import AccountKind, texts_of
from .store import snapshot


def get_token(db: sqlite3.Connection, who: str | int) -> TokenRow:
    """A living token by name or id (digits are an id only where no token has that name). Raises LedgerError."""
    return _token(_find(db, "token", who))


def list_tokens(db: sqlite3.Connection) -> list[TokenRow]:
    """Living tokens, oldest first."""
    return [_token(row) for row in _select(db, "token", "", ())]


def get_user(db: sqlite3.Connection, who: str | int) -> UserRow:
    """A living user by name or id. Raises LedgerError."""
    return _user(_find(db, "user", who))


def list_users(db: sqlite3.Connection) -> list[UserRow]:
    """Living users, `root` first."""
    return [_user(row) for row in _select(db, "user", "", ())]


_SHARED = tuple(name for name in AccountRow.__struct_fields__)
_OWN: dict[AccountKind, tuple[str, ...]] = {
    "token": ("user_id", "hint", "source", "declared_at", "absent"),
    "user": ("admin", "groups", "multiplier"),
}


def _select(db: sqlite3.Connection, kind: AccountKind, where: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
    """Living accounts as columns by name. `where` is ours, never a client's text."""
    names = (*_SHARED, *_OWN[kind])
    columns = ", ".join(f"a.{name}" for name in names)
    owner = ", u.name FROM tokens a JOIN users u ON u.id = a.user_id" if kind == "token" else " FROM users a"
    sql = f"SELECT {columns}{owner} WHERE a.removed IS NULL{where} ORDER BY a.id"
    labels = (*names, "user") if kind == "token" else names
    with snapshot(db):
        return [dict(zip(labels, row, strict=True)) for row in db.execute(sql, values)]


def _find(db: sqlite3.Connection, kind: AccountKind, who: str | int) -> dict[str, Any]:
    if isinstance(who, str) and (found := _select(db, kind, " AND a.name = ?", (who,))):
        return found[0]
    digits = str(who).removeprefix("#")
    is_id = digits.isascii() and digits.isdecimal() and len(digits) < 19
    if is_id and (found := _select(db, kind, " AND a.id = ?", (int(digits),))):
        return found[0]
    raise LedgerError(f"There is no {kind} {who}; `oneapi {kind} list` shows those there are.")


def _common(row: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {name: texts_of(row[name]) for name in ("models", "subnets", "groups") if name in row}
    flags: dict[str, Any] = {
        name: bool(row[name]) for name in ("unlimited", "passthrough", "absent", "admin") if name in row
    }
    clamp = None if row["clamp"] is None else bool(row["clamp"])
    return {**row, **lists, **flags, "clamp": clamp}


def _token(row: dict[str, Any]) -> TokenRow:
    fields = _common(row)
    return msgspec.convert({**fields, "status": 2 if fields["absent"] else fields["status"]}, TokenRow)


def _user(row: dict[str, Any]) -> UserRow:
    return msgspec.convert(_common(row), UserRow)
