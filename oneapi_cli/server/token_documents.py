"""A token as One API shows it, and what its clients send to change one. Pure.

Amounts are quota units: `remain_quota` is what is free (holds deducted, never below 0, rounded down), `used_quota` is
rounded up. `status` is derived at every look: 1 enabled, 2 disabled, 3 expired, 4 exhausted; only "disabled" is stored.
An update touches what differs from what is shown, so that a client that sends a whole token back changes nothing else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ..ledger.accounts import NewToken, TokenEdit, TokenRow
from ..values.money import MAX_NANOS, NANOS_PER_QUOTA, quota_down, quota_up
from .envelope import Declined

ENABLED, DISABLED, EXPIRED, EXHAUSTED = 1, 2, 3, 4
NEVER = -1
MOST_QUOTA = MAX_NANOS // NANOS_PER_QUOTA
LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""
MOST_NAME_CHARACTERS = 200
MOST_PATTERNS, MOST_PATTERN_CHARACTERS = 1000, 256

STILL_EXPIRED = (
    "The token has expired and cannot be enabled. Please modify the expiration time of the token, or set it to never "
    "expire."
)
STILL_EXHAUSTED = (
    "The available quota of the token has been used up and cannot be enabled. Please modify the remaining quota of the "
    "token, or set it to unlimited quota"
)
_STATUSES = {"disabled": DISABLED, "expired": EXPIRED, "exhausted": EXHAUSTED, "enabled": ENABLED}


class TokenBody(Struct, frozen=True, kw_only=True):
    """What a client sends to create or change a token; UNSET where it said nothing. Other members are passed over."""

    id: int | UnsetType = UNSET
    name: str | UnsetType = UNSET
    status: int | UnsetType = UNSET
    expired_time: int | UnsetType = UNSET
    remain_quota: int | UnsetType = UNSET
    unlimited_quota: bool | UnsetType = UNSET
    models: str | UnsetType | None = UNSET
    subnet: str | UnsetType | None = UNSET


def status_of(token: TokenRow, now: float) -> int:
    return _STATUSES[token.status_text(now)]


def token_document(token: TokenRow, now: float, *, key: str = "") -> dict[str, Any]:
    """The original's members. key: whole where it was just made; otherwise only its last four characters are known."""
    return {
        "id": token.id,
        "user_id": token.user_id,
        "key": key or f"sk-…{token.hint}",
        "status": status_of(token, now),
        "name": token.name,
        "created_time": int(token.created),
        "accessed_time": int(token.updated),
        "expired_time": NEVER if token.expires is None else int(token.expires),
        "remain_quota": quota_down(token.free),
        "unlimited_quota": token.unlimited,
        "used_quota": quota_up(token.used),
        "models": ",".join(token.models) or None,
        "subnet": ",".join(token.subnets),
    }


def new_token(body: TokenBody, key_sha256: bytes, hint: str) -> NewToken:
    """The token that a client asks for; its owner is root. Raises Declined."""
    if body.name is UNSET or not body.name.strip():
        raise Declined("Token name is required")
    unlimited = body.unlimited_quota is True
    quota = 0 if body.remain_quota is UNSET else body.remain_quota
    # The original's clients leave `expired_time` out, or send 0, for a token that never expires.
    expires = None if body.expired_time in (UNSET, 0) else _expires(body.expired_time)
    return NewToken(
        name=_name(body.name),
        key_sha256=key_sha256,
        hint=hint,
        unlimited=unlimited,
        budget_nanos=None if unlimited else _nanos(quota),
        expires=expires,
        models=_models(body.models),
        subnets=_subnets(body.subnet),
    )


