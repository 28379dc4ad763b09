"""External consumption: money of a token that a program outside spends, held first (`pre`) or at once (`single`).

A transaction is a request row of the door `external`, its reason in the place of the model, whose hold has no owner:
no crash of ours touches it, only `post`, `cancel` or its expiry closes it. The balances of token and user really fall,
an unlimited account's sums too, and a limited one never goes below zero: a `post` above its hold needs the rest free.
What has expired is confirmed at the amount held, whenever the account is touched and once a minute, which moves money
from held to used and so changes nothing that anybody may spend.

These are transaction bodies (`store.transaction`, or the writer's). The sentences of LedgerError are the texts that
clients of One API know, in its quota units (reference 4.2, 2026-11). A transaction that a refused call would have
confirmed on its way stays for the next touch.
"""

from __future__ import annotations

import secrets
import sqlite3
from datetime import tzinfo
from typing import Literal

import msgspec
from msgspec import Struct

from ..values.holds import BillLine, Closing
from ..values.money import MAX_NANOS, NANOS_PER_QUOTA, PICOS_PER_NANO, quota_down, quota_up
from .closing import close
from .faults import LedgerError
from .holding import raise_held
from .resets import renew
from .rows import TABLES, AccountKey, storable
from .store import snapshot, transaction

DOOR = "external"
DEFAULT_SECONDS, LONGEST_SECONDS = 600.0, 3_600.0
MOST_REASON_CHARACTERS = 255
MOST_ID_CHARACTERS = 128
MOST_MILLISECONDS = 2**53

Status = Literal["pending", "confirmed", "auto_confirmed", "canceled"]
_CODES: dict[Status, int] = {"pending": 1, "confirmed": 2, "auto_confirmed": 3, "canceled": 4}


class Charge(Struct, frozen=True, kw_only=True):
    """What is to be held or charged. request_id: of the call that asks, under which the cost is looked up later.

    timeout_seconds: how long a hold may stay open. transaction_id: a name for an audit row (amount 0) only.
    """

    token_id: int
    nanos: int
    reason: str
    request_id: str
    timeout_seconds: float | None = None
    elapsed_ms: int | None = None
    peer: str = ""
    transaction_id: str = ""


class External(Struct, frozen=True, kw_only=True):
    """One transaction as it stands. Money in nanos, times in unix seconds; final_nanos: None until it is confirmed."""

    transaction_id: str
    request_id: str
    token_id: int
    user_id: int
    reason: str
    status: Status
    pre_nanos: int
    final_nanos: int | None
    created: float
    expires: float
    confirmed: float | None
    canceled: float | None
    elapsed_ms: int | None

    @property
    def status_code(self) -> int:
        return _CODES[self.status]

    @property
    def auto_confirmed(self) -> bool:
        return self.status == "auto_confirmed"


class TransactionPage(Struct, frozen=True):
    """Some of a token's transactions, newest first, and how many there are."""

    rows: list[External]
    total: int


def pre(db: sqlite3.Connection, charge: Charge, *, zone: tzinfo, now: float) -> External:
    """Hold an amount until it is posted, canceled or expired. Raises LedgerError."""
    if charge.nanos <= 0:
        raise LedgerError("add_used_quota must be greater than 0 for pre phase")
    with transaction(db):
        expire_due(db, now, charge.token_id)
        transaction_id = _hold(db, charge, zone, now)
        return _found(db, charge.token_id, transaction_id, "pre-consume")


def single(db: sqlite3.Connection, charge: Charge, *, zone: tzinfo, now: float) -> External:
    """Charge an amount at once. Amount 0 is a row for the record. Raises LedgerError."""
    with transaction(db):
        expire_due(db, now, charge.token_id)
        try:
            transaction_id = _hold(db, charge, zone, now)
        except LedgerError as refused:
            raise LedgerError(f"pre-consume phase of immediate consume: {refused.sentence}") from refused
        _settle(db, charge.request_id, charge.nanos, charge.reason, now)
        return _found(db, charge.token_id, transaction_id, "immediate consume")


def post(
    db: sqlite3.Connection,
    token_id: int,
    transaction_id: str,
    final_nanos: int,
    *,
    zone: tzinfo,
    now: float,
    elapsed_ms: int | None = None,
) -> External:
    """Charge what a held transaction came to; more than was held only where the rest is free. Raises LedgerError."""
    if not 0 <= final_nanos <= MAX_NANOS:
        raise LedgerError("final_used_quota exceeds supported quota range")
    with transaction(db):
        expire_due(db, now, token_id)
        found = _found(db, token_id, transaction_id, "post-consume")
        if found.status != "pending":
            raise LedgerError(f"transaction {transaction_id} is already {found.status}")
        if (excess := final_nanos - found.pre_nanos) > 0:
            for key in (("token", found.token_id), ("user", found.user_id)):
                renew(db, key, now, zone)
                _check_free(db, key, excess, "post-consume", "final_used_quota")
        _settle(db, found.request_id, final_nanos, found.reason, now)
        _took(db, found, elapsed_ms)
        return _found(db, token_id, transaction_id, "post-consume")


