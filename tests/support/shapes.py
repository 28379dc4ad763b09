"""Replies and events as OpenAI sends them, for scripted vendors."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

from .upstream import reply


def response(text: str = "Hello", **more: Any) -> dict[str, Any]:
    """A response object as OpenAI sends it."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "gpt-4o-mini",
        "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 15,
        },
        **more,
    }


def vectors(*vectors: Sequence[float], packed: bool = True) -> dict[str, Any]:
    def spelt(vector: Sequence[float]) -> Any:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if packed else list(vector)

    data = [{"object": "embedding", "index": i, "embedding": spelt(v)} for i, v in enumerate(vectors)]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}


def completion(*texts: str) -> dict[str, Any]:
    choices = [{"index": i, "text": text, "finish_reason": "stop", "logprobs": None} for i, text in enumerate(texts)]
    return {**reply(), "object": "text_completion", "model": "gpt-3.5-turbo-instruct", "choices": choices}


def typed(*payloads: dict[str, Any]) -> list[bytes]:
    """Events of the Responses API, numbered."""
    return [
        f"event: {p['type']}\ndata: {json.dumps({**p, 'sequence_number': i})}\n\n".encode()
        for i, p in enumerate(payloads)
    ]


def response_events(*words: str) -> list[bytes]:
    begun = response("", status="in_progress", output=[], usage=None)
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    text = "".join(words)
    done = response(text)
    return typed(
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **where, "part": part},
        *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": {**part, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]},
        {"type": "response.completed", "response": done},
    )
