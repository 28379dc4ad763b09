"""Who is asking. Reads the key from where each vendor's SDK puts it, and checks what does not depend on the request's
body.

A principal may come from the ledger's cache: admission re-tests versions inside its transaction, so a stale one can
never spend. It can only be *refused* wrongly, and therefore every refusal here is decided on a fresh read.

An exhausted key is not refused here but after pricing, because what costs nothing needs no balance.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from msgspec import Struct

from ..ledger.book import Book
from ..ledger.keys import digest_of
from ..values.accounts import Account, Principal
from ..values.asks import Ask, Headers
from ..values.errors import BadRequest, Forbidden, Unauthenticated
from .gate import Gate

ENABLED = 1
_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_PROTOCOL = "openai-insecure-api-key."


class Caller(Struct, frozen=True):
    """A principal and the channel it is pinned to ("" for none). digest finds the same token again."""

    principal: Principal
    digest: bytes
    pin: str = ""


def read_key(headers: Headers, query: Mapping[str, str], path: str) -> str:
    """The relay key as presented, without its scheme; "" when there is none.

    `Authorization` (Bearer optional, any case), `x-api-key`, `api-key`, `x-goog-api-key`, `?key=` on Gemini's paths
    only, or the realtime WebSocket subprotocol; the first that is not empty.
    """
    text = headers.get("authorization", "").strip()
    if text[:7].lower() == "bearer ":
        text = text[7:].strip()
    if text and text.lower() != "bearer":
        return text
    for name in _KEY_HEADERS:
        if found := headers.get(name, "").strip():
            return found
    if _is_geminis(path) and (found := query.get("key", "").strip()):
        return found
    for item in headers.get("sec-websocket-protocol", "").split(","):
        if item.strip().startswith(_PROTOCOL):
            return item.strip()[len(_PROTOCOL) :]
    return ""


def _is_geminis(path: str) -> bool:
    """Whether a path is one of Gemini's, whose SDK may send its key in the query. `/v1/models/{id}` is OpenAI's too."""
    return path.startswith("/v1beta/models") or (path.startswith("/v1/models/") and ":" in path.rpartition("/")[2])


async def authenticate(ask: Ask, gate: Gate, *, fresh: bool = False) -> Caller:
    """The caller behind this request's key. Raises Unauthenticated (401), Forbidden (403: subnet, pin, owner).

    fresh: for answers that no admission stands behind.
    """
    key = read_key(ask.headers, ask.query, ask.path)
    if not key:
        raise Unauthenticated(
            "No token provided: send your oneapi key as `Authorization: Bearer sk-…`, or as x-api-key, api-key or "
            "x-goog-api-key"
        )
    caller = await _find(key, gate, fresh)
    problem = refusal(caller.principal, ask.peer, gate.now())
    if problem is not None:
        caller = await reread(caller, gate.book)
        problem = refusal(caller.principal, ask.peer, gate.now())
        if problem is not None:
            raise problem
    if caller.pin and not caller.principal.admin:
        raise Forbidden("Ordinary users do not support specifying channels: only an admin's token may pin one")
    return caller


async def reread(caller: Caller, book: Book) -> Caller:
    """The same caller as the ledger has it now. Raises Unauthenticated when the token is gone."""
    principal = await book.find(caller.digest, fresh=True)
    if principal is None:
        raise _unknown()
    return Caller(principal, caller.digest, caller.pin)


def refusal(principal: Principal, peer: str, now: float) -> Unauthenticated | Forbidden | None:
    """Why this caller may not come in at all, or None: status and expiry of the token, subnet, then the owner.

    The owner's subnets bind all of its tokens.
    """
    token, user = principal.token, principal.user
    if token.status != ENABLED:
        return Unauthenticated(f"Token {token.name} (#{token.id}) is disabled; enable it with `oneapi token edit`")
    if _expired(token, now):
        return Unauthenticated(
            f"Token {token.name} (#{token.id}) has expired; extend it with `oneapi token edit --expires`"
        )
    for account in (token, user):
        if account.subnets and not in_subnets(peer, account.subnets):
            allowed = ", ".join(account.subnets)
            return Forbidden(f"This API key can only be used in the specified subnet: {allowed}, current IP: {peer}")
    if user.status != ENABLED or _expired(user, now):
        return Forbidden("User has been banned: the owner of this key is disabled or has expired")
    return None


def exhausted(principal: Principal) -> Unauthenticated | None:
    """The 401 for a limited token with nothing left, or None."""
    token = principal.token
    if token.unlimited or principal.token_remain > 0:
        return None
    return Unauthenticated(
        f"Token {token.name} (#{token.id}) quota has been used up; "
        f"top it up with `oneapi token edit {token.id} --add $5`"
    )


def in_subnets(peer: str, subnets: tuple[str, ...]) -> bool:
    """Whether the client's address lies in any of the CIDRs. IPv4-mapped IPv6 addresses count as IPv4."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped if mapped is not None else address
    return any(address in ipaddress.ip_network(subnet, strict=False) for subnet in subnets)


def _expired(account: Account, now: float) -> bool:
    return account.expires is not None and account.expires <= now


def _unknown() -> Unauthenticated:
    return Unauthenticated(
        "Invalid API key: no token of this gateway has it; `oneapi token list` shows those that exist"
    )


async def _find(key: str, gate: Gate, fresh: bool) -> Caller:
    """The whole string first; only if that is unknown and it ends in `-` and a channel's name, the rest with a pin."""
    if len(key) > 4096:
        raise BadRequest("The API key is longer than 4096 characters")
    digest = digest_of(key)
    if (principal := await gate.book.find(digest, fresh)) is not None:
        return Caller(principal, digest)
    for name in sorted((channel.name for channel in gate.channels), key=len, reverse=True):
        if key.endswith("-" + name):
            digest = digest_of(key[: -len(name) - 1])
            if (principal := await gate.book.find(digest, fresh)) is not None:
                return Caller(principal, digest, name)
    raise _unknown()
