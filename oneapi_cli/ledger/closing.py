"""How requests end: the transaction bodies of close, adjust and refuse. Whoever calls has a transaction open.

A request closes once. Whoever closes it again is told how it closed the first time, so retries and shields are
harmless. A cost above the hold is booked as it is: the ledger says what is true, and admission refuses what comes
next.
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from ..values.holds import Attempt, Closing, Refusal, Settlement
from ..values.money import MAX_NANOS
from ..values.usage import Usage
from .faults import LedgerError
from .resets import give_back
from .rows import TABLES, AccountKey, int64, storable, to_json
from .stored import keep_response

_CLOSE = """
UPDATE requests SET state = ?, cost_nanos = ?, tokens = ?, input_tokens = ?, output_tokens = ?, status = ?,
                    channel = ?, model_sent = ?, price_origin = ?, usage = ?, lines = ?, notes = ?, reason = ?,
                    bounded = ?, first_byte = ?, closed = ? WHERE id = ?
"""
_TO_ADJUST = """
SELECT r.id, r.state, r.token_id, r.user_id,
       r.cost_nanos + (SELECT coalesce(sum(delta_nanos), 0) FROM adjustments WHERE request = r.id),
       coalesce(r.admitted, r.created) < t.last_reset, coalesce(r.admitted, r.created) < u.last_reset
FROM requests r JOIN tokens t ON t.id = r.token_id JOIN users u ON u.id = r.user_id WHERE r.request_id = ?
"""
_REFUSE = """
INSERT INTO requests (request_id, state, token_id, user_id, door, model_asked, stream, peer, created, closed,
                      status, code, reason, details)
