"""Language models behind Replicate's predictions, as vendors speak it: create, then stream or poll.

A prediction has one prompt: a conversation becomes a transcript in it (`replicate_prompt`), and tools cannot be given.
What the inputs are called is the model's own affair (`Traits.inputs`).

A stream of output says nothing of tokens, and nothing can follow a stream: usage of a streamed reply is what we count.
A whole reply has its counts in the metrics of the official models.

Source: https://replicate.com/docs/reference/http, https://replicate.com/docs/topics/predictions/streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.conversation import Choice, Part, Reply, Text
from ..values.errors import Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import VendorError
from .openai_errors import decode_error
from .replicate_follow import follow, report, request_headers
from .replicate_prediction import DONE, NAME, failure_of, usage_of
from .replicate_request import LIMITS, encode_request
from .replicate_stream import decode_stream
from .vendor_values import count_of, object_of, seconds_of, text_of


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """A prediction that has ended; a failed or cancelled one is an error. Raises Malformed for one that runs."""
    if (failed := failure_of(payload)) is not None:
        return failed
    if payload.get("status") not in DONE:
        raise Malformed("The upstream's prediction has not ended")
    text = _text(payload.get("output"))
    parts: tuple[Part, ...] = (Text(text=text),) if text else ()
    usage = usage_of(payload)
    choice = Choice(parts=parts, finish="length" if _reached_limit(payload, usage) else "stop", raw_finish="succeeded")
    return Reply(
        id=text_of(payload.get("id")),
        model=text_of(payload.get("model")),
        created=seconds_of(payload.get("created_at")),
        choices=(choice,),
        usage=usage,
    )


def _text(output: object) -> str:
    """A string, or strings one after another; an object says it in its `text` member, or is JSON."""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
        return "".join(output)
    if isinstance(output, dict) and isinstance(said := output.get("text", output.get("output")), str):
        return said
    return "" if output is None else msgspec.json.encode(output).decode()


def _reached_limit(payload: Mapping[str, Any], usage: Usage | None) -> bool:
    """Predictions do not say why they ended; that all that was allowed has been produced says it."""
    if usage is None:
        return False
    given = object_of(payload.get("input"))
    limits = [limit for name in LIMITS if (limit := count_of(given.get(name)))]
    return bool(limits) and usage.get("output_tokens") >= min(limits)


def read_usage(payload: Mapping[str, Any], quirks: Quirks) -> Usage | None:
    """See `replicate_prediction.usage_of`."""
    return usage_of(payload)


__all__ = [
    "NAME",
    "decode_error",
    "decode_reply",
    "decode_stream",
    "encode_request",
    "follow",
    "read_usage",
    "report",
    "request_headers",
]
