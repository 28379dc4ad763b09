"""Server-sent events, read as a client reads them: by text, line by line. Shares nothing with `framing/`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def events(body: bytes) -> Iterator[tuple[str, str]]:
    """(event name, data) of every event that has data. A last one without its blank line counts as well."""
    name, data = "", list[str]()
    for line in (body.decode().replace("\r\n", "\n").replace("\r", "\n") + "\n\n").split("\n"):
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


def json_events(body: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects, `[DONE]` left out."""
    for _, data in events(body):
        if data != "[DONE]":
            yield json.loads(data)
