"""Errors as Google's APIs put them: `{"error": {"code": 429, "message": …, "status": "RESOURCE_EXHAUSTED", …}}`.

The official SDKs go by the HTTP status (4xx a ClientError, 5xx a ServerError), inside a stream by `code`.

Sources: https://ai.google.dev/gemini-api/docs/troubleshooting · https://google.aip.dev/193 ·
https://cloud.google.com/apis/design/errors (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.errors import GatewayError
from .dialect import VendorError
from .openai_errors import error_in as others_error_in

_anything = msgspec.json.Decoder()

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_CODES = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
_RPC = "type.googleapis.com/google.rpc."
_DOMAIN = "oneapi"


def encode_error(error: GatewayError, request_id: str) -> bytes:
    """The envelope. A vendor's own status word is kept where it fits the code; what the error knows beside it (our
    code, the member at fault, when to try again) stands in `details`, typed as Google types it."""
    status = error.status if 400 <= error.status <= 599 else 500
    word = error.type if _CODES.get(error.type) == status else status_of(status)
    said: dict[str, Any] = {
        "code": status,
        "message": f"{error.message} (request id: {request_id})",
        "status": word,
    }
    if details := _details(error, request_id):
        said["details"] = details
    return msgspec.json.encode({"error": said})


def encode_error_event(error: GatewayError, request_id: str) -> bytes:
    """The envelope as an event: the official SDK raises for an event that begins with it."""
    return b"data: " + encode_error(error, request_id) + b"\n\n"


def status_of(code: int) -> str:
    """Google's word for an HTTP status."""
    return _STATUSES.get(code, "FAILED_PRECONDITION" if code < 500 else "INTERNAL")


def _details(error: GatewayError, request_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if error.code is not None:
        metadata = {"request_id": request_id}
        found.append(
            {"@type": f"{_RPC}ErrorInfo", "reason": error.code.upper(), "domain": _DOMAIN, "metadata": metadata}
        )
    if error.member is not None:
        violation = {"field": error.member, "description": error.message}
        found.append({"@type": f"{_RPC}BadRequest", "fieldViolations": [violation]})
    if error.retry_after_seconds is not None:
        found.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{max(0, round(error.retry_after_seconds))}s"})
    return found


def decode_error(status: int, body: bytes) -> VendorError:
    """What a body that is not 2xx says; a list of one is what a stream without SSE answers with."""
    try:
        payload = _anything.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = None
    if isinstance(payload, list) and payload:
        payload = payload[0]
    if isinstance(payload, dict) and (found := any_error_in(payload)) is not None:
        return msgspec.structs.replace(found, status=status)
    return VendorError(
        message=f"The upstream answered with status {status} and no message",
        type="upstream_error",
        code="bad_response_status_code",
        param=str(status),
        status=status,
        is_vendor_body=False,
    )


def any_error_in(payload: Mapping[str, Any]) -> VendorError | None:
    """The same, also in the words of whoever stands between us and Google (`detail`, `message`…)."""
    return error_in(payload) or others_error_in(payload)


def error_in(payload: Mapping[str, Any]) -> VendorError | None:
    """The error that a decoded object carries, None where it carries none. type: Google's status word; code: the
    reason in its details, else that word."""
    said = payload.get("error")
    if isinstance(said, str) and said:
        return VendorError(message=said, type="upstream_error")
    if not isinstance(said, Mapping) or not said:
        return None
    word = said.get("status") if isinstance(said.get("status"), str) else None
    code = said.get("code")
    number = code if isinstance(code, int) and 400 <= code <= 599 else _CODES.get(word or "")
    message = said.get("message")
    return VendorError(
        message=message if isinstance(message, str) and message else "The upstream gave no message",
        type=word,
        code=_reason(said.get("details")) or word,
        param=_field(said.get("details")),
        status=number,
    )


def _reason(details: object) -> str | None:
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and isinstance(reason := detail.get("reason"), str) and reason:
            return reason
    return None


def _field(details: object) -> str | None:
    for detail in details if isinstance(details, list) else ():
        violations = detail.get("fieldViolations") if isinstance(detail, Mapping) else None
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, Mapping) and isinstance(field := violation.get("field"), str) and field:
                return field
    return None
