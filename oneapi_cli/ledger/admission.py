"""May this request be held now? The ladder of DESIGN section 5, "A hold that does not fit", as one pure function.

Worst cases are large and mostly not used, so money that is only held must not refuse a burst. In this order:

    1  the whole need fits what is free                              admit
    2  lowering the output limit leaves half of what was asked       admit, lowered
    3  money is held, and without the holds the floor would fit      wait, up to wait_seconds
    4  the wait is over (or would not help): the floor fits          admit, lowered
    5  without the holds the floor would fit                         429 balance_held
       not even then                                                 403, at once

Whoever has waited five seconds is not overtaken any more: `closed` says that such a one stands before this request.
Invariant: never more than is free (what costs nothing is always free), never below the floor.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ..values.holds import Need
from ..values.money import format_usd
from .rows import AccountKey

PATIENCE_SECONDS = 5.0
"""How long the first in a queue may be overtaken by requests that fit."""

HELD_RETRY_SECONDS = 5.0
"""Retry-After of `balance_held`: by then the asker would be the one whom nobody overtakes."""


class Budget(Struct, frozen=True, kw_only=True):
    """One limited account inside the admission transaction. remain = granted − used; held is what open holds cover."""

    key: AccountKey
    name: str
    remain: int
    held: int

    @property
    def free(self) -> int:
        return self.remain - self.held


class Admit(Struct, frozen=True):
    """limit: the output limit to send, == asked unless lowered."""

    limit: int
    nanos: int


class Wait(Struct, frozen=True):
    """Nothing now. tight: the accounts whose holds stand in the way, or whose queue does."""

    tight: tuple[AccountKey, ...]


class Refuse(Struct, frozen=True):
    """status 429: would fit without the holds; 403: not even then. The message is public."""

    status: int
    message: str
    retry_after_seconds: float | None = None


def decide(
    need: Need,
    budgets: Sequence[Budget],
    *,
    waited: float,
    wait_seconds: float,
    closed: frozenset[AccountKey] = frozenset(),
) -> Admit | Wait | Refuse:
    """The ladder. budgets: the limited ones among token and user; none at all always admits.

    closed: those of them where somebody before this request has waited for PATIENCE_SECONDS.
    """
    if not budgets:
        return Admit(need.asked, need.nanos(need.asked))
    free = min(budget.free for budget in budgets)
    remain = min(budget.remain for budget in budgets)
    barred = tuple(budget.key for budget in budgets if budget.key in closed)
    if not barred and (limit := need.affordable(free)) >= least_worth(need):
        return Admit(limit, need.nanos(limit))
    if not _fits(need, remain):
        return _never(need, min(budgets, key=lambda budget: budget.remain))
    if waited < wait_seconds and (barred or remain > free):
        return Wait(barred or tight(need, budgets))
    if not barred and _fits(need, free):
        limit = need.affordable(free)
        return Admit(limit, need.nanos(limit))
    return _held(need, min(budgets, key=lambda budget: budget.free))


def fits_whole(need: Need, budgets: Sequence[Budget]) -> bool:
    """Whether nothing has to be lowered: `asked` as it is, on every limited account."""
    return all(need.affordable(budget.free) == need.asked for budget in budgets)


def least_worth(need: Need) -> int:
    """The lowest limit that is taken without waiting: half of what was asked, never below the floor."""
    return max(lowest(need), -(-need.asked // 2))


def lowest(need: Need) -> int:
    """The lowest limit worth sending at all. A limit of 0 is no request, so where there is one it is at least 1."""
    return min(need.asked, max(need.floor, 1))


def tight(need: Need, budgets: Sequence[Budget]) -> tuple[AccountKey, ...]:
    """The accounts that the need is waiting for: those that are too small for it just now."""
    return tuple(budget.key for budget in budgets if need.affordable(budget.free) < least_worth(need))


def _fits(need: Need, nanos: int) -> bool:
    return need.affordable(nanos) >= lowest(need)


def _never(need: Need, short: Budget) -> Refuse:
    return Refuse(
        403,
        f"This request needs {_needed(need)}, and {_name(short)} has {format_usd(short.remain)} remaining"
        f" ({format_usd(short.held)} of it held by open requests);"
        f" ask for a smaller output limit, or add to its balance: `oneapi {short.key[0]} edit {short.name} --add`.",
    )


def _held(need: Need, short: Budget) -> Refuse:
    return Refuse(
        429,
        f"This request needs {_needed(need)}; {_name(short)} has {format_usd(short.remain)} remaining,"
        f" but {format_usd(short.held)} of it is held by open requests. Try again when some of them have finished.",
        HELD_RETRY_SECONDS,
    )


def _needed(need: Need) -> str:
    """The whole worst case, and where the limit may be lowered what would do."""
    whole, least = need.nanos(need.asked), need.nanos(lowest(need))
    if least == whole:
        return format_usd(whole)
    return f"{format_usd(whole)} (at least {format_usd(least)} with its output limit lowered to {lowest(need)})"


def _name(budget: Budget) -> str:
    return f"{budget.key[0]} {budget.name}"