VALUES (?, 'refused', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING
"""
_ATTEMPT = """
INSERT INTO attempts (request, channel, vendor, model_sent, started, ended, status, outcome, charged_nanos, detail,
upstream_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class Adjusted(Struct, frozen=True, kw_only=True):
    """What an adjustment did. cost_nanos: the request's whole cost with every adjustment in it."""

    request_id: str
    delta_nanos: int
    cost_nanos: int


def close(db: sqlite3.Connection, request_id: str, closing: Closing, now: float) -> Settlement:
    """Settle, release or keep an open request; for a closed one, how it was closed.

    An unknown id that is released was never held (its reserve was cancelled in time): released, cost 0. Raises
    LedgerError for any other unknown id, ValueError for an impossible cost.
    """
    cost = closing.cost_nanos
    if not 0 <= cost <= MAX_NANOS or (closing.state == "released" and cost):
        raise ValueError(f"a {closing.state} request cannot cost {cost} nano-dollars")
    row = db.execute(
        "SELECT id, state, cost_nanos, hold_nanos, token_id, user_id, owner_id, tokens, bounded, token_past, user_past"
        " FROM requests WHERE request_id = ?",
        (request_id,),
    ).fetchone()
    if row is None:
        if closing.state == "released":
            return Settlement(state="released", cost_nanos=0)
        raise LedgerError(f"Request {request_id} holds nothing, so it cannot be {closing.state}.")
    id, state, first_cost, hold, token_id, user_id, owner_id, tokens, bounded, token_past, user_past = row
    if state != "held":
        return Settlement(state=state, cost_nanos=first_cost)
    _close_row(db, id, closing, tokens=_tokens(closing, tokens), bounded=bool(bounded) and closing.bounded, now=now)
    owned = owner_id is not None
    sides: tuple[tuple[AccountKey, int], ...] = ((("token", token_id), token_past), (("user", user_id), user_past))
    for key, past in sides:
        db.execute(
            f"UPDATE {TABLES[key[0]]} SET used = used + ?, held = held - ?, held_past = held_past - ?,"  # noqa: S608 - names are ours
            " open_holds = open_holds - ? WHERE id = ?",
            (cost, hold, past, owned, key[1]),
        )
        give_back(db, key, id, min(cost, past), now)
    write_attempts(db, id, closing.attempts)
    if closing.response_id:
        keep_response(db, id, closing.response_id, now)
    return Settlement(state=closing.state, cost_nanos=cost)


def adjust(
    db: sqlite3.Connection,
    request_id: str,
    delta_nanos: int,
    *,
    reason: str,
    actor: str,
    now: float,
    usage: Usage | None = None,
) -> Adjusted:
    """Correct a closed request by a row that names it. What an earlier period paid stays out of the present one.

    Raises LedgerError if it is open, unknown or would cost less than 0.
    """
    row = db.execute(_TO_ADJUST, (request_id,)).fetchone()
    if row is None:
        raise LedgerError(f"There is no request {request_id}; `oneapi logs` lists those there are.")
    id, state, token_id, user_id, cost, token_old, user_old = row
    if state in ("held", "refused"):
        raise LedgerError(f"Request {request_id} is {state}; only a closed one can be adjusted.")
    if not 0 <= cost + delta_nanos <= MAX_NANOS:
        raise LedgerError(f"Request {request_id} costs {cost} nano-dollars; it cannot be adjusted by {delta_nanos}.")
    token_past, user_past = delta_nanos if token_old else 0, delta_nanos if user_old else 0
    db.execute(
        "INSERT INTO adjustments (request, delta_nanos, reason, actor, usage, created, token_past, user_past)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            id,
            delta_nanos,
            storable(reason),
            storable(actor),
            None if usage is None else to_json(usage),
            now,
            token_past,
            user_past,
        ),
    )
    db.execute("UPDATE tokens SET used = used + ? WHERE id = ?", (delta_nanos, token_id))
    db.execute("UPDATE users SET used = used + ? WHERE id = ?", (delta_nanos, user_id))
    give_back(db, ("token", token_id), id, token_past, now)
    give_back(db, ("user", user_id), id, user_past, now)
    return Adjusted(request_id=request_id, delta_nanos=delta_nanos, cost_nanos=cost + delta_nanos)


def refuse(db: sqlite3.Connection, refusal: Refusal, now: float) -> None:
    """A row of cost 0. A request that has a row already keeps it: the refusal is then part of how that one closed."""
    written = db.execute(
        _REFUSE,
        (
            refusal.request_id,
            refusal.principal.token.id,
            refusal.principal.user.id,
            refusal.door,
            storable(refusal.model_asked),
            refusal.stream,
            refusal.peer,
            now,
            now,
            refusal.status,
            refusal.code,
            storable(refusal.message),
            to_json(refusal.details),
        ),
    )
    if written.rowcount == 1 and written.lastrowid is not None:
        write_attempts(db, written.lastrowid, refusal.attempts)


def write_attempts(db: sqlite3.Connection, id: int, attempts: tuple[Attempt, ...]) -> None:
    """Child rows of request row `id`, in the order tried."""
    for tried in attempts:
        db.execute(
            _ATTEMPT,
            (
                id,
                tried.channel,
                tried.vendor,
                storable(tried.model_sent),
                tried.started,
                tried.ended,
                tried.status,
                tried.outcome,
                tried.charged_nanos,
                storable(tried.detail),
                storable(tried.upstream_id),
            ),
        )


def _close_row(db: sqlite3.Connection, id: int, closing: Closing, *, tokens: int, bounded: bool, now: float) -> None:
    db.execute(
        _CLOSE,
        (
            closing.state,
            closing.cost_nanos,
            tokens,
            _counted(closing, "input_tokens"),
            _counted(closing, "output_tokens"),
            closing.status,
            closing.channel,
            storable(closing.model_sent),
            closing.price_origin,
            None if closing.usage is None else to_json(closing.usage),
            to_json(closing.lines) if closing.lines else "[]",
            to_json(closing.notes) if closing.notes else "[]",
            storable(closing.reason),
            bounded,
            closing.first_byte,
            now,
            id,
        ),
    )


def _tokens(closing: Closing, held: int) -> int:
    """What tpm counts from now on: what was used; nothing for a released request; the bound where nobody knows."""
    if closing.state == "released":
        return 0
    if closing.usage is None:
        return held
    return int64(max(0, int(closing.usage.get("input_tokens")) + int(closing.usage.get("output_tokens"))))


def _counted(closing: Closing, unit: str) -> int | None:
    """For reports; None where nobody counted this unit."""
    if closing.usage is None or unit not in closing.usage.counts:
        return None
    return int64(max(0, int(closing.usage.get(unit))))
