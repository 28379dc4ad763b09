"""The doors to responses that a vendor keeps."""

from __future__ import annotations

from aiohttp import web

from ..gateway.authenticate import Caller
from ..gateway.gate import Gate
from ..gateway.stored import pass_on
from ..values.asks import Ask
from .errors import REQUEST_ID


async def stored_response(ask: Ask, response_id: str, caller: Caller, gate: Gate) -> web.Response:
    """The vendor's own answer, for the user that made the response."""
    answer = await pass_on(ask, response_id, caller, gate)
    return web.Response(body=answer.body, headers={REQUEST_ID: ask.id, "Content-Type": answer.content_type})
