"""The only place where an error becomes HTTP: status, headers and the body of the door's own dialect."""

from __future__ import annotations

import math

import msgspec
from aiohttp import web

from ..dialects import DIALECTS
from ..gateway.rates import rate_headers
from ..values.errors import GatewayError
from .doors import ENVELOPE

REQUEST_ID = "X-Oneapi-Request-Id"
SERVER = {"Server": "oneapi"}
"""Instead of aiohttp's own, which tells every caller the versions of Python and aiohttp."""


def error_response(error: GatewayError, request_id: str, dialect: str) -> web.Response:
    """`error` as an answer in `dialect`; `Retry-After` in whole seconds, rounded up, where the error knows."""
    body = _envelope(error, request_id) if dialect == ENVELOPE else DIALECTS[dialect].encode_error(error, request_id)
    headers = {REQUEST_ID: request_id}
    headers |= rate_headers(error.rates)
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(0, math.ceil(error.retry_after_seconds)))
    return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)


def _envelope(error: GatewayError, request_id: str) -> bytes:
    """One API's members, and OpenAI's beside them: the original answers a refused key in the one shape and all else in
    the other, and its clients look for either.
    """
    beside = {"message": f"{error.message} (request id: {request_id})", "type": error.type, "code": error.code}
    return msgspec.json.encode({"success": False, "message": error.message, "error": beside})
