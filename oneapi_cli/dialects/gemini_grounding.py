"""Where a Gemini answer says its text comes from, as citations, and back.

Google counts in bytes of UTF-8, we count in characters. What a segment's offsets count from is not the same
everywhere (the part, or all the answer's text), so the segment's own text decides where it lies.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..values.conversation import Citation
from .vendor_values import object_of, objects_of, text_of

Json = dict[str, Any]


class Place(Struct, frozen=True):
    """A citation of one of the answer's texts. text: its number, None where the vendor does not say which."""

    text: int | None
    citation: Citation


def places_in(candidate: Mapping[str, Any], texts: Sequence[str]) -> list[Place]:
    """Everything that a candidate's grounding, citation and URL metadata cite. texts: the answer's text parts."""
    found = [*_grounded(object_of(candidate.get("groundingMetadata")), texts)]
    found += _quoted(object_of(candidate.get("citationMetadata")), texts)
    known = {place.citation.url for place in found}
    for each in objects_of(object_of(candidate.get("urlContextMetadata")).get("urlMetadata")):
        url = text_of(each.get("retrievedUrl"))
        status = text_of(each.get("urlRetrievalStatus"))
        if url and url not in known and status in ("", "URL_RETRIEVAL_STATUS_SUCCESS"):
            known.add(url)
            found.append(Place(None, Citation(url=url)))
    return found


def _grounded(metadata: Mapping[str, Any], texts: Sequence[str]) -> Iterator[Place]:
    sources = [_source(chunk) for chunk in objects_of(metadata.get("groundingChunks"))]
    used: set[int] = set()
    for support in objects_of(metadata.get("groundingSupports")):
        numbers = support.get("groundingChunkIndices")
        segment = object_of(support.get("segment"))
        where = _locate(segment, texts)
        for number in numbers if isinstance(numbers, list) else ():
            if not isinstance(number, int) or not 0 <= number < len(sources):
                continue
            used.add(number)
            yield _placed(sources[number], where, text_of(segment.get("text")))
    for number, source in enumerate(sources):
        if number not in used and (source.url or source.title):
            yield Place(None, source)


def _placed(source: Citation, where: tuple[int, int, int] | None, quoted: str) -> Place:
    quoted = source.quoted or quoted
    if where is None:
        return Place(None, Citation(url=source.url, title=source.title, quoted=quoted))
    text, start, end = where
    return Place(text, Citation(url=source.url, title=source.title, quoted=quoted, start=start, end=end))


def _source(chunk: Mapping[str, Any]) -> Citation:
    """A web page, a place on the map, a picture, or a passage of the client's own files."""
    for kind in ("web", "maps", "image"):
        if held := object_of(chunk.get(kind)):
            url = text_of(held.get("uri")) or text_of(held.get("sourceUri"))
            return Citation(url=url, title=text_of(held.get("title")) or text_of(held.get("domain")))
    held = object_of(chunk.get("retrievedContext"))
    title = text_of(held.get("title")) or text_of(held.get("documentName")) or text_of(held.get("fileSearchStore"))
    return Citation(url=text_of(held.get("uri")), title=title, quoted=text_of(held.get("text")))


def _quoted(metadata: Mapping[str, Any], texts: Sequence[str]) -> Iterator[Place]:
    """`citationMetadata`: passages that repeat a source."""
    listed = metadata.get("citations") or metadata.get("citationSources")
    for each in objects_of(listed):
        source = Citation(url=text_of(each.get("uri")), title=text_of(each.get("title")))
        if source.url or source.title:
            yield _placed(source, _locate(each, texts), "")


def _locate(segment: Mapping[str, Any], texts: Sequence[str]) -> tuple[int, int, int] | None:
    """(which text, start, end) in characters, None where the segment cannot be found."""
    start, end = segment.get("startIndex", 0), segment.get("endIndex")
    said = text_of(segment.get("text"))
    if isinstance(start, int) and isinstance(end, int) and 0 <= start <= end:
        behind = 0
        for number, text in enumerate(texts):
            size = len(text) if text.isascii() else len(text.encode())
            # The last byte decides which text it is: a segment begins where another may end.
            if start < behind + size and end <= behind + size:
                raw = text if text.isascii() else text.encode()
                first, last = (_characters(raw, at - behind) for at in (start, end))
                if behind <= start and first is not None and last is not None and said in ("", text[first:last]):
                    return number, first, last
                break
            behind += size
    for number, text in enumerate(texts):
        if said and (at := text.find(said)) >= 0:
            return number, at, at + len(said)
    return None


def _characters(text: str | bytes, offset: int) -> int | None:
    """A byte offset in characters; None inside one."""
    if isinstance(text, str):
        return offset
    try:
        return len(text[:offset].decode())
    except UnicodeDecodeError:
        return None


class Cited(Struct, frozen=True):
    """One text of an answer that is being written for a client: its part's number, its content and its sources."""

    part: int
    text: str
    citations: Sequence[Citation]


def grounding_of(texts: Sequence[Cited]) -> Json:
    """`groundingMetadata` for citations, {} for none. A citation without a place stands for its whole text."""
    chunks: list[Json] = []
    numbers: dict[tuple[str, str, str], int] = {}
    supports: dict[tuple[int, int, int], list[int]] = {}
    said: dict[tuple[int, int, int], str] = {}
    for each in texts:
        for citation in each.citations:
            start = citation.start or 0
            end = len(each.text) if citation.end is None else min(citation.end, len(each.text))
            number = _chunk_number(citation, chunks, numbers)
            passage = each.text[start:end]
            before = len(each.text[:start].encode())
            key = (each.part, before, before + len(passage.encode()))
            said[key] = passage
            supports.setdefault(key, [])
            if number not in supports[key]:
                supports[key].append(number)
    if not chunks:
        return {}
    return {
        "groundingChunks": chunks,
        "groundingSupports": [
            {"segment": _segment(key, said[key]), "groundingChunkIndices": found} for key, found in supports.items()
        ],
    }


def _segment(key: tuple[int, int, int], text: str) -> Json:
    """Zeros are left out, as Google leaves them out."""
    part, start, end = key
    found = {"partIndex": part, "startIndex": start, "endIndex": end}
    return {name: value for name, value in found.items() if value} | ({"text": text} if text else {})


def _chunk_number(citation: Citation, chunks: list[Json], numbers: dict[tuple[str, str, str], int]) -> int:
    key = (citation.url, citation.title, "" if citation.url else citation.quoted)
    if key not in numbers:
        numbers[key] = len(chunks)
        if citation.url:
            named = {"title": citation.title} if citation.title else {}
            chunks.append({"web": {"uri": citation.url, **named}})
        else:
            held = {"title": citation.title, "text": citation.quoted}
            chunks.append({"retrievedContext": {name: text for name, text in held.items() if text}})
    return numbers[key]
