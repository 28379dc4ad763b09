"""Pieces of Ollama's format that whole replies and streams share: arguments, logprobs, usage, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.conversation import FinishReason
from ..values.usage import Count, Usage
from .vendor_values import count_of, objects_of, text_of

NAME: str = "ollama"

# `load` and `unload` answer requests without messages: nothing was said.
FINISHES: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "load": "stop", "unload": "stop"}

_COUNTS = ("prompt_eval_count", "prompt_eval_cached_count", "eval_count")


def arguments_of(value: object) -> str:
    """A call's arguments as JSON text; some servers like Ollama send the text itself."""
    if isinstance(value, str):
        return value or "{}"
    return "{}" if value is None else msgspec.json.encode(value).decode()


def error_of(payload: Mapping[str, Any]) -> str:
    """What an answer complains of: `{"error": "…"}`, also in the middle of a stream; "" for no complaint."""
    error = payload.get("error")
    if isinstance(error, dict):
        return text_of(error.get("message")) or "The upstream gave no message"
    return text_of(error)


def logprobs_of(items: object) -> Any:
    """`[{"token", "logprob", "bytes", "top_logprobs"}]` in the shape of OpenAI chat; None where there are none."""
    content = [_logprob(item) for item in objects_of(items)]
    return {"content": content, "refusal": None} if content else None


def _logprob(item: Mapping[str, Any]) -> dict[str, Any]:
    top = [_entry(each) for each in objects_of(item.get("top_logprobs"))]
    return {**_entry(item), "top_logprobs": top}


def _entry(item: Mapping[str, Any]) -> dict[str, Any]:
    token, given = text_of(item.get("token")), item.get("logprob")
    number = float(given) if isinstance(given, int | float) else 0.0
    raw = item.get("bytes")
    return {"token": token, "logprob": number, "bytes": raw if isinstance(raw, list) else list(token.encode())}


def usage_of(payload: Mapping[str, Any]) -> Usage | None:
    """The counts of an answer that is done. `prompt_eval_count` is the whole prompt, what was cached included, and
    older servers leave it out where all of it was; a count of zero is left out as well.
    Source: https://docs.ollama.com/api/usage (2026-11)
    """
    said = {name: count for name in _COUNTS if (count := count_of(payload.get(name))) is not None}
    given, produced = said.get("prompt_eval_count"), said.get("eval_count")
    if given is None and produced is None:
        return None
    counts: dict[str, Count] = {}
    if given is not None:
        counts["input_tokens"] = given
    if produced is not None:
        counts["output_tokens"] = produced
    if given is not None and (cached := said.get("prompt_eval_cached_count")):
        counts["cache_read_tokens"] = min(cached, given)
    return Usage(counts=counts, raw=msgspec.json.encode(said).decode())
