"""/v1/completions of the demo vendor: the legacy shape, with arrays of prompts.

Source: OpenAI's API reference, completions (2026-11).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from .chunks import LOGPROB, Payload, TextBody, error_event, stream_events, usage_block, whole
from .orders import read_orders
from .steps import Fault, Step, ordered_failure, reply, stream
from .wishes import CHAT_MODELS, Output, Wish, check_limits, check_model, compose
from .words import make_id, seed_of


class _CompletionBody(TextBody, kw_only=True):
    prompt: str | list[str | int | list[int]]
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None


def answer_completion(body: bytes, created: int) -> Iterator[Step]:
    """One legacy completion; an array of prompts makes a choice for each. Raises Fault, msgspec.ValidationError."""
    asked = msgspec.json.decode(body, type=_CompletionBody)
    check_model(asked.model, CHAT_MODELS)
    check_limits(asked.max_tokens, asked.n or 1, "max_tokens")
    tried = max(asked.n or 1, asked.best_of or 1)
    check_limits(None, tried, "best_of")
    prompts = _prompts(asked.prompt)
    wishes = [
        Wish(
            model=asked.model,
            texts=(prompt,),
            last=prompt,
            orders=read_orders(prompts[-1]),
            key=seed_of(body, created),
            limit=asked.max_tokens,
            outputs=asked.n or 1,
            stop=asked.stops,
        )
        for prompt in prompts
    ]
    orders = wishes[0].orders
    failure = ordered_failure(orders)
    if failure is not None:
        return failure
    # best_of: all that were tried are paid for, the first n are shown.
    outputs = [compose(wish, index) for wish in wishes for index in range(tried)]
    shown = [output for output in outputs if output.index < (asked.n or 1)]
    head: Payload = {
        "id": make_id("cmpl-", wishes[0].key),
        "object": "text_completion",
        "created": created,
        "model": asked.model,
    }
    usage = usage_block(msgspec.structs.replace(wishes[0], texts=tuple(prompts)), outputs)
    if asked.stream:
        deltas = (_completion_deltas(number, output, asked) for number, output in enumerate(shown))
        return stream(stream_events(head, deltas, usage, asked.include_usage), orders, error_event(orders))
    choices = [_completion_choice(number, output, asked) for number, output in enumerate(shown)]
    return reply(whole(head, choices, usage), orders, words=sum(output.tokens for output in outputs))


def _prompts(said: str | list[str | int | list[int]]) -> list[str]:
    """Prompts as texts; token numbers stand for themselves, one word each."""
    if isinstance(said, str):
        return [said]
    if not said:
        raise Fault(400, "prompt must not be empty.", code="empty_array", param="prompt")
    if isinstance(said[0], int):
        return [" ".join(map(str, said))]
    return [" ".join(map(str, one)) if isinstance(one, list) else str(one) for one in said]


def _completion_deltas(number: int, output: Output, asked: _CompletionBody) -> Iterator[Payload]:
    start = (output.wish.last,) if asked.echo else ()
    for piece in itertools.chain(start, output.pieces()):
        yield _completion_piece(number, piece, None, [piece], asked.logprobs)
    yield _completion_piece(number, "", output.finish, (), None)


def _completion_choice(number: int, output: Output, asked: _CompletionBody) -> Payload:
    text = (output.wish.last if asked.echo else "") + output.text()
    return _completion_piece(number, text, output.finish, list(output.pieces()), asked.logprobs)


def _completion_piece(
    number: int, text: str, finish: str | None, pieces: Sequence[str], probable: int | None
) -> Payload:
    logprobs: Mapping[str, object] | None = None
    if probable is not None:
        offsets = itertools.accumulate((len(piece) for piece in pieces), initial=0)
        logprobs = {
            "tokens": list(pieces),
            "token_logprobs": [LOGPROB] * len(pieces),
            "top_logprobs": [{piece: LOGPROB} for piece in pieces],
            "text_offset": list(offsets)[: len(pieces)],
        }
    return {"index": number, "text": text, "logprobs": logprobs, "finish_reason": finish}
