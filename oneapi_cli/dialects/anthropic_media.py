"""How large the input of a Messages request can be, from its bytes: `openai_media` says why bytes bound text.

Pictures are counted, and their base64 taken out of the text; a PDF's pages are counted as far as they can be seen, and
its base64 stays in as well. Only places where the API reads media are looked at: a call's `input` is text to the
model, whatever it looks like. What the API itself writes around a request has no counterpart in the body and is added:
an opening, the instructions for tools, each tool of a named type (whose schema only the vendor knows), the
instructions for citations and for an output format.

Sources: https://platform.claude.com/docs/en/about-claude/pricing#tool-use-pricing ·
https://platform.claude.com/docs/en/build-with-claude/vision ·
https://platform.claude.com/docs/en/build-with-claude/pdf-support (2026-11)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from ..values.asks import Measure
from .openai_fields import Fields
from .openai_media import decoded, once, pdf_pages

TEMPLATE_TOKENS = 128
TOOLS_TOKENS = 1_024
"""The instructions for tools are 264 to 804 tokens, by model and choice."""
TYPED_TOOL_TOKENS = 4_096
"""A tool of a named type: bash 245, text editor 700, computer 1 234; a recorded code execution added about 2 200."""
CITATION_TOKENS = 1_024
FORMAT_TOKENS = 1_024
MESSAGE_TOKENS = 8
TEXT_TOKENS = 3

_ESCAPED_LETTER = re.compile(rb"\\u00(?:[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
_TYPED_TOOL = re.compile(rb'"(?:[a-z_]+_20\d{6}|tool_search_tool_[a-z0-9]+|mcp_toolset)"')
_KEPT_ELSEWHERE = ("url", "file")
_HOLDERS = ("content", "source")
_NO_TEXT = frozenset({"signature", "encrypted_content", "encrypted_index", "cache_control"})

_anything = msgspec.json.Decoder(float_hook=str)


class Found(Struct):
    """payload: bytes of base64 that are measured otherwise and so are no text; stored: documents kept elsewhere, whose
    size nothing here tells; loose: media whose price no count of ours bounds."""

    images: int = 0
    pages: int = 0
    payload: int = 0
    stored: bool = False
    loose: bool = False


def may_hold_media(raw: bytes) -> bool:
    return b'"image"' in raw or b'"document"' in raw or _hides_letters(raw)


def lives_long(raw: bytes) -> bool:
    """Whether a prompt cache is to be written for an hour."""
    return b'"1h"' in raw or _hides_letters(raw)


def _hides_letters(raw: bytes) -> bool:
    """Whether a plain letter is spelt as an escape, which could hide any name. (`in` is ten times faster than the
    pattern, and most bodies have no such escape.)"""
    return b"\\u00" in raw and _ESCAPED_LETTER.search(raw) is not None


def media_in(raw: bytes) -> Found:
    """The media in the JSON text of `messages`. Raises BadRequest for a member given twice in one object."""
    found = Found()
    if not may_hold_media(raw):
        return found
    tree = decoded(raw, lambda text: json.loads(text, object_pairs_hook=once, parse_int=str, parse_float=str))
    for block in _blocks(tree):
        source = block.get("source")
        held = source if isinstance(source, dict) else {}
        if block.get("type") == "image":
            _count_image(held, found)
        elif block.get("type") == "document":
            _count_document(held, found)
    return found


def _blocks(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object on the paths where the API looks for content."""
    heap = [tree]
    while heap:
        node = heap.pop()
        if isinstance(node, dict):
            yield node
            heap.extend(value for name in _HOLDERS if isinstance(value := node.get(name), dict | list))
        elif isinstance(node, list):
            heap.extend(value for value in node if isinstance(value, dict | list))


def _count_image(source: dict[str, Any], found: Found) -> None:
    found.images += 1
    if source.get("type") == "base64" and isinstance(data := source.get("data"), str):
        found.payload += len(data)


def _count_document(source: dict[str, Any], found: Found) -> None:
    if source.get("type") in _KEPT_ELSEWHERE:
        found.loose = found.stored = True
    elif source.get("type") == "base64" and isinstance(data := source.get("data"), str):
        # A page is read as text and as a picture, and compressed text can be longer than its file.
        found.loose = True
        found.pages += max(1, pdf_pages(data))


def measure(body: bytes, *, texts: bool = False) -> Measure:
    """The bound of a body's input."""
    template = TEMPLATE_TOKENS
    if b'"tools"' in body:
        template += TOOLS_TOKENS + TYPED_TOOL_TOKENS * len(_TYPED_TOOL.findall(body))
    if b'"citations"' in body:
        template += CITATION_TOKENS
    if b'"json_schema"' in body:
        template += FORMAT_TOKENS
    if not texts and not may_hold_media(body):
        return Measure(text_bytes=len(body) + template)
    fields = Fields(body, frozenset({"messages"}))
    raw = fields.raw("messages") or b"null"
    media = media_in(raw)
    bound = Measure(text_bytes=len(body) - media.payload + template, images=media.images, pages=media.pages)
    return _with_texts(bound, fields, raw, template) if texts else bound


def _with_texts(bound: Measure, fields: Fields, raw: bytes, template: int) -> Measure:
    found = texts_in(raw)
    # Numbers, flags and the model's name are settings: no template writes them into a prompt.
    others = (fields.body[m.start : m.end] for m in fields.listed if m.name not in ("messages", "model", "metadata"))
    found += [text.decode() for text in others if text[:1] in (b"{", b"[", b'"')]
    overhead = template + len(found) * (TEXT_TOKENS + MESSAGE_TOKENS)
    return Measure(
        text_bytes=bound.text_bytes,
        images=bound.images,
        pages=bound.pages,
        texts=tuple(found),
        overhead_tokens=overhead,
    )


def texts_in(raw: bytes) -> list[str]:
    """Every string that a conversation says to the model, calls as their JSON. Raises BadRequest when it nests too
    deep."""
    found: list[str] = []
    heap = [decoded(raw, _anything.decode)]
    while heap:
        node = heap.pop()
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, dict):
            if isinstance(node.get("input"), dict):
                node["input"] = msgspec.json.encode(node["input"]).decode()
            is_media = node.get("type") == "base64"
            left_out = _NO_TEXT | {"data"} if is_media or node.get("type") == "redacted_thinking" else _NO_TEXT
            heap.extend(value for name, value in reversed(node.items()) if name not in left_out)
        elif isinstance(node, list):
            heap.extend(reversed(node))
    return found
