"""Usage as Anthropic reports it, and how the pieces of a stream add up.

`input_tokens` is what was neither read from a cache nor written to one: the three numbers together are the prompt.
`cache_creation` splits the written ones by how long they live. A stream reports the input in `message_start` and
everything so far in `message_delta`: cumulative, so the later number replaces the earlier one and nothing is ever
added. A later report whose whole input is zero says nothing of it (compatible vendors fill the form so).

`iterations` lists what the model was called for inside one request. Those of type `message` are in the totals;
`compaction` and `advisor_message` are billed beside them, the latter at another model's price, which nobody told us:
it is counted at this one's.

Sources: https://platform.claude.com/docs/en/build-with-claude/prompt-caching ·
https://platform.claude.com/docs/en/build-with-claude/streaming ·
https://platform.claude.com/docs/en/build-with-claude/compaction (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.usage import Count, Usage
from ..values.vendor import Quirks

_object = msgspec.json.Decoder(dict[str, Any])
_Block = Mapping[str, Any]

MOST_COUNT = 10**12
"""More than this of anything is a broken number."""

_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_BESIDE = ("compaction", "advisor_message")


def read_usage(payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
    """The usage of a reply, or of an event (`message_start` has it inside `message`)."""
    if isinstance(payload, bytes):
        try:
            payload = _object.decode(payload)
        except msgspec.DecodeError:
            return None
    block = payload.get("usage")
    if block is None and isinstance(message := payload.get("message"), Mapping):
        block = message.get("usage")
    return usage_of(block) if isinstance(block, Mapping) else None


def usage_of(block: _Block, *, early: bool = False, beside: bool = True) -> Usage | None:
    """A decoded usage block → Usage, None where it holds no count. Parts are listed when they are above zero.

    early: at a stream's start, when the output is still to come: it is not counted. beside: count what was billed
    beside the totals as well.
    """
    counts = _counts_of(block)
    if counts is None:
        return None
    if early:
        counts.pop("output_tokens", None)
    iterations = block.get("iterations")
    for each in iterations if beside and isinstance(iterations, list) else ():
        if isinstance(each, Mapping) and each.get("type") in _BESIDE and (more := _counts_of(each)) is not None:
            counts = {unit: counts.get(unit, 0) + more.get(unit, 0) for unit in {**counts, **more}}
    details = block.get("output_tokens_details")
    tier = block.get("service_tier")
    return Usage(
        counts=counts,
        reasoning_tokens=_count(details.get("thinking_tokens")) if isinstance(details, Mapping) else None,
        tier=tier if isinstance(tier, str) and tier else None,
        raw=msgspec.json.encode(block).decode(),
    )


def merged(earlier: _Block, later: _Block) -> dict[str, Any]:
    """Two reports of one stream as one: what the later one says counts, null and a form filled with zeros say
    nothing."""
    whole: dict[str, Any] = {**earlier, **{name: value for name, value in later.items() if value is not None}}
    if not any(_count(later.get(name)) for name in _INPUT):
        whole |= {name: earlier[name] for name in _INPUT if earlier.get(name) is not None}
    if not _count(later.get("output_tokens")) and "output_tokens" in earlier:
        whole["output_tokens"] = earlier["output_tokens"]
    return whole


def _counts_of(block: _Block) -> dict[str, Count] | None:
    fresh, produced = _count(block.get("input_tokens")), _count(block.get("output_tokens"))
    if fresh is None and produced is None:
        return None
    split = block.get("cache_creation")
    lives = split if isinstance(split, Mapping) else {}
    short, long = _count(lives.get("ephemeral_5m_input_tokens")) or 0, _count(lives.get("ephemeral_1h_input_tokens"))
    long = long or 0
    written = max(_count(block.get("cache_creation_input_tokens")) or 0, short + long)
    read = _count(block.get("cache_read_input_tokens")) or 0
    counts: dict[str, Count] = {"input_tokens": (fresh or 0) + written + read, "output_tokens": produced or 0}
    tools = block.get("server_tool_use")
    searches = _count(tools.get("web_search_requests")) if isinstance(tools, Mapping) else 0
    parts = {
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_5m_tokens": short,
        "cache_write_1h_tokens": long,
        "web_searches": searches,
    }
    return counts | {unit: amount for unit, amount in parts.items() if amount}


def _count(value: object) -> int | None:
    """A count, None for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_COUNT:
        return None
    return value
