"""Gemini's generateContent, at AI Studio and on Vertex: relayed, spoken by clients, spoken by vendors.

Model and streaming stand in the URL (`models/{model}:streamGenerateContent?alt=sse`), which is the gateway's business;
bodies and events are the same at both vendors but for a few members (`Quirks.server_tool_parts`).

Source: https://ai.google.dev/api/generate-content (2026-11)
"""

from __future__ import annotations

from .gemini_answering import encode_reply, encode_stream
from .gemini_asking import encode_request
from .gemini_counting import counted_request, decode_count, encode_count, model_entry, model_list
from .gemini_errors import decode_error, encode_error, encode_error_event
from .gemini_media import measure
from .gemini_reading import decode_reply, decode_stream
from .gemini_relay import KNOWN, NAME, peek, rewrite
from .gemini_request import decode_request
from .gemini_stream import ArrayFramer, open_stream, read_reply, texts_of
from .gemini_usage import read_usage

__all__ = [
    "KNOWN",
    "NAME",
    "ArrayFramer",
    "counted_request",
    "decode_count",
    "decode_error",
    "decode_reply",
    "decode_request",
    "decode_stream",
    "encode_count",
    "encode_error",
    "encode_error_event",
    "encode_reply",
    "encode_request",
    "encode_stream",
    "measure",
    "model_entry",
    "model_list",
    "open_stream",
    "peek",
    "read_reply",
    "read_usage",
    "rewrite",
    "texts_of",
]
