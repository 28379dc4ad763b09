"""A gateway whose control plane is what is tested, and one call to it."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp

from .gateway import Gateway

ADMIN = "let-me-in"
CONFIG = """
    ledger: ledger.db
    admin_key: let-me-in
    hold_wait: 50ms
    channels:
      - name: one
        type: openai-compatible
        base_url: {url}
        api_key: k-vendor
        models: [gpt-4o-mini, gpt-4o]
        priced_as: openai
"""
NOWHERE = "http://127.0.0.1:1/v1"


class Answer:
    """status, headers (lower case) and the body, decoded where it is JSON."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers = status, headers
        self.body: Any = json.loads(body) if headers.get("content-type", "").startswith("application/json") else body

    @property
    def refusal(self) -> str:
        """The sentence of a business failure."""
        assert (self.status, self.body["success"]) == (200, False), self.body
        return str(self.body["message"])

    @property
    def data(self) -> Any:
        assert (self.status, self.body["success"], self.body["message"]) == (200, True, ""), self.body
        return self.body["data"]


async def call(
    gateway: Gateway,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request; body: bytes as they are, anything else as JSON. key None: the gateway's own token; "": none."""
    sent = {"Authorization": f"Bearer {gateway.key if key is None else key}"} if key != "" else {}
    whole = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    data = None if whole is None else io.BytesIO(whole)  # aiohttp warns of many bytes in one piece
    async with (
        aiohttp.ClientSession(headers={**sent, **(headers or {})}) as session,
        session.request(method, gateway.url + path, data=data) as answer,
    ):
        found = Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read())
        assert len(found.headers["x-oneapi-request-id"]) == 32
        return found


async def manage(gateway: Gateway, method: str, path: str, body: Any = None) -> Answer:
    """The same with the admin's key."""
    return await call(gateway, method, path, body, key=ADMIN)


def chat(limit: int = 10, model: str = "gpt-4o-mini") -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": limit}
