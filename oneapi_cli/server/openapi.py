"""OpenAPI 3.1 of what this gateway answers: its own endpoints with their shapes, and the vendors' doors by name.

The bodies of the doors are the vendors' own and are documented by them; here they are objects. A path stands in the
document if the table of doors knows it, so that nothing is promised which answers 501.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from .. import __version__
from .doors import find_door


class Endpoint(Struct, frozen=True):
    """body: what it takes (json, none); gives: json or events too; open: no key is asked for."""

    method: str
    path: str
    summary: str
    body: bool = False
    gives: str = "json"
    open: bool = False
    admin: bool = False


_ENDPOINTS = (
    Endpoint("POST", "/v1/chat/completions", "OpenAI: a chat completion.", True, "events"),
    Endpoint("POST", "/v1/completions", "OpenAI: a completion of a prompt.", True, "events"),
    Endpoint("POST", "/v1/embeddings", "OpenAI: embeddings.", True),
    Endpoint("POST", "/v1/moderations", "OpenAI: a moderation.", True),
    Endpoint("POST", "/v1/responses", "OpenAI: a response.", True, "events"),
    Endpoint("GET", "/v1/responses/{id}", "OpenAI: a response that the vendor keeps."),
    Endpoint("DELETE", "/v1/responses/{id}", "OpenAI: delete it."),
    Endpoint("POST", "/v1/responses/{id}/cancel", "OpenAI: cancel it."),
    Endpoint("GET", "/v1/responses/{id}/input_items", "OpenAI: what went into it."),
    Endpoint("POST", "/v1/responses/input_tokens", "OpenAI: the input tokens of a response.", True),
    Endpoint("POST", "/v1/responses/compact", "OpenAI: a conversation made short.", True),
    Endpoint("POST", "/v1/images/generations", "OpenAI: images from a prompt.", True),
    Endpoint("POST", "/v1/images/edits", "OpenAI: edited images.", True),
    Endpoint("POST", "/v1/images/variations", "OpenAI: variations of an image.", True),
    Endpoint("POST", "/v1/audio/speech", "OpenAI: speech from text.", True),
    Endpoint("POST", "/v1/audio/transcriptions", "OpenAI: text from speech.", True),
    Endpoint("POST", "/v1/audio/translations", "OpenAI: English text from speech.", True),
    Endpoint("POST", "/v1/rerank", "Cohere: documents by relevance.", True),
    Endpoint("POST", "/v2/rerank", "The same.", True),
    Endpoint("POST", "/v1beta/models/{model}:embedContent", "Gemini: the vector of a text.", True),
    Endpoint("POST", "/v1beta/models/{model}:batchEmbedContents", "Gemini: the vectors of several.", True),
    Endpoint("POST", "/v1/messages", "Anthropic: a message.", True, "events"),
    Endpoint("POST", "/v1/messages/count_tokens", "Anthropic: the tokens of a message.", True),
    Endpoint("POST", "/v1beta/models/{model}:generateContent", "Gemini: content.", True),
    Endpoint("POST", "/v1beta/models/{model}:streamGenerateContent", "Gemini: content, streamed.", True, "events"),
    Endpoint("POST", "/v1beta/models/{model}:countTokens", "Gemini: the tokens of a request.", True),
    Endpoint("GET", "/v1beta/models", "Gemini: the models that this key may use now."),
    Endpoint("GET", "/v1beta/models/{model}", "Gemini: one model."),
    Endpoint("GET", "/v1/models", "The models that this key may use now."),
    Endpoint("GET", "/v1/models/{model}", "One model."),
    Endpoint("GET", "/api/cost/request/{id}", "What a request cost; `?explain=1` is the whole bill.", open=True),
    Endpoint("POST", "/api/token/consume", "External consumption: single, pre, post, cancel.", True),
    Endpoint("GET", "/api/token/balance", "What is left of this key."),
    Endpoint("GET", "/api/token/transactions", "The external consumption of this key."),
    Endpoint("GET", "/api/token/logs", "The requests of this key."),
    Endpoint("GET", "/dashboard/billing/subscription", "The budget, as OpenAI's dashboard had it."),
    Endpoint("GET", "/dashboard/billing/usage", "What was spent, as OpenAI's dashboard had it."),
    Endpoint("GET", "/v1/dashboard/billing/subscription", "The same."),
    Endpoint("GET", "/v1/dashboard/billing/usage", "The same."),
    Endpoint("GET", "/api/token/", "Management: every token.", admin=True),
    Endpoint("POST", "/api/token/", "Management: a new token.", True, admin=True),
    Endpoint("PUT", "/api/token/", "Management: an edited token.", True, admin=True),
    Endpoint("GET", "/api/token/search", "Management: tokens by name.", admin=True),
    Endpoint("GET", "/api/token/{id}", "Management: one token.", admin=True),
    Endpoint("DELETE", "/api/token/{id}", "Management: remove a token.", admin=True),
    Endpoint("GET", "/api/status", "Who answers here, and how many quota units a dollar has.", open=True),
    Endpoint("GET", "/healthz", "Whether this process is alive.", open=True),
)
_ABSENT = frozenset({"unbuilt", "unknown", "wrong_method"})
_EXAMPLES = {"model": "m", "id": "1"}


def document(address: str) -> dict[str, Any]:
    """The OpenAPI document of this release. address: where the gateway is reached."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in served():
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "oneapi", "version": __version__, "description": "One gateway for every LLM vendor."},
        "servers": [{"url": address}],
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES, "schemas": _SCHEMAS},
    }


