"""One request, whole: what was asked, held, tried, charged and corrected, and why. For `oneapi cost` and
`?explain=1`.

The row and its children are read in one snapshot. `cost_nanos` has every adjustment in it; `booked_nanos` is what
closing booked, and what the bill's lines sum to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from ..values.holds import Attempt, BillLine
from ..values.money import quota_up, usd_float
from ..values.usage import Usage
from .rows import lines_of, pairs_of, texts_of, usage_of
from .store import snapshot


class Extension(Struct, frozen=True):
    """More hold for a running request, at `created`."""

    nanos: int
    created: float


class Adjustment(Struct, frozen=True):
    """A correction after closing: who, why, by how much."""

    delta_nanos: int
    reason: str
    actor: str
    created: float
    usage: Usage | None


class Receipt(Struct, frozen=True, kw_only=True):
    """Everything the ledger knows of one request. Money in nanos, times in unix seconds, limits in output tokens.

    state: held settled released kept refused. hold_nanos: all that was held, extensions included. asked and limit:
    the output limit asked for and the one sent. bounded: the hold was a proven bound. lines sum to booked_nanos ×
    1000 picos. code: of a refusal.
    """

    id: int
    request_id: str
    state: str
    token_id: int
    token: str
    user_id: int
    user: str
    door: str
    model_asked: str
    model_sent: str
    channel: str
    stream: bool
    peer: str
    created: float
    admitted: float | None
    waited_seconds: float
    first_byte: float | None
    closed: float | None
    hold_nanos: int
    fixed_nanos: int
    asked: int
    limit: int
    bounded: bool
    booked_nanos: int
    cost_nanos: int
    status: int | None
    code: str
    reason: str
    price_origin: str
    usage: Usage | None
    lines: tuple[BillLine, ...]
    notes: tuple[str, ...]
    details: Mapping[str, str]
    attempts: tuple[Attempt, ...]
    extensions: tuple[Extension, ...]
    adjustments: tuple[Adjustment, ...]

    @property
    def lowered(self) -> bool:
        return self.limit < self.asked

    @property
    def estimated(self) -> bool:
        return self.usage is not None and self.usage.estimated


def read_receipt(db: sqlite3.Connection, request_id: str) -> Receipt | None:
    """The receipt of one request; None for an id that the ledger does not know."""
    with snapshot(db):
        row = db.execute(_REQUEST, (request_id,)).fetchone()
        if row is None:
            return None
        fields: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
        attempts = db.execute(_ATTEMPTS, (fields["id"],)).fetchall()
        extensions = db.execute("SELECT nanos, created FROM extensions WHERE request = ? ORDER BY id", (fields["id"],))
        more = tuple(Extension(*columns) for columns in extensions)
        adjusted = db.execute(_ADJUSTMENTS, (fields["id"],)).fetchall()
    adjustments = tuple(
        Adjustment(delta, reason, actor, created, usage_of(usage)) for delta, reason, actor, created, usage in adjusted
    )
    return Receipt(
        **{
            **fields,
            "stream": bool(fields["stream"]),
            "bounded": bool(fields["bounded"]),
            "usage": usage_of(fields["usage"]),
            "lines": lines_of(fields["lines"]),
            "notes": texts_of(fields["notes"]),
            "details": pairs_of(fields["details"]),
        },
        cost_nanos=fields["booked_nanos"] + sum(one.delta_nanos for one in adjustments),
        attempts=tuple(Attempt(**dict(zip(_ATTEMPT_NAMES, columns, strict=True))) for columns in attempts),
        extensions=more,
        adjustments=adjustments,
    )


def receipt_document(receipt: Receipt) -> dict[str, object]:
    """The bill as one JSON document: the six public members of a cost, and everything that explains it beside them."""
    return {
        "id": receipt.id,
        "created_time": int(receipt.created),
        "user_id": receipt.user_id,
        "request_id": receipt.request_id,
        "quota": quota_up(receipt.cost_nanos),
        "cost_usd": usd_float(receipt.cost_nanos),
        "cost_nanos": receipt.cost_nanos,
        "booked_nanos": receipt.booked_nanos,
        "state": receipt.state,
        "bounded": receipt.bounded,
        "token": {"id": receipt.token_id, "name": receipt.token},
        "user": {"id": receipt.user_id, "name": receipt.user},
        "door": receipt.door,
        "model_asked": receipt.model_asked,
        "model_sent": receipt.model_sent,
        "channel": receipt.channel,
        "stream": receipt.stream,
        "status": receipt.status,
        "code": receipt.code or None,
        "reason": receipt.reason or None,
        "price_origin": receipt.price_origin or None,
        "hold": _hold(receipt),
        "times": {
            "created": receipt.created,
            "admitted": receipt.admitted,
            "first_byte": receipt.first_byte,
            "closed": receipt.closed,
        },
        "usage": usage_document(receipt.usage),
        "lines": [_line(line) for line in receipt.lines],
        "attempts": [_attempt(tried) for tried in receipt.attempts],
        "adjustments": [_adjustment(one) for one in receipt.adjustments],
        "notes": list(receipt.notes),
        "details": dict(receipt.details),
    }


def usage_document(usage: Usage | None) -> dict[str, object] | None:
    """Usage as JSON: decimals as text, so that no amount is rounded; the vendor's own block as the text that it was."""
    if usage is None:
        return None
    counts = {unit: str(amount) if isinstance(amount, Decimal) else amount for unit, amount in usage.counts.items()}
    return {
        "counts": counts,
        "reasoning_tokens": usage.reasoning_tokens,
        "tier": usage.tier,
        "estimated": usage.estimated,
        "raw": usage.raw,
    }


