"""The names that both sides of Converse share: its stop reasons, file formats, and the tools that the vendor runs.

Source: botocore 1.44, `bedrock-runtime/2023-09-30/service-2.json` (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from ..values.conversation import FinishReason

NAME: str = "bedrock_converse"

SEAL = "anthropic_messages"
"""Whose the seals of thoughts are: Claude's are the same here and in Anthropic's own format."""

FINISHES: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "model_context_window_exceeded": "context",
    # Not in the service's model; what Claude itself may say.
    "refusal": "refusal",
    "pause_turn": "pause",
}

SYSTEM_TOOLS: Mapping[str, str] = {"web_search": "nova_grounding", "code_execution": "nova_code_interpreter"}
"""Our kind of a tool that the vendor runs → its name here."""

KINDS: Mapping[str, str] = {name: kind for kind, name in SYSTEM_TOOLS.items()}

SERVER_TOOL = "server_tool_use"
"""The type of a `toolUse` that is no call for the client."""

IMAGES: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}

DOCUMENTS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/x-markdown": "md",
}
EXTENSIONS = frozenset(DOCUMENTS.values())
"""Of documents: also what a file's name may end in."""

TEXTUAL = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/javascript",
        "application/x-javascript",
        "application/toml",
    }
)
"""Types of documents that are text though they are not called so."""

VIDEOS: Mapping[str, str] = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/mpg": "mpg",
    "video/x-ms-wmv": "wmv",
    "video/wmv": "wmv",
    "video/3gpp": "three_gp",
}

SOUNDS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/aac": "aac",
    "audio/x-aac": "x-aac",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/ogg": "ogg",
    "audio/x-matroska": "mka",
    "audio/pcm": "pcm",
    "audio/l16": "pcm",
    "audio/webm": "webm",
}

MEDIA_TYPES: Mapping[str, str] = {
    **{format: media_type for media_type, format in reversed(list(SOUNDS.items()))},
    **{format: media_type for media_type, format in reversed(list(IMAGES.items()))},
}
"""Format of a picture or sound that a model made → its media type."""
