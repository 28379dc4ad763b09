"""How a caller's rates stand, in the headers that OpenAI's clients read. Pure.

`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; a reset is a duration as Go writes it: `850ms`, `1s`, `6m0s`.
Source: https://platform.openai.com/docs/guides/rate-limits (2026-11).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..values.holds import RateLimits

PREFIX = "x-ratelimit-"


def rate_headers(rates: RateLimits | None) -> dict[str, str]:
    """Headers of the kinds that are limited; {} where none is."""
    found: dict[str, str] = {}
    for kind, allowance in (("requests", rates.requests), ("tokens", rates.tokens)) if rates is not None else ():
        if allowance is not None:
            found[f"{PREFIX}limit-{kind}"] = str(allowance.limit)
            found[f"{PREFIX}remaining-{kind}"] = str(allowance.remaining)
            found[f"{PREFIX}reset-{kind}"] = duration_text(allowance.reset_seconds)
    return found


def with_rates(headers: Mapping[str, str], rates: RateLimits | None) -> dict[str, str]:
    """A vendor's headers with ours in the place of its own: what it says of its limits is not about this caller."""
    ours = rate_headers(rates)
    if not ours:
        return dict(headers)
    return {name: value for name, value in headers.items() if not name.lower().startswith(PREFIX)} | ours


def duration_text(seconds: float) -> str:
    """Rounded up, so that whoever waits that long has waited long enough: to milliseconds below a second."""
    if seconds <= 0:
        return "0s"
    if seconds <= 0.999:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"
