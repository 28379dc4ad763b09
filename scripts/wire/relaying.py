"""What a channel of the client's own dialect gets and gives: the same bytes.

For every exchange: the request passes `peek` and an unchanged `rewrite` returns it byte for byte; the input bound
covers the input tokens that the vendor reported; the reply is relayed byte for byte, whole and at random cuts; usage
is what an independent reading says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from oneapi_cli.dialects import DIALECTS, Dialect
from oneapi_cli.values.asks import Change
from oneapi_cli.values.errors import GatewayError
from oneapi_cli.values.usage import Usage

from .readers import READERS, quirks_of
from .recordings import Recording
from .said import Counts, Said

CUTS = 20
EVENT_LIMIT = 16 << 20


def relay_problems(recording: Recording) -> Iterator[str]:
    """Of a reply and of the request before it."""
    dialect = DIALECTS[recording.dialect]
    wished = READERS[recording.dialect][recording.stream](recording.reply)
    quirks = quirks_of(recording.provider)
    try:
        if recording.stream:
            yield from _stream_problems(dialect, recording, wished)
        else:
            reading = dialect.read_reply(recording.reply, quirks)
            if reading.error is not None:
                yield f"read as an error: {reading.error.message}"
            yield from _usage_problems(wished.usage, reading.usage)
        if recording.request is not None:
            yield from _request_problems(dialect, recording, wished)
    except GatewayError as error:
        yield f"raised {type(error).__name__}: {error.message}"


def _request_problems(dialect: Dialect, recording: Recording, wished: Said) -> Iterator[str]:
    assert recording.request is not None
    body = json.dumps(recording.request, ensure_ascii=False).encode()
    if recording.request.get("background"):
        return  # refused by design; the recording is of its reply
    params = {"model": recording.model, "stream": "1" if recording.stream else ""}
    wanted = dialect.peek(body, params)
    sent, notes = dialect.rewrite(body, wanted, Change(model=wanted.model))
    if sent != body or notes:
        yield "a rewrite without changes changed the request"
    renamed, _ = dialect.rewrite(body, wanted, Change(model="another/model-1"))
    expected = {**recording.request, "model": "another/model-1"} if "model" in recording.request else recording.request
    if json.loads(renamed) != expected:
        yield "renaming the model changed more than the model"
    again = dialect.peek(renamed, params)
    if replace(again, model=wanted.model) != wanted:
        yield "renaming the model changed what else is read"
    yield from _bound_problems(dialect, recording, body, wished)


def _bound_problems(dialect: Dialect, recording: Recording, body: bytes, wished: Said) -> Iterator[str]:
    """Some "models" are agents that call several models and tools, and hosted tools read what they find: their input
    has nothing to do with the request."""
    if wished.usage is None or wished.usage.input is None or _is_agent(recording):
        return
    wanted = dialect.peek(body, {"model": recording.model, "stream": ""})
    measure = dialect.measure(body, wanted)
    unseen = wanted.unpriceable or wanted.unknown or wanted.fees or measure.images or measure.pages
    if not unseen and measure.text_bytes < wished.usage.input:
        yield f"the input bound {measure.text_bytes} is below the vendor's {wished.usage.input}"


def _is_agent(recording: Recording) -> bool:
    return not recording.stream and "usage_breakdown" in json.loads(recording.reply)


def _stream_problems(dialect: Dialect, recording: Recording, wished: Said) -> Iterator[str]:
    reply = recording.reply
    dice = random.Random(len(reply))
    for cut in range(CUTS):
        scanner = dialect.open_stream(quirks_of(recording.provider), hide_usage=False, event_limit=EVENT_LIMIT)
        out = b"".join(scanner.feed(chunk) for chunk in _chunks(reply, dice, whole=cut == 0))
        scanner.close()
        if out + scanner.ending != reply:
            yield "the stream was not relayed byte for byte"
        if scanner.clean == (wished.error is not None):
            yield f"read as {'clean' if scanner.clean else 'broken off'}"
        if wished.error is None or scanner.usage is not None:
            yield from _usage_problems(wished.usage, scanner.usage)
        if b"data: [DONE]" in reply and not scanner.ending.startswith(b"data: [DONE]"):
            yield "[DONE] was not kept back"
        if wished.usage is None and not any(dialect.texts_of([reply])):
            yield "no text was found to count"


def _chunks(data: bytes, dice: random.Random, *, whole: bool) -> Iterator[bytes]:
    if whole:
        yield data
        return
    at = 0
    most = dice.choice((1, 7, 100, 3000))
    while at < len(data):
        size = dice.randint(1, most)
        yield data[at : at + size]
        at += size


def _usage_problems(wished: Counts | None, usage: Usage | None) -> Iterator[str]:
    if wished is None or usage is None:
        if (wished is None) != (usage is None):
            yield f"usage {wished} was read as {usage}"
        return
    counts = usage.counts
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    wish: tuple[Any, ...] = (wished.input, wished.output, wished.cache_read or 0, wished.cache_write or 0)
    read = tuple(counts.get(name, 0) for name in names)
    if read != wish:
        yield f"usage read as {read}, not {wish}"
