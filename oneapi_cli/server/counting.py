"""The doors that count a request's input tokens."""

from __future__ import annotations

from aiohttp import web

from ..gateway.authenticate import Caller
from ..gateway.counting import count_input
from ..gateway.gate import Gate
from ..values.asks import Ask
from .doors import Door
from .errors import REQUEST_ID


async def count_tokens(ask: Ask, door: Door, caller: Caller, gate: Gate) -> web.Response:
    """`count_tokens`, `countTokens` and `input_tokens`, each in its own shape."""
    body = await count_input(ask, caller, gate, door.dialect, door.param)
    return web.Response(body=body, content_type="application/json", headers={REQUEST_ID: ask.id})
