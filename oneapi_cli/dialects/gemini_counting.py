"""`:countTokens` and the list of models, in Google's shapes.

Sources: https://ai.google.dev/api/tokens · https://ai.google.dev/api/models (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..values.vendor import Traits
from .gemini_fields import object_at, spelled
from .reading import Object, fault

METHODS = ("generateContent", "streamGenerateContent", "countTokens")


def counted_request(body: Object) -> Object:
    """The generateContent body that a countTokens body asks to be counted: itself, or what it wraps.

    Raises BadRequest where it has both or neither.
    """
    given = spelled(body)
    wrapped = object_at(given, "generateContentRequest")
    if wrapped is None:
        if given.get("contents") is None:
            raise fault("contents", "is required")
        return given
    if given.get("contents") is not None:
        raise fault("contents", "and `generateContentRequest` are both given; leave one out")
    return {name: value for name, value in wrapped.items() if name != "model"}


def encode_count(tokens: int, cached: int = 0) -> dict[str, Any]:
    """The reply."""
    return {"totalTokens": tokens} | ({"cachedContentTokenCount": cached} if cached else {})


def decode_count(payload: Mapping[str, Any]) -> int | None:
    """What a vendor counted, None where it does not say."""
    total = payload.get("totalTokens")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def model_entry(name: str, traits: Traits, *, input_limit: int = 0) -> dict[str, Any]:
    """One model of the list. Limits that nobody knows are left out."""
    entry: dict[str, Any] = {"name": f"models/{name}", "baseModelId": name, "version": "001", "displayName": name}
    if input_limit:
        entry["inputTokenLimit"] = input_limit
    if traits.max_output:
        entry["outputTokenLimit"] = traits.max_output
    entry["supportedGenerationMethods"] = list(METHODS)
    if traits.thinking:
        entry["thinking"] = True
    return entry


def model_list(entries: Sequence[Mapping[str, Any]], next_page: str = "") -> dict[str, Any]:
    return {"models": list(entries)} | ({"nextPageToken": next_page} if next_page else {})
