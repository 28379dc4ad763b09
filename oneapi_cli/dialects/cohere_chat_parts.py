"""Pieces of Cohere's format that whole replies and streams share: thoughts, citations, logprobs, usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..values.conversation import Citation, FinishReason, Opaque
from ..values.usage import Count, Usage
from .vendor_values import count_of, object_of, objects_of, text_of

NAME: str = "cohere_chat"

FINISHES: Mapping[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "error",
    "TIMEOUT": "error",
    "ERROR_LIMIT": "context",
    "ERROR_TOXIC": "content_filter",
}

_NOT_TEXT = frozenset({"PLAN", "THINKING_CONTENT"})
_TITLES = ("title", "name")
_QUOTES = ("text", "snippet", "content")


def sealed(kind: Literal["thinking", "tool_plan"], text: str) -> Opaque:
    """A thought as it goes back: with its text, since client formats keep text and seal apart."""
    return Opaque(dialect=NAME, data={kind: text})


def in_plan(citation: Mapping[str, Any]) -> bool:
    """Whether it cites for a plan or a thought, which have no place for it."""
    return citation.get("type") in _NOT_TEXT


def citations_of(citation: Mapping[str, Any]) -> list[Citation]:
    """One of Cohere's → one of ours for each of its sources. start and end count characters of the text cited for.

    Sources: `{"type": "document", "id", "document": {…}}` and `{"type": "tool", "id", "tool_output": {…}}`, the inner
    object being whatever the client gave.
    """
    raw = Opaque(dialect=NAME, data=citation)
    start, end = count_of(citation.get("start")), count_of(citation.get("end"))
    found = []
    for source in objects_of(citation.get("sources")) or ({},):
        about = object_of(source.get("document")) or object_of(source.get("tool_output"))
        found.append(
            Citation(
                url=text_of(about.get("url")),
                title=_first(about, _TITLES) or text_of(source.get("id")),
                quoted=_first(about, _QUOTES),
                start=start,
                end=end,
                raw=raw,
            )
        )
    return found


def _first(about: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := text_of(about.get(name)))), "")


def logprobs_of(items: object) -> Any:
    """Cohere's `[{"text", "token_ids", "logprobs"}]` in the shape of OpenAI chat; None where there are none.

    A text may take several tokens, whose probabilities multiply: one entry for each text.
    """
    content = [entry for item in objects_of(items) if (entry := _logprob(item)) is not None]
    return {"content": content, "refusal": None} if content else None


def _logprob(item: Mapping[str, Any]) -> dict[str, Any] | None:
    values = item.get("logprobs")
    numbers = [value for value in values if isinstance(value, int | float)] if isinstance(values, list) else []
    if not numbers:
        return None
    token = text_of(item.get("text"))
    return {"token": token, "logprob": float(sum(numbers)), "bytes": list(token.encode()), "top_logprobs": []}


def usage_of(block: object) -> Usage | None:
    """Cohere's usage block; None where it leaves open how much was read or produced.

    `tokens` is all that the model read and produced, and what clients are told; `billed_units` leaves out what Cohere
    puts around it (its own preamble for tools, say), and is what is charged. `cached_tokens` is a part of the former.
    Source: https://docs.cohere.com/v2/docs/how-does-cohere-pricing-work (2026-11)
    """
    usage = object_of(block)
    billed, tokens = _pair(usage.get("billed_units")), _pair(usage.get("tokens"))
    counts = tokens or billed
    if counts is None:
        return None
    counts = dict(counts)
    if tokens is not None and (cached := count_of(usage.get("cached_tokens"))):
        counts["cache_read_tokens"] = min(cached, tokens["input_tokens"])
    apart = billed if tokens is not None and billed != tokens else None
    return Usage(counts=counts, billed=apart, raw=msgspec.json.encode(usage).decode())


def _pair(block: object) -> dict[str, Count] | None:
    amounts = object_of(block)
    given, produced = count_of(amounts.get("input_tokens")), count_of(amounts.get("output_tokens"))
    if given is None or produced is None:
        return None
    return {"input_tokens": given, "output_tokens": produced}
