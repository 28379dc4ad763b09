"""The table of paths: which door each one is, and which are known but not built yet. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from ..values.asks import NO_PARAMS, Params

Kind = Literal[
    "relay", "count", "stored", "models", "model", "cost", "status", "health", "metrics",
    "subscription", "usage", "consume", "balance", "transactions", "logs",
    "tokens", "token_search", "token",
    "unbuilt", "wrong_method", "unknown",
]  # fmt: skip

ENVELOPE = "envelope"
"""The dialect of `/api/`: One API's `success` and `message`."""


class Door(Struct, frozen=True, kw_only=True):
    """What a request is for. dialect: whose errors and, for `relay`, whose bodies it speaks. param: what the path
    names. params: what it says of a relayed request. label: its name in the metrics, where the path holds a client's
    own words. allow: the methods that would do, where this one does not.
    """

    kind: Kind
    dialect: str = "openai_chat"
    param: str = ""
    params: Params = NO_PARAMS
    label: str = ""
    allow: str = ""


RELAYED = {
    "/v1/chat/completions": "openai_chat",
    "/v1/completions": "openai_completions",
    "/v1/embeddings": "openai_embeddings",
    "/v1/moderations": "openai_moderations",
    "/v1/responses": "openai_responses",
    "/v1/messages": "anthropic_messages",
    "/v1/images/generations": "openai_images",
    "/v1/images/edits": "openai_image_edits",
    "/v1/images/variations": "openai_image_variations",
    "/v1/audio/speech": "openai_speech",
    "/v1/audio/transcriptions": "openai_transcriptions",
    "/v1/audio/translations": "openai_translations",
    "/v1/rerank": "rerank",
    "/v2/rerank": "rerank",
}

GET, POST = ("GET",), ("POST",)
SERVED: Mapping[str, tuple[tuple[str, ...], Door]] = {
    "/v1/models": (GET, Door(kind="models")),
    "/v1beta/models": (GET, Door(kind="models", dialect="gemini")),
    "/v1/messages/count_tokens": (POST, Door(kind="count", dialect="anthropic_messages")),
    "/v1/responses/input_tokens": (POST, Door(kind="count", dialect="openai_responses")),
    "/v1/responses/compact": (
        POST,
        Door(kind="relay", dialect="openai_responses", params={"action": "compact"}, label="/v1/responses/compact"),
    ),
    "/healthz": (GET, Door(kind="health")),
    "/metrics": (GET, Door(kind="metrics")),
    "/api/status": (GET, Door(kind="status")),
    "/dashboard/billing/subscription": (GET, Door(kind="subscription")),
    "/v1/dashboard/billing/subscription": (GET, Door(kind="subscription")),
    "/dashboard/billing/usage": (GET, Door(kind="usage")),
    "/v1/dashboard/billing/usage": (GET, Door(kind="usage")),
    "/api/token/consume": (POST, Door(kind="consume", dialect=ENVELOPE)),
    "/api/token/balance": (GET, Door(kind="balance", dialect=ENVELOPE)),
    "/api/token/transactions": (GET, Door(kind="transactions", dialect=ENVELOPE)),
    "/api/token/logs": (GET, Door(kind="logs", dialect=ENVELOPE)),
    "/api/token": (("GET", "POST", "PUT"), Door(kind="tokens", dialect=ENVELOPE)),
    "/api/token/search": (GET, Door(kind="token_search", dialect=ENVELOPE)),
}
"""Whole paths, with or without a slash at their end."""

_COST = re.compile(r"/api/cost/request/([^/]{1,128})\Z")
_MODEL = re.compile(r"/v1/models/(.{1,512})\Z")
_GEMINI = re.compile(
    r"/(?:v1beta|v1)/models/(.{1,256})"
    r":(generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)\Z"
)
_EMBEDS = {"embedContent": "gemini_embed", "batchEmbedContents": "gemini_batch_embed"}
_GEMINI_MODEL = re.compile(r"/v1beta/models/([^:]{1,256})\Z")
_STORED = re.compile(r"/v1/responses/([A-Za-z0-9_-]{1,200})(?:/(cancel|input_items))?\Z")
_TOKEN = re.compile(r"/api/token/([^/]{1,128})/?\Z")

UNBUILT = re.compile(
    r"/v1/(?:realtime|oneapi/proxy/.+|edits|files(?:/.*)?|assistants(?:/.*)?"
    r"|threads(?:/.*)?|fine_tuning/.+|batches(?:/.*)?|vector_stores(?:/.*)?|videos(?:/.*)?|conversations(?:/.*)?)\Z"
)


def find_door(method: str, path: str) -> Door:
    """The door behind a method and a decoded path."""
    dialect = RELAYED.get(path)
    if dialect is not None:
        return _only(method, POST, Door(kind="relay", dialect=dialect))
    served = SERVED.get(path) or SERVED.get(path.removesuffix("/"))
    if served is not None:
        return _only(method, *served)
    if UNBUILT.match(path):
        return Door(kind="unbuilt", dialect=_family(path))
    if found := _GEMINI.match(path):
        return _only(method, POST, _gemini(found[1], found[2]))
    if found := _GEMINI_MODEL.match(path):
        return _only(method, GET, Door(kind="model", dialect="gemini", param=found[1]))
    if found := _STORED.match(path):
        allowed = {"": ("GET", "DELETE"), "cancel": POST, "input_items": GET}[found[2] or ""]
        return _only(method, allowed, Door(kind="stored", dialect="openai_responses", param=found[1]))
    if found := _MODEL.match(path):
        return _only(method, GET, Door(kind="model", param=found[1]))
    if found := _COST.match(path):
        return _only(method, GET, Door(kind="cost", param=found[1]))
    if found := _TOKEN.match(path):
        return _only(method, ("GET", "DELETE"), Door(kind="token", dialect=ENVELOPE, param=found[1]))
    return Door(kind="unknown", dialect=_family(path))


def _gemini(model: str, action: str) -> Door:
    """Gemini's paths name the model and what is wanted of it."""
    if action == "countTokens":
        return Door(kind="count", dialect="gemini", param=model)
    if action in _EMBEDS:
        return Door(kind="relay", dialect=_EMBEDS[action], params={"model": model}, label=f"/v1beta/models/:{action}")
    stream = "1" if action == "streamGenerateContent" else ""
    params = {"model": model, "stream": stream}
    return Door(kind="relay", dialect="gemini", params=params, label=f"/v1beta/models/:{action}")


def _family(path: str) -> str:
    """Whose errors a path gets that leads nowhere."""
    if path.startswith("/api/token/"):
        return ENVELOPE
    if path.startswith("/v1beta/") or path.endswith((":embedContent", ":batchEmbedContents")):
        return "gemini"
    return "anthropic_messages" if path.startswith("/v1/messages/") else "openai_chat"


def _only(method: str, allowed: tuple[str, ...], door: Door) -> Door:
    if method in allowed or (method == "HEAD" and "GET" in allowed):
        return door
    return Door(kind="wrong_method", dialect=door.dialect, allow=", ".join(allowed))
