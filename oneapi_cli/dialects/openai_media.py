"""How large a request's input can be, from its bytes.

Why the body's length bounds its text in tokens: a byte-level tokenizer makes at most one token of a byte of UTF-8, and
JSON never spells text shorter than its UTF-8: a character stands as it is (1–4 bytes), as `\\n` (2 for 1), as
`\\uXXXX` (6 for at most 3) or as a surrogate pair (12 for 4). What a chat template writes around a message (role and
separators, under ten tokens) is less than the JSON around it (`{"role":"user","content":""},` is 29 bytes), and a
tool's declaration, rendered, is shorter than its JSON schema. Only the template's own opening (a dated preamble, the
instructions for tools) has no counterpart in the body: TEMPLATE_TOKENS and TOOLS_TOKENS stand for it.

Media are the exception: base64 is not text. Where a body holds any, its messages are parsed, with a refusal of members
given twice (two parsers could see two different images), and what can be measured otherwise is taken out of the text.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ..framing.members import too_deep
from ..values.errors import BadRequest
from .tasks.durations import audio_seconds, is_mpeg

TEMPLATE_TOKENS = 64
TOOLS_TOKENS = 256

# JSON strings that begin a part with media, in every vendor's spelling that we know of, or any ASCII letter spelt as an
# escape, which could hide one. A false alarm costs a parse. (One leading literal each: such patterns run five times
# faster.)
_LOOSE_NAMES = rb"input_(?:audio|video|file)|(?:audio|video)(?:_url)?|file(?:_data|_id|_url)?|document(?:_url)?"
_MEDIA = re.compile(rb'"(?=[iafvd])(?:image(?:_url)?|input_image|' + _LOOSE_NAMES + rb')"')
_LOOSE = re.compile(rb'"(?:(?=[iafvd])(?:' + _LOOSE_NAMES + rb')"| *[dD][aA][tT][aA](?!:image/|"))')
_ESCAPED_LETTER = re.compile(rb"\\u00(?:[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
_PDF_PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")
_HEADER_CHARS = 8192
_NO_TEXT = ("image_url", "input_audio", "file_data")
_ARGUMENTS = "arguments"
_PCM = (1, 3)
_EXTENSIBLE = 0xFFFE  # the real kind stands in the extension; compressed sound would look short

_anything = msgspec.json.Decoder(float_hook=str)  # a number is never read here, and 1e999 is none to Python


class Media(Struct):
    """What was found. payload: bytes of base64 that are measured otherwise and so are no text; unmeasured: bytes of
    those that are not; stored: media kept elsewhere (at the vendor, behind a link), whose size nothing here tells;
    loose: media whose price no count of ours bounds."""

    images: int = 0
    pages: int = 0
    seconds: int | None = 0
    payload: int = 0
    unmeasured: int = 0
    stored: bool = False
    loose: bool = False


def may_hold_media(raw: bytes) -> bool:
    return _MEDIA.search(raw) is not None or _ESCAPED_LETTER.search(raw) is not None


def may_be_loose(raw: bytes) -> bool:
    """Whether there may be media other than plain images."""
    return _LOOSE.search(raw) is not None or _ESCAPED_LETTER.search(raw) is not None


def media_in(raw: bytes) -> Media:
    """The media in a JSON text (messages or input items). Raises BadRequest for a member given twice in one object."""
    media = Media()
    if not may_hold_media(raw):
        return media
    tree = decoded(raw, lambda text: json.loads(text, object_pairs_hook=once, parse_int=str, parse_float=str))
    for part in _objects(tree):
        _count_image(part, media)
        _count_audio(part, media)
        _count_file(part, media)
        _count_video(part, media)
    return media


def decoded(raw: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Valid JSON as Python's values. Raises BadRequest for what is beyond them: nesting, an integer of thousands of
    digits."""
    try:
        return decode(raw)
    except RecursionError:
        raise too_deep() from None
    except msgspec.ValidationError:
        raise BadRequest("The request body has a number out of range", code="invalid_json") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(
            f"`{twice}` is given twice in one object; leave one out", code="duplicate_member", member=twice
        )
    return built


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object but those in a call's arguments, which are text to the model whatever they look like."""
    heap = [tree]
    while heap:
        node = heap.pop()
        if isinstance(node, dict):
            yield node
            heap.extend(v for name, v in node.items() if isinstance(v, dict | list) and name != _ARGUMENTS)
        elif isinstance(node, list):
            heap.extend(value for value in node if isinstance(value, dict | list))


def _count_image(part: dict[str, Any], media: Media) -> None:
    source = part.get("image_url")
    if source is None and part.get("type") not in ("input_image", "image", "image_url"):
        return
    media.images += 1
    url = source.get("url") if isinstance(source, dict) else source
    if not isinstance(url, str):
        return
    if url.startswith("data:image/"):
        media.payload += len(url)
    elif not _is_link(url):
        # Gemini takes any kind of file here: what does not say that it is an image is bounded as a file is, by its
        # bytes.
        media.loose = True
        media.pages += pdf_pages(url.strip())
        media.unmeasured += len(url)


def _count_audio(part: dict[str, Any], media: Media) -> None:
    if isinstance(earlier := part.get("audio"), dict) and "id" in earlier:
        media.stored = True
    if (link := part.get("audio_url")) is not None:
        _count_linked(link, media)
    sound = part.get("input_audio")
    if sound is None:
        return
    data = sound.get("data") if isinstance(sound, dict) else sound
    if not isinstance(data, str) or _is_link(data):
        _count_linked(data, media)
        return
    # Sound that is said to be something else is decoded as that: a header before it would make it look short.
    kind = sound.get("format") if isinstance(sound, dict) else None
    seconds = wav_seconds(data) if kind in (None, "wav") else _mp3_seconds(data) if kind == "mp3" else None
    if seconds is None:
        media.seconds, media.loose = None, True
        media.unmeasured += len(data)
    else:
        media.payload += len(data)
        media.seconds = None if media.seconds is None else media.seconds + seconds


