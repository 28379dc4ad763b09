"""Ollama's own chat as vendors speak it: `POST /api/chat`, streams as lines of JSON.

Thoughts have a plain member of their own (`thinking`) on both ways. Calls come whole, their arguments as an object.

Source: https://docs.ollama.com/api/chat, https://docs.ollama.com/api/errors (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..values.conversation import Choice, Media, Part, Reply, Text, Thinking, ToolCall
from ..values.errors import Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import VendorError
from .ollama_parts import FINISHES, NAME, arguments_of, error_of, logprobs_of, usage_of
from .ollama_request import encode_request
from .ollama_stream import decode_stream
from .openai_errors import decode_error
from .vendor_values import object_of, objects_of, seconds_of, text_of


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """A whole 2xx body. Raises Malformed."""
    if error := error_of(payload):
        return VendorError(message=error)
    message = payload.get("message")
    if not isinstance(message, dict):
        raise Malformed("The upstream's reply has no message")
    parts = _parts(message)
    raw = text_of(payload.get("done_reason"))
    called = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(
        parts=parts,
        finish="tool_calls" if called else FINISHES.get(raw, "unknown"),
        raw_finish=raw,
        logprobs=logprobs_of(payload.get("logprobs")),
    )
    return Reply(
        model=text_of(payload.get("model")),
        created=seconds_of(payload.get("created_at")),
        choices=(choice,),
        usage=usage_of(payload),
    )


def _parts(message: Mapping[str, Any]) -> tuple[Part, ...]:
    parts: list[Part] = []
    if thought := text_of(message.get("thinking")):
        parts.append(Thinking(text=thought))
    if said := text_of(message.get("content")):
        parts.append(Text(text=said))
    images = message.get("images")
    for image in images if isinstance(images, list) else ():
        if isinstance(image, str):
            parts.append(Media(kind="image", data=image))
    for call in objects_of(message.get("tool_calls")):
        function = object_of(call.get("function"))
        name, arguments = text_of(function.get("name")), arguments_of(function.get("arguments"))
        parts.append(ToolCall(id=text_of(call.get("id")), name=name, arguments=arguments))
    return tuple(parts)


def read_usage(payload: Mapping[str, Any], quirks: Quirks) -> Usage | None:
    """See `ollama_parts.usage_of`."""
    return usage_of(payload)


__all__ = ["NAME", "decode_error", "decode_reply", "decode_stream", "encode_request", "read_usage"]
