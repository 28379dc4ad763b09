"""Pictures, sounds, films and files as chat's content parts carry them, in both directions.

Inline data is checked before anything is sent: a broken picture is the client's to mend. The first bytes decide what a
picture is, whatever the client calls it, because some vendors refuse a JPEG that says it is a PNG.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11); `video_url` parts and links in
`file_data`: https://openrouter.ai/docs/features/multimodal (2026-11)
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from ..values.conversation import CacheMark, Media, MediaKind
from .reading import Object, at, fault, get_object, get_text, need_text

DIALECT = "openai_chat"

Part = dict[str, Any]

OWN_FILES = frozenset({"", DIALECT, "openai_responses"})
"""Origins whose file ids this dialect's vendor may know: one account serves both of OpenAI's formats."""

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_HEAD_LENGTH = 256
_SLICE = 1 << 16
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
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}

_SUFFIXES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "xml": "text/xml",
    "json": "application/json",
}
_TEXTS = frozenset({"application/json", "application/xml"})

_SOUND_TYPES = {"mp3": "audio/mpeg", "pcm16": "audio/pcm", "pcm24": "audio/pcm", "m4a": "audio/mp4"}
_SOUND_WORDS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/pcm": "pcm16",
    "audio/l16": "pcm16",
    "audio/x-flac": "flac",
    "audio/x-aac": "aac",
    "audio/x-aiff": "aiff",
}


# --- what a client sends --------------------------------------------------------------------------------------------


def read_image(part: Object, place: str, cache: CacheMark | None) -> Media:
    """`{"type": "image_url", "image_url": {"url", "detail"}}`; the URL alone is taken too. Raises BadRequest."""
    return _at_link(part, "image_url", "image", place, cache)


def read_video(part: Object, place: str, cache: CacheMark | None) -> Media:
    """`{"type": "video_url", "video_url": {"url"}}`. Raises BadRequest."""
    return _at_link(part, "video_url", "video", place, cache)


def read_document(part: Object, place: str, cache: CacheMark | None) -> Media:
    """`{"type": "document_url", "document_url": "https://…"}`, Mistral's way. Raises BadRequest."""
    return _at_link(part, "document_url", "document", place, cache)


def _at_link(part: Object, member: str, kind: MediaKind, place: str, cache: CacheMark | None) -> Media:
    where = at(place, member)
    if isinstance(part.get(member), str):
        return media_at(need_text(part, member, place), kind, where, cache=cache)
    holder = get_object(part, member, place)
    if holder is None:
        raise fault(where, "is required")
    detail = get_text(holder, "detail", where) or ""
    return media_at(need_text(holder, "url", where), kind, at(where, "url"), detail=detail, cache=cache)


def read_sound(part: Object, place: str, cache: CacheMark | None) -> Media:
    """`{"type": "input_audio", "input_audio": {"data", "format"}}`. Raises BadRequest."""
    holder, where = get_object(part, "input_audio", place), at(place, "input_audio")
    if holder is None:
        raise fault(where, "is required")
    data = need_text(holder, "data", where)
    word = (get_text(holder, "format", where) or "").lower()
    if data[:5].lower() == "data:":
        return media_at(data, "audio", at(where, "data"), cache=cache)
    check_base64(data, at(where, "data"))
    media_type = _SOUND_TYPES.get(word, f"audio/{word}") if word else sniffed(data)
    return Media(kind="audio", media_type=media_type, data=data, cache=cache)


def read_file(part: Object, place: str, cache: CacheMark | None) -> Media:
    """`{"type": "file", "file": {"file_data" | "file_id", "filename"}}`. Raises BadRequest."""
    holder, where = get_object(part, "file", place), at(place, "file")
    if holder is None:
        raise fault(where, "is required")
    name = get_text(holder, "filename", where) or ""
    if data := get_text(holder, "file_data", where):
        return _file_data(data, name, at(where, "file_data"), cache)
    if url := get_text(holder, "file_url", where):
        return media_at(url, "document", at(where, "file_url"), name=name, cache=cache)
    if file_id := get_text(holder, "file_id", where):
        return Media(kind="document", file_id=file_id, origin=DIALECT, name=name, cache=cache)
    raise fault(where, "must have a `file_data` or a `file_id`")


def _file_data(data: str, name: str, place: str, cache: CacheMark | None) -> Media:
    """A data URL, a link, or bare base64 whose type its first bytes or the file's name tell."""
    if data[:8].lower().startswith(("data:", "http://", "https://")):
        found = media_at(data, "document", place, name=name, cache=cache)
    else:
        check_base64(data, place)
        found = Media(kind="document", media_type=sniffed(data), data=data, name=name, cache=cache)
    if found.url:
        return found
    media_type = found.media_type or _SUFFIXES.get(name.rpartition(".")[2].lower(), "")
    if is_text(media_type):
        try:
            text = base64.b64decode(found.data).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise fault(place, f"says that it is {media_type}, and is not UTF-8 text") from None
        return Media(kind="document", media_type=media_type, text=text, name=name, cache=cache)
    return Media(kind=_kind_of(media_type), media_type=media_type, data=found.data, name=name, cache=cache)


