"""The pieces that Responses' items are made of, as a client writes them: content parts, files, reasoning.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11)
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..values.conversation import CacheMark, Citation, Media, MediaKind, Opaque, Refusal, Text, Thinking
from .reading import at, fault, get_object, get_text, need_text
from .sealing import unseal

DIALECT = "openai_responses"

Content = Text | Media | Refusal

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_SNIFFED_CHARS = 32

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_SUFFIXES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_SOUNDS = {"mp3": "audio/mpeg"}


def read_content(value: object, place: str) -> tuple[Content, ...]:
    """A message's content, or what a tool came to: a string or an array of parts. Empty texts are left out.

    Raises BadRequest naming the part.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(text=value),) if value else ()
    if not isinstance(value, list):
        raise fault(place, "must be a string or an array of content parts")
    found: list[Content] = []
    for number, part in enumerate(value):
        where = at(place, number)
        if isinstance(part, str):
            found.append(Text(text=part))
            continue
        if not isinstance(part, Mapping):
            raise fault(where, "must be an object")
        found.append(_part(part, where))
    return tuple(part for part in found if not isinstance(part, Text) or part.text)


def _part(part: Mapping[str, Any], place: str) -> Content:
    kind = get_text(part, "type", place)
    cache = CacheMark() if isinstance(part.get("prompt_cache_breakpoint"), Mapping) else None
    match kind:
        case "input_text" | "text" | "summary_text" | "reasoning_text":
            return Text(text=need_text(part, "text", place, empty=True), cache=cache)
        case "output_text":
            cited = read_annotations(part.get("annotations"))
            return Text(text=need_text(part, "text", place, empty=True), citations=cited, cache=cache)
        case "refusal":
            return Refusal(text=need_text(part, "refusal", place, empty=True))
        case "input_image" | "image_url" | "computer_screenshot":
            return _image(part, place, cache)
        case "input_file" | "file":
            return _file(part, place, cache)
        case "input_audio":
            return _sound(part, place, cache)
    raise fault(at(place, "type"), f"is {kind!r}, which is no content part that can be carried")


def _image(part: Mapping[str, Any], place: str, cache: CacheMark | None) -> Media:
    holder, where = part, place
    if isinstance(part.get("image_url"), Mapping):  # chat's way of saying it
        holder, where = part["image_url"], at(place, "image_url")
        url = need_text(holder, "url", where)
    else:
        url = get_text(part, "image_url", place) or ""
    detail = get_text(holder, "detail", where) or ""
    if url:
        return media_at(url, "image", at(place, "image_url"), detail=detail, cache=cache)
    file_id = get_text(part, "file_id", place)
    if not file_id:
        raise fault(place, "must have an `image_url` or a `file_id`")
    return Media(kind="image", file_id=file_id, origin=DIALECT, detail=detail, cache=cache)


def _file(part: Mapping[str, Any], place: str, cache: CacheMark | None) -> Media:
    holder, where = part, place
    if isinstance(part.get("file"), Mapping):
        holder, where = part["file"], at(place, "file")
    name = get_text(holder, "filename", where) or ""
    if data := get_text(holder, "file_data", where):
        return _file_data(data, name, at(where, "file_data"), cache)
    if url := get_text(holder, "file_url", where):
        return media_at(url, "document", at(where, "file_url"), name=name, cache=cache)
    if file_id := get_text(holder, "file_id", where):
        return Media(kind="document", file_id=file_id, origin=DIALECT, name=name, cache=cache)
    raise fault(where, "must have a `file_data`, a `file_url` or a `file_id`")


def _file_data(data: str, name: str, place: str, cache: CacheMark | None) -> Media:
    """A data URL, or bare base64 whose kind its first bytes or the file's name tell."""
    if data[:5].lower() == "data:":
        found = media_at(data, "document", place, name=name, cache=cache)
    else:
        plain = _checked(data, place)
        found = Media(kind="document", media_type=sniffed(plain), data=plain, name=name, cache=cache)
    suffix = name.rpartition(".")[2].lower()
    media_type = found.media_type or _SUFFIXES.get(suffix, "")
    if media_type.startswith("text/"):
        try:
            text = base64.b64decode(found.data).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise fault(place, "says that it is text, and is not UTF-8") from None
        return Media(kind="document", media_type=media_type, text=text, name=name, cache=cache)
    kind: MediaKind = "image" if media_type.startswith("image/") else "document"
    return Media(kind=kind, media_type=media_type, data=found.data, name=name, cache=cache)