def _hold(receipt: Receipt) -> dict[str, object]:
    return {
        "nanos": receipt.hold_nanos,
        "input_bound_nanos": receipt.fixed_nanos,
        "asked_output": receipt.asked,
        "output_limit": receipt.limit,
        "lowered": receipt.lowered,
        "waited_seconds": receipt.waited_seconds,
        "extensions": [{"nanos": one.nanos, "created": one.created} for one in receipt.extensions],
    }


def _adjustment(one: Adjustment) -> dict[str, object]:
    return {
        "delta_nanos": one.delta_nanos,
        "reason": one.reason,
        "actor": one.actor,
        "created": one.created,
        "usage": usage_document(one.usage),
    }


def _line(line: BillLine) -> dict[str, object]:
    return {name: getattr(line, name) for name in BillLine.__struct_fields__}


def _attempt(tried: Attempt) -> dict[str, object]:
    return {name: getattr(tried, name) for name in Attempt.__struct_fields__}


# Receipt's member → column.
_COLUMNS: Mapping[str, str] = {
    "id": "r.id",
    "request_id": "r.request_id",
    "state": "r.state",
    "token_id": "r.token_id",
    "token": "t.name",
    "user_id": "r.user_id",
    "user": "u.name",
    "door": "r.door",
    "model_asked": "r.model_asked",
    "model_sent": "r.model_sent",
    "channel": "r.channel",
    "stream": "r.stream",
    "peer": "r.peer",
    "created": "r.created",
    "admitted": "r.admitted",
    "waited_seconds": "r.waited",
    "first_byte": "r.first_byte",
    "closed": "r.closed",
    "hold_nanos": "r.hold_nanos",
    "fixed_nanos": "r.fixed_nanos",
    "asked": "r.asked",
    "limit": "r.output_limit",
    "bounded": "r.bounded",
    "booked_nanos": "r.cost_nanos",
    "status": "r.status",
    "code": "r.code",
    "reason": "r.reason",
    "price_origin": "r.price_origin",
    "usage": "r.usage",
    "lines": "r.lines",
    "notes": "r.notes",
    "details": "r.details",
}
_NAMES = tuple(_COLUMNS)
_REQUEST = (
    f"SELECT {', '.join(_COLUMNS.values())} FROM requests r JOIN tokens t ON t.id = r.token_id"  # noqa: S608 - ours
    " JOIN users u ON u.id = r.user_id WHERE r.request_id = ?"
)
_ATTEMPT_NAMES = Attempt.__struct_fields__
_ATTEMPTS = f"SELECT {', '.join(_ATTEMPT_NAMES)} FROM attempts WHERE request = ? ORDER BY id"  # noqa: S608 - ours
_ADJUSTMENTS = "SELECT delta_nanos, reason, actor, created, usage FROM adjustments WHERE request = ? ORDER BY id"
