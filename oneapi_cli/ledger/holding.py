"""Holding money: the transaction bodies of reserve and extend. Whoever calls has a transaction open
(`store.transaction`).

Everything that admission depends on is read inside it: versions, expiry, rates, balances. So whatever the caller had
cached, a stale answer cannot get through, and what is admitted is held before anybody else looks. Every check comes
before the first write, but for a budget that rolls over on the way: that stands whatever becomes of the request.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, tzinfo

import msgspec
from msgspec import Struct

from ..values.errors import BadRequest, GatewayError, OutOfCredit, Throttled, Unauthenticated
from ..values.holds import Hold, HoldAsk, Need, RateLimits, TooTight
from ..values.money import MAX_NANOS, format_usd
from .account_values import Period
from .admission import Admit, Budget, Refuse, Wait, decide, fits_whole
from .faults import AccountChanged, LedgerError
from .limits import Rates, check, standing
from .resets import renew, wants_look
from .rows import MAX_INT64, AccountKey, AccountKind, int64, storable

NOBODY: frozenset[AccountKey] = frozenset()
MOST_HELD = MAX_INT64 - MAX_NANOS
"""What the open holds of one account may come to: beyond 64 bits there is no sum."""

_BOTH = """
SELECT t.id, t.name, t.version, t.status, t.expires, t.unlimited, t.granted - t.used, t.held - t.held_past,
       t.open_holds, t.rpm, t.tpm, t.concurrent, t.absent, t.removed, t.budget_period, t.budget_reset,
       u.id, u.name, u.version, u.status, u.expires, u.unlimited, u.granted - u.used, u.held - u.held_past,
       u.open_holds, u.rpm, u.tpm, u.concurrent, 0, u.removed, u.budget_period, u.budget_reset
FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id = ?
"""
_COLUMNS = 16

_INSERT = """
INSERT INTO requests (request_id, state, token_id, user_id, owner_id, door, model_asked, stream, peer, created,
admitted,
                      waited, hold_nanos, fixed_nanos, tokens, asked, output_limit, bounded)
