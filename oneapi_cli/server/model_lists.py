"""What a key may use now, in the words of whoever asks: OpenAI's, Anthropic's or Google's list of models.

Names are those that clients use; a page of one list is what its SDK pages through. Sources:
https://platform.openai.com/docs/api-reference/models · https://docs.claude.com/en/api/models-list ·
https://ai.google.dev/api/models (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from ..dialects import anthropic_messages, gemini
from ..dialects.gemini import model_entry, model_list
from ..gateway.authenticate import Caller
from ..gateway.gate import Gate
from ..gateway.plan import dialect_to_speak
from ..routing.select import allows, candidates, served_names
from ..values.asks import Ask
from ..values.errors import BadRequest, NotFound
from ..values.vendor import Channel, Traits
from .envelope import json_response

MODELS_CREATED = 1626777600
"""The timestamp that One API's clients know from `/v1/models` (reference 4.5)."""
_CREATED_TEXT = "2021-07-20T10:40:00Z"
_PERMISSION = {
    "id": "modelperm-LwHkVFn8AcMItP432fKKDIKJ",
    "object": "model_permission",
    "created": MODELS_CREATED,
    "allow_create_engine": True,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}
_MOST_PAGE = 1000
_ANTHROPIC_PAGE, _GEMINI_PAGE = 20, 50

Shape = Callable[[str, Channel, Traits], dict[str, Any]]


def list_models(ask: Ask, caller: Caller, gate: Gate, dialect: str) -> web.Response:
    """The list, or the page of it that was asked for. Raises BadRequest for a page that there is not."""
    names = served_names(gate.channels, caller.principal.groups)
    usable = [name for name in sorted(names) if may_use(caller, name, gate)]
    shape = _SHAPES.get(dialect, _openai)

    def shaped(page: Sequence[str]) -> list[dict[str, Any]]:
        return [shape(name, names[name], gate.traits(names[name].models[name])) for name in page]

    if dialect == anthropic_messages.NAME:
        page, more = _anthropic_page(usable, ask.query)
        ends = {"first_id": page[0] if page else None, "last_id": page[-1] if page else None}
        return json_response(ask, {"data": shaped(page), "has_more": more, **ends})
    if dialect == gemini.NAME:
        page, token = _gemini_page(usable, ask.query)
        return json_response(ask, model_list(shaped(page), token))
    return json_response(ask, {"object": "list", "data": shaped(usable)})


def one_model(ask: Ask, name: str, caller: Caller, gate: Gate, dialect: str) -> web.Response:
    """One model. Raises NotFound for a name that this token may not use, whether or not it exists."""
    if may_use(caller, name, gate):
        found = candidates(name, _any_dialect, caller.principal.groups, gate.channels, gate.spoken)
        if found:
            shape = _SHAPES.get(dialect, _openai)
            return json_response(ask, shape(name, found[0].channel, gate.traits(found[0].model_sent)))
    raise NotFound(
        f"The model '{name[:200]}' does not exist or this key may not use it",
        code="model_not_found",
        member="model",
    )


def may_use(caller: Caller, name: str, gate: Gate) -> bool:
    """Whether token, user and pin let this caller ask for a model by that name."""
    principal = caller.principal
    if not (allows(principal.token.models, name) and allows(principal.user.models, name)):
        return False
    return not caller.pin or any(c.name == caller.pin and name in c.models for c in gate.channels)


def _any_dialect(spoken: Mapping[str, str]) -> str:
    return dialect_to_speak("openai_chat", spoken) or next(iter(spoken), "")


def _openai(name: str, channel: Channel, traits: Traits) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": MODELS_CREATED,
        "owned_by": channel.vendor.name,
        "permission": [_PERMISSION],
        "root": name,
        "parent": None,
    }


def _anthropic(name: str, channel: Channel, traits: Traits) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_TEXT}


def _gemini(name: str, channel: Channel, traits: Traits) -> dict[str, Any]:
    return model_entry(name, traits)


_SHAPES: Mapping[str, Shape] = {"anthropic_messages": _anthropic, "gemini": _gemini}


def _anthropic_page(names: Sequence[str], query: Mapping[str, str]) -> tuple[Sequence[str], bool]:
    size = _size(query.get("limit", ""), _ANTHROPIC_PAGE, "limit")
    if after := query.get("after_id", ""):
        names = names[_place(names, after) + 1 :]
    elif before := query.get("before_id", ""):
        names = names[: _place(names, before)]
        return names[-size:], len(names) > size
    return names[:size], len(names) > size


def _gemini_page(names: Sequence[str], query: Mapping[str, str]) -> tuple[Sequence[str], str]:
    size = _size(query.get("pageSize", ""), _GEMINI_PAGE, "pageSize")
    start = 0
    if token := query.get("pageToken", ""):
        if not (token.isascii() and token.isdigit() and len(token) < 9):
            raise BadRequest("`pageToken` is none of ours", member="pageToken")
        start = int(token)
    end = start + size
    return names[start:end], str(end) if end < len(names) else ""


def _place(names: Sequence[str], id: str) -> int:
    if id not in names:
        raise BadRequest("`after_id` and `before_id` name a model of the list", member="after_id")
    return names.index(id)


def _size(text: str, default: int, member: str) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text)):
        raise BadRequest(f"`{member}` must be a whole number from 1 to {_MOST_PAGE}", member=member)
    return min(int(text), _MOST_PAGE)