def served() -> list[Endpoint]:
    """The endpoints that this release answers."""
    return [one for one in _ENDPOINTS if find_door(one.method, one.path.format(**_EXAMPLES)).kind not in _ABSENT]


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    name = "".join(part.capitalize() for part in endpoint.path.replace("{", "").replace("}", "").split("/") if part)
    operation: dict[str, Any] = {
        "operationId": endpoint.method.lower() + "".join(letter for letter in name if letter.isalnum()),
        "summary": endpoint.summary,
        "security": _security(endpoint),
        "responses": _responses(endpoint),
    }
    marks = [part for part in ("model", "id") if "{" + part + "}" in endpoint.path]
    if marks:
        operation["parameters"] = [
            {"name": mark, "in": "path", "required": True, "schema": {"type": "string"}} for mark in marks
        ]
    if endpoint.body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    return operation


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    if endpoint.open:
        return [{}]
    return [{"adminKey": []}] if endpoint.admin else [{"bearer": []}, {"apiKey": []}]


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _reply_schema(endpoint)}}
    if endpoint.gives == "events":
        content["text/event-stream"] = {"schema": {"type": "string"}}
    answers: dict[str, Any] = {"200": {"description": "Done.", "headers": _HEADERS, "content": content}}
    if not endpoint.open:
        answers["default"] = {
            "description": "Refused or failed, in the error shape of the door.",
            "headers": _HEADERS,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    return answers


def _reply_schema(endpoint: Endpoint) -> Mapping[str, Any]:
    if endpoint.path == "/api/cost/request/{id}":
        return {"$ref": "#/components/schemas/Cost"}
    return {"type": "object"}


_HEADERS: Mapping[str, Any] = {
    "X-Oneapi-Request-Id": {"description": "32 digits; what it cost is asked by it.", "schema": {"type": "string"}}
}
_SCHEMES: Mapping[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token's key, `sk-…`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key."},
    "adminKey": {"type": "http", "scheme": "bearer", "description": "The config's `admin_key`."},
}
_SCHEMAS: Mapping[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
            }
        },
    },
    "Cost": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "created_time": {"type": "integer", "description": "Unix seconds."},
            "user_id": {"type": "integer"},
            "request_id": {"type": "string"},
            "quota": {"type": "integer", "description": "500 000 are a dollar; rounded up."},
            "cost_usd": {"type": "number"},
        },
    },
}
