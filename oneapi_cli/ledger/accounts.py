"""Tokens and users: made, edited, shown. Each call is one transaction, for the CLI and the management API.

Every edit that a request's admission depends on bumps the account's `version`, so it bites on the very next request
of every process; balances are read by admission itself. Every change of a balance is a row of `grants` with a reason.
Names are unique among the living: a removed account keeps its rows and frees its name. A declared token's identity
belongs to the config: here only its balance and whether it is enabled may change (`declared.py` mirrors the rest).

What time alone changes (budgets roll over, external holds expire) happens before an edit. zone says where the next
reset lies; without one the next `touch` finds that out. Lists and shows only read: touch the ledger before.
"""

from __future__ import annotations

import sqlite3
from datetime import tzinfo
from typing import Any

from msgspec import UNSET

from ..values.accounts import ROOT_USER_ID
from ..values.money import MAX_NANOS, format_usd
from .account_reads import get_token, get_user, list_tokens, list_users
from .account_values import (
    AccountEdit,
    AccountRow,
    NewAccount,
    NewToken,
    NewUser,
    Period,
    TokenEdit,
    TokenRow,
    UserEdit,
    UserRow,
)
from .external import expire_due
from .faults import LedgerError
from .grants import grant, remain_of, set_remain
from .resets import renew
from .rows import TABLES, AccountKey, AccountKind, to_json
from .store import transaction

__all__ = [
    "NewToken",
    "NewUser",
    "Period",
    "TokenEdit",
    "TokenRow",
    "UserEdit",
    "UserRow",
    "add_token",
    "add_user",
    "edit_token",
    "edit_user",
    "get_token",
    "get_user",
    "list_tokens",
    "list_users",
    "remove_token",
    "remove_user",
    "rotate_token",
]

MOST_NAME_CHARACTERS = 200


# --- tokens ---------------------------------------------------------------------------------------------------------


def add_token(
    db: sqlite3.Connection, new: NewToken, *, now: float, actor: str = "cli", zone: tzinfo | None = None
) -> TokenRow:
    """Make a token and grant its budget. Raises LedgerError: the name or the key is taken, no such user, no budget."""
    with transaction(db):
        owner = get_user(db, new.user)
        columns = {
            **account_columns(db, "token", new, now),
            "user_id": owner.id,
            "key_sha256": new.key_sha256,
            "hint": new.hint,
        }
        id = insert_account(db, "token", columns)
        _grant_budget(db, "token", id, new, (actor, now))
        renew(db, ("token", id), now, zone)
        return get_token(db, id)


def edit_token(
    db: sqlite3.Connection,
    who: str | int,
    edit: TokenEdit,
    *,
    now: float,
    actor: str = "cli",
    zone: tzinfo | None = None,
) -> TokenRow:
    """Change a token. Raises LedgerError: unknown, name taken, less than 0, or declared (identity is the config's)."""
    with transaction(db):
        token = get_token(db, who)
        if _brought_up(db, ("token", token.id), now, zone):
            token = get_token(db, token.id)
        if token.source == "declared":
            _refuse_identity(token, edit)
        changed = _changes(db, "token", token, edit)
        if edit.user is not UNSET:
            changed["user_id"] = get_user(db, edit.user).id
        apply_changes(db, "token", token.id, changed, now)
        _edit_balance(db, "token", token, edit, (actor, now))
        renew(db, ("token", token.id), now, zone)
        return get_token(db, token.id)


def rotate_token(db: sqlite3.Connection, who: str | int, key_sha256: bytes, hint: str, *, now: float) -> TokenRow:
    """A new key; the old one is unknown from now on. Raises LedgerError for a declared token."""
    with transaction(db):
        token = get_token(db, who)
        _refuse_declared(token, "its key")
        apply_changes(db, "token", token.id, {"key_sha256": key_sha256, "hint": hint}, now)
        return get_token(db, token.id)


def remove_token(db: sqlite3.Connection, who: str | int, *, now: float) -> TokenRow:
    """Remove a token: its key is unknown, its name free, its history stays. Returns it as it stood.

    Raises LedgerError for one that the config declares; one gone from there may be removed.
    """
    with transaction(db):
        token = get_token(db, who)
        if not token.absent:
            _refuse_declared(token, "it")
        apply_changes(db, "token", token.id, {"key_sha256": None, "removed": now}, now)
        return token


# --- users ----------------------------------------------------------------------------------------------------------


def add_user(
    db: sqlite3.Connection, new: NewUser, *, now: float, actor: str = "cli", zone: tzinfo | None = None
) -> UserRow:
    """Make a user and grant the budget. Raises LedgerError: the name is taken, no budget."""
    with transaction(db):
        id = insert_account(db, "user", {**account_columns(db, "user", new, now), **_user_columns(new)})
        _grant_budget(db, "user", id, new, (actor, now))
        renew(db, ("user", id), now, zone)
        return get_user(db, id)