def edit_of(body: TokenBody, token: TokenRow, now: float) -> TokenEdit:
    """What of `body` differs from the token as it is shown. Raises Declined: impossible values, or a token that would
    be enabled and still be expired or exhausted."""
    shown = token_document(token, now)

    def differs(member: str) -> bool:
        said = getattr(body, member)
        return said is not UNSET and said != shown[member]

    edit = TokenEdit()
    changes: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "name": ("name", _changed_name),
        "expired_time": ("expires", _expires),
        "models": ("models", _models),
        "subnet": ("subnets", _subnets),
        "unlimited_quota": ("unlimited", bool),
    }
    for member, (field, read) in changes.items():
        if differs(member):
            value = read(getattr(body, member))
            if value != getattr(token, field):
                edit = replace(edit, **{field: value})
    will_be_unlimited = token.unlimited if body.unlimited_quota is UNSET else body.unlimited_quota
    # Unlimited tokens of the original carry -1 or whatever was left over: it says nothing about them.
    if differs("remain_quota") and not (will_be_unlimited and body.remain_quota is not UNSET and body.remain_quota < 0):
        edit = replace(edit, remain_nanos=_nanos(body.remain_quota))
    return _with_status(edit, body.status, token, now)


def status_edit(body: TokenBody, token: TokenRow, now: float) -> TokenEdit:
    """`?status_only`: the status alone. Raises Declined."""
    if body.status is UNSET:
        raise Declined("status is required with status_only: 1 to enable, 2 to disable")
    return _with_status(TokenEdit(), body.status, token, now)


def _with_status(edit: TokenEdit, status: int | UnsetType, token: TokenRow, now: float) -> TokenEdit:
    """Expired and exhausted are derived, so that a client that sends them back says "enabled, and see for yourself"."""
    if status is UNSET:
        return edit
    if status not in _STATUSES.values():
        raise Declined(f"status must be 1 (enabled) or 2 (disabled), not {status}")
    if status == ENABLED:
        _check_revived(edit, token, now)
    enabled = status != DISABLED
    return edit if enabled == (token.status == ENABLED) else replace(edit, enabled=enabled)


def _check_revived(edit: TokenEdit, token: TokenRow, now: float) -> None:
    expires = token.expires if edit.expires is UNSET else edit.expires
    if token.expires is not None and token.expires < now and expires is not None and expires < now:
        raise Declined(STILL_EXPIRED)
    unlimited = token.unlimited if edit.unlimited is UNSET else edit.unlimited
    remain = token.remain if edit.remain_nanos is UNSET else edit.remain_nanos
    if not token.unlimited and token.remain <= 0 and not unlimited and remain <= 0:
        raise Declined(STILL_EXHAUSTED)


def _name(text: str) -> str:
    if len(text.strip()) > MOST_NAME_CHARACTERS:
        raise Declined("invalid token: Token name is too long")
    return text.strip()


def _changed_name(text: str) -> str:
    if not text.strip():
        raise Declined("Token name cannot be empty")
    return _name(text)


def _nanos(quota: int | UnsetType) -> int:
    assert quota is not UNSET, "the caller has looked"
    if not 0 <= quota <= MOST_QUOTA:
        raise Declined(f"remain_quota must be from 0 to {MOST_QUOTA} (500000 are $1)")
    return quota * NANOS_PER_QUOTA


def _expires(seconds: int | UnsetType) -> float | None:
    assert seconds is not UNSET, "the caller has looked"
    if not NEVER <= seconds <= LAST_SECOND:
        raise Declined(f"expired_time must be -1 (never) or unix seconds up to {LAST_SECOND}")
    return None if seconds == NEVER else float(seconds)


def _models(text: str | UnsetType | None) -> tuple[str, ...]:
    patterns = _parts(text)
    if len(patterns) > MOST_PATTERNS or any(
        len(name) > MOST_PATTERN_CHARACTERS or not name.isprintable() for name in patterns
    ):
        raise Declined(
            f"models must be at most {MOST_PATTERNS} names or globs, printable, "
            f"of at most {MOST_PATTERN_CHARACTERS} characters each"
        )
    return tuple(patterns)


def _subnets(text: str | UnsetType | None) -> tuple[str, ...]:
    found = []
    for part in _parts(text):
        try:
            if "/" not in part:
                raise ValueError
            found.append(str(ipaddress.ip_network(part, strict=False)))
        except ValueError:
            raise Declined(f"invalid token: invalid subnet: {part[:60]!r} is not a CIDR such as 10.0.0.0/8") from None
    return tuple(found)


def _parts(text: str | UnsetType | None) -> Sequence[str]:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else []
