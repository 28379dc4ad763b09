"""A reply for chat's clients, whole, and the pieces that streams share with it.

All texts of a choice are one `content`, so citations count from its start; where a citation has no place of its own it
covers the text that it stands at. Beside OpenAI's members stand the ones that other vendors' clients know: thoughts
(`openai_chat_thoughts`), `images` (OpenRouter's shape) and, where OpenAI's six finish reasons say less than the
vendor did, `native_finish_reason`. A client that asked with the older `functions` gets its `function_call`.

Source: https://platform.openai.com/docs/api-reference/chat/object (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..values.conversation import Choice, Citation, FinishReason, Media, Part, Refusal, Reply, Text, Thinking, ToolCall
from ..values.usage import Count, Usage
from .dialect import ReplyHead
from .openai_chat_media import data_url
from .openai_chat_thoughts import details_of, reasoning_member
from .openai_chat_words import audio_of

Json = dict[str, Any]

_FINISHES: Mapping[FinishReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "context": "length",
    "error": "stop",
    "unknown": "stop",
}
_SAYS_LESS = frozenset({"pause", "context", "error", "unknown", "refusal"})
_ENDS_WELL = frozenset({"stop", "stop_sequence", "unknown", "pause"})

_TIERS = {"standard": "default", "on_demand": "default"}
_KNOWN_TIERS = frozenset({"auto", "default", "flex", "scale", "priority"})


def encode_reply(reply: Reply, head: ReplyHead) -> Json:
    """A `chat.completion` object. Usage is absent where the vendor reported none."""
    body: Json = {
        "id": f"chatcmpl-{head.request_id}",
        "object": "chat.completion",
        "created": reply.created or head.created,
        "model": reply.model or head.model,
        "choices": [_choice(number, choice, head) for number, choice in enumerate(reply.choices)],
    }
    if reply.usage is not None:
        body["usage"] = usage_object(reply.usage)
        if tier := tier_word(reply.usage):
            body["service_tier"] = tier
    if reply.fingerprint:
        body["system_fingerprint"] = reply.fingerprint
    return body


def _choice(number: int, choice: Choice, head: ReplyHead) -> Json:
    message = _message(number, choice.parts, head)
    legacy = wants_function_call(head.asked)
    if legacy:
        _as_function_call(message)
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    body: Json = {
        "index": number,
        "message": message,
        "logprobs": choice.logprobs if isinstance(choice.logprobs, dict) else None,
        "finish_reason": finish_word(choice.finish, called=called, refused=refused, legacy=legacy),
    }
    if choice.finish in _SAYS_LESS and choice.raw_finish:
        body["native_finish_reason"] = choice.raw_finish
    return body


def _message(number: int, parts: Sequence[Part], head: ReplyHead) -> Json:
    texts = [part.text for part in parts if isinstance(part, Text)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    message: Json = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    _add_thoughts(message, [part for part in parts if isinstance(part, Thinking)], head)
    if annotations := _annotations([part for part in parts if isinstance(part, Text)]):
        message["annotations"] = annotations
    if calls := [part for part in parts if isinstance(part, ToolCall)]:
        message["tool_calls"] = [_call(call, call_id(head, number, place)) for place, call in enumerate(calls)]
    _add_media(message, [part for part in parts if isinstance(part, Media)], head)
    return message


def _add_thoughts(message: Json, thoughts: Iterable[Thinking], head: ReplyHead) -> None:
    texts: list[str] = []
    details: list[Json] = []
    for thought in thoughts:
        texts.append(thought.text)
        if thought.sealed is not None:
            details += details_of(thought.text, thought.sealed, len(details))
    if any(texts):
        message[reasoning_member(head.query)] = "".join(texts)
    if details:
        message["reasoning_details"] = details


def _annotations(texts: Iterable[Text]) -> list[Json]:
    found: list[Json] = []
    start = 0
    for text in texts:
        end = start + len(text.text)
        found += [annotation(citation, start, end) for citation in text.citations]
        start = end
    return found


def annotation(citation: Citation, start: int, end: int) -> Json:
    """A `url_citation` of the text from `start` to `end` of the content, or of its own place within that. What has no
    address (a document that the client sent) keeps its title; what it quotes stands in `content`, OpenRouter's
    member."""
    if citation.start is not None and citation.end is not None:
        start, end = start + citation.start, min(start + citation.end, end)
    held: Json = {"start_index": start, "end_index": end, "title": citation.title, "url": citation.url}
    if citation.quoted:
        held["content"] = citation.quoted
    return {"type": "url_citation", "url_citation": held}


def _call(call: ToolCall, id_: str) -> Json:
    if call.custom:
        return {"id": call.id or id_, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id or id_, "type": "function", "function": function}


def call_id(head: ReplyHead, choice: int, place: int) -> str:
    """An id for a call that the vendor gave none: at most 40 characters, as OpenAI wants them back."""
    return f"call_{head.request_id}{choice}{place:02d}"[:40]


def _as_function_call(message: Json) -> None:
    """The first call in the older shape, which has place for one."""
    calls = message.pop("tool_calls", None)
    if calls:
        message["function_call"] = calls[0].get("function") or {"name": calls[0]["custom"]["name"], "arguments": ""}


def _add_media(message: Json, media: Iterable[Media], head: ReplyHead) -> None:
    given = tuple(media)
    pictures = [each for each in given if each.kind == "image"]
    sounds = [each for each in given if each.kind == "audio"]
    if pictures:
        message["images"] = [image_entry(each, number) for number, each in enumerate(pictures)]
    sound = audio_of([each.data for each in sounds], "".join(each.transcript for each in sounds))
    if sound is not None:
        message["audio"] = {
            "id": audio_id(head),
            "data": sound.data,
            "expires_at": head.created,
            "transcript": sound.transcript,
        }


def audio_id(head: ReplyHead) -> str:
    """A sound's id. It is kept nowhere, and so expires as it is made."""
    return f"audio_{head.request_id}"


