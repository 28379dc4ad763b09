"""Errors in Anthropic's words: `{"type": "error", "error": {"type": …, "message": …}, "request_id": …}`.

The status decides the type, so that the official clients raise the exception that fits it. Our own code stands where
they look for one, in `error.details.error_code`.

Source: https://platform.claude.com/docs/en/api/errors (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ..values.errors import GatewayError
from .dialect import VendorError
from .openai_errors import decode_error as _decode_any
from .openai_errors import error_in

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_anything = msgspec.json.Decoder()


def type_for(status: int) -> str:
    """The error type that goes with an HTTP status."""
    return _TYPES.get(status) or ("invalid_request_error" if 400 <= status < 500 else "api_error")


def encode_error(error: GatewayError, request_id: str) -> bytes:
    return msgspec.json.encode(_envelope(error, request_id))


def encode_error_event(error: GatewayError, request_id: str) -> bytes:
    """`event: error`; the official clients raise for it, whatever came before."""
    return b"event: error\ndata: " + msgspec.json.encode(_envelope(error, request_id)) + b"\n\n"


def _envelope(error: GatewayError, request_id: str) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": type_for(error.status), "message": error.message}
    if error.code:
        inner["details"] = {"error_code": error.code}
    return {"type": "error", "error": inner, "request_id": request_id}


def decode_error(status: int, body: bytes) -> VendorError:
    """What a vendor said with a status that is not 2xx: Anthropic's envelope, or that of the cloud in front of it."""
    found = _decode_any(status, body)
    if not found.is_vendor_body:
        return found
    try:
        payload = _anything.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return found
    return _with_code(found, payload)


def error_of_event(payload: Mapping[str, Any]) -> VendorError:
    """The error in a decoded body or event of `"type": "error"`. It says its own status by its type."""
    found = error_in(payload) or VendorError(message="The upstream reported an error without saying which")
    if found.status is None and found.type in _STATUSES:
        found = replace(found, status=_STATUSES[found.type])
    return _with_code(found, payload)


def _with_code(found: VendorError, payload: object) -> VendorError:
    inner = payload.get("error") if isinstance(payload, dict) else None
    details = inner.get("details") if isinstance(inner, dict) else None
    code = details.get("error_code") if isinstance(details, dict) else None
    return replace(found, code=code) if isinstance(code, str) and code else found