def _sound(part: Mapping[str, Any], place: str, cache: CacheMark | None) -> Media:
    inner = get_object(part, "input_audio", place)
    holder, where = (part, place) if inner is None else (inner, at(place, "input_audio"))
    data = need_text(holder, "data", where)
    word = get_text(holder, "format", where) or ""
    if data[:5].lower() == "data:":
        return media_at(data, "audio", at(where, "data"), cache=cache)
    plain = _checked(data, at(where, "data"))
    media_type = _SOUNDS.get(word, f"audio/{word}") if word else sniffed(plain)
    return Media(kind="audio", media_type=media_type, data=plain, cache=cache)


def media_at(
    url: str, kind: MediaKind, place: str, *, detail: str = "", name: str = "", cache: CacheMark | None = None
) -> Media:
    """What a URL names; a data URL's content itself. Raises BadRequest for other schemes and what is not base64."""
    if url[:5].lower() == "data:":
        head = _DATA_URL.match(url[:256])
        if head is None or ";base64" not in head[2].lower():
            raise fault(place, "must be a base64 data URL: `data:<media type>;base64,…`")
        data = _checked(url[head.end() :], place)
        media_type = head[1].lower() or sniffed(data)
        return Media(kind=kind, media_type=media_type, data=data, detail=detail, name=name, cache=cache)
    if url[:8].lower().startswith(("http://", "https://")) or url[:5].lower() == "gs://":
        return Media(kind=kind, url=url, detail=detail, name=name, cache=cache)
    raise fault(place, "must be an http(s) URL or a base64 data URL")


def _checked(data: str, place: str) -> str:
    """base64 in the standard alphabet, line ends taken out."""
    if "\n" in data:
        data = data.replace("\r", "").replace("\n", "")
    if not data or _BASE64.fullmatch(data) is None:
        raise fault(place, "must be base64 data, and not empty")
    return data


def sniffed(data: str) -> str:
    """The media type that the first bytes of base64 `data` tell, "" where they tell none."""
    start = data[:_SNIFFED_CHARS]
    try:
        head = base64.b64decode(start[: len(start) // 4 * 4])
    except binascii.Error:
        return ""
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12], "")
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def read_annotations(value: object) -> tuple[Citation, ...]:
    """Annotations of an output text, the client's or the vendor's. What is none is passed over."""
    found = value if isinstance(value, list) else ()
    return tuple(read_annotation(each) for each in found if isinstance(each, dict) and each.get("type"))


def read_annotation(raw: dict[str, Any]) -> Citation:
    """A `url_citation`, `file_citation`, `container_file_citation` or `file_path`; places are characters."""
    start, end = raw.get("start_index"), raw.get("end_index")
    title = raw.get("title") or raw.get("filename") or ""
    url = raw.get("url")
    return Citation(
        url=url if isinstance(url, str) else "",
        title=title if isinstance(title, str) else "",
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        raw=Opaque(dialect=DIALECT, data=raw),
    )


def read_reasoning(item: Mapping[str, Any]) -> Thinking | None:
    """A reasoning item, the client's or the vendor's: thoughts themselves where they are there, else their summary.

    `encrypted_content` may be another dialect's seal. Thoughts in the open without one (open models) are marked
    `content`: they return to this dialect as they came. None for an item that says nothing.
    """
    plain = _joined(item.get("content"))
    text = plain or _joined(item.get("summary"))
    encrypted = item.get("encrypted_content")
    sealed: Opaque | None = None
    if isinstance(encrypted, str) and encrypted:
        sealed = unseal(encrypted)
    if sealed is None and (encrypted or plain):
        data: dict[str, Any] = {"id": item.get("id") or "", "encrypted_content": encrypted or ""}
        if plain:
            data["content"] = True
        sealed = Opaque(dialect=DIALECT, data=data)
    return Thinking(text=text, sealed=sealed) if text or sealed is not None else None


def _joined(parts: object) -> str:
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return parts if isinstance(parts, str) else ""
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)
