"""Parts of a reply → Google's parts, and what stands around them: finish reasons, usage, log probabilities.

Signatures of other vendors travel sealed in `thoughtSignature`. Arguments that are no JSON object, which a call's
`args` must be, stand in it as `{"_raw": "<the text>"}`; free text of a custom call as `{"input": "<the text>"}`.

Source: https://ai.google.dev/api/generate-content (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..values.conversation import (
    Citation,
    FinishReason,
    Hosted,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from ..values.usage import Usage
from .gemini_grounding import Cited, grounding_of
from .gemini_relay import NAME
from .sealing import seal

Json = dict[str, Any]

_FINISHES: dict[FinishReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
    "context": "MAX_TOKENS",
    "error": "OTHER",
    "unknown": "OTHER",
}
_INPUT = (("input_audio_tokens", "AUDIO"), ("input_image_tokens", "IMAGE"), ("input_video_tokens", "VIDEO"))
_OUTPUT = (("output_audio_tokens", "AUDIO"), ("output_image_tokens", "IMAGE"), ("output_video_tokens", "VIDEO"))

# `serviceTier`, which AI Studio sends, is no member of the SDK's model of a reply; Vertex's word for it is.
_TRAFFIC = {"flex": "ON_DEMAND_FLEX", "priority": "ON_DEMAND_PRIORITY"}

_object = msgspec.json.Decoder(dict[str, Any])


def finish_of(finish: FinishReason) -> str:
    return _FINISHES[finish]


def call_part(call: ToolCall, made_id: str) -> Json:
    """made_id: for a vendor that gives calls none."""
    args = {"input": call.arguments} if call.custom else args_of(call.arguments)
    return {"functionCall": {"id": call.id or made_id, "name": call.name, "args": args}}


def args_of(arguments: str) -> Json:
    """The JSON text of a call's arguments as the object that Google's format wants."""
    if not arguments.strip():
        return {}
    try:
        return _object.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return {"_raw": arguments}


def signature_of(sealed: Opaque) -> str:
    """What a thought's seal is in `thoughtSignature`."""
    if sealed.dialect == NAME and isinstance(sealed.data, Mapping):
        own = sealed.data.get("thoughtSignature")
        return own if isinstance(own, str) else ""
    return seal(sealed)


def thought_part(text: str, sealed: Opaque | None) -> Json:
    part: Json = {"text": text, "thought": True}
    if sealed is not None and (signature := signature_of(sealed)):
        part["thoughtSignature"] = signature
    return part


def media_part(media: Media) -> Json | None:
    """None for what has neither data nor a link."""
    if media.text:
        return {"text": media.text}
    if media.data:
        return {"inlineData": {"mimeType": media.media_type or "application/octet-stream", "data": media.data}}
    uri = media.url or media.file_id
    return {"fileData": {"fileUri": uri, "mimeType": media.media_type}} if uri else None


def hosted_part(hosted: Hosted) -> Json | None:
    """A part of this dialect as it came; those of others have no place here."""
    own = hosted.sealed.data.get("part") if isinstance(hosted.sealed.data, Mapping) else None
    return dict(own) if hosted.sealed.dialect == NAME and isinstance(own, Mapping) else None


def parts_of(parts: Sequence[Part], prefix: str) -> tuple[list[Json], Json]:
    """(Google's parts, `groundingMetadata`). prefix: what made-up call ids begin with."""
    found: list[Json] = []
    cited: list[Cited] = []
    waiting = ""
    for part in parts:
        made: Json | None = None
        match part:
            case Thinking(text="", sealed=Opaque(dialect=dialect) as sealed) if dialect == NAME:
                waiting = signature_of(sealed)
            case Thinking(text=text, sealed=sealed):
                found.append(thought_part(text, sealed))
            case Text(text=text, citations=citations):
                if citations:
                    cited.append(Cited(len(found), text, citations))
                made = {"text": text}
            case ToolCall():
                made = call_part(part, f"{prefix}_{len(found)}")
            case Refusal(text=text):
                made = {"text": text}
            case Media():
                made = media_part(part)
            case Hosted():
                made = hosted_part(part)
        if made is not None:
            if waiting:
                made["thoughtSignature"], waiting = waiting, ""
            found.append(made)
    if waiting:
        found.append({"text": "", "thoughtSignature": waiting})
    return found, grounding_of(cited)


def grounding(texts: Sequence[tuple[int, str, Sequence[Citation]]]) -> Json:
    return grounding_of([Cited(*each) for each in texts if each[2]])


def usage_of(usage: Usage | None) -> Json:
    """`usageMetadata` in Google's own convention: thoughts beside the candidates, what was cached inside the prompt."""
    if usage is None:
        return {}
    given, produced = int(usage.get("input_tokens")), int(usage.get("output_tokens"))
    thought = min(usage.reasoning_tokens or 0, produced)
    found: Json = {
        "promptTokenCount": given,
        "candidatesTokenCount": produced - thought,
        "totalTokenCount": given + produced,
    }
    if thought:
        found["thoughtsTokenCount"] = thought
    if cached := int(usage.get("cache_read_tokens")):
        found["cachedContentTokenCount"] = cached
    for name, units, total in (
        ("promptTokensDetails", _INPUT, given),
        ("candidatesTokensDetails", _OUTPUT, produced - thought),
    ):
        if details := _details(usage, units, total):
            found[name] = details
    if traffic := _TRAFFIC.get(usage.tier or ""):
        found["trafficType"] = traffic
    return found


def _details(usage: Usage, units: tuple[tuple[str, str], ...], total: int) -> list[Json]:
    """Counts by modality, the rest being text; [] where all of it is."""
    found = [{"modality": word, "tokenCount": many} for unit, word in units if (many := int(usage.get(unit)))]
    rest = total - sum(int(usage.get(unit)) for unit, _ in units)
    return [{"modality": "TEXT", "tokenCount": rest}, *found] if found and rest > 0 else found


def logprobs_of(logprobs: Any) -> Json:
    """OpenAI chat's shape → `logprobsResult` and `avgLogprobs`, {} for none."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    tokens = [each for each in content if isinstance(each, Mapping)] if isinstance(content, list) else []
    if not tokens:
        return {}
    chosen = [_token(each) for each in tokens]
    result: Json = {"chosenCandidates": chosen}
    tops = [each.get("top_logprobs") for each in tokens]
    if any(tops):
        result["topCandidates"] = [
            {"candidates": [_token(top) for top in each if isinstance(top, Mapping)] if isinstance(each, list) else []}
            for each in tops
        ]
    mean = sum(each["logProbability"] for each in chosen) / len(chosen)
    return {"logprobsResult": result, "avgLogprobs": mean}


def _token(token: Mapping[str, Any]) -> Json:
    value = token.get("logprob")
    return {
        "token": token.get("token") if isinstance(token.get("token"), str) else "",
        "logProbability": value if isinstance(value, int | float) else 0.0,
    }
