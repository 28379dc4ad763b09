"""A prediction of Replicate's: its status, what it failed of, what it used.

    starting → processing → succeeded | failed | canceled     aborted: its deadline passed before it started

Source: https://replicate.com/docs/topics/predictions/lifecycle (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.usage import Usage
from .dialect import VendorError
from .vendor_values import count_of, object_of, text_of

NAME: str = "replicate"

DONE = frozenset({"succeeded", "successful"})
FAILED = frozenset({"failed", "canceled", "cancelled", "aborted"})

_CODE = re.compile(r"\((E\d{3,4})\)")


def failure_of(prediction: Mapping[str, Any]) -> VendorError | None:
    """Why it has no output, in its own words; None where it has not failed."""
    status = text_of(prediction.get("status"))
    if status not in FAILED:
        return None
    why = error_text(prediction.get("error"))
    if not why:
        why = "The prediction failed and did not say why" if status == "failed" else "The prediction was cancelled"
    code = _CODE.search(why)
    return VendorError(message=why, type="prediction_" + status, code=code[1] if code else None)


def error_text(error: object) -> str:
    """The sentence in what stands for an error: a string, or an object with a `detail`, `message` or `title`."""
    said = object_of(error)
    words = (said.get(name) for name in ("detail", "message", "title"))
    return text_of(error).strip() or next((word.strip() for word in words if isinstance(word, str) and word), "")


def usage_of(prediction: Mapping[str, Any]) -> Usage | None:
    """The metrics' token counts, which official language models have; None for others, billed by time."""
    metrics = object_of(prediction.get("metrics"))
    given, produced = count_of(metrics.get("input_token_count")), count_of(metrics.get("output_token_count"))
    if given is None or produced is None:
        return None
    raw = msgspec.json.encode(metrics).decode()
    return Usage(counts={"input_tokens": given, "output_tokens": produced}, raw=raw)
