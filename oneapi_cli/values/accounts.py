"""Who is asking: a token, the user above it, and what both may do."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

ROOT_USER_ID = 1


class Account(Struct, frozen=True, kw_only=True):
    """A user or a token as last read. Balances are not here: only the admission transaction may look at those.

    version changes with every edit of anything below; admission refuses a stale one. status: 1 enabled, 2 disabled.
    expires: unix seconds, None for never. models: globs, () for all. subnets: CIDRs, () for all. clamp: None is the
    default (lower ordinary models, not reasoning ones), True also reasoning ones, False never. holds: auto |
    worst_case | rolling.
    """

    id: int
    name: str
    version: int
    status: int = 1
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


class Principal(Struct, frozen=True, kw_only=True):
    """An authenticated caller. remain: what each account had left when read, for error texts only."""

    token: Account
    user: Account
    admin: bool = False
    groups: tuple[str, ...] = ()
    multiplier: Decimal = Decimal(1)
    token_remain: int = 0
    user_remain: int = 0

    @property
    def limited(self) -> bool:
        """Whether any budget above this caller can run out."""
        return not (self.token.unlimited and self.user.unlimited)
