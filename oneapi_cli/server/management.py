"""`/api/token/`: the tokens of this gateway, for whoever has the `admin_key`. Shapes of the reference's 2.2 and 2.3.

Every edit is one transaction that reads the token it changes, so it bites on the very next request of every worker and
two at once cannot mix. A key is whole only in the answer to its creation: the ledger has its digest alone.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from ..gateway.authenticate import read_key
from ..ledger import accounts
from ..ledger.accounts import TokenRow
from ..ledger.book import Book
from ..ledger.keys import hint_of, new_key
from ..values.asks import Ask
from ..values.errors import Unauthenticated
from .envelope import Declined, page_of, read_object, required, success
from .token_documents import TokenBody, edit_of, new_token, status_edit, token_document
from .upkeep import brought_up

ACTOR = "api"
_ORDERS: dict[str, Callable[[TokenRow], Any]] = {
    "id": lambda token: token.id,
    "name": lambda token: token.name,
    "created_time": lambda token: token.created,
    "accessed_time": lambda token: token.updated,
    "remain_quota": lambda token: (token.unlimited, token.free),
    "used_quota": lambda token: token.used,
}


def is_admin(ask: Ask, admin_key: str) -> bool:
    """Whether the admin's key came with this request, compared in constant time. Never where there is none."""
    said = read_key(ask.headers, ask.query, ask.path)
    digests = (hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest() for key in (said, admin_key))
    return bool(admin_key) and hmac.compare_digest(*digests)


def check_admin(ask: Ask, admin_key: str) -> None:
    """Raises Unauthenticated."""
    if not admin_key:
        raise Unauthenticated("This is off: it needs an `admin_key` in config.yaml", code="admin_key_not_set")
    if not is_admin(ask, admin_key):
        raise Unauthenticated(
            "No permission to perform this operation: send the gateway's `admin_key` as `Authorization: Bearer …`",
            code="invalid_admin_key",
        )


class Management:
    """Handlers over one ledger; each returns an answer or raises Declined, LedgerError, GatewayError."""

    def __init__(self, book: Book, now: Callable[[], float]) -> None:
        self._book, self._now = book, now

    async def collection(self, ask: Ask) -> web.Response:
        if ask.method == "POST":
            return await self._create(ask)
        if ask.method == "PUT":
            return await self._update(ask)
        return await self._list(ask, "")

    async def search(self, ask: Ask) -> web.Response:
        """`?keyword=`: names that begin with it."""
        return await self._list(ask, ask.query.get("keyword", ""))

    async def item(self, ask: Ask, id: str) -> web.Response:
        if ask.method == "DELETE":
            await self._book.write(lambda db: accounts.remove_token(db, _id(id), now=self._now()))
            return success(ask)
        await brought_up(self._book)
        token = await self._book.read(lambda db: accounts.get_token(db, _id(id)))
        return success(ask, token_document(token, self._now()))

    async def _list(self, ask: Ask, prefix: str) -> web.Response:
        offset, limit = page_of(ask.query)
        arrange = _arrangement(ask)
        await brought_up(self._book)
        tokens = await self._book.read(accounts.list_tokens)
        found = arrange([token for token in tokens if token.name.startswith(prefix)])
        page = [token_document(token, self._now()) for token in found[offset : offset + limit]]
        return success(ask, page, total=len(found))

    async def _create(self, ask: Ask) -> web.Response:
        body = read_object(await ask.body.read(), TokenBody)
        key, digest = new_key()
        new = new_token(body, digest, hint_of(key))
        token = await self._book.write(lambda db: accounts.add_token(db, new, now=self._now(), actor=ACTOR))
        return success(ask, token_document(token, self._now(), key=key))

    async def _update(self, ask: Ask) -> web.Response:
        body = read_object(await ask.body.read(), TokenBody)
        id = required(body.id, "id is required: the token's number")
        edit = status_edit if ask.query.get("status_only") else edit_of

        def work(db: sqlite3.Connection) -> TokenRow:
            token, now = accounts.get_token(db, _id(str(id))), self._now()
            return accounts.edit_token(db, token.id, edit(body, token, now), now=now, actor=ACTOR)

        return success(ask, token_document(await self._book.write(work), self._now()))


def _arrangement(ask: Ask) -> Callable[[Sequence[TokenRow]], list[TokenRow]]:
    """`?order=remain_quota|used_quota` as the original sorts (most first), or `?sort=MEMBER&order=asc|desc`."""
    sort, order = ask.query.get("sort", ""), ask.query.get("order", "")
    if order in _ORDERS and not sort:
        sort, order = order, "desc"
    if (sort or "id") not in _ORDERS or order not in ("", "asc", "desc"):
        raise Declined(f"tokens can be sorted by {', '.join(_ORDERS)}, with `order=asc` or `desc`")
    return partial(sorted, key=_ORDERS[sort or "id"], reverse=order != "asc")


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Declined(f"{text[:40]!r} is not a token's id; ids are whole numbers, and the list shows them")
    return int(text)
