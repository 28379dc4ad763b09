"""Responses that a vendor keeps: which user made each, and through which channel.

Written in the transaction that closes the request which made it, so that a client that has its answer can follow up on
it at once. Whoever is not that user finds nothing. Rows go with the request that made them when it is folded.
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct


class StoredResponse(Struct, frozen=True, kw_only=True):
    """A response kept at a vendor. model: the name it was asked for by."""

    id: str
    user_id: int
    channel: str
    model: str


def keep_response(db: sqlite3.Connection, request: int, response_id: str, now: float) -> None:
    """Remember what the closed request with this row id made. The same id again belongs to whoever made it last."""
    db.execute(
        "INSERT OR REPLACE INTO responses (response_id, request, user_id, channel, model, created)"
        " SELECT ?, id, user_id, channel, model_asked, ? FROM requests WHERE id = ? AND channel IS NOT NULL",
        (response_id[:200], now, request),
    )


def find_response(db: sqlite3.Connection, response_id: str, user_id: int) -> StoredResponse | None:
    """The response of this id, if this user made it."""
    row = db.execute(
        "SELECT response_id, user_id, channel, model FROM responses WHERE response_id = ? AND user_id = ?",
        (response_id, user_id),
    ).fetchone()
    return None if row is None else StoredResponse(id=row[0], user_id=row[1], channel=row[2], model=row[3])


def forget_response(db: sqlite3.Connection, response_id: str, user_id: int) -> None:
    """The vendor keeps it no longer."""
    db.execute("DELETE FROM responses WHERE response_id = ? AND user_id = ?", (response_id, user_id))
