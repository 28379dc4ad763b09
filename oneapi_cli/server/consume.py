"""`/api/token/…` for the key itself: its balance, what programs beside the gateway charge to it, its history.

Shapes and texts of the reference's 4.2 and 4.3, with numeric ids where the original has uuids. Amounts are quota units
at this edge and nanos in the ledger, times are unix seconds. A `post` or `cancel` passes with nothing left: what it
closes was held before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from ..gateway.authenticate import Caller
from ..ledger import external
from ..ledger.accounts import TokenRow, get_token
from ..ledger.book import Book
from ..ledger.external import Charge, External
from ..ledger.reports import LogRow, LogWindow, token_logs
from ..values.asks import Ask
from ..values.money import quota_down, quota_up
from .envelope import Declined, page_of, read_object, success, time_of
from .token_documents import token_document
from .upkeep import brought_up

CONSUMED = 2
"""The original's number for a row that says what was consumed; ours say nothing else."""

MOST_TRANSACTIONS = 1000
"""How far back the list goes, as the original's does."""

Count = int | UnsetType | None
Text = str | UnsetType | None


class ConsumeBody(Struct, frozen=True, kw_only=True):
    """What a program beside the gateway sends; null is the same as absent."""

    add_reason: Text = UNSET
    add_used_quota: Count = UNSET
    phase: Text = UNSET
    transaction_id: Text = UNSET
    final_used_quota: Count = UNSET
    timeout_seconds: Count = UNSET
    elapsed_time_ms: Count = UNSET


class Consumption:
    """Handlers over one ledger; each returns an answer or raises Declined, LedgerError, GatewayError."""

    def __init__(self, book: Book, now: Callable[[], float]) -> None:
        self._book, self._now = book, now

    async def balance(self, ask: Ask, caller: Caller) -> web.Response:
        token_id = caller.principal.token.id
        await brought_up(self._book)
        token = await self._book.read(lambda db: get_token(db, token_id))
        data = {
            "remain_quota": quota_down(token.free),
            "used_quota": quota_up(token.used),
            "unlimited_quota": token.unlimited,
        }
        return success(ask, data)

    async def consume(self, ask: Ask, caller: Caller) -> web.Response:
        """One phase; the balance of token and owner really moves. The answer has the token and the transaction."""
        body = read_object(await ask.body.read(), ConsumeBody)
        token_id = caller.principal.token.id
        phase = self._phase(body, ask, token_id)

        def work(db: sqlite3.Connection) -> tuple[External, TokenRow]:
            return phase(db), get_token(db, token_id)

        done, token = await self._book.write(work)
        return success(ask, token_document(token, self._now()), transaction=transaction_document(done))

    async def transactions(self, ask: Ask, caller: Caller) -> web.Response:
        token_id = caller.principal.token.id
        offset, limit = page_of(ask.query)
        await brought_up(self._book)
        most = max(0, min(limit, MOST_TRANSACTIONS - offset))
        page = await self._book.read(lambda db: external.transactions(db, token_id, offset, most))
        rows = [{**transaction_document(row), "status": row.status_code} for row in page.rows]
        return success(ask, rows, total=min(page.total, MOST_TRANSACTIONS))

    def _phase(self, body: ConsumeBody, ask: Ask, token_id: int) -> Callable[[sqlite3.Connection], External]:
        """The transaction that a body asks for. Raises Declined, LedgerError."""
        reason = external.check_reason(body.add_reason or "")
        phase = (body.phase or "single").strip().lower()
        zone, elapsed = self._book.zone, body.elapsed_time_ms or None
        if phase in ("pre", "single"):
            charge = Charge(
                token_id=token_id,
                nanos=external.nanos_of_quota("add_used_quota", body.add_used_quota or 0),
                reason=reason,
                request_id=ask.id,
                timeout_seconds=body.timeout_seconds or None,
                elapsed_ms=elapsed,
                peer=ask.peer,
                transaction_id=body.transaction_id or "",
            )
            begin = external.pre if phase == "pre" else external.single
            return lambda db: begin(db, charge, zone=zone, now=self._now())
        if phase not in ("post", "cancel"):
            raise Declined(f"unsupported phase: {phase[:40]}")
        if not body.transaction_id:
            raise Declined(f"transaction_id is required for {phase} phase")
        id = body.transaction_id
        if phase == "cancel":
            return lambda db: external.cancel(db, token_id, id, now=self._now(), elapsed_ms=elapsed)
        final = _final_nanos(body)
        return lambda db: external.post(db, token_id, id, final, zone=zone, now=self._now(), elapsed_ms=elapsed)

    async def logs(self, ask: Ask, caller: Caller) -> web.Response:
        """What this token asked for, newest first; `type` other than 2 (consumption) finds nothing."""
        token_id, query = caller.principal.token.id, ask.query
        offset, limit = page_of(query)
        window = LogWindow(
            start=time_of(query, "start_timestamp"),
            end=time_of(query, "end_timestamp"),
            model=query.get("model_name") or None,
        )
        if query.get("type", "") not in ("", "0", str(CONSUMED)):
            return success(ask, [], total=0)
        await brought_up(self._book)
        page = await self._book.read(lambda db: token_logs(db, token_id, offset, limit, window))
        return success(ask, [log_document(row) for row in page.rows], total=page.total)


def log_document(row: LogRow) -> dict[str, Any]:
    """The original's members with numeric ids, and `state`; times in unix seconds, `elapsed_time` in milliseconds."""
    return {
        "id": row.id,
        "user_id": row.user_id,
        "created_at": int(row.created),
        "updated_at": int(row.closed or row.created),
        "type": CONSUMED,
        "state": row.state,
        "content": row.reason or row.code,
        "username": row.user,
        "token_id": row.token_id,
        "token_name": row.token,
        "model_name": row.model_asked,
        "origin_model_name": row.model_asked,
        "quota": quota_up(row.cost_nanos),
        "prompt_tokens": row.input_tokens or 0,
        "completion_tokens": row.output_tokens or 0,
        "cached_prompt_tokens": row.cached_tokens,
        "channel_name": row.channel,
        "request_id": row.request_id,
        "elapsed_time": 0 if row.closed is None else max(0, round((row.closed - row.created) * 1000)),
        "is_stream": row.stream,
        "status": row.status,
    }


def transaction_document(row: External) -> dict[str, Any]:
    """The original's members; confirmed_at, canceled_at and elapsed_time_ms only where there is something to say."""
    document = {
        "transaction_id": row.transaction_id,
        "token_id": row.token_id,
        "user_id": row.user_id,
        "request_id": row.request_id,
        "reason": row.reason,
        "status_code": row.status_code,
        "status": row.status,
        "pre_quota": quota_up(row.pre_nanos),
        "final_quota": None if row.final_nanos is None else quota_up(row.final_nanos),
        "auto_confirmed": row.auto_confirmed,
        "created_at": int(row.created),
        "expires_at": int(row.expires),
    }
    ends = {"confirmed_at": row.confirmed, "canceled_at": row.canceled, "elapsed_time_ms": row.elapsed_ms}
    return {**document, **{name: int(value) for name, value in ends.items() if value is not None}}


def _final_nanos(body: ConsumeBody) -> int:
    for member in ("final_used_quota", "add_used_quota"):
        quota = getattr(body, member)
        if quota is not UNSET and quota is not None:
            return external.nanos_of_quota(member, quota)
    raise Declined("final_used_quota or add_used_quota must be provided for post phase")
