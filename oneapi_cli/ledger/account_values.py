"""What an account is made of: as it is asked for, as it is edited, as it stands. Plain values; `accounts.py` does the
work.

Money is in nanos, times are unix seconds. UNSET in an edit leaves the member alone, None clears it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from ..values.accounts import ROOT_USER_ID

Period = Literal["day", "week", "month"]


class NewAccount(Struct, frozen=True, kw_only=True):
    """What a token and a user have in common when they are made.

    Either a budget (nanos) or unlimited; times are unix seconds.
    """

    name: str
    budget_nanos: int | None = None
    budget_period: Period | None = None
    unlimited: bool = False
    expires: float | None = None
    models: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None
    clamp: bool | None = None
    holds: str = "auto"
    passthrough: bool = False


class NewToken(NewAccount, frozen=True, kw_only=True):
    """key_sha256 and hint come from `keys.py`; user: the owner's name or id."""

    key_sha256: bytes
    hint: str = ""
    user: str | int = ROOT_USER_ID


class NewUser(NewAccount, frozen=True, kw_only=True):
    admin: bool = False
    groups: tuple[str, ...] = ()
    multiplier: Decimal = Decimal(1)


class AccountEdit(Struct, frozen=True, kw_only=True):
    """What changes; UNSET leaves it alone. Of remain, add and budget at most one.

    remain_nanos (≥ 0) is set outright, add_nanos moves it; both last until a recurring budget rolls over. budget_nanos
    makes the account limited: what remains moves by the difference to the budget before; without one before
    (unlimited), or where the period changes, the budget is what remains. budget_nanos without budget_period does not
    recur; budget_period alone makes the budget there is recur (None: no more).
    """

    name: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    remain_nanos: int | UnsetType = UNSET
    add_nanos: int | UnsetType = UNSET
    budget_nanos: int | UnsetType = UNSET
    budget_period: Period | UnsetType | None = UNSET
    unlimited: bool | UnsetType = UNSET
    expires: float | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    subnets: tuple[str, ...] | UnsetType = UNSET
    rpm: int | UnsetType | None = UNSET
    tpm: int | UnsetType | None = UNSET
    concurrent: int | UnsetType | None = UNSET
    clamp: bool | UnsetType | None = UNSET
    holds: str | UnsetType = UNSET
    passthrough: bool | UnsetType = UNSET


class TokenEdit(AccountEdit, frozen=True, kw_only=True):
    user: str | int | UnsetType = UNSET


class UserEdit(AccountEdit, frozen=True, kw_only=True):
    admin: bool | UnsetType = UNSET
    groups: tuple[str, ...] | UnsetType = UNSET
    multiplier: Decimal | UnsetType = UNSET


class AccountRow(Struct, frozen=True, kw_only=True):
    """An account as it stands. Money in nanos; status: 1 enabled, 2 disabled (by hand, or gone from the config).

    budget_reset: when a recurring budget rolls over next; None where it does not recur, or until somebody with a time
    zone has looked. last_reset: when it last did. held_past: what of `held` belongs to periods before that, and weighs
    on nothing now.
    """

    id: int
    name: str
    version: int
    status: int
    unlimited: bool
    granted: int
    used: int
    held: int
    open_holds: int
    budget: int | None
    budget_period: Period | None
    budget_reset: float | None
    last_reset: float | None
    held_past: int
    expires: float | None
    models: tuple[str, ...]
    subnets: tuple[str, ...]
    rpm: int | None
    tpm: int | None
    concurrent: int | None
    clamp: bool | None
    holds: str
    passthrough: bool
    created: float
    updated: float

    @property
    def remain(self) -> int:
        return self.granted - self.used

    @property
    def free(self) -> int:
        return self.remain - self.held + self.held_past

    def status_text(self, now: float) -> str:
        """disabled, expired, exhausted or enabled: the first that applies."""
        if self.status != 1:
            return "disabled"
        if self.expires is not None and self.expires < now:
            return "expired"
        return "exhausted" if not self.unlimited and self.remain <= 0 else "enabled"


class TokenRow(AccountRow, frozen=True, kw_only=True):
    """source: cli or declared; declared_at: file and line of a declared one; hint: the key's last four characters."""

    user_id: int
    user: str
    hint: str
    source: str
    declared_at: str
    absent: bool


class UserRow(AccountRow, frozen=True, kw_only=True):
    admin: bool
    groups: tuple[str, ...]
    multiplier: Decimal
