"""Tokens that the config declares, mirrored into the ledger: identity from the file, balance from here.

Runs whenever a config is taken, in one transaction, and tells in sentences what the operator may not expect. A budget
is granted once, when the row is made; a changed one is a notice, because a balance has one owner, and that is the
ledger. A token gone from the file cannot be used until it is declared again; its balance waits for it. A token
disabled by hand stays so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ..values.accounts import ROOT_USER_ID
from ..values.money import format_usd
from .account_values import NewAccount
from .accounts import account_columns, apply_changes, flag_columns, get_user, insert_account
from .faults import LedgerError
from .grants import set_remain
from .store import transaction

ACTOR = "config"


class DeclaredToken(NewAccount, frozen=True, kw_only=True):
    """One entry of `tokens:`.

    where: its file and line, for sentences that send somebody there; user: the owner's name.
    """

    key_sha256: bytes
    hint: str = ""
    user: str | int = ROOT_USER_ID
    where: str = "config.yaml"


def mirror_declared(db: sqlite3.Connection, declared: Sequence[DeclaredToken], now: float) -> list[str]:
    """Make the mirror rows agree with the config.

    Returns notices; what cannot be mirrored is one of them, and skipped.
    """
    notices: list[str] = []
    with transaction(db):
        mirrored = _mirrored(db)
        wanted = _usable(db, declared, notices)
        for name in mirrored.keys() & {token.name for token in declared} - {token.name for token in wanted}:
            # It may not go on with a key that the config no longer says.
            _set_absent(db, mirrored[name], now)
        _free_keys(db, wanted, mirrored)
        for token in wanted:
            try:
                with transaction(db):
                    notices += _mirror_one(db, token, mirrored.get(token.name), now)
            except LedgerError as problem:
                notices.append(f"{token.where}: token {token.name} is skipped. {problem.sentence}")
                if token.name in mirrored:
                    _set_absent(db, mirrored[token.name], now)
        names = {token.name for token in declared}
        for name in mirrored.keys() - names:
            if _set_absent(db, mirrored[name], now):
                notices.append(f"Token {name} is no longer declared: it is disabled, its balance kept.")
    return notices


_COLUMNS = ("id", "key_sha256", "hint", "user_id", "unlimited", "budget", "budget_period", "declared_at", "absent")
_KEPT = (*_COLUMNS, "expires", "models", "subnets", "rpm", "tpm", "concurrent", "clamp", "holds", "passthrough")


def _mirrored(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    rows = db.execute(
        f"SELECT name, {', '.join(_KEPT)} FROM tokens WHERE source = 'declared' AND removed IS NULL"  # noqa: S608 - names are ours
    )
    return {name: dict(zip(_KEPT, columns, strict=True)) for name, *columns in rows}


def _usable(db: sqlite3.Connection, declared: Sequence[DeclaredToken], notices: list[str]) -> list[DeclaredToken]:
    """Without those whose name or key belongs to a token that the CLI made, or to another declared one."""
    taken = db.execute("SELECT name, key_sha256 FROM tokens WHERE source = 'cli' AND removed IS NULL").fetchall()
    names, keys = {name for name, _ in taken}, {key for _, key in taken}
    wanted = []
    for token in declared:
        if token.name in names:
            notices.append(
                f"{token.where}: token {token.name} is skipped: there is another one of that name; rename one."
            )
        elif token.key_sha256 in keys:
            notices.append(
                f"{token.where}: token {token.name} is skipped: another token has its key; change one of them."
            )
        else:
            names.add(token.name)
            keys.add(token.key_sha256)
            wanted.append(token)
    return wanted


def _free_keys(db: sqlite3.Connection, wanted: Sequence[DeclaredToken], mirrored: dict[str, dict[str, Any]]) -> None:
    """Let go of keys that another declared token takes over (two may even swap theirs)."""
    names = {token.key_sha256: token.name for token in wanted}
    for name, row in mirrored.items():
        if names.get(row["key_sha256"], name) != name:
            db.execute("UPDATE tokens SET key_sha256 = NULL, version = version + 1 WHERE id = ?", (row["id"],))


def _mirror_one(db: sqlite3.Connection, token: DeclaredToken, row: dict[str, Any] | None, now: float) -> list[str]:
    owner = get_user(db, token.user).id
    identity = {"user_id": owner, "key_sha256": token.key_sha256, "hint": token.hint, "declared_at": token.where}
    if row is None:
        columns = {**account_columns(db, "token", token, now), **identity, "source": "declared"}
        id = insert_account(db, "token", columns)
        if token.budget_nanos is not None:
            set_remain(
                db, "token", id, token.budget_nanos, reason="initial budget", actor=ACTOR, now=now, kind="budget"
            )
        return []
    wanted = {
        **identity,
        **flag_columns(token),
        "unlimited": token.unlimited,
        "budget": token.budget_nanos,
        "budget_period": token.budget_period,
        "absent": 0,
    }
    changed = {name: value for name, value in wanted.items() if row[name] != value}
    if "budget_period" in changed:
        changed["budget_reset"] = None
    # A line that moved in the file changes nothing for a request: no new version for it.
    if moved := changed.pop("declared_at", None):
        db.execute("UPDATE tokens SET declared_at = ? WHERE id = ?", (moved, row["id"]))
    apply_changes(db, "token", row["id"], changed, now)
    return _budget_notice(db, token, row)


def _budget_notice(db: sqlite3.Connection, token: DeclaredToken, row: dict[str, Any]) -> list[str]:
    if token.budget_nanos is None or token.budget_nanos == row["budget"]:
        return []
    remain = db.execute("SELECT granted - used FROM tokens WHERE id = ?", (row["id"],)).fetchone()[0]
    before = "unlimited" if row["budget"] is None else format_usd(row["budget"])
    until = "as before" if token.budget_period is None else f"until the next {token.budget_period} begins"
    return [
        f"{token.where}: the budget of token {token.name} changed from {before} to {format_usd(token.budget_nanos)};"
        f" {format_usd(remain)} remain {until}. To change that: oneapi token edit {token.name} --remain AMOUNT"
    ]


def _set_absent(db: sqlite3.Connection, row: dict[str, Any], now: float) -> bool:
    if row["absent"]:
        return False
    apply_changes(db, "token", row["id"], {"absent": 1}, now)
    return True
