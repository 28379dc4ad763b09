"""What a relayed event costs in our own code: `python scripts/bench_relay.py`.

Prints nanoseconds per event for the scanner (framing, UTF-8 and JSON checks, watching for usage and the ending), for
chunks that carry 1, 4, 16 and 64 events, and microseconds for what is done once per request. The figure to keep: under
1 µs an event on chunks of several.
"""

from __future__ import annotations

import json
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.framing.members import Set, edit, members
from oneapi_cli.values.asks import Change
from oneapi_cli.values.vendor import Quirks

EVENTS = 6400
LIMIT_NANOSECONDS = 1000.0


def _chat_event(word: str) -> bytes:
    chunk = {
        "id": "chatcmpl-0123456789abcdefghijklmnopq",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": {"content": word}, "logprobs": None, "finish_reason": None}],
        "usage": None,
        "obfuscation": "abcdefghijkl",
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def _responses_event(word: str) -> bytes:
    event = {
        "type": "response.output_text.delta",
        "sequence_number": 7,
        "item_id": "msg_0123456789abcdef0123456789abcdef0123456789abcdef01",
        "output_index": 0,
        "content_index": 0,
        "delta": word,
        "logprobs": [],
        "obfuscation": "abcdefgh",
    }
    data = json.dumps(event, separators=(",", ":")).encode()
    return b"event: response.output_text.delta\ndata: " + data + b"\n\n"


def _best(work: Callable[[], object], number: int) -> float:
    """Seconds per call, the best of five rounds: the others were disturbed."""
    return min(timeit.repeat(work, number=number, repeat=5)) / number


def _per_event(dialect: str, event: bytes, per_chunk: int) -> float:
    chunks = [event * per_chunk] * (EVENTS // per_chunk)

    def relay() -> None:
        scanner = DIALECTS[dialect].open_stream(Quirks(), hide_usage=True, event_limit=16 << 20)
        for chunk in chunks:
            scanner.feed(chunk)
            if scanner.seen_bytes > 256 << 10:
                scanner.take_seen()

    return _best(relay, 2) / EVENTS * 1e9


def _requests() -> None:
    small = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Say something nice."}]}
    messages = [{"role": "user", "content": f'Line {n} says "hello" and\nmore, {"x" * 90}'} for n in range(7000)]
    for name, request, number in (("small", small, 2000), ("1 MB", {**small, "messages": messages}, 3)):
        _print_steps(name, json.dumps(request).encode(), number)


def _print_steps(name: str, body: bytes, number: int) -> None:
    chat = DIALECTS["openai_chat"]
    wanted = chat.peek(body)
    change = Change(model="gpt-4o-2024-08-06", add_usage=True)
    steps: dict[str, Callable[[], object]] = {
        "members": lambda: members(body),
        "edit": lambda: edit(body, [Set(("model",), b'"x"')]),
        "peek": lambda: chat.peek(body),
        "measure": lambda: chat.measure(body, wanted),
        "rewrite": lambda: chat.rewrite(body, wanted, change),
    }
    figures = "  ".join(f"{step} {_best(work, number) * 1e6:,.1f} µs" for step, work in steps.items())
    print(f"{name} request ({len(body):,} bytes): {figures}")


def main() -> int:
    """1 when a chunk of sixteen events costs more than the limit per event."""
    worst = 0.0
    for dialect, event in (
        ("openai_chat", _chat_event(" word")),
        ("openai_chat", _chat_event(" wörd")),
        ("openai_responses", _responses_event(" word")),
    ):
        figures = {per_chunk: _per_event(dialect, event, per_chunk) for per_chunk in (1, 4, 16, 64)}
        worst = max(worst, figures[16])
        shown = "  ".join(f"{per_chunk:>2} a chunk: {nanos:5.0f} ns" for per_chunk, nanos in figures.items())
        print(f"{dialect:<17} {len(event)} bytes an event  {shown}")
    _requests()
    return 0 if worst < LIMIT_NANOSECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
