"""How long one request holds up the event loop in one piece, from its body to the bytes that leave for the vendor.

The steps are those of an exchange, in its order; another task of the loop says how long it had to wait for its turn.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from typing import Any

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.gateway.plan import Offer
from oneapi_cli.gateway.talk import aside, read_talk
from oneapi_cli.gateway.translating import encoded
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


async def _longest_gap_ms(body: bytes, offer: Offer) -> float:
    """The longest that the loop's other work had to wait while one request was made ready, in milliseconds."""
    chat, gaps, over = DIALECTS["openai_chat"], [0.0], False

    async def others() -> None:
        last = time.perf_counter()
        while not over:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(1000 * (now - last))
            last = now

    async with asyncio.TaskGroup() as group:
        group.create_task(others())
        await asyncio.sleep(0.01)
        wanted = await aside(len(body), lambda: chat.peek(body))
        chat.measure(body, wanted)
        await asyncio.sleep(0)
        talk = await aside(len(body), lambda: read_talk(body, wanted))
        await aside(len(body), lambda: encoded(talk, offer, 1000))
        over = True
    return max(gaps)


def longest_piece_ms(size: int) -> float:
    """Of a request of about `size` bytes at the chat door, translated for Anthropic; the median of several."""
    body, offer = _body(size), _offer()
    return statistics.median(asyncio.run(_longest_gap_ms(body, offer)) for _ in range(ROUNDS))
