"""Usage as Gemini reports it: `usageMetadata`, cumulative in streams.

Two numbers make each side: `promptTokenCount` (cached tokens included) and `toolUsePromptTokenCount` are read,
`candidatesTokenCount` and `thoughtsTokenCount` are produced. Details by modality are parts of them; a document counts
as the images that its pages are. Searches are charged apart: by the query from Gemini 3 on, by the grounded prompt
before.

Sources: https://ai.google.dev/api/generate-content#UsageMetadata · https://ai.google.dev/gemini-api/docs/pricing ·
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from ..values.usage import Count, Usage
from ..values.vendor import Quirks

MOST_COUNT = 10**12
"""More than this of anything is a broken number."""

_members = msgspec.json.Decoder(dict[str, Raw])
_object = msgspec.json.Decoder(dict[str, Any])
_anything = msgspec.json.Decoder(float_hook=str)

_BY_PROMPT = re.compile(r"(?:models/)?gemini-[12][.-]")
_DIGITS = re.compile(r"[0-9]{1,15}\Z")

_INPUT = {"AUDIO": "input_audio_tokens", "IMAGE": "input_image_tokens", "VIDEO": "input_video_tokens"}
_OUTPUT = {"AUDIO": "output_audio_tokens", "IMAGE": "output_image_tokens", "VIDEO": "output_video_tokens"}
_CACHED = {"AUDIO": "cache_audio_read_tokens", "IMAGE": "cache_image_read_tokens", "VIDEO": "cache_video_read_tokens"}
_TRAFFIC = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "offpeak",
    "PROVISIONED_THROUGHPUT": "provisioned",
}


def read_usage(payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
    """The usage in a reply or an event, given decoded or as JSON (then `raw` is exactly what was received)."""
    if isinstance(payload, bytes):
        try:
            found = _members.decode(payload)
        except msgspec.DecodeError:
            return None
        raw = bytes(found.get("usageMetadata", b""))
        named = [name for name in ("candidates", "modelVersion") if name in found]
        decoded: dict[str, Any] = {name: _anything.decode(found[name]) for name in named}
        return usage_of(raw, searches_in(decoded))
    block = payload.get("usageMetadata")
    return usage_from(block, searches_in(payload)) if isinstance(block, Mapping) else None


def usage_of(raw: bytes, searches: int = 0) -> Usage | None:
    """A usage block's JSON → Usage; None where it is no object or holds no number that we know."""
    try:
        block = _object.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return usage_from(block, searches, raw.decode())


def usage_from(block: Mapping[str, Any], searches: int = 0, raw: str | None = None) -> Usage | None:
    """A decoded block → Usage; raw: its text, where it is at hand."""
    given, tools = _count(block.get("promptTokenCount")), _count(block.get("toolUsePromptTokenCount"))
    said, thought = _count(block.get("candidatesTokenCount")), _count(block.get("thoughtsTokenCount"))
    counts: dict[str, Count] = {}
    if given is not None or tools is not None:
        counts["input_tokens"] = (given or 0) + (tools or 0)
    if said is not None or thought is not None:
        counts["output_tokens"] = (said or 0) + (thought or 0)
    if not counts:
        return None
    cached = _count(block.get("cachedContentTokenCount"))
    if cached:
        counts["cache_read_tokens"] = cached
        counts["input_tokens"] = max(counts.get("input_tokens", 0), cached)
    for name in ("promptTokensDetails", "toolUsePromptTokensDetails"):
        _add(counts, block.get(name), _INPUT)
    _add(counts, block.get("candidatesTokensDetails"), _OUTPUT)
    _add(counts, block.get("cacheTokensDetails"), _CACHED)
    if searches:
        counts["web_searches"] = searches
    text = raw if raw is not None else msgspec.json.encode(block).decode()
    return Usage(counts=counts, reasoning_tokens=thought, tier=_tier(block), raw=text)


def has_output(block: Mapping[str, Any]) -> bool:
    """Whether a block says how much was produced: in the middle of a stream it may say the prompt alone."""
    return block.get("candidatesTokenCount") is not None or block.get("thoughtsTokenCount") is not None


def _add(counts: dict[str, Count], details: object, units: Mapping[str, str]) -> None:
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, Mapping):
            continue
        modality = detail.get("modality")
        unit = units.get("IMAGE" if modality == "DOCUMENT" else modality) if isinstance(modality, str) else None
        amount = _count(detail.get("tokenCount"))
        if unit is not None and amount:
            counts[unit] = counts.get(unit, 0) + amount


def searches_in(payload: Mapping[str, Any]) -> int:
    """What the searches of a whole reply are charged as."""
    candidates = payload.get("candidates")
    queries: set[str] = set()
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, Mapping) and isinstance(found := candidate.get("groundingMetadata"), Mapping):
            queries |= queries_in(found)
    return charged(queries, payload.get("modelVersion"))


def queries_in(grounding: Mapping[str, Any]) -> set[str]:
    """The distinct queries that a candidate's `groundingMetadata` names."""
    found: set[str] = set()
    for name in ("webSearchQueries", "imageSearchQueries"):
        queries = grounding.get(name)
        found |= {q for q in (queries if isinstance(queries, list) else ()) if isinstance(q, str) and q}
    return found


def charged(queries: Iterable[str], model: object) -> int:
    """How many searches are billed: one for a prompt before Gemini 3, however many queries it took."""
    many = len(set(queries))
    return min(many, 1) if isinstance(model, str) and _BY_PROMPT.match(model) else many


def _tier(block: Mapping[str, Any]) -> str | None:
    """AI Studio names the tier, Vertex the kind of traffic."""
    tier, traffic = block.get("serviceTier"), block.get("trafficType")
    if isinstance(tier, str) and tier:
        return tier.lower()
    return _TRAFFIC.get(traffic) if isinstance(traffic, str) else None


def _count(value: object) -> int | None:
    """A token count, also in quotes or as 3.0; None for what is none."""
    if isinstance(value, bool):
        return None
    if (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _DIGITS.match(value)):
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MOST_COUNT else None
