"""One API's envelope: `{"success", "message", "data"}`, with status 200 also where the answer is no.

What a client may have got wrong is a `Declined`, a sentence and nothing else. What stands between it and an answer
(no key, no ledger) stays a GatewayError and keeps its status; `errors.py` gives that the same two members.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from ..framing.members import check_members, members
from ..ledger.faults import LedgerError
from ..values.asks import Ask
from ..values.errors import BadRequest
from .errors import REQUEST_ID

T = TypeVar("T", bound=msgspec.Struct)

MOST_PAGE = 10**9
MOST_SIZE = 100
PAGE_SIZE = 10

_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`(?: - at `\$\.?(?P<member>[^`]*)`)?")
_KINDS = {
    "int": "a whole number",
    "str": "a string",
    "bool": "true or false",
    "float": "a number",
    "null": "null",
    "array": "a list",
    "object": "an object",
}


class Declined(Exception):
    """A business failure: 200, `success: false` and this sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def success(ask: Ask, data: object = None, **beside: object) -> web.Response:
    """`data` and whatever stands beside it, such as `total`."""
    document: dict[str, object] = {"success": True, "message": ""}
    if data is not None:
        document["data"] = data
    return json_response(ask, {**document, **beside})


async def answer(ask: Ask, work: Callable[[], Awaitable[web.Response]]) -> web.Response:
    """What `work` answers; its refusals (and the ledger's) as `success: false`. Raises GatewayError."""
    try:
        return await work()
    except Declined as no:
        return json_response(ask, {"success": False, "message": no.sentence})
    except LedgerError as no:
        return json_response(ask, {"success": False, "message": no.sentence})


def json_response(ask: Ask, document: Mapping[str, object]) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document), content_type="application/json", headers={REQUEST_ID: ask.id}
    )


def read_object(body: bytes, kind: type[T]) -> T:
    """The members of a JSON object that `kind` names, types taken strictly, others passed over.

    Raises Declined: not a JSON object, a member given twice or in other capitals, a value of another type.
    """
    try:
        check_members(members(body), frozenset(kind.__struct_fields__))
        return msgspec.json.decode(body, type=kind)
    except BadRequest as no:
        raise Declined(no.message) from None
    except msgspec.ValidationError as no:
        raise Declined(_sentence(str(no))) from None


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """(offset, limit) of `?p=` (from 0) and `?size=` (10, at most 100). Raises Declined."""
    size = min(_count(query, "size", PAGE_SIZE, least=1), MOST_SIZE)
    return _count(query, "p", 0, least=0) * size, size


def time_of(query: Mapping[str, str], name: str) -> float | None:
    """Unix seconds; None where the parameter is absent or 0. Raises Declined."""
    return float(_count(query, name, 0, least=0)) or None


def _count(query: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or int(text) < least:
        raise Declined(f"`{name}` must be a whole number from {least} up, not {text[:40]!r}")
    return min(int(text), MOST_PAGE * 10)


def _sentence(said: str) -> str:
    """msgspec's words for a wrong type → ours."""
    found = _WRONG_TYPE.match(said)
    if found is None:
        return f"The request body cannot be used: {said.replace('`$.', '`')}"
    wanted, got = (_in_words(found[name]) for name in ("wanted", "got"))
    member = f"`{found['member']}`" if found["member"] else "The request body"
    return f"{member} must be {wanted}, not {got}"


def _in_words(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind.strip(), kind.strip()) for kind in kinds.split("|"))


def required(value: Any, sentence: str) -> Any:
    """`value` unless it is UNSET. Raises Declined."""
    if value is msgspec.UNSET:
        raise Declined(sentence)
    return value
