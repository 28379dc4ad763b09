"""Turns → input items.

Source: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input (2026-11)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ..values.conversation import (
    Hosted,
    Media,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from ..values.errors import BadRequest
from .openai_responses_content import DIALECT

Json = dict[str, Any]

_LONGEST_ID = 64
_OWN_FILES = frozenset({"", DIALECT, "openai_chat"})
_FILE_NAMES = {"application/pdf": "document.pdf"}


class Items:
    """`items` and `notes`, filled turn by turn. system_role: what a system turn is called."""

    def __init__(self, *, system_role: str) -> None:
        self._system_role = system_role
        self._custom: set[str] = set()  # ids of calls that carry free text
        self.items: list[Json] = []
        self.notes: list[str] = []

    def add(self, turn: Turn) -> None:
        if turn.name:
            self.notes.append("dropped:name")
        if turn.role == "assistant":
            self._assistant(turn.parts)
        else:
            self._others(turn.role, turn.parts)

    # --- what users and systems say ---

    def _others(self, role: Role, parts: Sequence[Part]) -> None:
        """A message, after the results that stand before it."""
        content: list[Json] = []
        said = self._system_role if role == "system" else role
        for part in parts:
            if isinstance(part, ToolResult):
                self._message(said, content)
                content = []
                self._result(part)
            elif isinstance(part, Text | Media):
                content += self._content(part)
            elif isinstance(part, Refusal):
                content.append({"type": "input_text", "text": part.text})
            elif isinstance(part, Hosted):
                self._message(said, content)
                content = []
                self._hosted(part)
        self._message(said, content)

    def _message(self, role: str, content: list[Json]) -> None:
        if not content:
            return
        texts = all(part["type"] == "input_text" for part in content)
        whole = content[0]["text"] if texts and len(content) == 1 else content
        self.items.append({"type": "message", "role": role, "content": whole})

    def _content(self, part: Text | Media) -> list[Json]:
        if part.cache is not None:
            self.notes.append("dropped:cache_control")
        if isinstance(part, Text):
            return [{"type": "input_text", "text": part.text}] if part.text else []
        return [_media(part)]

    def _result(self, result: ToolResult) -> None:
        custom = result.custom or result.id in self._custom
        content = [found for part in result.content for found in self._content(part)]
        output: str | list[Json] = content
        if all(part["type"] == "input_text" for part in content):
            output = content[0]["text"] if len(content) == 1 else content or ""
        if result.is_error:
            self.notes.append("dropped:is_error")
        if result.cache is not None:
            self.notes.append("dropped:cache_control")
        kind = "custom_tool_call_output" if custom else "function_call_output"
        self.items.append({"type": kind, "call_id": call_id_of(result.id), "output": output})

    # --- what the assistant said ---

    def _assistant(self, parts: Sequence[Part]) -> None:
        """Texts that follow each other are one message; a plain string, which needs no id of the vendor's."""
        texts: list[str] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                texts.append(part.text)
                continue
            if not isinstance(part, Thinking) or _is_own(part.sealed):
                self._say(texts)
                texts = []
            if isinstance(part, Thinking):
                self._thinking(part)
            elif isinstance(part, ToolCall):
                self._call(part)
            elif isinstance(part, Hosted):
                self._hosted(part)
            elif isinstance(part, Media):  # no message of the assistant can hold one
                self.notes.append("changed:assistant_media")
                self._message("user", self._content(part))
            elif isinstance(part, ToolResult):
                self._result(part)
        self._say(texts)

    def _say(self, texts: list[str]) -> None:
        text = "".join(texts)
        if text:
            self.items.append({"type": "message", "role": "assistant", "content": text})

    def _thinking(self, part: Thinking) -> None:
        if not _is_own(part.sealed):
            self.notes.append("dropped:thinking" if part.sealed is None else "dropped:thinking_signature")
            return
        assert part.sealed is not None, "it is our own"
        data = part.sealed.data
        item: Json = {"type": "reasoning", "id": data.get("id") or "", "summary": []}
        if not item["id"]:
            del item["id"]
        if data.get("content"):
            item["content"] = [{"type": "reasoning_text", "text": part.text}]
        elif part.text:
            item["summary"] = [{"type": "summary_text", "text": part.text}]
        if data.get("encrypted_content"):
            item["encrypted_content"] = data["encrypted_content"]
        self.items.append(item)

    def _call(self, call: ToolCall) -> None:
        if call.cache is not None:
            self.notes.append("dropped:cache_control")
        id = call_id_of(call.id)
        if call.custom:
            self._custom.add(call.id)
            item = {"type": "custom_tool_call", "call_id": id, "name": call.name, "input": call.arguments}
        else:
            arguments = call.arguments or "{}"
            item = {"type": "function_call", "call_id": id, "name": call.name, "arguments": arguments}
        self.items.append(item)

    def _hosted(self, part: Hosted) -> None:
        if part.sealed.dialect == DIALECT and isinstance(part.sealed.data, dict):
            self.items.append(part.sealed.data)
        else:
            self.notes.append(f"dropped:hosted:{part.kind}")


def call_id_of(id: str) -> str:
    """A call's id as it fits here (at most 64 characters), calls and results alike."""
    if id and len(id) <= _LONGEST_ID:
        return id
    return f"call_{hashlib.sha256(id.encode()).hexdigest()[:32]}"


def _is_own(sealed: Opaque | None) -> bool:
    return sealed is not None and sealed.dialect == DIALECT and isinstance(sealed.data, dict)


def _media(media: Media) -> Json:
    """A picture or a document. Raises BadRequest for sound, film, and what another vendor keeps."""
    if media.kind not in ("image", "document"):
        what = "audio" if media.kind == "audio" else "video"
        raise BadRequest(f"The channel that serves this model takes no {what} input", member="messages")
    if media.file_id and media.origin not in _OWN_FILES:
        raise BadRequest(
            f"File {media.file_id[:80]!r} is kept by another vendor; send its content instead", member="messages"
        )
    if media.url and not media.url[:8].lower().startswith(("http://", "https://")):
        raise BadRequest(f"{media.url[:80]!r} cannot be read by the channel that serves this model", member="messages")
    if media.kind == "image":
        found: Json = {"type": "input_image", "detail": media.detail or "auto"}
        if media.file_id:
            return {**found, "file_id": media.file_id}
        return {**found, "image_url": media.url or f"data:{media.media_type or 'image/png'};base64,{media.data}"}
    if media.text:
        text = f"{media.name}\n\n{media.text}" if media.name else media.text
        return {"type": "input_text", "text": text}
    if media.file_id:
        return {"type": "input_file", "file_id": media.file_id}
    if media.url:
        return {"type": "input_file", "file_url": media.url}
    media_type = media.media_type or "application/pdf"
    name = media.name or _FILE_NAMES.get(media_type, "document")
    return {"type": "input_file", "filename": name, "file_data": f"data:{media_type};base64,{media.data}"}
