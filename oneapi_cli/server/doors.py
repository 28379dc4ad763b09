"""The table of paths: which door each one is, and which are known but not built yet. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Kind = Literal[
    "relay", "models", "model", "cost", "status", "health", "metrics",
    "subscription", "usage", "consume", "balance", "transactions", "logs",
    "tokens", "token_search", "token",
    "unbuilt", "wrong_method", "unknown",
]  # fmt: skip

ENVELOPE = "envelope"
"""The dialect of `/api/`: One API's `success` and `message`."""


class Door(Struct, frozen=True, kw_only=True):
    """What a request is for. dialect: whose errors and, for `relay`, whose bodies it speaks. param: what the path
    names. allow: the methods that would do, where this one does not.
    """

    kind: Kind
    dialect: str = "openai_chat"
    param: str = ""
    allow: str = ""


RELAYED = {
    "/v1/chat/completions": "openai_chat",
    "/v1/completions": "openai_completions",
    "/v1/embeddings": "openai_embeddings",
    "/v1/moderations": "openai_moderations",
    "/v1/responses": "openai_responses",
}

GET, POST = ("GET",), ("POST",)
SERVED: Mapping[str, tuple[tuple[str, ...], Door]] = {
    "/v1/models": (GET, Door(kind="models")),
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
_TOKEN = re.compile(r"/api/token/([^/]{1,128})/?\Z")

UNBUILT = re.compile(
    r"/v1/(?:images/(?:generations|edits|variations)|audio/(?:transcriptions|translations|speech)|messages(?:/count_tokens)?"
    r"|rerank|realtime|responses/.+|oneapi/proxy/.+|edits|files(?:/.*)?|assistants(?:/.*)?"
    r"|threads(?:/.*)?|fine_tuning/.+|batches(?:/.*)?|vector_stores(?:/.*)?|videos(?:/.*)?|conversations(?:/.*)?)\Z"
    r"|/v1/models/.+:(?:generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)\Z"
    r"|/v1beta/models(?:/.*)?\Z"
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
        return Door(kind="unbuilt")
    if found := _MODEL.match(path):
        return _only(method, GET, Door(kind="model", param=found[1]))
    if found := _COST.match(path):
        return _only(method, GET, Door(kind="cost", param=found[1]))
    if found := _TOKEN.match(path):
        return _only(method, ("GET", "DELETE"), Door(kind="token", dialect=ENVELOPE, param=found[1]))
    return Door(kind="unknown", dialect=ENVELOPE if path.startswith("/api/token/") else "openai_chat")


def _only(method: str, allowed: tuple[str, ...], door: Door) -> Door:
    if method in allowed or (method == "HEAD" and "GET" in allowed):
        return door
    return Door(kind="wrong_method", dialect=door.dialect, allow=", ".join(allowed))
