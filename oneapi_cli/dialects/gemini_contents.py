"""`contents` of a client's request → turns.

A call without an id gets one from its place, and a response without one belongs to the first call of its name that has
none yet. A part's `thoughtSignature` stands as a thought before it, a thought's own with its text. Parts of tools that
the vendor ran are sealed whole.

Source: https://ai.google.dev/api/caching#Content (2026-11)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from ..values.conversation import (
    Hosted,
    Media,
    MediaKind,
    Opaque,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from .gemini_fields import object_at, objects_at, spelled
from .gemini_relay import NAME
from .openai_chat_media import check_base64, is_text, sniffed
from .reading import Object, at, fault, get_flag, get_text, need_text
from .sealing import unseal

ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user", "tool": "user"}
HOSTED = {
    "executableCode": "code_execution",
    "codeExecutionResult": "code_execution",
    "toolCall": "server_tool",
    "toolResponse": "server_tool",
}
DUMMIES = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""What clients are told to put where a call of another model has no signature."""

_STANDARD = str.maketrans("-_", "+/")
_KEPT_AT_VENDOR = ("gs://", "https://generativelanguage.googleapis.com/", "files/")
_VIDEOS = ("https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/")
_SUFFIXES: dict[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}


class Reader:
    """The turns of one request. notes: of what parts say that no turn can carry."""

    def __init__(self) -> None:
        self.notes: dict[str, None] = {}
        self._open: list[tuple[str, str]] = []  # calls that have no response yet: (id, name)
        self._answered: list[tuple[str, str]] = []

    def turns(self, body: Object) -> tuple[Turn, ...]:
        """A model's contents in a row are one turn, whose calls are answered together. Raises BadRequest naming the
        place."""
        found: list[Turn] = []
        for place, content in objects_at(body, "contents"):
            role = _role(content, place)
            parts: list[Part] = []
            for where, part in objects_at(content, "parts", place):
                parts += self._parts(part, where)
            if parts and role == "assistant" and found and found[-1].role == role:
                found[-1] = Turn(role=role, parts=(*found[-1].parts, *parts))
            elif parts:
                found.append(Turn(role=role, parts=tuple(parts)))
            elif role == "user":
                raise fault(at(place, "parts"), "is required and must not be empty")
        if not found:
            raise fault("contents", "is required and must not be empty")
        return tuple(found)

    def _parts(self, part: Object, place: str) -> Iterator[Part]:
        if len(part) == 1 and isinstance(text := part.get("text"), str):
            yield Text(text=text)
            return
        signature = get_text(part, "thoughtSignature", place) or ""
        for name in ("videoMetadata", "mediaProcessing", "partMetadata"):
            if part.get(name) is not None:
                self.notes[f"dropped:{name}"] = None
        kind = next((name for name in HOSTED if part.get(name) is not None), "")
        if kind:
            own = Opaque(dialect=NAME, data={"part": part})
            yield Hosted(kind=HOSTED[kind], sealed=own)
            return
        if get_flag(part, "thought", place):
            yield Thinking(text=get_text(part, "text", place) or "", sealed=_sealed(signature, ""))
            return
        content, call_id = self._content(part, place)
        if (sealed := _sealed(signature, call_id)) is not None:
            yield Thinking(sealed=sealed)
        if content is not None:
            yield content

    def _content(self, part: Object, place: str) -> tuple[Part | None, str]:
        """The part itself, and the id of the call that it is."""
        if (text := get_text(part, "text", place)) is not None:
            return (Text(text=text) if text or "thoughtSignature" not in part else None), ""
        if (blob := object_at(part, "inlineData", place)) is not None:
            return read_blob(blob, at(place, "inlineData"), _detail(part)), ""
        if (file := object_at(part, "fileData", place)) is not None:
            return _read_file(file, at(place, "fileData"), _detail(part)), ""
        if (call := object_at(part, "functionCall", place)) is not None:
            made = self._call(call, at(place, "functionCall"))
            return made, made.id
        if (answer := object_at(part, "functionResponse", place)) is not None:
            return self._result(answer, at(place, "functionResponse")), ""
        if "thoughtSignature" in part:
            return None, ""
        raise fault(place, "has no member that is known here (text, inlineData, fileData, functionCall…)")

    def _call(self, call: Object, place: str) -> ToolCall:
        name = need_text(call, "name", place)
        args = call.get("args")
        if args is not None and not isinstance(args, dict):
            raise fault(at(place, "args"), "must be an object")
        id = get_text(call, "id", place) or _made_id(place)
        self._open.append((id, name))
        return ToolCall(id=id, name=name, arguments=msgspec.json.encode(args or {}).decode())

    def _result(self, answer: Object, place: str) -> ToolResult:
        name = need_text(answer, "name", place)
        response = answer.get("response")
        if response is not None and not isinstance(response, dict):
            raise fault(at(place, "response"), "must be an object")
        id = self._answer_to(get_text(answer, "id", place) or "", name, place)
        text, is_error = response_text(response or {})
        content: list[Text | Media] = [Text(text=text)] if text else []
        for where, part in objects_at(answer, "parts", place):
            if (blob := object_at(part, "inlineData", where)) is not None:
                content.append(read_blob(blob, at(where, "inlineData")))
            elif (file := object_at(part, "fileData", where)) is not None:
                content.append(_read_file(file, at(where, "fileData"), ""))
        return ToolResult(id=id, name=name, content=tuple(content), is_error=is_error)

    def _answer_to(self, id: str, name: str, place: str) -> str:
        """The id of the call that a response belongs to. Raises BadRequest where there is none."""
        pools = (self._open, self._answered)
        for pool in pools:
            for known in pool:
                if (known[0] == id) if id else (known[1] == name):
                    return self._close(known)
        if id:  # a client that gives ids to responses alone
            for known in self._open:
                if known[1] == name and _is_made(known[0]):
                    return self._close(known)
        raise fault(place, "answers a functionCall that is not in `contents`")

    def _close(self, known: tuple[str, str]) -> str:
        if known in self._open:
            self._open.remove(known)
            self._answered.append(known)
        return known[0]


