"""Usage as the OpenAI family reports it, in whichever of its spellings.

Totals include their parts here (`values/usage.py`), and so they do at OpenAI; the cases where a vendor counts
otherwise are settled by arithmetic on its own numbers, never by its name:

* a total that exceeds input + output by exactly the cached tokens: the cached ones stand beside the input and join it,
  unless the reasoning explains it as well: the dearer reading stands;
* any other excess of the total was produced without being listed (Gemini's and xAI's hidden reasoning): it is output;
* more reasoning than output: the reasoning stands beside the output and joins it;
* reasoning and citations side by side (Perplexity's deep research): neither is in the output, nor in the total.

A block that leaves open how much was read or produced is no report: what we counted is better evidence than a zero
that nobody said.

Sources: https://docs.perplexity.ai/docs/getting-started/pricing · https://api-docs.deepseek.com/guides/kv_cache
(`prompt_cache_hit_tokens`) · https://platform.openai.com/docs/api-reference/chat/object ·
https://docs.x.ai/docs/guides/reasoning · https://ai.google.dev/gemini-api/docs/openai (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from ..values.usage import Count, Usage
from ..values.vendor import Quirks

_object = msgspec.json.Decoder(dict[str, Any])
_members = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder()

_DIGITS = re.compile(r"[0-9]{1,15}\Z")

MOST_COUNT = 10**12
"""More than this of anything is a broken number."""

_Block = Mapping[str, Any]


def read_usage(payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
    """The usage in a decoded reply, or in its JSON text (then `raw` is exactly what was received)."""
    if isinstance(payload, bytes):
        return _from_text(payload, quirks)
    block: object = payload
    for name in quirks.usage_member.split("."):
        block = block.get(name) if isinstance(block, Mapping) else None
    if not isinstance(block, Mapping):
        block = payload.get("usage")
    if not isinstance(block, Mapping):
        return None
    return usage_of(msgspec.json.encode(block), tier_of(payload.get("service_tier")), quirks)


def _from_text(payload: bytes, quirks: Quirks) -> Usage | None:
    try:
        members = _members.decode(payload)
    except msgspec.DecodeError:
        return None
    tier = tier_of(_anything.decode(members["service_tier"])) if "service_tier" in members else None
    found = block_at(members, quirks.usage_member)
    if found is None and quirks.usage_member != "usage":
        found = block_at(members, "usage")
    return None if found is None else usage_of(found, tier, quirks)


def block_at(members: Mapping[str, Raw], path: str) -> bytes | None:
    """The raw JSON object at a dotted path, None where there is none (null is none)."""
    first, _, rest = path.partition(".")
    raw = bytes(members.get(first, b""))
    if not raw.startswith(b"{"):
        return None
    return block_at(_members.decode(raw), rest) if rest else raw


def tier_of(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def usage_of(raw: bytes, tier: str | None, quirks: Quirks, *, produces: bool = True) -> Usage | None:
    """A usage block's JSON → Usage; None where it holds no number that we know.

    produces: whether this dialect's replies have output tokens at all; without, an excess of the total is input. Parts
    are listed when they are above zero. Raises DecodeError only where `raw` is not JSON.
    """
    try:
        block = _object.decode(raw)
    except msgspec.ValidationError:
        return None
    given, produced = (
        _first(block, "prompt_tokens", "input_tokens"),
        _first(block, "completion_tokens", "output_tokens"),
    )
    total = _count(block.get("total_tokens"))
    given = _completed(given, 0 if not produces else produced, total)
    produced = _completed(produced, given, total) if produces else produced
    if given is None or (produces and produced is None):
        return None
    details_in = _details(block, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    details_out = _details(block, "completion_tokens_details", "output_tokens_details")
    cached = _cached(block, details_in)
    written = _first(details_in, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = _first(block, "cache_creation_input_tokens") or 0
    reasoning = _count(details_out.get("reasoning_tokens"))
    if reasoning is None:
        reasoning = _count(block.get("reasoning_tokens"))
    cited = (_count(block.get("citation_tokens")) or 0) if _count(block.get("reasoning_tokens")) else 0
    tokens_in, tokens_out = _totals(
        (given, produced or 0, total or 0), cached + written, reasoning or 0, quirks.cached_in_prompt
    )
    if cited:
        tokens_out = (produced or 0) + cited + (reasoning or 0)
    if not produces:
        tokens_in, tokens_out = tokens_in + tokens_out, 0
    counts: dict[str, Count] = {"input_tokens": tokens_in}
    if produces:
        counts["output_tokens"] = tokens_out
    counts |= _parts(block, details_in, details_out, cached, written)
    if cited:
        counts["output_citation_tokens"] = cited
    return Usage(counts=counts, reasoning_tokens=reasoning, tier=tier, raw=raw.decode())


def _completed(count: int | None, other: int | None, total: int | None) -> int | None:
    """A count that was not given, as what the total leaves for it; None where that says nothing."""
    if count is not None or total is None or other is None or other > total:
        return count
    return total - other


def _totals(said: tuple[int, int, int], cache: int, reasoning: int, cached_in_prompt: bool) -> tuple[int, int]:
    """Input and output with all their parts, from what was said of input, output and total."""
    given, produced, total = said
    beside = not cached_in_prompt or given < cache
    if beside:
        given += cache
    excess = total - given - produced
    if excess > 0 and not beside and excess in (cache, cache + reasoning) and excess != reasoning:
        given, excess = given + cache, excess - cache
    if excess > 0:
        produced += excess
    elif reasoning > produced:
        produced += reasoning
    return given, produced


def _parts(block: _Block, details_in: _Block, details_out: _Block, cached: int, written: int) -> dict[str, Count]:
    cached_details = _details(details_in, "cached_tokens_details")
    server_tools = _details(block, "server_tool_use_details", "server_tool_use")
    found = {
        "cache_read_tokens": cached,
        "cache_write_tokens": written,
        "input_audio_tokens": _count(details_in.get("audio_tokens")),
        "input_image_tokens": _count(details_in.get("image_tokens")),
        "input_audio_seconds": _count(block.get("prompt_audio_seconds")),  # Mistral's Voxtral
        "input_video_tokens": _count(details_in.get("video_tokens")),
        "cache_audio_read_tokens": _count(cached_details.get("audio_tokens")),
        "cache_image_read_tokens": _count(cached_details.get("image_tokens")),
        "output_audio_tokens": _count(details_out.get("audio_tokens")),
        "output_image_tokens": _count(details_out.get("image_tokens")),
        "web_searches": _first(server_tools, "web_search_requests") or _first(block, "num_search_queries"),
    }
    return {unit: amount for unit, amount in found.items() if amount}


def _cached(block: _Block, details: _Block) -> int:
    """OpenAI; DeepSeek; Mistral; Moonshot; what stands between us and Anthropic."""
    inside = _count(details.get("cached_tokens"))
    if inside:
        return inside
    names = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens")
    return _first(block, *names) or 0


def _details(block: _Block, *names: str) -> _Block:
    for name in names:
        value = block.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _first(block: _Block, *names: str) -> int | None:
    return next((count for name in names if (count := _count(block.get(name))) is not None), None)


def _count(value: object) -> int | None:
    """A token count, also one in quotes; None for what is none (null, words, a negative, broken or absurd number)."""
    if isinstance(value, bool):
        return None
    if (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _DIGITS.match(value)):
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MOST_COUNT else None
