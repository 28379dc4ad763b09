"""The official client, sync and async, pointed at a gateway, with a record of what it really sent and got."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import openai

from .gateway import Gateway

Kind = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")


@dataclass
class Wire:
    """One client's traffic, in order. answers: whole bodies, None for a stream."""

    sent: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=list)

    @property
    def request_id(self) -> str:
        """Of the last answer."""
        return self.headers[-1]["x-oneapi-request-id"]

    def note(self, answer: Any, body: bytes | None) -> None:
        self.headers.append({name.lower(): value for name, value in answer.headers.items()})
        self.answers.append(body)


def sync_client(gateway: Gateway, wire: Wire, key: str = "", **options: Any) -> openai.OpenAI:
    """Does not retry, so that what happened is seen. Use it in a thread: the gateway lives in the event loop."""

    def answered(answer: Any) -> None:
        wire.note(answer, None if _is_stream(answer) else answer.read())

    hooks: dict[str, list[Callable[[Any], Any]]] = {
        "request": [lambda request: wire.sent.append(request.read())],
        "response": [answered],
    }
    http = openai.DefaultHttpxClient(event_hooks=hooks, trust_env=False)
    return openai.OpenAI(
        base_url=gateway.base, api_key=key or gateway.key, http_client=http, **{"max_retries": 0, **options}
    )


def async_client(gateway: Gateway, wire: Wire, key: str = "", **options: Any) -> openai.AsyncOpenAI:
    """The same for the event loop."""

    async def asked(request: Any) -> None:
        wire.sent.append(await request.aread())

    async def answered(answer: Any) -> None:
        wire.note(answer, None if _is_stream(answer) else await answer.aread())

    http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [asked], "response": [answered]}, trust_env=False)
    return openai.AsyncOpenAI(
        base_url=gateway.base, api_key=key or gateway.key, http_client=http, **{"max_retries": 0, **options}
    )


def _is_stream(answer: Any) -> bool:
    return str(answer.headers.get("content-type", "")).startswith("text/event-stream")


async def use(kind: Kind, gateway: Gateway, work: Callable[[Any], Any], wire: Wire | None = None, key: str = "") -> Any:
    """`work(client)` with a client of this kind; a stream comes back as the list of its items."""
    wire = wire if wire is not None else Wire()
    if kind == "sync":
        return await asyncio.to_thread(_use_sync, gateway, work, wire, key)
    async with async_client(gateway, wire, key) as client:
        found = work(client)
        if inspect.isawaitable(found):
            found = await found
        return [item async for item in found] if isinstance(found, openai.AsyncStream) else found


def _use_sync(gateway: Gateway, work: Callable[[Any], Any], wire: Wire, key: str) -> Any:
    with sync_client(gateway, wire, key) as client:
        found = work(client)
        return list(found) if isinstance(found, openai.Stream) else found
