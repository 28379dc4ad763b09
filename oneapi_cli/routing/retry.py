"""When to try again, and where: DESIGN's evidence table, as a pure function.

Only before the client has seen a byte. A vendor's clear refusal (429, 5xx with its own error body) and a connection
that was never made are retried, on another channel first; the channel's own 401/403 only elsewhere. An unknown
outcome may have cost money already, so it is retried only when the config says `retry_unknown`. A client error of the
vendor never is: the next channel would say the same.
"""

from __future__ import annotations

from typing import Literal

from ..values.errors import Refused, Unreachable, UpstreamFault

Where = Literal["nowhere", "elsewhere", "anywhere"]

LONGEST_PAUSE_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.25


def where(fault: UpstreamFault, *, retry_unknown: bool) -> Where:
    """Whether this fault allows another attempt: on another channel only, or as a last resort on the same one too."""
    if isinstance(fault, Unreachable):
        return "anywhere"
    if isinstance(fault, Refused):
        if fault.status in (401, 403):
            return "elsewhere"
        return "anywhere" if fault.status == 429 or fault.status >= 500 else "nowhere"
    return "anywhere" if retry_unknown else "nowhere"


def pause_seconds(fault: UpstreamFault, attempt: int) -> float | None:
    """How long to wait before asking the *same* channel again; None when it asked for more patience than a client
    has.
    """
    asked = fault.retry_after_seconds
    if asked is not None:
        return max(asked, 0.0) if asked <= LONGEST_PAUSE_SECONDS else None
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)
