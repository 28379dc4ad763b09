"""Pictures, documents, sounds and films as Converse takes them: base64 and a format's name.

Documents have names, which the model sees: letters, digits, single spaces, hyphens, parentheses and brackets, no two
alike. What is kept in S3 is named by its `s3://` address; anything else behind an address has been fetched before.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html (2026-11)
"""

from __future__ import annotations

import base64
import re
from typing import Any

from ..values.conversation import Media
from ..values.errors import BadRequest
from .bedrock_names import DOCUMENTS, EXTENSIONS, IMAGES, SOUNDS, TEXTUAL, VIDEOS

_MOST_NAME = 200
_UNFIT = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]+")
_SPACES = re.compile(r"\s+")
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})\Z")

_SPELLINGS = {"jpg": "jpeg", "htm": "html", "text": "txt", "markdown": "md", "3gp": "three_gp"}

# Base64's first characters of a file → its picture format, for pictures that do not say what they are.
_MAGIC = (("iVBORw0KGgo", "png"), ("/9j/", "jpeg"), ("R0lGOD", "gif"), ("UklGR", "webp"))


class MediaWriter:
    """The media of one request; it remembers the names of documents."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def block(self, media: Media) -> dict[str, Any]:
        """A content block. Raises BadRequest for what Converse cannot take."""
        if media.file_id:
            raise _bad("refers to a file that another vendor keeps; send its content")
        if media.kind == "image":
            return {"image": {"format": _image_format(media), "source": _source(media)}}
        if media.kind == "video":
            return {"video": {"format": _format(media, VIDEOS), "source": _source(media)}}
        if media.kind == "audio":
            return {"audio": {"format": _format(media, SOUNDS), "source": _source(media)}}
        return {"document": self._document(media)}

    def _document(self, media: Media) -> dict[str, Any]:
        document: dict[str, Any] = {
            "name": self._name(media.name),
            "format": _document_format(media),
            "source": {"bytes": _base64(media.text)} if media.text else _source(media),
        }
        if media.cites:
            document["citations"] = {"enabled": True}
        return document

    def _name(self, given: str) -> str:
        """A name that fits, unlike those before it."""
        name = _UNFIT.sub(" ", _EXTENSION.sub("", given))
        name = _SPACES.sub(" ", name).strip()[: _MOST_NAME - 5].strip() or "Document"
        unlike, number = name, 2
        while unlike in self._names:
            unlike, number = f"{name} {number}", number + 1
        self._names.add(unlike)
        return unlike


def _source(media: Media) -> dict[str, Any]:
    if media.data:
        return {"bytes": media.data}
    if media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    if media.text:
        return {"bytes": _base64(media.text)}
    raise _bad(f"has {_article(media.kind)} {media.kind} that is neither inline nor at an s3:// address")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _image_format(media: Media) -> str:
    known = IMAGES.get(media.media_type.lower())
    if known is None and not media.media_type:
        known = next((name for magic, name in _MAGIC if media.data.startswith(magic)), None)
        known = known or _by_extension(media, frozenset(IMAGES.values()))
    if known is None:
        raise _bad(f"has a picture of type {media.media_type[:60]!r}; png, jpeg, gif and webp are taken")
    return known


def _document_format(media: Media) -> str:
    kind = media.media_type.lower().partition(";")[0].strip()
    known = DOCUMENTS.get(kind) or _by_extension(media, EXTENSIONS)
    if known is None and media.data.startswith("JVBERi0"):
        known = "pdf"
    if known is None and (
        media.text or kind.startswith("text/") or kind in TEXTUAL or kind.endswith(("+json", "+xml"))
    ):
        known = "txt"
    if known is None:
        raise _bad(f"has a document of type {media.media_type[:60]!r}; {', '.join(sorted(EXTENSIONS))} are taken")
    return known


def _format(media: Media, formats: Any) -> str:
    known: str | None = formats.get(media.media_type.lower().partition(";")[0].strip())
    known = known or _by_extension(media, frozenset(formats.values()))
    if known is None:
        raise _bad(f"has {_article(media.kind)} {media.kind} of type {media.media_type[:60]!r}, which is not taken")
    return known


def _by_extension(media: Media, known: frozenset[str]) -> str | None:
    for text in (media.name, media.url):
        found = _EXTENSION.search(text)
        name = found[1].lower() if found else ""
        if (name := _SPELLINGS.get(name, name)) in known:
            return name
    return None


def _article(kind: str) -> str:
    return "an" if kind == "audio" else "a"


def _bad(what: str) -> BadRequest:
    return BadRequest(f"`messages` {what}", member="messages")
