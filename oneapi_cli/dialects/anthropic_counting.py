"""`POST /v1/messages/count_tokens`: what the prompt of a Messages request comes to, without running it.

Source: https://platform.claude.com/docs/en/api/messages-count-tokens (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..framing.members import Remove, edit, members

_COUNTED = frozenset(
    {
        "cache_control",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "output_format",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)

_object = msgspec.json.Decoder(dict[str, Any])


def count_request(body: bytes) -> bytes:
    """A Messages body as one of `count_tokens`: members that do not count are refused there, so they are taken out.
    Raises BadRequest where it is no JSON object."""
    listed = members(body)
    left = [Remove((name,)) for name in dict.fromkeys(member.name for member in listed) if name not in _COUNTED]
    return edit(body, left, listed)


def count_reply(input_tokens: int) -> bytes:
    """The answer's body."""
    return msgspec.json.encode({"input_tokens": input_tokens})


def count_of(body: bytes) -> int | None:
    """The number in a vendor's answer, None where there is none."""
    try:
        found = _object.decode(body).get("input_tokens")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, int) and not isinstance(found, bool) else None