def _count_video(part: dict[str, Any], media: Media) -> None:
    for name in ("video_url", "input_video", "video"):
        if (video := part.get(name)) is not None:
            _count_linked(video, media)
    if part.get("type") in ("video", "input_video", "video_url"):
        media.seconds, media.loose = None, True


def _count_linked(value: Any, media: Media) -> None:
    """Sound or film that nothing measures: its own bytes, which stay in the text, bound it loosely, a link not at
    all. value: the link or data, an object with one, or a list of frames."""
    media.seconds, media.loose = None, True
    if isinstance(value, dict):
        value = value.get("url") or value.get("data")
    each = value if isinstance(value, list) else [value]
    media.stored = media.stored or any(not isinstance(text, str) or _is_link(text) for text in each)


def _is_link(text: str) -> bool:
    """Whether a string refers to media (`https://…`, `gs://…`) instead of being it: base64 has no colon."""
    head = text.lstrip()[:_HEADER_CHARS].lower()
    return ":" in head and not head.startswith("data:")


def _count_file(part: dict[str, Any], media: Media) -> None:
    """Files stay in the text with all their base64, and a PDF's pages are images besides. Compressed text can be
    longer than its file, so the bill is not bounded."""
    if part.get("document_url") is not None or part.get("type") in ("document_url", "document"):
        media.loose = media.stored = True  # Mistral reads the document behind the link, however long
    nested = part.get("file")
    holder = nested if isinstance(nested, dict) else part
    is_file = part.get("type") in ("file", "input_file") or isinstance(nested, dict)
    if not is_file:
        return
    media.loose = True
    if holder.get("file_id") is not None or holder.get("file_url") is not None:
        media.stored = True
    data = holder.get("file_data")
    if isinstance(data, str):
        media.stored = media.stored or _is_link(data)  # OpenRouter fetches it
        media.pages += pdf_pages(data)
        media.unmeasured += len(data)


def pdf_pages(data: str) -> int:
    """Page objects that can be seen in a PDF, at least one; 0 for other files."""
    header, comma, rest = data.partition(",")
    content = rest if comma and header.startswith("data:") else data
    try:
        decoded = base64.b64decode(content)
    except (binascii.Error, ValueError):
        return 1
    return max(1, len(_PDF_PAGE.findall(decoded))) if decoded.startswith(b"%PDF") else 0


def wav_seconds(data: str) -> int | None:
    """Length of base64 PCM WAV in seconds, rounded up; None for anything else.

    From the whole payload's size, not the header's own claim of it: a decoder may play past that.
    """
    content = data.partition(",")[2] if data.startswith("data:") else data
    try:
        header = base64.b64decode(content[:_HEADER_CHARS] + "=" * (-len(content[:_HEADER_CHARS]) % 4))
    except (binascii.Error, ValueError):
        return None
    if header[:4] != b"RIFF" or header[8:12] != b"WAVE":
        return None
    at = 12
    while at + 8 <= len(header):
        name, size = header[at : at + 4], int.from_bytes(header[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 24 <= len(header):
            fmt = header[at + 8 : at + 24]
            kind, channels = int.from_bytes(fmt[0:2], "little"), int.from_bytes(fmt[2:4], "little")
            rate, bits = int.from_bytes(fmt[4:8], "little"), int.from_bytes(fmt[14:16], "little")
            bits_per_second = channels * rate * bits
            if kind == _EXTENSIBLE:
                kind = int.from_bytes(header[at + 32 : at + 34], "little")
            # Beyond what exists, a header would only make much sound look short.
            if kind not in _PCM or bits_per_second == 0 or channels > 8 or rate > 192_000 or bits > 64:
                return None
            return -(-(len(content) * 3 // 4 + 3) * 8 // bits_per_second)
        at += 8 + size + size % 2
    return None


def _mp3_seconds(data: str) -> int | None:
    """Length of base64 MP3 in seconds, every frame visited, rounded up; None for anything else."""
    try:
        decoded = base64.b64decode(data.partition(",")[2] if data.startswith("data:") else data)
        return -int(-audio_seconds(io.BytesIO(decoded), 0, len(decoded)) // 1) if is_mpeg(decoded) else None
    except (binascii.Error, ValueError, BadRequest):
        return None


def texts_in(raw: bytes) -> list[str]:
    """Every string value in a JSON text but media: what a tokenizer has to count. Raises BadRequest when it nests too
    deep."""
    tree = decoded(raw, _anything.decode)
    texts: list[str] = []
    heap = [tree]
    while heap:
        node = heap.pop()
        if isinstance(node, str):
            texts.append(node)
        elif isinstance(node, dict):
            if isinstance(node.get(_ARGUMENTS), dict):
                node[_ARGUMENTS] = msgspec.json.encode(node[_ARGUMENTS]).decode()
            heap.extend(value for name, value in reversed(node.items()) if name not in _NO_TEXT)
        elif isinstance(node, list):
            heap.extend(reversed(node))
    return texts


def numbers_in(raw: bytes) -> int:
    """How many tokens a prompt given as arrays of token numbers has."""
    heap: list[Any] = [decoded(raw, _anything.decode)]
    count = 0
    while heap:
        node = heap.pop()
        if isinstance(node, list):
            heap.extend(item for item in node if isinstance(item, list))
            count += sum(1 for item in node if not isinstance(item, list | str | dict))
    return count