def edit_user(
    db: sqlite3.Connection,
    who: str | int,
    edit: UserEdit,
    *,
    now: float,
    actor: str = "cli",
    zone: tzinfo | None = None,
) -> UserRow:
    """Change a user. `root` stays an enabled, unlimited admin: it is who the operator is. Raises LedgerError."""
    with transaction(db):
        user = get_user(db, who)
        if _brought_up(db, ("user", user.id), now, zone):
            user = get_user(db, user.id)
        if user.id == ROOT_USER_ID and _demotes(edit):
            raise LedgerError("`root` is always enabled, unlimited and an admin; make another user and limit that one.")
        changed = {**_changes(db, "user", user, edit), **_user_columns(edit)}
        apply_changes(db, "user", user.id, changed, now)
        _edit_balance(db, "user", user, edit, (actor, now))
        renew(db, ("user", user.id), now, zone)
        return get_user(db, user.id)


def remove_user(db: sqlite3.Connection, who: str | int, *, now: float) -> UserRow:
    """Remove a user who owns no token any more.

    Returns it as it stood. Raises LedgerError otherwise, and for `root`.
    """
    with transaction(db):
        user = get_user(db, who)
        if user.id == ROOT_USER_ID:
            raise LedgerError("`root` owns what has no other owner and cannot be removed.")
        if owned := [token.name for token in list_tokens(db) if token.user_id == user.id]:
            raise LedgerError(f"User {user.name} still owns {', '.join(owned[:5])}; remove or move those tokens first.")
        apply_changes(db, "user", user.id, {"removed": now}, now)
        return user


# --- shared ---------------------------------------------------------------------------------------------------------


def account_columns(db: sqlite3.Connection, kind: AccountKind, new: NewAccount, now: float) -> dict[str, Any]:
    """The columns of a new account but for the balance. Raises LedgerError for a name or budget that will not do."""
    _check_name(db, kind, new.name, None)
    if (new.budget_nanos is None) != new.unlimited:
        raise LedgerError(f"{kind.capitalize()} {new.name} needs either a budget or to be unlimited.")
    _check_budget(new.budget_nanos, new.budget_period)
    return {
        "name": new.name,
        "unlimited": new.unlimited,
        "budget": new.budget_nanos,
        "budget_period": new.budget_period,
        **flag_columns(new),
        "created": now,
        "updated": now,
    }


