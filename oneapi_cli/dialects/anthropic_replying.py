"""A reply → a Messages object for the client, and the pieces that its streams share with it.

The three input numbers add up to the total: what was neither read from a cache nor written to one stands in
`input_tokens`. Blocks of Anthropic's own tools go back as they came, those of other vendors' tools are left out, as
are pictures that a model drew: this format has no place for them in a reply.

Source: https://platform.claude.com/docs/en/api/messages (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.conversation import (
    Choice,
    Citation,
    Hosted,
    Opaque,
    Part,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
)
from ..values.usage import Usage
from .anthropic_names import CUSTOM_INPUT, NAME
from .dialect import ReplyHead
from .sealing import seal

STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
    "error": "end_turn",
    "unknown": "end_turn",
}

_TIERS = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}

_anything = msgspec.json.Decoder()

Block = dict[str, Any]


def encode_reply(reply: Reply, head: ReplyHead) -> dict[str, Any]:
    """The first choice as a `message`: this format has no others."""
    choice = reply.choices[0]
    blocks: list[Block] = []
    for part in choice.parts:
        if (block := block_of(part, head, len(blocks))) is not None:
            blocks.append(block)
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    return {
        "id": message_id(reply.id, head),
        "type": "message",
        "role": "assistant",
        "model": reply.model or head.model,
        "content": blocks,
        "stop_reason": stop_reason(choice.finish, called=called),
        "stop_sequence": choice.stop_sequence or None,
        "stop_details": stop_details(choice),
        "usage": usage_block(reply.usage),
    }


def message_id(given: str, head: ReplyHead) -> str:
    return given if given.startswith("msg_") else f"msg_{head.request_id}"


def call_id(given: str, head: ReplyHead, place: int) -> str:
    """A call's id, made up where the vendor gave none."""
    return given or f"toolu_{head.request_id}_{place}"


def stop_reason(finish: str, *, called: bool) -> str:
    if called and finish in ("unknown", "stop"):
        return "tool_use"
    return STOP_REASONS[finish]


def stop_details(choice: Choice) -> dict[str, Any] | None:
    """What is known of a refusal, None for other endings."""
    if STOP_REASONS[choice.finish] != "refusal":
        return None
    return {"type": "refusal", "category": None, "explanation": choice.explanation or None}


def block_of(part: Part, head: ReplyHead, place: int) -> Block | None:
    """A part as a content block, None where it has none."""
    if isinstance(part, Text):
        cited = [raw for citation in part.citations if (raw := citation_block(citation)) is not None]
        block: Block = {"type": "text", "text": part.text}
        if cited:
            block["citations"] = cited
        return block if part.text else None
    if isinstance(part, Thinking):
        return thinking_block(part.text, part.sealed)
    if isinstance(part, ToolCall):
        arguments = arguments_object(part.arguments, custom=part.custom)
        return {"type": "tool_use", "id": call_id(part.id, head, place), "name": part.name, "input": arguments}
    if isinstance(part, Refusal):
        return {"type": "text", "text": part.text} if part.text else None
    if isinstance(part, Hosted):
        return own_block(part)
    return None


def own_block(part: Hosted) -> Block | None:
    """A block of Anthropic's own tools as it came, None for another vendor's."""
    data = part.sealed.data
    return dict(data) if part.sealed.dialect == NAME and isinstance(data, Mapping) else None


def thinking_block(text: str, sealed: Opaque | None) -> Block | None:
    """A thought with its signature; a foreign seal travels wrapped, and alone as a redacted thought."""
    signature, redacted = seals_of(sealed)
    if redacted:
        return {"type": "redacted_thinking", "data": redacted}
    if not text and sealed is not None and sealed.dialect != NAME:
        return {"type": "redacted_thinking", "data": signature}
    if not text and not signature:
        return None
    return {"type": "thinking", "thinking": text, "signature": signature}


def seals_of(sealed: Opaque | None) -> tuple[str, str]:
    """(signature, redacted data) to hand to the client, "" for what there is none of."""
    if sealed is None:
        return "", ""
    data = sealed.data
    if sealed.dialect == NAME and isinstance(data, Mapping):
        return str(data.get("signature") or ""), str(data.get("redacted") or "")
    return seal(sealed), ""


def citation_block(citation: Citation) -> Block | None:
    """A source in this format's words, None where nothing of it could be said."""
    raw = citation.raw
    if raw is not None and raw.dialect == NAME and isinstance(raw.data, Mapping):
        return dict(raw.data)
    if citation.url:
        return {
            "type": "web_search_result_location",
            "url": citation.url,
            "title": citation.title or None,
            "cited_text": citation.quoted,
            "encrypted_index": "",
        }
    if citation.quoted:
        return {
            "type": "char_location",
            "cited_text": citation.quoted,
            "document_index": 0,
            "document_title": citation.title or None,
            "start_char_index": 0,
            "end_char_index": len(citation.quoted),
            "file_id": None,
        }
    return None


def arguments_object(arguments: str, *, custom: bool) -> dict[str, Any]:
    """A call's arguments as the object that `input` must be. Text that is none stands in a member of its own."""
    if custom:
        return {CUSTOM_INPUT: arguments}
    try:
        found = _anything.decode(arguments) if arguments else {}
    except (msgspec.DecodeError, RecursionError):
        return {CUSTOM_INPUT: arguments}
    return found if isinstance(found, dict) else {CUSTOM_INPUT: found}


def usage_block(usage: Usage | None) -> dict[str, Any]:
    """`usage`; the three numbers of the input add up to our total."""
    counts = usage.counts if usage is not None else {}
    total = int(counts.get("input_tokens", 0))
    read = min(int(counts.get("cache_read_tokens", 0)), total)
    short, long = int(counts.get("cache_write_5m_tokens", 0)), int(counts.get("cache_write_1h_tokens", 0))
    written = min(max(int(counts.get("cache_write_tokens", 0)), short + long), total - read)
    long = min(long, written)
    block: dict[str, Any] = {
        "input_tokens": total - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written - long, "ephemeral_1h_input_tokens": long},
        "output_tokens": int(counts.get("output_tokens", 0)),
        "server_tool_use": None,
        "service_tier": _TIERS.get((usage.tier if usage is not None else None) or "", "standard"),
    }
    if usage is not None and usage.reasoning_tokens is not None:
        block["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if searches := int(counts.get("web_searches", 0)):
        block["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    return block
