"""What chat and legacy completions of the demo vendor share on the wire: common members, usage, chunks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from .orders import Orders
from .steps import Fault
from .wishes import Output, Wish, usage_of

LOGPROB = -0.0625
_DONE = b"data: [DONE]\n\n"

Payload = dict[str, object]


class _StreamOptions(Struct):
    include_usage: bool = False


class TextBody(Struct, kw_only=True):
    """Members that both kinds of request have."""

    model: str
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


def error_event(orders: Orders) -> bytes:
    """What an upstream of this family sends when it fails in the middle of a stream."""
    fault = Fault(orders.status or 500, "The demo vendor was told to fail in the middle.", code="demo_error")
    return b"data: " + msgspec.json.encode(fault.body()) + b"\n\n"


def usage_block(wish: Wish, outputs: Sequence[Output]) -> Payload | None:
    """The `usage` object; None where the prompt forbade it."""
    if not wish.orders.usage:
        return None
    prompt, completion, reasoning = usage_of(wish, outputs)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": wish.orders.cached, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def whole(head: Payload, choices: Sequence[Payload], usage: Payload | None) -> Payload:
    """The reply that is not streamed."""
    return {**head, "choices": choices} | ({"usage": usage} if usage else {})


def stream_events(
    head: Payload, deltas: Iterable[Iterator[Payload]], usage: Payload | None, include_usage: bool
) -> Iterator[bytes]:
    """Chunks of all choices in turn, then usage if asked for (null on every chunk before), then [DONE]."""
    beside: Payload = {"usage": None} if include_usage and usage else {}
    for choice in _in_turn(list(deltas)):
        yield _event({**head, "choices": [choice], **beside})
    if beside:
        yield _event({**head, "choices": [], "usage": usage})
    yield _DONE


def _in_turn(sources: list[Iterator[Payload]]) -> Iterator[Payload]:
    for row in itertools.zip_longest(*sources):
        yield from (found for found in row if found is not None)


def _event(payload: Payload) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"