def insert_account(db: sqlite3.Connection, kind: AccountKind, columns: dict[str, Any]) -> int:
    """Column names are ours; values are bound."""
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    try:
        made = db.execute(f"INSERT INTO {TABLES[kind]} ({names}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608 - names are ours
    except sqlite3.IntegrityError as error:
        raise _impossible(kind, error) from error
    return int(made.lastrowid or 0)


def apply_changes(db: sqlite3.Connection, kind: AccountKind, id: int, changed: dict[str, Any], now: float) -> None:
    """Write changed columns and bump the version: whoever cached this account must read it again."""
    if not changed:
        return
    sets = ", ".join(f"{name} = ?" for name in changed)
    try:
        db.execute(
            f"UPDATE {TABLES[kind]} SET {sets}, version = version + 1, updated = ? WHERE id = ?",  # noqa: S608 - names are ours
            (*changed.values(), now, id),
        )
    except sqlite3.IntegrityError as error:
        raise _impossible(kind, error) from error


def _impossible(kind: AccountKind, error: sqlite3.IntegrityError) -> LedgerError:
    if "key_sha256" in str(error):
        return LedgerError("Another token has this key already; a key belongs to one token.")
    return LedgerError(f"These values are not possible for a {kind}: limits are positive, budgets not below 0.")


_FLAGS = ("expires", "models", "subnets", "rpm", "tpm", "concurrent", "clamp", "holds", "passthrough")


def flag_columns(source: NewAccount | AccountEdit) -> dict[str, Any]:
    """The columns of everything but name and money that is given: what UNSET leaves alone is left out."""
    found = {name: getattr(source, name) for name in _FLAGS}
    return {
        name: to_json(value) if name in ("models", "subnets") else value
        for name, value in found.items()
        if value is not UNSET
    }


def _user_columns(source: NewUser | UserEdit) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if source.admin is not UNSET:
        columns["admin"] = source.admin
    if source.groups is not UNSET:
        columns["groups"] = to_json(source.groups)
    if source.multiplier is not UNSET:
        if not (source.multiplier.is_finite() and source.multiplier >= 0):
            raise LedgerError(f"A multiplier is a number from 0 up; {source.multiplier} is not.")
        columns["multiplier"] = format(source.multiplier, "f")
    return columns


def _brought_up(db: sqlite3.Connection, key: AccountKey, now: float, zone: tzinfo | None) -> bool:
    """What time alone has changed comes before an edit. Whether anything did."""
    confirmed = expire_due(db, now)
    return renew(db, key, now, zone) or confirmed > 0


def _changes(db: sqlite3.Connection, kind: AccountKind, row: AccountRow, edit: AccountEdit) -> dict[str, Any]:
    """The columns that an edit of identity and flags sets; balances are `_edit_balance`'s."""
    changed = flag_columns(edit)
    if edit.name is not UNSET and edit.name != row.name:
        _check_name(db, kind, edit.name, row.id)
        changed["name"] = edit.name
    if edit.enabled is not UNSET:
        changed["status"] = 1 if edit.enabled else 2
    if edit.budget_nanos is not UNSET:
        if edit.unlimited is True:
            raise LedgerError("An account has a budget or is unlimited, not both.")
        changed |= {"unlimited": False, "budget": edit.budget_nanos, "budget_period": None}
    elif edit.unlimited is not UNSET:
        changed |= {"unlimited": edit.unlimited} | ({"budget": None, "budget_period": None} if edit.unlimited else {})
    if edit.budget_period is not UNSET:
        changed["budget_period"] = edit.budget_period
    _check_budget(changed.get("budget", row.budget), changed.get("budget_period"))
    if changed.get("budget_period", row.budget_period) != row.budget_period:
        changed["budget_reset"] = None
    return changed


def _check_budget(budget: int | None, period: Period | None) -> None:
    if budget is None and period is not None:
        raise LedgerError(f"Only a budget can recur every {period}; give one.")
    if budget is not None and budget > MAX_NANOS:
        raise LedgerError(f"A budget cannot be more than {format_usd(MAX_NANOS)}.")


def _edit_balance(
    db: sqlite3.Connection, kind: AccountKind, row: AccountRow, edit: AccountEdit, by: tuple[str, float]
) -> None:
    given = [value for value in (edit.remain_nanos, edit.add_nanos, edit.budget_nanos) if value is not UNSET]
    if len(given) > 1:
        raise LedgerError("Set what remains, add to it or change the budget: one of them at a time.")
    actor, now = by
    if edit.remain_nanos is not UNSET:
        set_remain(db, kind, row.id, edit.remain_nanos, reason="set remain", actor=actor, now=now)
    elif edit.add_nanos is not UNSET:
        reason = "add" if edit.add_nanos >= 0 else "take away"
        grant(db, kind, row.id, edit.add_nanos, reason=reason, actor=actor, now=now)
    elif edit.budget_nanos is not UNSET:
        remain = edit.budget_nanos
        period = None if edit.budget_period is UNSET else edit.budget_period
        if not row.unlimited and row.budget is not None and period == row.budget_period:
            remain = max(0, remain_of(db, kind, row.id) - row.budget + edit.budget_nanos)
        set_remain(db, kind, row.id, remain, reason="budget changed", actor=actor, now=now, kind="budget")
    elif edit.unlimited is False and row.unlimited and row.remain < 0:
        # What it used while it was unlimited is no debt.
        set_remain(db, kind, row.id, 0, reason="limited from now on", actor=actor, now=now)


def _grant_budget(db: sqlite3.Connection, kind: AccountKind, id: int, new: NewAccount, by: tuple[str, float]) -> None:
    if new.budget_nanos is not None:
        actor, now = by
        set_remain(db, kind, id, new.budget_nanos, reason="initial budget", actor=actor, now=now, kind="budget")


_IDENTITY_FREE = frozenset({"enabled", "remain_nanos", "add_nanos"})


def _refuse_identity(token: TokenRow, edit: TokenEdit) -> None:
    given = {name for name in edit.__struct_fields__ if getattr(edit, name) is not UNSET}
    if beyond := sorted(given - _IDENTITY_FREE):
        _refuse_declared(token, beyond[0].removesuffix("_nanos"))
    if token.absent and edit.enabled is True:
        raise LedgerError(f"Token {token.name} is gone from {token.declared_at}; declare it there again to enable it.")


def _refuse_declared(token: TokenRow, what: str) -> None:
    if token.source == "declared":
        raise LedgerError(f"Token {token.name} is declared in {token.declared_at}; change {what} there.")


def _demotes(edit: UserEdit) -> bool:
    limited = edit.budget_nanos is not UNSET or edit.unlimited is False
    return limited or edit.enabled is False or edit.admin is False or edit.name is not UNSET or bool(edit.expires)


def _check_name(db: sqlite3.Connection, kind: AccountKind, name: str, own_id: int | None) -> None:
    if not name.strip() or name != name.strip() or len(name) > MOST_NAME_CHARACTERS or not name.isprintable():
        raise LedgerError(f"A name is 1 to {MOST_NAME_CHARACTERS} printable characters without spaces around it.")
    row = db.execute(
        f"SELECT id FROM {TABLES[kind]} WHERE name = ? AND removed IS NULL",  # noqa: S608 - names are ours
        (name,),
    ).fetchone()
    if row is not None and row[0] != own_id:
        raise LedgerError(f"There is a {kind} named {name} already; names are unique, take another.")