def image_entry(media: Media, index: int) -> Json:
    """A picture in OpenRouter's shape."""
    return {"type": "image_url", "image_url": {"url": media.url or data_url(media, "image/png")}, "index": index}


# --- what streams share ---------------------------------------------------------------------------------------------


def wants_function_call(asked: Mapping[str, Any]) -> bool:
    """Whether the client speaks of `functions` alone."""
    return bool(asked.get("functions")) and not asked.get("tools")


def finish_word(finish: FinishReason, *, called: bool, refused: bool, legacy: bool = False) -> str:
    """OpenAI's word. Calls that are handed out are what a choice ended with, unless it was cut short; a model that
    declines in words of its own has stopped."""
    word = _FINISHES[finish]
    if called and finish in _ENDS_WELL:
        word = "tool_calls"
    elif refused and finish == "refusal":
        word = "stop"
    return "function_call" if legacy and word == "tool_calls" else word


def says_less(finish: FinishReason) -> bool:
    """Whether OpenAI's word says less than the vendor's."""
    return finish in _SAYS_LESS


def tier_word(usage: Usage) -> str:
    """The service tier in OpenAI's words, "" for what it has none for."""
    tier = _TIERS.get(usage.tier or "", usage.tier or "")
    return tier if tier in _KNOWN_TIERS else ""


def usage_object(usage: Usage) -> Json:
    """`usage`: totals with all their parts, as OpenAI counts. Parts that nobody reported are left out, but for cached
    tokens: there are none where none are listed."""
    counts = usage.counts
    read, made = _whole(counts.get("input_tokens")), _whole(counts.get("output_tokens"))
    details_in: Json = {"cached_tokens": _whole(counts.get("cache_read_tokens"))}
    written = counts.get("cache_write_tokens")
    if written is None:
        written = _whole(counts.get("cache_write_5m_tokens")) + _whole(counts.get("cache_write_1h_tokens"))
    if written:
        details_in["cache_write_tokens"] = _whole(written)
    _add_counts(details_in, counts, {"audio_tokens": "input_audio_tokens", "image_tokens": "input_image_tokens"})
    details_out: Json = {}
    if usage.reasoning_tokens is not None:
        details_out["reasoning_tokens"] = usage.reasoning_tokens
    _add_counts(details_out, counts, {"audio_tokens": "output_audio_tokens", "image_tokens": "output_image_tokens"})
    body: Json = {
        "prompt_tokens": read,
        "completion_tokens": made,
        "total_tokens": read + made,
        "prompt_tokens_details": details_in,
    }
    if details_out:
        body["completion_tokens_details"] = details_out
    return body


def _add_counts(details: Json, counts: Mapping[str, Count], names: Mapping[str, str]) -> None:
    details.update({name: _whole(counts[unit]) for name, unit in names.items() if unit in counts})


def _whole(count: Count | None) -> int:
    return int(count or 0)
