"""The only place where an error becomes HTTP: status, headers and the body of the door's own dialect."""

from __future__ import annotations

import math

from aiohttp import web

from ..dialects import DIALECTS
from ..values.errors import GatewayError

REQUEST_ID = "X-Oneapi-Request-Id"


def error_response(error: GatewayError, request_id: str, dialect: str) -> web.Response:
    """`error` as an answer in `dialect`; `Retry-After` in whole seconds, rounded up, where the error knows."""
    body = DIALECTS[dialect].encode_error(error, request_id)
    headers = {REQUEST_ID: request_id}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(0, math.ceil(error.retry_after_seconds)))
    return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)
