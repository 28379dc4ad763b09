"""Cohere's chat, version 2, as vendors speak it: `POST /v2/chat`.

What a model thinks before it calls tools (`tool_plan`) is a thought here, as its documentation calls it ("chain-of-
thought style reflection"), and so it never mixes with what the user is told. Thoughts and plans come back to Cohere
where the client returns them: they are sealed with their own text, whatever the client's format does to it meanwhile.

Source: https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/chat-stream (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.conversation import Choice, Part, Reply, Text, Thinking, ToolCall
from ..values.errors import Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .cohere_chat_parts import FINISHES, NAME, citations_of, in_plan, logprobs_of, sealed, usage_of
from .cohere_chat_request import encode_request
from .cohere_chat_stream import decode_stream
from .dialect import VendorError
from .openai_errors import decode_error
from .vendor_values import object_of, objects_of, text_of


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """A whole 2xx body. A generation that failed before it said anything is an error. Raises Malformed."""
    message = payload.get("message")
    if isinstance(message, str):
        return VendorError(message=message)
    if not isinstance(message, dict):
        raise Malformed("The upstream's reply has no message")
    parts, notes = _parts(message)
    raw = text_of(payload.get("finish_reason"))
    finish = FINISHES.get(raw.upper(), "unknown")
    if finish == "error" and not parts:
        return VendorError(message=f"The upstream could not finish its reply ({raw})", code=raw.lower())
    if any(isinstance(part, ToolCall) for part in parts):
        finish = "tool_calls"
    choice = Choice(parts=parts, finish=finish, raw_finish=raw, logprobs=logprobs_of(payload.get("logprobs")))
    return Reply(id=text_of(payload.get("id")), choices=(choice,), usage=read_usage(payload, quirks), notes=notes)


def _parts(message: Mapping[str, Any]) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    parts: list[Part] = []
    if plan := text_of(message.get("tool_plan")):
        parts.append(Thinking(text=plan, sealed=sealed("tool_plan", plan)))
    content = message.get("content")
    for item in ({"type": "text", "text": content},) if isinstance(content, str) else objects_of(content):
        if thought := text_of(item.get("thinking")):
            parts.append(Thinking(text=thought, sealed=sealed("thinking", thought)))
        elif said := text_of(item.get("text")):
            parts.append(Text(text=said))
    notes = _cite(parts, message)
    for call in objects_of(message.get("tool_calls")):
        function = object_of(call.get("function"))
        arguments = text_of(function.get("arguments")) or "{}"
        parts.append(ToolCall(id=text_of(call.get("id")), name=text_of(function.get("name")), arguments=arguments))
    return tuple(parts), notes


def _cite(parts: list[Part], message: Mapping[str, Any]) -> tuple[str, ...]:
    """Put each citation into the text that it belongs to (`content_index`, else the first); a note for the others."""
    lost = False
    content = objects_of(message.get("content"))
    texts = [place for place, part in enumerate(parts) if isinstance(part, Text)]
    for citation in objects_of(message.get("citations")):
        index = citation.get("content_index")
        # Thoughts without text leave gaps, so the place among the texts is counted, not the index itself.
        before = sum(bool(text_of(item.get("text"))) for item in content[:index]) if isinstance(index, int) else 0
        if not texts or in_plan(citation):
            lost = True
            continue
        place = texts[min(max(before, 0), len(texts) - 1)]
        cited = parts[place]
        assert isinstance(cited, Text), "only texts are counted"
        parts[place] = msgspec.structs.replace(cited, citations=(*cited.citations, *citations_of(citation)))
    return ("dropped:citations",) if lost else ()


def read_usage(payload: Mapping[str, Any], quirks: Quirks) -> Usage | None:
    """See `cohere_chat_parts.usage_of`."""
    return usage_of(payload.get("usage"))


__all__ = ["NAME", "decode_error", "decode_reply", "decode_stream", "encode_request", "read_usage"]
