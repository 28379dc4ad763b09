"""Replays recorded vendor traffic through the dialects: `make wire`.

The recordings stand beside the checkout (`../shared/wire`) and are read in place. For every exchange in an OpenAI
format: the request passes `peek` and an unchanged `rewrite` returns it byte for byte; the input bound covers the input
tokens that the vendor reported; the reply is relayed byte for byte, whole and at random cuts; usage equals a reading
of the JSON that shares no code with ours; an error decodes to the vendor's own message.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from oneapi_cli.dialects import DIALECTS, Dialect  # noqa: E402 - runs from a checkout, installed or not
from oneapi_cli.values.asks import Change  # noqa: E402
from oneapi_cli.values.errors import GatewayError  # noqa: E402
from oneapi_cli.values.vendor import Quirks  # noqa: E402

RECORDED = ROOT.parent / "shared" / "wire" / "recorded.jsonl.gz"

DOORS = {
    "/chat/completions": "openai_chat",
    "/responses": "openai_responses",
    "/embeddings": "openai_embeddings",
    "/completions": "openai_completions",
    "/moderations": "openai_moderations",
}

CUTS = 20
EVENT_LIMIT = 16 << 20

Row = dict[str, Any]


def main() -> int:
    """0 when all passed or there is nothing to replay, 1 otherwise."""
    if not RECORDED.exists():
        print("No recordings beside this checkout (../shared/wire/recorded.jsonl.gz): nothing was replayed.")
        return 0
    tried: Counter[tuple[str, str]] = Counter()
    passed: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    for row in _rows():
        dialect = _dialect_of(row)
        if dialect is None:
            continue
        kind = "error" if row["status"] >= 400 else ("stream" if row["stream"] else "reply")
        key = (row["provider"], f"{dialect.NAME} {kind}")
        tried[key] += 1
        problems = list(_problems(row, dialect, kind))
        passed[key] += not problems
        failures += [f"{row['id']}: {problem}" for problem in problems]
    _print_table(tried, passed)
    for failure in failures:
        print(f"  {failure}")
    good, all_ = passed.total(), tried.total()
    print(f"{good} passed, {all_ - good} failed")
    return 0 if good == all_ else 1


def _rows() -> Iterator[Row]:
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _dialect_of(row: Row) -> Dialect | None:
    path = row["path"].rstrip("/")
    return next((DIALECTS[name] for ending, name in DOORS.items() if path.endswith(ending)), None)


def _problems(row: Row, dialect: Dialect, kind: str) -> Iterator[str]:
    body = None if row["request"] is None else json.dumps(row["request"], ensure_ascii=False).encode()
    reply = (row["response"] or "").encode()
    tokens_in = None
    try:
        if kind == "error":
            yield from _error_problems(row, dialect, reply)
        elif kind == "stream":
            tokens_in = _input_of(_last_usage(reply))
            yield from _stream_problems(dialect, reply)
        else:
            expected = json.loads(reply).get("usage")
            # Some "models" are agents that call several models and tools: their input has nothing to do with the
            # request.
            tokens_in = None if "usage_breakdown" in json.loads(reply) else _input_of(expected)
            reading = dialect.read_reply(reply, Quirks())
            if reading.error is not None:
                yield f"read as an error: {reading.error.message}"
            yield from _usage_problems(expected, reading.usage and reading.usage.counts)
        if body is not None:
            yield from _request_problems(dialect, body, tokens_in)
    except GatewayError as error:
        yield f"{type(error).__name__}: {error.message}"


def _request_problems(dialect: Dialect, body: bytes, tokens_in: int | None) -> Iterator[str]:
    if json.loads(body).get("background"):
        return  # refused by design; the recording is of its reply
    wanted = dialect.peek(body)
    sent, notes = dialect.rewrite(body, wanted, Change(model=wanted.model))
    if sent != body or notes:
        yield "a rewrite without changes changed the request"
    renamed, _ = dialect.rewrite(body, wanted, Change(model="another/model-1"))
    if json.loads(renamed) != {**json.loads(body), "model": "another/model-1"}:
        yield "renaming the model changed more than the model"
    again = dialect.peek(renamed)
    if replace(again, model=wanted.model) != wanted:
        yield "renaming the model changed what else is read"
    measure = dialect.measure(body, wanted)
    unseen = wanted.unpriceable or wanted.unknown or measure.images or measure.pages
    if tokens_in is not None and not unseen and measure.text_bytes < tokens_in:
        yield f"the input bound {measure.text_bytes} is below the vendor's {tokens_in}"


def _stream_problems(dialect: Dialect, reply: bytes) -> Iterator[str]:
    expected = _last_usage(reply)
    failed = b"event: error" in reply or b'"error":{' in reply.replace(b" ", b"")
    dice = random.Random(len(reply))
    for cut in range(CUTS):
        scanner = dialect.open_stream(Quirks(), hide_usage=False, event_limit=EVENT_LIMIT)
        out = b"".join(scanner.feed(chunk) for chunk in _chunks(reply, dice, whole=cut == 0))
        scanner.close()
        if out + scanner.ending != reply:
            yield "the stream was not relayed byte for byte"
        if scanner.clean == failed:
            yield f"read as {'clean' if scanner.clean else 'broken off'}"
        usage = scanner.usage
        yield from _usage_problems(expected, usage and usage.counts)
        if b"data: [DONE]" in reply and not scanner.ending.startswith(b"data: [DONE]"):
            yield "[DONE] was not kept back"
        if expected is None and not any(dialect.texts_of([reply])):
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


def _last_usage(reply: bytes) -> dict[str, Any] | None:
    """Plain JSON, line by line."""
    found = None
    for line in reply.decode().split("\n"):
        if line.startswith("data: {"):
            event = json.loads(line[6:])
            usage = event.get("usage") or (event.get("response") or {}).get("usage")
            found = usage if isinstance(usage, dict) else found
    return found


def _input_of(usage: dict[str, Any] | None) -> int | None:
    return None if usage is None else usage.get("prompt_tokens", usage.get("input_tokens"))


def _usage_problems(expected: dict[str, Any] | None, counts: Any) -> Iterator[str]:
    if expected is None or counts is None:
        if (expected is None) != (counts is None):
            yield f"usage {expected} was read as {counts}"
        return
    tokens_in = _input_of(expected) or 0
    tokens_out = expected.get("completion_tokens", expected.get("output_tokens")) or 0
    tokens_out = max(tokens_out, expected.get("total_tokens", 0) - tokens_in)
    details = expected.get("prompt_tokens_details") or expected.get("input_tokens_details") or {}
    cached = (
        details.get("cached_tokens") or expected.get("prompt_cache_hit_tokens") or expected.get("num_cached_tokens")
    )
    wished = (tokens_in, tokens_out, cached or 0, details.get("cache_write_tokens") or 0)
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    read = tuple(counts.get(name, 0) for name in names)
    if read != wished:
        yield f"usage read as {read}, not {wished}"


def _error_problems(row: Row, dialect: Dialect, reply: bytes) -> Iterator[str]:
    decoded = dialect.decode_error(row["status"], reply)
    said = json.loads(reply)
    said = said[0] if isinstance(said, list) else said
    message = said.get("error", said)
    message = message.get("message") if isinstance(message, dict) else message
    if decoded.message != message or not decoded.is_vendor_body:
        yield f"the message {message!r} was read as {decoded.message!r}"


def _print_table(tried: Counter[tuple[str, str]], passed: Counter[tuple[str, str]]) -> None:
    width = max((len(kind) for _, kind in tried), default=0)
    for key in sorted(tried):
        provider, kind = key
        print(f"{provider:<12} {kind:<{width}}  {passed[key]:>3} of {tried[key]}")


if __name__ == "__main__":
    sys.exit(main())