def _role(content: Object, place: str) -> Role:
    role = get_text(content, "role", place) or "user"
    if role not in ROLES:
        raise fault(at(place, "role"), f"must be user or model, not {role[:40]!r}")
    return ROLES[role]


_MADE = "call_contents"


def _made_id(place: str) -> str:
    """`contents[1].parts[0].functionCall` → `call_contents_1_0`."""
    digits = "".join(char if char.isdigit() else " " for char in place).split()
    return "_".join((_MADE, *digits))


def _is_made(id: str) -> bool:
    return id.startswith(_MADE)


def _sealed(signature: str, call_id: str) -> Opaque | None:
    """A part's signature: another dialect's that came through here, or Google's own. A dummy says nothing."""
    if not signature:
        return None
    standard = signature.translate(_STANDARD)
    if (found := unseal(standard + "=" * (-len(standard) % 4))) is not None:
        return found
    if signature in DUMMIES or _decoded(standard) in DUMMIES:
        return None
    return Opaque(dialect=NAME, data={"thoughtSignature": signature, "call": call_id})


def _decoded(text: str) -> str:
    if len(text) > 64:
        return ""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def response_text(response: dict[str, Any]) -> tuple[str, bool]:
    """A tool's response as text, and whether it is an error. `output` and `error` are the names that Google's guide
    gives to a plain answer."""
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if name in ("output", "result") and isinstance(value, str):
            return value, False
        if name == "error":
            return (value if isinstance(value, str) else msgspec.json.encode(value).decode()), True
    return (msgspec.json.encode(response).decode() if response else ""), False


def read_blob(blob: Object, place: str, detail: str = "") -> Media:
    """`{"mimeType", "data"}` in either base64 alphabet. Raises BadRequest."""
    data = need_text(blob, "data", place)
    if not data.isascii():
        raise fault(at(place, "data"), "must be base64 data")
    if "-" in data or "_" in data or len(data) % 4:
        data = data.translate(_STANDARD)
        data += "=" * (-len(data) % 4)
    check_base64(data, at(place, "data"))
    said = (get_text(blob, "mimeType", place) or "").lower()
    media_type = said if said not in ("", "application/octet-stream") else sniffed(data) or said
    name = get_text(blob, "displayName", place) or ""
    kind = kind_of(media_type)
    if kind == "document" and is_text(media_type.partition(";")[0]):
        try:
            text = base64.b64decode(data).decode()
        except UnicodeDecodeError:
            raise fault(at(place, "data"), f"says that it is {media_type}, and is not UTF-8 text") from None
        return Media(kind=kind, media_type=media_type, text=text, name=name)
    return Media(kind=kind, media_type=media_type, data=data, name=name, detail=detail)


def _read_file(file: Object, place: str, detail: str) -> Media:
    """What is kept at the vendor is a file id of this dialect; a film there stays one. Other links are links."""
    uri = need_text(file, "fileUri", place)
    name = get_text(file, "displayName", place) or ""
    media_type = (get_text(file, "mimeType", place) or "").lower()
    if uri.startswith(_VIDEOS):
        return Media(kind="video", media_type=media_type, file_id=uri, origin=NAME, name=name)
    media_type = media_type or guessed(uri)
    kind = kind_of(media_type)
    if uri.startswith(_KEPT_AT_VENDOR):
        return Media(kind=kind, media_type=media_type, file_id=uri, origin=NAME, name=name, detail=detail)
    if not uri.lower().startswith(("https://", "http://")):
        raise fault(at(place, "fileUri"), "must be a URI of a file: gs://…, https://…")
    return Media(kind=kind, media_type=media_type, url=uri, name=name, detail=detail)


def _detail(part: Object) -> str:
    """`mediaResolution` of a part in OpenAI's words."""
    found = part.get("mediaResolution")
    level = spelled(found).get("level") if isinstance(found, dict) else found
    if not isinstance(level, str):
        return ""
    return {"LOW": "low", "HIGH": "high"}.get(level.rpartition("_")[2], "")


def kind_of(media_type: str) -> MediaKind:
    """What a media type is to a model; a document where it is nothing else."""
    match media_type.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
    return "document"


def guessed(uri: str) -> str:
    """The media type that a name's ending tells, "" where it tells none."""
    return _SUFFIXES.get(uri.partition("?")[0].rpartition(".")[2].lower(), "")
