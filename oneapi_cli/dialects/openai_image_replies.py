"""What a reply with pictures says of its bill: how many there are, and the tokens where the vendor counts such."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from ..values.usage import Count, Usage
from ..values.vendor import Quirks
from .dialect import ReplyReading
from .openai_chunks import refused_reply, reply_members
from .openai_usage import block_at, usage_of

_items = msgspec.json.Decoder(list[Raw])


def read_image_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole body with `data`. Raises Malformed when it is something else."""
    members = reply_members(body)
    data = members.get("data")
    if data is None or not bytes(data).startswith(b"["):
        return refused_reply(members, "data")
    block = block_at(members, "usage")
    usage = image_usage(block, None, quirks) if block is not None else None
    counts: dict[str, Count] = {"images": len(_items.decode(data))}
    if usage is None:
        return ReplyReading(usage=Usage(counts=counts), finished=True)
    return ReplyReading(usage=replace(usage, counts={**counts, **usage.counts}), finished=True)


def image_usage(raw: bytes, tier: str | None, quirks: Quirks) -> Usage | None:
    """A usage block of the gpt-image family. Without details, every output token is a picture's."""
    usage = usage_of(raw, tier, quirks)
    if usage is None:
        return None
    counts = dict(usage.counts)
    produced = counts.get("output_tokens", 0)
    if produced and "output_image_tokens" not in counts and b"output_tokens_details" not in raw:
        counts["output_image_tokens"] = produced
    return replace(usage, counts=counts)


def read_usage(payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
    """The usage in a reply or an event."""
    raw = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    block = block_at(msgspec.json.decode(raw, type=dict[str, Raw]), "usage")
    return None if block is None else image_usage(block, None, quirks)