def cancel(
    db: sqlite3.Connection, token_id: int, transaction_id: str, *, now: float, elapsed_ms: int | None = None
) -> External:
    """Give a hold back. Raises LedgerError."""
    with transaction(db):
        expire_due(db, now, token_id)
        found = _found(db, token_id, transaction_id, "cancel-consume")
        if found.status != "pending":
            raise LedgerError(f"transaction {transaction_id} cannot be canceled because it is {found.status}")
        close(db, found.request_id, Closing(state="released", cost_nanos=0, status=200, reason="canceled"), now)
        _took(db, found, elapsed_ms)
        return _found(db, token_id, transaction_id, "cancel-consume")


def expire_due(db: sqlite3.Connection, now: float, token_id: int | None = None) -> int:
    """Confirm, at the amount held, what nobody has closed in time: of one token, or of all. Returns how many."""
    with transaction(db):
        due = due_externals(db, now, token_id)
        for id, request_id, nanos, reason in due:
            db.execute("UPDATE externals SET auto_confirmed = 1 WHERE request = ?", (id,))
            _settle(db, request_id, nanos, reason, now, why="confirmed at its hold: its time was over")
        return len(due)


def due_externals(db: sqlite3.Connection, now: float, token_id: int | None = None) -> list[tuple[int, str, int, str]]:
    """(row, request id, nanos held, reason) of what has expired and is still open."""
    return db.execute(
        "SELECT r.id, r.request_id, r.hold_nanos, r.model_asked FROM requests r JOIN externals e ON e.request = r.id"
        " WHERE r.state = 'held' AND r.owner_id IS NULL AND e.expires <= ? AND coalesce(?, r.token_id) = r.token_id"
        " ORDER BY r.id",
        (now, token_id),
    ).fetchall()


def transactions(db: sqlite3.Connection, token_id: int, offset: int, limit: int) -> TransactionPage:
    """A page of one token's transactions, newest first. Untouched, what has expired still says pending."""
    with snapshot(db):
        total = db.execute("SELECT count(*) FROM externals WHERE token_id = ?", (token_id,)).fetchone()[0]
        rows = db.execute(
            _EXTERNAL + " WHERE e.token_id = ? ORDER BY e.request DESC LIMIT ? OFFSET ?",
            (token_id, max(0, limit), min(max(0, offset), total)),
        ).fetchall()
    return TransactionPage([_external(row) for row in rows], total)


def nanos_of_quota(member: str, quota: int) -> int:
    """One API's quota units → nanos. Raises LedgerError, naming the request's member, for more than a ledger holds."""
    if not 0 <= quota <= MAX_NANOS // NANOS_PER_QUOTA:
        raise LedgerError(f"{member} exceeds supported quota range")
    return quota * NANOS_PER_QUOTA


def check_reason(text: str) -> str:
    """A reason as it is kept: trimmed. Raises LedgerError where nothing is left, or more than a label should have."""
    reason = text.strip()
    if not reason:
        raise LedgerError("add_reason cannot be empty")
    if len(reason) > MOST_REASON_CHARACTERS or not reason.isprintable():
        raise LedgerError(f"add_reason must be printable text of at most {MOST_REASON_CHARACTERS} characters")
    return reason


def timeout_of(seconds: float | None) -> float:
    """How long a hold may stay open: ten minutes unless said otherwise, an hour at most."""
    return min(seconds, LONGEST_SECONDS) if seconds is not None and seconds > 0 else DEFAULT_SECONDS


# --- inside ---------------------------------------------------------------------------------------------------------


def _hold(db: sqlite3.Connection, charge: Charge, zone: tzinfo, now: float) -> str:
    """The rows of a new transaction, held. Returns its id."""
    if not 0 <= charge.nanos <= MAX_NANOS:
        raise LedgerError("add_used_quota exceeds supported quota range")
    reason = check_reason(charge.reason)
    user_id = _usable_owner(db, charge.token_id, now)
    for key in (("token", charge.token_id), ("user", user_id)):
        renew(db, key, now, zone)
        _check_free(db, key, charge.nanos, "pre-consume", "add_used_quota")
    transaction_id = _new_id(db, charge)
    try:
        made = db.execute(
            _INSERT, (charge.request_id, charge.token_id, user_id, reason, charge.peer, now, charge.nanos, charge.nanos)
        )
    except sqlite3.IntegrityError as error:
        raise LedgerError(f"Request {charge.request_id} is in the ledger already.") from error
    raise_held(db, "tokens", charge.token_id, charge.nanos, owned=False)
    raise_held(db, "users", user_id, charge.nanos, owned=False)
    db.execute(
        "INSERT INTO externals (request, token_id, transaction_id, expires, elapsed_ms) VALUES (?, ?, ?, ?, ?)",
        (made.lastrowid, charge.token_id, transaction_id, now + timeout_of(charge.timeout_seconds), _elapsed(charge)),
    )
    return transaction_id


