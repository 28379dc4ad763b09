"""How large a Gemini request's input can be, from its bytes.

`openai_media` says why a body's length bounds its text in tokens. Media are the exception: where a body holds any, it
is parsed, with a refusal of members given twice, and what can be measured otherwise (pictures, WAV) is taken out of the
text. What stands in a call's arguments or a tool's response is text to the model, whatever it looks like.

Sources: https://ai.google.dev/gemini-api/docs/tokens · https://ai.google.dev/gemini-api/docs/media-resolution (2026-11)
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ..framing.members import too_deep
from ..values.asks import Measure, Wanted
from ..values.errors import BadRequest
from .openai_media import TEMPLATE_TOKENS, TOOLS_TOKENS, wav_seconds

TEXT_TOKENS = 3

_MEDIA = re.compile(rb'"(?:inline|file)_?[dD]ata"|\\u00[4-7]')
_PDF_PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")
_TEXT_ONLY = frozenset(
    {
        "args",
        "response",
        "functionDeclarations",
        "function_declarations",
        "responseSchema",
        "response_schema",
        "responseJsonSchema",
        "response_json_schema",
    }
)
_anything = msgspec.json.Decoder(float_hook=str)


class Media(Struct):
    """What was found. payload: bytes of base64 that are measured otherwise; stored: media behind a link or kept at the
    vendor, whose size nothing here tells; loose: media whose price no count of ours bounds."""

    images: int = 0
    pages: int = 0
    seconds: int | None = 0
    payload: int = 0
    stored: bool = False
    loose: bool = False


def media_in(raw: bytes) -> Media:
    """The media in a JSON text. Raises BadRequest for a member given twice in one object."""
    media = Media()
    if _MEDIA.search(raw) is None:
        return media
    try:
        tree = json.loads(raw, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except RecursionError:
        raise too_deep() from None
    for part in _objects(tree):
        for name in ("inlineData", "inline_data"):
            if isinstance(blob := part.get(name), dict):
                _count(blob, media)
        if part.get("fileData") is not None or part.get("file_data") is not None:
            media.stored = media.loose = True
            media.seconds = None
    return media


def measure(body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
    """How large the input can be at most; texts: everything that a tokenizer would have to count as well."""
    template = TEMPLATE_TOKENS + (TOOLS_TOKENS if b'"tools"' in body else 0)
    media = media_in(body)
    found = tuple(_texts_in(body)) if texts else ()
    return Measure(
        text_bytes=len(body) - media.payload + template,
        images=media.images,
        pages=media.pages,
        audio_seconds=media.seconds,
        texts=found,
        overhead_tokens=template + TEXT_TOKENS * len(found) if texts else 0,
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(
            f"`{twice}` is given twice in one object; leave one out", code="duplicate_member", member=twice
        )
    return built


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    heap = [tree]
    while heap:
        node = heap.pop()
        if isinstance(node, dict):
            yield node
            heap.extend(v for name, v in node.items() if isinstance(v, dict | list) and name not in _TEXT_ONLY)
        elif isinstance(node, list):
            heap.extend(value for value in node if isinstance(value, dict | list))


def _count(blob: dict[str, Any], media: Media) -> None:
    """One blob. Films, unknown sound and files stay in the text with all their base64, which bounds them loosely."""
    data = blob.get("data")
    kind = blob.get("mimeType") or blob.get("mime_type")
    kind = kind.lower() if isinstance(kind, str) else ""
    if not isinstance(data, str):
        return
    if kind.startswith("image/"):
        media.images += 1
        media.payload += len(data)
    elif kind.startswith("audio/"):
        seconds = wav_seconds(data.translate(_STANDARD)) if "wav" in kind else None
        if seconds is None:
            media.seconds, media.loose = None, True
        else:
            media.payload += len(data)
            media.seconds = None if media.seconds is None else media.seconds + seconds
    elif kind.startswith("video/"):
        media.seconds, media.loose = None, True
    elif not kind.startswith("text/"):
        media.loose = True
        media.pages += _pages(data)


_STANDARD = str.maketrans("-_", "+/")


def _pages(data: str) -> int:
    """Page objects that can be seen in a PDF, at least one; 0 for other files."""
    try:
        decoded = base64.b64decode(data.translate(_STANDARD) + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        return 1
    return max(1, len(_PDF_PAGE.findall(decoded))) if decoded.startswith(b"%PDF") else 0


def _texts_in(raw: bytes) -> Iterator[str]:
    """Every string but the data of media."""
    try:
        heap = [_anything.decode(raw)]
    except RecursionError:
        raise too_deep() from None
    while heap:
        node = heap.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            blobs = ("inlineData", "inline_data")
            heap.extend(value for name, value in reversed(node.items()) if name not in blobs)
        elif isinstance(node, list):
            heap.extend(reversed(node))
