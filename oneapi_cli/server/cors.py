"""Which browser pages may call the doors: pure functions over the Origin header and the configured origins.

Off unless configured, for the doors only, never with credentials: a page's own key goes in a header that it sets, and
nothing that the browser holds is ever sent along.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .doors import Door, find_door

ANYONE = "*"
PREFLIGHT_SECONDS = 600
MOST_ASKED_CHARACTERS = 4096

_DOORS = frozenset({"relay", "count", "stored", "models", "model", "unbuilt"})
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*\Z")
_EXPOSED = ", ".join(
    (
        "X-Oneapi-Request-Id",
        "X-Oneapi-Max-Tokens",
        "X-Oneapi-Notes",
        "Retry-After",
        "OpenAI-Processing-MS",
        *(f"X-RateLimit-{what}-{unit}" for what in ("Limit", "Remaining", "Reset") for unit in ("Requests", "Tokens")),
    )
)


def answer_headers(headers: Mapping[str, str], door: Door, origins: Collection[str]) -> dict[str, str]:
    """What an answer at this door tells a browser; {} for other origins, other paths, and without configured ones."""
    if not origins or door.kind not in _DOORS:
        return {}
    allowed = _allowed(headers, origins)
    if not allowed:
        # The answer differs by origin all the same: a cache must not hand it to an allowed one.
        return {} if ANYONE in origins else {"Vary": "Origin"}
    vary = {} if allowed == ANYONE else {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": allowed, "Access-Control-Expose-Headers": _EXPOSED, **vary}


def preflight_headers(
    method: str, path: str, headers: Mapping[str, str], origins: Collection[str]
) -> dict[str, str] | None:
    """The answer to a browser that asks first; None where this is no such question, or not one that we answer.

    headers: lower-case names.
    """
    wanted = headers.get("access-control-request-method", "")
    allowed = _allowed(headers, origins) if method == "OPTIONS" and wanted else ""
    if not allowed or find_door(wanted, path).kind not in _DOORS:
        return None
    found = {
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Allow-Methods": wanted,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }
    asked = headers.get("access-control-request-headers", "").strip()
    if len(asked) <= MOST_ASKED_CHARACTERS and _NAMES.match(asked):
        found["Access-Control-Allow-Headers"] = asked
    return found


def _allowed(headers: Mapping[str, str], origins: Collection[str]) -> str:
    origin = headers.get("origin", "")
    if not origin:
        return ""
    if ANYONE in origins:
        return ANYONE
    return origin if origin.lower() in origins else ""
