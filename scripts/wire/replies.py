"""Every recorded reply at every door: what the client gets says what the vendor said.

A stream is decoded whole, byte by byte (where it is small) and at random cuts; the bytes for the client must not depend
on where the cuts fell, so that they are read once. A whole reply is encoded whole and as a stream. Where door and
dialect are one, the bytes are relayed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oneapi_cli.dialects import DIALECTS, LISTENERS, SPEAKERS, ReplyHead, VendorError
from oneapi_cli.dialects.dialect import EventEncoder
from oneapi_cli.dialects.gemini import ArrayFramer
from oneapi_cli.dialects.parts import events_of
from oneapi_cli.framing.frames import open_frames
from oneapi_cli.values.errors import BadRequest, GatewayError, Refused
from oneapi_cli.values.events import Event, Failed, Finished

from .doors import DOORS
from .readers import READERS, quirks_of
from .recordings import Recording
from .relaying import relay_problems
from .requests import encoded
from .said import Carries, Said, cut, differences
from .table import Result

REQUEST_ID = "20261127000000123456789012345678"
CREATED = 1_795_000_000
EVENT_LIMIT = 16 << 20
BYTEWISE = 12_000

_FIRST = frozenset({"openai", "anthropic", "gemini"})
"""Vendors that speak the format as its package knows it."""

# What a client of each door would have sent for the least.
_ASKED: Mapping[str, Mapping[str, Any]] = {
    "openai_chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream_options": {"include_usage": True},
    },
    "openai_responses": {"model": "m", "input": "hello"},
    "anthropic_messages": {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
}


def check_reply(recording: Recording, cuts: int) -> Iterator[Result]:
    """One result per door."""
    dialect = recording.dialect
    wished = READERS[dialect][recording.stream](recording.reply)
    doors = [*LISTENERS, *([dialect] if dialect in DIALECTS and dialect not in LISTENERS else [])]
    for door in doors:
        kind = "streams" if recording.stream else "replies"
        problems: list[str]
        if door == dialect:
            problems = [*relay_problems(recording), *_readers_disagree(recording, wished)]
        elif dialect not in SPEAKERS:
            continue
        elif recording.stream:
            problems = list(stream_problems(recording, wished, door, cuts))
        else:
            problems = list(whole_problems(recording, wished, door))
        yield Result(kind=kind, door=door, dialect=dialect, id=recording.id, problems=problems)


def _readers_disagree(recording: Recording, wished: Said) -> Iterator[str]:
    """The two readers of one format, the vendor's and the door's, on what its first vendor sent."""
    if recording.provider in _FIRST:
        door = DOORS[recording.dialect]
        got = (door.stream if recording.stream else door.whole)(recording.reply)
        got.seen = []  # older shapes than the package's
        yield from (f"the readers disagree: {each}" for each in differences(wished, got, Carries(ids=False)))


def head_for(door: str, model: str = "m", asked: Mapping[str, Any] | None = None) -> ReplyHead:
    """asked: the client's own body, where there is more to it than a greeting."""
    query = {"alt": "sse"} if door == "gemini" else {}
    return ReplyHead(request_id=REQUEST_ID, model=model, created=CREATED, asked=asked or _ASKED[door], query=query)


def asked_at(door: str, recording: Recording) -> Mapping[str, Any] | None:
    """The recorded request as a client of this door would have put it, for formats whose replies repeat it."""
    if recording.request is None or recording.dialect not in LISTENERS or door != "openai_responses":
        return None
    try:
        return encoded(recording.request, recording.dialect, door, stream=recording.stream)[0]
    except BadRequest:
        return None


def whole_problems(recording: Recording, wished: Said, door: str) -> Iterator[str]:
    listener, read = LISTENERS[door], DOORS[door]
    try:
        payload = json.loads(recording.reply)
        reply = SPEAKERS[recording.dialect].decode_reply(payload, quirks_of(recording.provider))
        if isinstance(reply, VendorError):
            if wished.error is None or wished.error not in reply.message:
                yield f"read as an error: {reply.message}"
            return
        head = head_for(door, recording.model, asked_at(door, recording))
        body = json.dumps(listener.encode_reply(reply, head)).encode()
        yield from _read(read.whole, body, wished, door, "")
        encoder = listener.encode_stream(head)
        stream = b"".join(encoder.feed(event) for event in events_of(reply)) + encoder.close()
        for form in forms_of(door, stream):
            yield from _read(read.stream, form, wished, door, "as a stream: ")
    except Exception as fault:
        yield f"raised {type(fault).__name__}: {fault}"


def forms_of(door: str, stream: bytes) -> list[bytes]:
    """A door's stream in each form that it has: Gemini's may be one JSON array instead."""
    return [stream, ArrayFramer().close(stream)] if door == "gemini" else [stream]


def _read(read: Callable[[bytes], Said], body: bytes, wished: Said, door: str, prefix: str) -> Iterator[str]:
    try:
        got = read(body)
    except Exception as fault:  # a shape that the reader cannot make sense of
        yield f"{prefix}the door's reader: {type(fault).__name__}: {fault} in {cut(body, 600)}"
        return
    for difference in differences(wished, got, DOORS[door].carries):
        yield prefix + difference


def stream_problems(recording: Recording, wished: Said, door: str, cuts: int) -> Iterator[str]:
    first: bytes | None = None
    for chunks in cuts_of(recording.reply, cuts):
        try:
            out = translate(recording, chunks, LISTENERS[door].encode_stream(head_for(door, recording.model)))
        except Exception as fault:
            yield f"raised {type(fault).__name__}: {fault}"
            return
        if first is None:
            first = out
            for form in forms_of(door, out):
                yield from _read(DOORS[door].stream, form, wished, door, "")
        elif out != first:
            yield f"other cuts, another answer: {cut(out)}"
            return


def translate(recording: Recording, chunks: Iterator[bytes], encoder: EventEncoder) -> bytes:
    """A vendor's stream as the client's, the way that the gateway does it."""
    frames = open_frames(recording.content_type, EVENT_LIMIT)
    decoder = SPEAKERS[recording.dialect].decode_stream(quirks_of(recording.provider))
    out: list[bytes] = []
    finished = False

    def say(events: list[Event]) -> bool:
        """Whether it goes on."""
        nonlocal finished
        for event in events:
            finished = finished or isinstance(event, Finished)
            if isinstance(event, Failed):
                out.append(encoder.fail(refusal_of(event), REQUEST_ID))
                return False
            out.append(encoder.feed(event))
        return True

    for chunk in chunks:
        for frame in frames.feed(chunk):
            if not say(decoder.feed(frame)):
                return b"".join(out)
    for frame in frames.close():
        if not say(decoder.feed(frame)):
            return b"".join(out)
    if say(decoder.close()):
        assert finished, "the stream came to its end, and nothing was finished"
        out.append(encoder.close())
    return b"".join(out)


def refusal_of(event: Failed) -> GatewayError:
    return Refused(
        event.message, status=event.status or 502, type=event.type or "upstream_error", code=event.code or None
    )


def cuts_of(data: bytes, cuts: int) -> Iterator[Iterator[bytes]]:
    """Whole, byte by byte where it is small, and at random places: the same ones on every run."""
    yield iter((data,))
    if len(data) <= BYTEWISE:
        yield (data[at : at + 1] for at in range(len(data)))
    dice = random.Random(len(data))
    for _ in range(cuts):
        yield _pieces(data, dice.choice((1 + len(data) // 400, 7 + len(data) // 300, 100, 3000)), dice)


def _pieces(data: bytes, most: int, dice: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = dice.randint(1, most)
        yield data[at : at + size]
        at += size
