"""Embeddings, moderations and the list of models of the demo vendor."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from .orders import Orders, read_orders
from .steps import Fault, Step, ordered_failure, reply
from .wishes import CHAT_MODELS, MODELS, check_model
from .words import make_id, prompt_tokens, seed_of

EMBEDDING_MODELS = ("demo-embedding",)
_DIMENSIONS = 256
_MAX_DIMENSIONS = 1024
_MAX_INPUTS = 2048

# Words that the demo's moderation minds; a real model reads meaning, this one shows the shape.
_MINDED = {"violence": ("kill", "stab", "shoot"), "harassment": ("idiot", "stupid"), "self-harm": ("suicide",)}
_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


class _EmbeddingBody(Struct):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"


class _ModerationBody(Struct):
    input: str | list[str | dict[str, object]]
    model: str = "omni-moderation-latest"


def answer_embeddings(body: bytes, created: int) -> Iterator[Step]:
    """Unit vectors, one per input; the same text has the same vector. Raises Fault, msgspec.ValidationError."""
    asked = msgspec.json.decode(body, type=_EmbeddingBody)
    check_model(asked.model, EMBEDDING_MODELS)
    size = _DIMENSIONS if asked.dimensions is None else asked.dimensions
    if not 1 <= size <= _MAX_DIMENSIONS:
        raise Fault(400, f"dimensions must be from 1 to {_MAX_DIMENSIONS}.", code="invalid_value", param="dimensions")
    texts, tokens = _embedding_inputs(asked.input)
    orders = read_orders(texts[-1])
    failure = ordered_failure(orders)
    if failure is not None:
        return failure
    tokens = tokens if orders.prompt is None else orders.prompt
    data = [
        {"object": "embedding", "index": number, "embedding": _encode(vector(text, size), asked.encoding_format)}
        for number, text in enumerate(texts)
    ]
    payload: dict[str, object] = {"object": "list", "data": data, "model": asked.model}
    if orders.usage:
        payload["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return reply(payload, orders)


def vector(text: str, size: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    raw = b"".join(seed_of(text, block) for block in range(-(-size * 2 // 32)))
    values = [number / 32768 for number in struct.unpack(f"<{size}h", raw[: size * 2])]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def answer_moderations(body: bytes, created: int) -> Iterator[Step]:
    """A verdict per input, by a list of words. Raises Fault, msgspec.ValidationError."""
    asked = msgspec.json.decode(body, type=_ModerationBody)
    if "moderation" not in asked.model:
        check_model(asked.model, CHAT_MODELS)
    texts = [asked.input] if isinstance(asked.input, str) else _moderation_texts(asked.input)
    orders = read_orders(texts[-1]) if texts else Orders()
    failure = ordered_failure(orders)
    if failure is not None:
        return failure
    results = [_verdict(text) for text in texts]
    payload = {"id": make_id("modr-", seed_of(body, created)), "model": asked.model, "results": results}
    return reply(payload, orders)


def models_page(created: int) -> dict[str, object]:
    """GET /v1/models."""
    return {"object": "list", "data": [model_card(model, created) for model in MODELS]}


def model_card(model: str, created: int) -> dict[str, object]:
    """GET /v1/models/{id}. Raises Fault 404."""
    check_model(model, MODELS)
    return {"id": model, "object": "model", "created": created, "owned_by": "demo"}


def _embedding_inputs(said: str | list[str | int | list[int]]) -> tuple[list[str], int]:
    """Texts, and how many tokens they are: numbers are tokens already."""
    if isinstance(said, str):
        return [said], prompt_tokens([said])
    if not 1 <= len(said) <= _MAX_INPUTS:
        raise Fault(400, f"input must have 1 to {_MAX_INPUTS} members.", code="invalid_value", param="input")
    if isinstance(said[0], int):
        return [" ".join(map(str, said))], len(said)
    texts: list[str] = []
    tokens = 0
    for one in said:
        numbers = one if isinstance(one, list) else None
        texts.append(str(one) if numbers is None else " ".join(map(str, numbers)))
        tokens += prompt_tokens([texts[-1]]) if numbers is None else len(numbers)
    return texts, tokens


def _encode(values: list[float], encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    return values


def _moderation_texts(inputs: list[str | dict[str, object]]) -> list[str]:
    """Parts of one message are one input; strings are one each."""
    texts = [one for one in inputs if isinstance(one, str)]
    parts = [text for one in inputs if isinstance(one, dict) and isinstance(text := one.get("text"), str)]
    return texts or ["\n".join(parts)]


def _verdict(text: str) -> dict[str, object]:
    lowered = text.lower()
    found = {category for category, minded in _MINDED.items() if any(word in lowered for word in minded)}
    return {
        "flagged": bool(found),
        "categories": {category: category in found for category in _CATEGORIES},
        "category_scores": {category: 0.9 if category in found else 0.0001 for category in _CATEGORIES},
        "category_applied_input_types": {category: ["text"] for category in _CATEGORIES},
    }
