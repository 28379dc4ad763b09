"""Errors as Bedrock says them: `{"message": …}` with the kind in a header, or as exceptions inside an event stream.

Source: botocore 1.44, `bedrock-runtime/2023-09-30/service-2.json`: each exception's `httpStatusCode` (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..framing.aws_eventstream import EXCEPTION
from ..framing.sse import Frame
from ..values.events import Failed
from .dialect import VendorError
from .openai_errors import decode_error as _decode_any
from .vendor_values import count_of, text_of

_STATUSES = {
    "accessdenied": 403,
    "internalserver": 500,
    "modelerror": 424,
    "modelnotready": 429,
    "modelstreamerror": 424,
    "modeltimeout": 408,
    "resourcenotfound": 404,
    "servicequotaexceeded": 400,
    "serviceunavailable": 503,
    "throttling": 429,
    "validation": 400,
}

_anything = msgspec.json.Decoder()


def decode_error(status: int, body: bytes) -> VendorError:
    """A body that is not 2xx. What is no object of this shape is read as any vendor's (a proxy's page, mostly)."""
    payload = _object(body)
    message = _message(payload)
    if not message:
        return _decode_any(status, body)
    kind = text_of(payload.get("__type")) or text_of(payload.get("code"))
    return VendorError(message=message, type=_name(kind) or None)


def is_exception(frame: Frame) -> bool:
    return frame.event.startswith(EXCEPTION)


def failed(frame: Frame) -> Failed:
    """An exception inside an event stream. The model's own status counts where the stream gives one."""
    payload = _object(frame.data or b"")
    kind = _name(frame.event.removeprefix(EXCEPTION))
    message = _message(payload) or text_of(payload.get("originalMessage"))
    original = count_of(payload.get("originalStatusCode"))
    status = original if original is not None and 400 <= original < 600 else status_of(kind)
    return Failed(message=message or f"The upstream ended its stream with {kind}", type=kind, status=status)


def status_of(kind: str) -> int | None:
    """The HTTP status that goes with an exception of this name, None for one that nobody knows."""
    return _STATUSES.get(kind.lower().removesuffix("exception"))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        payload = _anything.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _message(payload: Mapping[str, Any]) -> str:
    return text_of(payload.get("message")) or text_of(payload.get("Message"))


def _name(kind: str) -> str:
    """`com.amazon.coral.service#ThrottlingException` → `ThrottlingException`."""
    return kind.rpartition("#")[2].partition(":")[0]
