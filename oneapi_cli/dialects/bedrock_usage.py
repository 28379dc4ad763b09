"""Usage as Converse reports it: `inputTokens` is what was neither read from a cache nor written to one.

Recorded replies repeat the cache counts under a second name (`cacheReadInputTokenCount`), which says nothing new.
`cacheDetails` splits what was written by how long it lives.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..values.usage import Count, Usage
from ..values.vendor import Quirks
from .vendor_values import count_of, object_of, objects_of, text_of

_anything = msgspec.json.Decoder()


def read_usage(payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
    """The usage of a reply or of a stream's `metadata`. None where there is none."""
    if isinstance(payload, bytes):
        try:
            payload = object_of(_anything.decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
    block = object_of(payload.get("usage"))
    fresh, produced = count_of(block.get("inputTokens")), count_of(block.get("outputTokens"))
    if fresh is None and produced is None:
        return None
    read = count_of(block.get("cacheReadInputTokens", block.get("cacheReadInputTokenCount"))) or 0
    written = count_of(block.get("cacheWriteInputTokens", block.get("cacheWriteInputTokenCount"))) or 0
    lives = {"5m": 0, "1h": 0}
    for detail in objects_of(block.get("cacheDetails")):
        if (life := text_of(detail.get("ttl"))) in lives:
            lives[life] += count_of(detail.get("inputTokens")) or 0
    written = max(written, sum(lives.values()))
    counts: dict[str, Count] = {"input_tokens": (fresh or 0) + read + written, "output_tokens": produced or 0}
    parts = {
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_5m_tokens": lives["5m"],
        "cache_write_1h_tokens": lives["1h"],
    }
    counts |= {unit: amount for unit, amount in parts.items() if amount}
    tier = text_of(object_of(payload.get("serviceTier")).get("type"))
    return Usage(counts=counts, tier=tier or None, raw=msgspec.json.encode(block).decode())
