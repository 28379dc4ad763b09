"""How long one request holds up the event loop in one piece, from its body to the bytes that leave for the vendor.

The steps are those of an exchange, each timed alone; between them the loop gets its turn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.gateway.plan import Offer
from oneapi_cli.gateway.talk import read_talk
from oneapi_cli.gateway.translating import encode
from oneapi_cli.ledger.price_card import Card
from oneapi_cli.providers.models import traits
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.routing.select import Candidate
from oneapi_cli.values.vendor import Channel

ROUNDS = 15
MODEL = "claude-sonnet-4-5"


def _body(size: int) -> bytes:
    """A conversation as a coding agent has it, of about this many bytes."""
    text = 'def greet(name):\n    return f"hello, {name}"  # é\n' * 20
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You write code."}]
    while len(json.dumps(messages)) < size:
        number = len(messages)
        call = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "read", "arguments": '{"path": "a.py"}'},
        }
        for _ in range(20):
            messages += [
                {"role": "user", "content": text},
                {"role": "assistant", "content": "Let me look.", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"call_{number}", "content": text},
            ]
            if len(messages) * len(text) > size:
                break
    tool = {"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}
    asked = {"model": MODEL, "messages": messages, "tools": [tool], "max_tokens": 1000}
    return json.dumps(asked, ensure_ascii=False).encode()


def _offer() -> Offer:
    vendor = VENDORS["anthropic"]
    channel = Channel(name="a", vendor=vendor, base=vendor.base, keys=("k",), models={MODEL: MODEL})
    candidate = Candidate(channel, MODEL, "anthropic_messages")
    return Offer(
        candidate=candidate,
        card=Card(model=MODEL, origin="", bases=(), free=True),
        at=datetime.now(UTC),
        traits=traits(MODEL),
    )


def _best_ms(work: Callable[[], object]) -> float:
    """The median of several rounds, in milliseconds."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - began))
    return sorted(found)[len(found) // 2]


def longest_piece_ms(size: int) -> float:
    """Of a request of about `size` bytes at the chat door, translated for Anthropic."""
    body, offer = _body(size), _offer()
    chat = DIALECTS["openai_chat"]
    wanted = chat.peek(body)
    talk = read_talk(body, wanted)
    pieces: tuple[Callable[[], object], ...] = (
        lambda: chat.peek(body),
        lambda: chat.measure(body, wanted),
        lambda: read_talk(body, wanted),
        lambda: encode(talk, offer, 1000),
    )
    return max(_best_ms(piece) for piece in pieces)
