"""Rows ↔ values: how accounts, usage and bill lines stand in the columns, and the SQL that reads a principal.

Lists and maps are JSON text; money and counts are integers; a multiplier is decimal text. Pure but for the reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from ..values.accounts import Account, Principal
from ..values.holds import BillLine
from ..values.usage import Usage

AccountKind = Literal["token", "user"]
AccountKey = tuple[AccountKind, int]

MAX_INT64 = 2**63 - 1

# The only table names that SQL is ever built from.
TABLES: Mapping[AccountKind, str] = {"token": "tokens", "user": "users"}

_encoder = msgspec.json.Encoder()
_texts = msgspec.json.Decoder(tuple[str, ...])
_lines = msgspec.json.Decoder(tuple[BillLine, ...])
_usage = msgspec.json.Decoder(Usage)
_pairs = msgspec.json.Decoder(dict[str, str])


def to_json(value: object) -> str:
    """Structs, maps and sequences as the columns keep them; Decimals as text, integers whole."""
    return _encoder.encode(value).decode()


def int64(count: int) -> int:
    """A count as a column can hold it: absurd ones from outside become the largest, not an error."""
    return min(max(count, -MAX_INT64), MAX_INT64)


def storable(text: str) -> str:
    """Text as a column can hold it: a lone surrogate, which UTF-8 cannot carry, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def texts_of(column: str) -> tuple[str, ...]:
    """models, subnets, groups, notes."""
    return _texts.decode(column)


def pairs_of(column: str) -> dict[str, str]:
    """The details of a refusal."""
    return _pairs.decode(column)


def lines_of(column: str) -> tuple[BillLine, ...]:
    """A bill, line by line."""
    return _lines.decode(column)


def usage_of(column: str | None) -> Usage | None:
    """What was used, as it was settled; None where nobody counted."""
    return None if column is None else _usage.decode(column)


_ACCOUNT = (
    "id",
    "name",
    "version",
    "status",
    "unlimited",
    "expires",
    "models",
    "subnets",
    "rpm",
    "tpm",
    "concurrent",
    "clamp",
    "holds",
    "passthrough",
)
_PRINCIPAL = (
    "SELECT t.absent, t.granted - t.used, u.granted - u.used, u.admin, u.groups, u.multiplier, "  # noqa: S608 - names are ours
    + ", ".join(f"t.{name}" for name in _ACCOUNT)
    + ", "
    + ", ".join(f"u.{name}" for name in _ACCOUNT)
    + " FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.removed IS NULL AND "
)


def find_principal(db: sqlite3.Connection, key_sha256: bytes) -> Principal | None:
    """Whoever owns the key with this digest; None for an unknown or removed one. Disabled ones are found (status 2)."""
    return _principal(db.execute(_PRINCIPAL + "t.key_sha256 = ?", (key_sha256,)).fetchone())


def principal_of(db: sqlite3.Connection, token_id: int) -> Principal | None:
    """The principal that a request with this token would have; None if it is removed or never was."""
    return _principal(db.execute(_PRINCIPAL + "t.id = ?", (token_id,)).fetchone())


def account_of(row: Sequence[object], *, absent: bool = False) -> Account:
    """Columns in the order of `_ACCOUNT` → Account.

    A declared token that its config no longer has counts as disabled.
    """
    fields = dict(zip(_ACCOUNT, row, strict=True))
    for flag in ("unlimited", "passthrough"):
        fields[flag] = bool(fields[flag])
    fields["clamp"] = None if fields["clamp"] is None else bool(fields["clamp"])
    for listed in ("models", "subnets"):
        fields[listed] = texts_of(str(fields[listed]))
    if absent:
        fields["status"] = 2
    return msgspec.convert(fields, Account)


def _principal(row: Sequence[object] | None) -> Principal | None:
    if row is None:
        return None
    absent, token_remain, user_remain, admin, groups, multiplier, *accounts = row
    return Principal(
        token=account_of(accounts[: len(_ACCOUNT)], absent=bool(absent)),
        user=account_of(accounts[len(_ACCOUNT) :]),
        admin=bool(admin),
        groups=texts_of(str(groups)),
        multiplier=Decimal(str(multiplier)),
        token_remain=msgspec.convert(token_remain, int),
        user_remain=msgspec.convert(user_remain, int),
    )