VALUES (?, 'held', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class Standing(Struct, frozen=True):
    """One account as the admission transaction reads it; fields in the order of the columns of `_BOTH`.

    held: what weighs on this period's budget.
    """

    id: int
    name: str
    version: int
    status: int
    expires: float | None
    unlimited: int
    remain: int
    held: int
    open_holds: int
    rpm: int | None
    tpm: int | None
    concurrent: int | None
    absent: int
    removed: float | None
    period: Period | None
    reset: float | None


class Moment(Struct, frozen=True, kw_only=True):
    """When and by whom a hold is asked for.

    owner: the process's row; waited: seconds so far; closed: see `decide`; zone: where recurring budgets roll over.
    """

    owner: int | None
    now: float
    waited: float = 0.0
    closed: frozenset[AccountKey] = NOBODY
    zone: tzinfo = UTC


def reserve(db: sqlite3.Connection, ask: HoldAsk, moment: Moment) -> Hold | TooTight | Wait:
    """Hold what `ask` needs, or say why not; holds something only when it returns a Hold.

    Wait (only for a final ask): the caller queues and asks again. Raises AccountChanged, Unauthenticated, Throttled
    (rates, `balance_held`), OutOfCredit, BadRequest (more than any ledger can hold), LedgerError (the request id is
    taken).
    """
    token, user = _read_both(db, ask, moment)
    _check_usable("token", token, moment.now)
    _check_usable("user", user, moment.now)
    need = ask.need
    limited = [
        _rates(key, account) for key, account in (_key("token", token), _key("user", user)) if _has_rates(account)
    ]
    for rates in limited:
        check(db, rates, need.bound_tokens, moment.now, of=limited)
    budgets = [_budget(("token", token.id), token)] if not token.unlimited else []
    if not user.unlimited:
        budgets.append(_budget(("user", user.id), user))
    if not ask.final and (not fits_whole(need, budgets) or any(budget.key in moment.closed for budget in budgets)):
        return TooTight(min(budget.free for budget in budgets))
    verdict = decide(need, budgets, waited=moment.waited, wait_seconds=ask.wait_seconds, closed=moment.closed)
    if isinstance(verdict, Wait):
        return verdict
    if isinstance(verdict, Refuse):
        raise _refusal(verdict, standing(db, limited, moment.now))
    if max(token.held, user.held) + verdict.nanos > MOST_HELD:
        raise BadRequest(
            f"The request could cost {format_usd(verdict.nanos)}, and together with those that are open more than a"
            " ledger can hold; ask for a smaller output limit."
        )
    hold = _hold(db, ask, verdict, moment)
    return msgspec.structs.replace(hold, rates=standing(db, limited, moment.now)) if limited else hold


def extend(db: sqlite3.Connection, request_id: str, nanos: int, now: float, zone: tzinfo = UTC) -> int | None:
    """More hold for an open request: what it holds then, or None where that is not free.

    The more belongs to the present period, whenever the request began. Raises LedgerError if it is not open.
    """
    if nanos < 0:
        raise ValueError(f"a hold is extended, not shortened: {nanos}")
    row = db.execute(
        "SELECT id, state, hold_nanos, token_id, user_id FROM requests WHERE request_id = ?", (request_id,)
    )
    found = row.fetchone()
    if found is None or found[1] != "held":
        raise LedgerError(f"Request {request_id} holds nothing that could be extended.")
    id, _, held, token_id, user_id = found
    if nanos == 0:
        return int(held)
    for key in (("token", token_id), ("user", user_id)):
        renew(db, key, now, zone)
    if nanos > free_of(db, token_id, user_id) or held + nanos > MAX_NANOS:
        return None
    db.execute("INSERT INTO extensions (request, nanos, created) VALUES (?, ?, ?)", (id, nanos, now))
    db.execute("UPDATE requests SET hold_nanos = hold_nanos + ? WHERE id = ?", (nanos, id))
    db.execute("UPDATE tokens SET held = held + ? WHERE id = ?", (nanos, token_id))
    db.execute("UPDATE users SET held = held + ? WHERE id = ?", (nanos, user_id))
    return int(held) + nanos


def free_of(db: sqlite3.Connection, token_id: int, user_id: int) -> int:
    """What may be held now: the smaller free of a token and a user, an unlimited one's being without end."""
    row = db.execute(
        "SELECT min(CASE t.unlimited WHEN 0 THEN t.granted - t.used - t.held + t.held_past ELSE ? END,"
        " CASE u.unlimited WHEN 0 THEN u.granted - u.used - u.held + u.held_past ELSE ? END)"
        " FROM tokens t, users u WHERE t.id = ? AND u.id = ?",
        (MAX_INT64, MAX_INT64, token_id, user_id),
    ).fetchone()
    return int(row[0])


def _read_both(db: sqlite3.Connection, ask: HoldAsk, moment: Moment) -> tuple[Standing, Standing]:
    """Both accounts, their budgets rolled over where that is due."""
    known = ask.principal
    row = db.execute(_BOTH, (known.token.id,)).fetchone()
    if row is None:
        raise AccountChanged
    token, user = Standing(*row[:_COLUMNS]), Standing(*row[_COLUMNS:])
    versions = (token.version, user.id, user.version)
    if versions != (known.token.version, known.user.id, known.user.version) or token.removed or user.removed:
        raise AccountChanged
    # Both, and not only up to the first that rolls over.
    if any([_renew(db, ("token", token.id), token, moment), _renew(db, ("user", user.id), user, moment)]):
        row = db.execute(_BOTH, (known.token.id,)).fetchone()
        return Standing(*row[:_COLUMNS]), Standing(*row[_COLUMNS:])
    return token, user


def _renew(db: sqlite3.Connection, key: AccountKey, account: Standing, moment: Moment) -> bool:
    if account.period is None or not wants_look(account.period, account.reset, moment.now):
        return False
    return renew(db, key, moment.now, moment.zone)


def _check_usable(kind: str, account: Standing, now: float) -> None:
    if account.status != 1 or account.absent:
        raise Unauthenticated(f"{kind} {account.name} (#{account.id}) is disabled; enable it or use another key.")
    if account.expires is not None and account.expires < now:
        raise Unauthenticated(f"{kind} {account.name} (#{account.id}) has expired at timestamp {int(account.expires)}")


def _key(kind: AccountKind, account: Standing) -> tuple[AccountKey, Standing]:
    return (kind, account.id), account


def _has_rates(account: Standing) -> bool:
    return account.rpm is not None or account.tpm is not None or account.concurrent is not None


def _rates(key: AccountKey, account: Standing) -> Rates:
    return Rates(
        key=key,
        name=account.name,
        open_holds=account.open_holds,
        rpm=account.rpm,
        tpm=account.tpm,
        concurrent=account.concurrent,
    )


def _budget(key: AccountKey, account: Standing) -> Budget:
    return Budget(key=key, name=account.name, remain=account.remain, held=account.held)


def _refusal(verdict: Refuse, rates: RateLimits | None) -> GatewayError:
    if verdict.status == 403:
        return OutOfCredit(verdict.message)
    held = Throttled(verdict.message, code="balance_held", retry_after_seconds=verdict.retry_after_seconds)
    held.rates = rates
    return held


def _hold(db: sqlite3.Connection, ask: HoldAsk, admitted: Admit, moment: Moment) -> Hold:
    if admitted.nanos > MAX_NANOS:
        raise BadRequest(
            f"At this output limit the request could cost more than {format_usd(MAX_NANOS)}; ask for a smaller one."
        )
    token, user, need = ask.principal.token.id, ask.principal.user.id, ask.need
    try:
        db.execute(
            _INSERT,
            (
                ask.request_id,
                token,
                user,
                moment.owner,
                ask.door,
                storable(ask.model_asked),
                ask.stream,
                ask.peer,
                moment.now - moment.waited,
                moment.now,
                moment.waited,
                admitted.nanos,
                # What `after_crash: input` charges is never more than what was held.
                min(need.fixed_nanos, admitted.nanos),
                int64(_tokens(need, admitted.limit)),
                int64(need.asked),
                int64(admitted.limit),
                ask.bounded,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise LedgerError(f"Request {ask.request_id} is in the ledger already.") from error
    raise_held(db, "tokens", token, admitted.nanos, owned=moment.owner is not None)
    raise_held(db, "users", user, admitted.nanos, owned=moment.owner is not None)
    return Hold(
        request_id=ask.request_id,
        nanos=admitted.nanos,
        limit=admitted.limit,
        lowered=admitted.limit < need.asked,
        waited_seconds=moment.waited,
    )


def raise_held(db: sqlite3.Connection, table: str, id: int, nanos: int, *, owned: bool) -> None:
    """The balance's side of a new hold."""
    # open_holds is what `concurrent` limits: requests of ours, not sums that a program outside holds.
    db.execute(f"UPDATE {table} SET held = held + ?, open_holds = open_holds + ? WHERE id = ?", (nanos, owned, id))  # noqa: S608 - names are ours


def _tokens(need: Need, limit: int) -> int:
    return max(0, need.bound_tokens - need.outputs * (need.asked - limit))