def _usable_owner(db: sqlite3.Connection, token_id: int, now: float) -> int:
    """The user above a token that may spend now. Raises LedgerError for one that may not."""
    row = db.execute(
        "SELECT t.status = 1 AND t.absent = 0 AND coalesce(t.expires >= ?, 1),"
        " u.status = 1 AND coalesce(u.expires >= ?, 1), u.id"
        " FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id = ? AND t.removed IS NULL",
        (now, now, token_id),
    ).fetchone()
    if row is None or not row[0]:
        raise LedgerError("API Key is not enabled")
    if not row[1]:
        raise LedgerError("User has been banned")
    return int(row[2])


def _check_free(db: sqlite3.Connection, key: AccountKey, nanos: int, phase: str, member: str) -> None:
    kind, id = key
    unlimited, free, taken = db.execute(
        f"SELECT unlimited, granted - used - held + held_past, used + held FROM {TABLES[kind]} WHERE id = ?",  # noqa: S608 - names are ours
        (id,),
    ).fetchone()
    if nanos and not unlimited and free < nanos:
        raise LedgerError(
            f"{phase} {kind} quota: insufficient {kind} quota: required={quota_up(nanos)},"
            f" available={quota_down(free)}, {kind}Id={id}"
        )
    if taken + nanos > MAX_NANOS:
        raise LedgerError(f"{member} exceeds supported quota range")


def _new_id(db: sqlite3.Connection, charge: Charge) -> str:
    """32 hex digits of ours; an audit row may bring its own name, which no other of its token's may have."""
    if charge.nanos or not charge.transaction_id:
        return secrets.token_hex(16)
    named = storable(charge.transaction_id)
    if len(named) > MOST_ID_CHARACTERS or not named.isprintable():
        raise LedgerError(f"transaction_id must be printable text of at most {MOST_ID_CHARACTERS} characters")
    if rows := db.execute(_EXTERNAL + _NAMED, (charge.token_id, named)).fetchall():
        raise LedgerError(f"transaction {named} is already {_external(rows[0]).status}")
    return named


def _elapsed(charge: Charge) -> int | None:
    return charge.elapsed_ms if charge.elapsed_ms and 0 < charge.elapsed_ms <= MOST_MILLISECONDS else None


def _took(db: sqlite3.Connection, found: External, elapsed_ms: int | None) -> None:
    if elapsed_ms is not None and 0 < elapsed_ms <= MOST_MILLISECONDS:
        db.execute(
            "UPDATE externals SET elapsed_ms = ? WHERE request = (SELECT id FROM requests WHERE request_id = ?)",
            (elapsed_ms, found.request_id),
        )


def _settle(db: sqlite3.Connection, request_id: str, nanos: int, reason: str, now: float, *, why: str = "") -> None:
    rule = f"external consumption: {reason}"
    line = BillLine(unit=DOOR, amount="1", rate_nanos=nanos, per=1, rule=rule, picos=nanos * PICOS_PER_NANO)
    lines = (line,) if nanos else ()
    close(
        db,
        request_id,
        Closing(state="settled", cost_nanos=nanos, status=200, lines=lines, price_origin=DOOR, reason=why),
        now,
    )


def _found(db: sqlite3.Connection, token_id: int, transaction_id: str, phase: str) -> External:
    row = db.execute(_EXTERNAL + _NAMED, (token_id, storable(transaction_id))).fetchone()
    if row is None:
        raise LedgerError(
            f"get token transaction for {phase}: failed to fetch token transaction: token_id={token_id},"
            f" transaction_id={transaction_id}: record not found"
        )
    return _external(row)


_INSERT = f"""
INSERT INTO requests (request_id, state, token_id, user_id, door, model_asked, stream, peer, created, hold_nanos,
                      fixed_nanos)
VALUES (?, 'held', ?, ?, '{DOOR}', ?, 0, ?, ?, ?, ?)
"""  # noqa: S608 - names are ours
_EXTERNAL = """
SELECT e.transaction_id, r.request_id, r.token_id, r.user_id, r.model_asked, r.state, e.auto_confirmed, r.hold_nanos,
       r.cost_nanos, r.created, e.expires, r.closed, e.elapsed_ms FROM externals e JOIN requests r ON r.id = e.request
"""
_NAMED = " WHERE e.token_id = ? AND e.transaction_id = ?"
_STATUS: dict[str, Status] = {"held": "pending", "settled": "confirmed", "released": "canceled"}


def _external(row: tuple[object, ...]) -> External:
    transaction_id, request_id, token_id, user_id, reason, state, auto, held, cost, created, expires, closed, took = row
    status: Status = "auto_confirmed" if auto else _STATUS[str(state)]
    return msgspec.convert(
        {
            "transaction_id": transaction_id,
            "request_id": request_id,
            "token_id": token_id,
            "user_id": user_id,
            "reason": reason,
            "status": status,
            "pre_nanos": held,
            "final_nanos": cost if state == "settled" else None,
            "created": created,
            "expires": expires,
            "confirmed": closed if state == "settled" else None,
            "canceled": closed if state == "released" else None,
            "elapsed_ms": took,
        },
        External,
    )
