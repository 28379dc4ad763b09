"""Plays the demo vendor's steps into plain values, as its server would, but without a socket or a clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oneapi_cli.providers import demo

CREATED = 1_790_000_000


@dataclass
class Played:
    """What a client would have seen. status 0: nothing. dropped: None for a proper end, else whether it was a reset."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: list[bytes] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    dropped: bool | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.sent)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    def events(self) -> list[Any]:
        """The data of every SSE event but [DONE]."""
        lines = [line for event in self.sent for line in event.decode().split("\n") if line.startswith("data: ")]
        return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


def play(path: str, body: object, method: str = "POST") -> Played:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return collect(demo.answer(method, path, raw, CREATED))


def collect(steps: Any) -> Played:
    seen = Played()
    for step in steps:
        match step:
            case demo.Start(status, headers):
                seen.status, seen.headers = status, headers
            case demo.Send(data):
                assert seen.status, "bytes before the head"
                seen.sent.append(data)
            case demo.Pause(seconds):
                seen.pauses.append(seconds)
            case demo.Drop(reset):
                seen.dropped = reset
    return seen


def chat(prompt: str, **members: object) -> Played:
    return play(
        "/chat/completions", {"model": "demo-small", "messages": [{"role": "user", "content": prompt}], **members}
    )
