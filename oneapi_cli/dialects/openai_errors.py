"""Errors of the OpenAI family: its envelope, and what vendors that speak it really send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.errors import GatewayError
from .dialect import VendorError

_anything = msgspec.json.Decoder()

# Where vendors put the sentence, in this order (the original's own search, then FastAPI's `detail`).
_PLACES = (
    ("error", "message"),
    ("message",),
    ("msg",),
    ("err",),
    ("error_msg",),
    ("header", "message"),
    ("response", "error", "message"),
    ("error",),
    ("detail",),
)


def encode_error(error: GatewayError, request_id: str) -> bytes:
    """The envelope. What has neither code nor member (authentication, say) has two keys, as the original's has."""
    return msgspec.json.encode({"error": error_object(error, request_id)})


def encode_error_event(error: GatewayError, request_id: str) -> bytes:
    """The envelope as an event; the official SDK raises APIError for any event with an `error` member."""
    return b"data: " + encode_error(error, request_id) + b"\n\n"


def error_object(error: GatewayError, request_id: str) -> dict[str, str | None]:
    """message (with the request's id), type, and where either is known param and code."""
    envelope: dict[str, str | None] = {
        "message": f"{error.message} (request id: {request_id})",
        "type": error.type,
    }
    if error.code is not None or error.member is not None:
        envelope["param"] = error.member or ""
        envelope["code"] = error.code
    return envelope


def decode_error(status: int, body: bytes) -> VendorError:
    """What a vendor said with a status that is not 2xx. A page of HTML or an empty body is not the vendor's own
    word."""
    try:
        payload = _anything.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = None
    if isinstance(payload, list) and payload:  # Google's OpenAI path wraps its error in an array
        payload = payload[0]
    found = error_in(payload, status=status) if isinstance(payload, dict) else None
    if found is not None:
        return found
    return VendorError(
        message=f"The upstream answered with status {status} and no message",
        type="upstream_error",
        code="bad_response_status_code",
        param=str(status),
        status=status,
        is_vendor_body=False,
    )


def error_in(payload: Mapping[str, Any], *, status: int | None = None) -> VendorError | None:
    """The error that a decoded JSON object carries, None where it carries none."""
    message = next((text for place in _PLACES if (text := _sentence(_at(payload, place)))), "")
    nested = payload.get("error")
    if not isinstance(nested, dict):
        if not message:
            return None
        code = _word(payload.get("code")) or "bad_response_status_code"
        param = str(status) if status is not None else None
        return VendorError(message=message, type="upstream_error", code=code, param=param, status=status)
    if not nested:
        return None
    return VendorError(
        message=message or "The upstream gave no message",
        type=_word(nested.get("type")) or _word(nested.get("status")),
        code=_word(nested.get("code")),
        param=_word(nested.get("param")),
        status=status or _status(nested.get("status_code")) or _status(nested.get("code")),
    )


def error_of(raw: bytes) -> VendorError | None:
    """The same for the raw JSON of one `error` member; None for null, false and empty ones."""
    value = _anything.decode(raw)
    return error_in({"error": value}) if value else None


def _at(payload: Mapping[str, Any], place: tuple[str, ...]) -> object:
    value: object = payload
    for name in place:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _sentence(value: object) -> str:
    """A message: a string, or FastAPI's list of `{"loc": …, "msg": …}`."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(item["msg"] for item in value if isinstance(item, dict) and isinstance(item.get("msg"), str))
    return ""


def _word(value: object) -> str | None:
    """A code may be a string, a number or null on the wire."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _status(value: object) -> int | None:
    return value if isinstance(value, int) and 400 <= value <= 599 else None
