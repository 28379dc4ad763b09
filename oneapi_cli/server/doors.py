"""The table of paths: which door each one is, and which are known but not built yet. Pure."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

Kind = Literal["relay", "models", "model", "cost", "status", "health", "unbuilt", "wrong_method", "unknown"]


class Door(Struct, frozen=True, kw_only=True):
    """What a request is for. dialect: whose errors and, for `relay`, whose bodies it speaks. param: what the path
    names.
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

_COST = re.compile(r"/api/cost/request/([^/]{1,128})\Z")
_MODEL = re.compile(r"/v1/models/(.{1,512})\Z")

UNBUILT = re.compile(
    r"/v1/(?:images/(?:generations|edits|variations)|audio/(?:transcriptions|translations|speech)|messages(?:/count_tokens)?"
    r"|rerank|realtime|responses/.+|oneapi/proxy/.+|dashboard/billing/(?:subscription|usage)|edits|files(?:/.*)?|assistants(?:/.*)?"
    r"|threads(?:/.*)?|fine_tuning/.+|batches(?:/.*)?|vector_stores(?:/.*)?|videos(?:/.*)?|conversations(?:/.*)?)\Z"
    r"|/v1/models/.+:(?:generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)\Z"
    r"|/v1beta/models(?:/.*)?\Z"
    r"|/dashboard/billing/(?:subscription|usage)\Z|/api/token(?:/.*)?\Z"
)


def find_door(method: str, path: str) -> Door:
    """The door behind a method and a decoded path."""
    dialect = RELAYED.get(path)
    if dialect is not None:
        return _only(method, "POST", Door(kind="relay", dialect=dialect))
    if path in ("/v1/models", "/v1/models/"):
        return _only(method, "GET", Door(kind="models"))
    if UNBUILT.match(path):
        return Door(kind="unbuilt")
    if found := _MODEL.match(path):
        return _only(method, "GET", Door(kind="model", param=found[1]))
    if found := _COST.match(path):
        return _only(method, "GET", Door(kind="cost", param=found[1]))
    if path in ("/api/status", "/api/status/"):
        return _only(method, "GET", Door(kind="status"))
    if path == "/healthz":
        return _only(method, "GET", Door(kind="health"))
    return Door(kind="unknown")


def _only(method: str, allowed: str, door: Door) -> Door:
    if method == allowed or (method == "HEAD" and allowed == "GET"):
        return door
    return Door(kind="wrong_method", dialect=door.dialect, allow=allowed)
