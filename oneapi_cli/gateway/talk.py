"""A client's request as a conversation, for channels that speak another dialect.

It is decoded once, whatever the number of offers and attempts, before anything is held: what no target can take is the
client's to mend. For dialects that take bytes alone, pictures and documents behind URLs are fetched, also before the
hold, and only where such a dialect is among the offers.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..dialects import LISTENERS
from ..framing.members import too_deep
from ..values.asks import Wanted
from ..values.conversation import Conversation, Media, MediaKind, Notes, Part, Text, ToolResult, Turn
from ..values.errors import BadRequest
from .gate import Fetched, Gate

T = TypeVar("T")

BYTES_ONLY: Mapping[str, frozenset[MediaKind]] = {
    "bedrock_converse": frozenset({"image", "document", "audio", "video"}),
    "gemini": frozenset({"image", "document", "audio", "video"}),
    "ollama": frozenset({"image", "document", "audio", "video"}),
    "openai_chat": frozenset({"document", "audio"}),
}
"""Dialects that want the bytes of what a client names by URL, and of what."""

MOST_FETCHED = 20
MOST_FETCHED_BYTES = 20 << 20
MOST_FETCHED_TOGETHER = 64 << 20
FETCHED_AT_ONCE = 4
LARGE_BODY = 128 << 10
"""From this size on, work on a whole request goes to a thread: it takes many milliseconds, and the loop gets its turn
meanwhile."""
_KEPT_BY_VENDOR = ("https://generativelanguage.googleapis.com/", "https://www.youtube.com/", "https://youtu.be/")

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)

_anything = msgspec.json.Decoder()


class Talk(Struct, frozen=True, kw_only=True):
    """asked: the client's own body, decoded; notes: of what its dialect said that has no place in `conversation`.
    encoded: (channel, limit) → what leaves for it, so that what was checked before the hold is not made again.
    """

    conversation: Conversation
    notes: Notes
    asked: Mapping[str, Any]
    encoded: dict[tuple[str, int | None], tuple[bytes, Notes]] = {}


async def aside(size: int, work: Callable[[], T]) -> T:
    """What `work` returns; in a thread where the request that it is about is large."""
    return await asyncio.to_thread(work) if size > LARGE_BODY else work()


def read_talk(body: bytes, wanted: Wanted) -> Talk:
    """The request as a conversation. Raises BadRequest naming the member."""
    try:
        asked = _anything.decode(body)
    except RecursionError:
        raise too_deep() from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"The request body is not JSON: {error}") from None
    conversation, notes = LISTENERS[wanted.dialect].decode_request(asked)
    if wanted.limit == 0:
        # Only Claude's own API takes it (to write its cache); elsewhere it would be no limit at all.
        raise BadRequest(
            "An output limit of 0 cannot be said to the channel that serves this model", member="max_tokens"
        )
    if any(each.kind == "image" and each.data and _is_no_picture(each) for each in _media_of(conversation)):
        raise BadRequest("What this request gives as a picture is none", member="messages")
    conversation = replace(conversation, model=wanted.model, stream=wanted.stream, origin=wanted.dialect)
    return Talk(conversation=conversation, notes=notes, asked=asked)


async def fetched(talk: Talk, dialects: Iterable[str], gate: Gate) -> Talk:
    """The same with everything put inside that one of these dialects takes by its bytes alone and the client names by
    URL. Raises BadRequest naming the URL's host and why.
    """
    kinds = frozenset[MediaKind]().union(*(BYTES_ONLY.get(dialect, frozenset()) for dialect in dialects))
    links = (media for media in _media_of(talk.conversation) if media.kind in kinds and _is_link(media))
    urls = list(dict.fromkeys(media.url for media in links))
    if not urls:
        return talk
    if len(urls) > MOST_FETCHED:
        raise BadRequest(f"{len(urls)} pictures and documents are given by URL; at most {MOST_FETCHED} can be fetched")
    found = await _all_of(urls, gate)
    turns = tuple(
        replace(turn, parts=tuple(_inline(part, found) for part in turn.parts)) for turn in talk.conversation.turns
    )
    return replace(talk, conversation=replace(talk.conversation, turns=turns), encoded={})


async def _all_of(urls: Iterable[str], gate: Gate) -> Mapping[str, Fetched]:
    """A few at once: what they bring stands in memory beside what `limits.memory` counts."""
    found: dict[str, Fetched] = {}
    turn = asyncio.Semaphore(FETCHED_AT_ONCE)

    async def get(url: str) -> None:
        async with turn:
            found[url] = await gate.fetch(url, MOST_FETCHED_BYTES)
        if sum(len(each.data) for each in found.values()) > MOST_FETCHED_TOGETHER:
            raise BadRequest(
                f"What this request names by URL is more than {MOST_FETCHED_TOGETHER >> 20} MiB together",
                code="url_not_fetched",
            )

    try:
        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(get(url))
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return found


def _inline(part: Part, found: Mapping[str, Fetched]) -> Part:
    if isinstance(part, ToolResult):
        content = (_with_bytes(each, found) if isinstance(each, Media) else each for each in part.content)
        return replace(part, content=tuple(content))
    return _with_bytes(part, found) if isinstance(part, Media) else part


def _with_bytes(media: Media, found: Mapping[str, Fetched]) -> Media:
    got = found.get(media.url)
    if got is None:
        return media
    kind = sniffed(got.data) or got.media_type
    if media.kind == "image" and not kind.startswith("image/"):
        host = media.url.split("/")[2][:100]
        raise BadRequest(f"What {host} sent for a picture is none", code="url_not_fetched")
    return replace(media, url="", data=base64.b64encode(got.data).decode(), media_type=kind or media.media_type)


def sniffed(data: bytes) -> str:
    """The media type that the first bytes tell, "" where they tell none."""
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12], "")
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")


def with_system_prompt(conversation: Conversation, prompt: str) -> Conversation:
    """A channel's own system prompt, before everything else."""
    if not prompt:
        return conversation
    first = Turn(role="system", parts=(Text(text=prompt),))
    return replace(conversation, turns=(first, *conversation.turns))


def _media_of(conversation: Conversation) -> list[Media]:
    found = []
    for turn in conversation.turns:
        for part in turn.parts:
            if isinstance(part, Media):
                found.append(part)
            elif isinstance(part, ToolResult):
                found += [inner for inner in part.content if isinstance(inner, Media)]
    return found


def _is_no_picture(media: Media) -> bool:
    """A film or a document would be held as a picture, and costs a thousand times as much."""
    return media.media_type != "" and not media.media_type.lower().startswith("image/")


def _is_link(media: Media) -> bool:
    return media.url.lower().startswith(("http://", "https://")) and not media.url.startswith(_KEPT_BY_VENDOR)
