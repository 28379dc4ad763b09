"""Events of the Responses API: typed, named twice (`event:` and `type`), ended by a `response.completed` and its like.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11)
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..values.usage import Count
from ..values.vendor import Quirks
from .dialect import VendorError
from .openai_errors import error_in, error_of
from .openai_stream import Grammar, Scanner, Sight, data_lines
from .openai_usage import block_at, tier_of, usage_of

TERMINAL = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "response.done",
    }
)
_CHARGED = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}
_members = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder(float_hook=str)


class _Plain(Struct, gc=False):
    """Events without any of these are deltas and items: neither the ending (`response`) nor an error (the others)."""

    response: None = None
    error: None = None
    message: None = None


def _look(name: str, data: bytes) -> Sight:
    """One event's JSON → its meaning. Raises DecodeError (ValidationError where it is JSON but no object)."""
    members = _members.decode(data)
    kind = _anything.decode(members["type"]) if "type" in members else name
    if kind in ("error", "response.error") or ("error" in members and kind not in TERMINAL):
        return Sight(error=_event_error(data))
    if kind not in TERMINAL:
        return Sight()
    response = members.get("response")
    inner = _members.decode(response) if response is not None and bytes(response).startswith(b"{") else {}
    sight = Sight(fate="end", finished=kind in ("response.completed", "response.incomplete", "response.done"))
    sight.usage = block_at(inner, "usage")
    sight.counts = tool_calls(_anything.decode(inner["output"])) if "output" in inner else {}
    sight.tier = tier_of(_anything.decode(inner["service_tier"])) if "service_tier" in inner else None
    if kind == "response.failed":
        error = error_of(bytes(inner["error"])) if "error" in inner else None
        sight.error = error or VendorError(message="The upstream's response failed without saying why")
    return sight


def tool_calls(output: object) -> dict[str, Count]:
    """Calls of the vendor's own tools that are charged one by one. Of what a web search does only searching costs;
    opening a page and finding in it are free.

    Source: https://developers.openai.com/api/docs/guides/tools-web-search (2026-11)
    """
    found: dict[str, Count] = {}
    for item in output if isinstance(output, list) else ():
        kind = item.get("type") if isinstance(item, dict) else None
        unit = _CHARGED.get(kind) if isinstance(kind, str) else None
        if unit is None or (unit == "web_searches" and not _searches(item.get("action"))):
            continue
        found[unit] = found.get(unit, 0) + 1
    return found


def _searches(action: object) -> bool:
    return not isinstance(action, dict) or action.get("type", "search") == "search"


def _event_error(data: bytes) -> VendorError | None:
    """`{"type": "error", "code": …, "message": …}` as OpenAI documents it, or an `error` object inside, as others send
    it."""
    payload: dict[str, Any] = _anything.decode(data)
    if isinstance(payload.get("error"), dict):
        return error_in(payload)
    if "message" not in payload:
        return None if payload.get("error") is None else error_in(payload)
    bare = {name: value for name, value in payload.items() if name in ("message", "code", "param", "status_code")}
    return error_in({"error": bare})


_GRAMMAR = Grammar(
    plain=msgspec.json.Decoder(_Plain).decode,
    look=_look,
    read_usage=usage_of,
    finish=re.compile(rb'"type"\s*:\s*"response\.(?:completed|incomplete|done)"'),
)


def open_stream(quirks: Quirks, *, hide_usage: bool, event_limit: int) -> Scanner:
    """A scanner for Responses events. Usage is part of the last event and never an extra one, so there is none to
    hide."""
    return Scanner(_GRAMMAR, quirks, hide_usage=hide_usage, event_limit=event_limit)


def texts_of(events: list[bytes]) -> list[str]:
    """What raw events produced: one text per item and kind, from the deltas and the names of calls."""
    texts: dict[tuple[object, ...], list[str]] = {}
    for data in data_lines(events):
        payload = _anything.decode(data)
        if not isinstance(payload, dict):
            continue
        kind, delta = payload.get("type"), payload.get("delta")
        if isinstance(kind, str) and kind.endswith(".delta") and isinstance(delta, str):
            places = (payload.get(name) for name in ("output_index", "content_index", "summary_index"))
            texts.setdefault((kind, *map(str, places)), []).append(delta)
        elif kind == "response.output_item.added":
            item = payload.get("item")
            if isinstance(item, dict) and isinstance(name := item.get("name"), str):
                texts.setdefault(("name", str(payload.get("output_index"))), []).append(name)
    return ["".join(parts) for parts in texts.values()]