def _kind_of(media_type: str) -> MediaKind:
    match media_type.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
    return "document"


def is_text(media_type: str) -> bool:
    """Whether a document of this type is plain text."""
    return media_type.startswith("text/") or media_type in _TEXTS


def media_at(
    url: str, kind: MediaKind, place: str, *, detail: str = "", name: str = "", cache: CacheMark | None = None
) -> Media:
    """What a URL names; a data URL's content itself. Raises BadRequest for other schemes and what is not base64."""
    if url[:5].lower() == "data:":
        head = _DATA_URL.match(url[:_HEAD_LENGTH])
        if head is None or ";base64" not in head[2].lower():
            raise fault(place, "must be a base64 data URL: `data:<media type>;base64,…`")
        data = url[head.end() :]
        check_base64(data, place)
        media_type = _type_of(head[1].strip().lower(), data)
        return Media(kind=kind, media_type=media_type, data=data, detail=detail, name=name, cache=cache)
    if url[:8].lower().startswith(("http://", "https://", "gs://")):
        return Media(kind=kind, url=url, detail=detail, name=name, cache=cache)
    raise fault(place, "must be an http(s) URL or a base64 data URL")


def _type_of(said: str, data: str) -> str:
    """The type that the first bytes tell where it is a picture's, else the one that the client says."""
    seen = sniffed(data)
    if said in ("", "application/octet-stream", "image/jpg") or (seen.startswith("image/") and seen != said):
        return seen or said.replace("image/jpg", "image/jpeg")
    return said


def check_base64(data: str, place: str) -> None:
    """Raises BadRequest for what is not base64 in the standard alphabet with its padding, or is empty. Looks at one
    slice after another: twenty megabytes need no second copy."""
    size = len(data)
    if size and size % 4 == 0:
        try:
            for start in range(0, size, _SLICE):
                slice_ = data[start : start + _SLICE]
                got = binascii.a2b_base64(slice_, strict_mode=True)
                if start + _SLICE < size and len(got) * 4 != len(slice_) * 3:  # padding before the end
                    break
            else:
                return
        except ValueError:
            pass
    raise fault(place, "must be base64 data (the standard alphabet, padded), and not empty")


def sniffed(data: str) -> str:
    """The media type that the first bytes of base64 `data` tell, "" where they tell none."""
    start = data[:_SNIFFED_CHARS]
    try:
        head = base64.b64decode(start[: len(start) // 4 * 4])
    except (binascii.Error, ValueError):
        return ""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return "image/avif" if head[8:12] == b"avif" else ""
    if head[:1] == b"\xff" and head[1:2] in (b"\xfb", b"\xf3", b"\xf2"):
        return "audio/mpeg"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


# --- what goes to a vendor ------------------------------------------------------------------------------------------


def media_part(media: Media) -> Part:
    """A content part of a user's message. Raises BadRequest for what no part can carry."""
    match media.kind:
        case "image":
            return _image_part(media)
        case "audio":
            return _sound_part(media)
        case "document":
            return _document_part(media)
    raise fault("messages", "holds a video, which this model's API cannot be sent; leave it out or use another model")


def data_url(media: Media, default: str) -> str:
    """Inline data as a data URL. default: the media type where none is known."""
    return f"data:{media.media_type or sniffed(media.data) or default};base64,{media.data}"


def _image_part(media: Media) -> Part:
    if media.file_id:
        raise fault("messages", "holds an image by file id, which this model's API cannot be sent; send its bytes")
    url = media.url or data_url(media, "image/png")
    return {"type": "image_url", "image_url": {"url": url, **({"detail": media.detail} if media.detail else {})}}


def _sound_part(media: Media) -> Part:
    if not media.data:
        raise fault("messages", "holds audio by reference, which this model's API cannot be sent; send its bytes")
    media_type = media.media_type.partition(";")[0].strip() or sniffed(media.data)
    word = _SOUND_WORDS.get(media_type, media_type.removeprefix("audio/"))
    return {"type": "input_audio", "input_audio": {"data": media.data, "format": word or "wav"}}


def _document_part(media: Media) -> Part:
    text = media.text or (_decoded(media.data) if is_text(media.media_type) else "")
    if text:
        return {"type": "text", "text": f"{media.name}\n\n{text}" if media.name else text}
    if media.file_id:
        if media.origin not in OWN_FILES:
            raise fault("messages", "holds a file id of another vendor; send the file's bytes")
        return {"type": "file", "file": {"file_id": media.file_id}}
    if not media.data:
        raise fault("messages", "holds a document by URL, which this model's API cannot be sent; send its bytes")
    name = media.name or ("document.pdf" if media.media_type in ("", "application/pdf") else "document")
    return {"type": "file", "file": {"filename": name, "file_data": data_url(media, "application/pdf")}}


def _decoded(data: str) -> str:
    """Base64 of UTF-8 text → the text; "" where it is none."""
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
