"""Request ids: 32 decimal digits, 14 of UTC time and 18 from a CSPRNG, so that knowing one is what entitles to its
cost.
"""

from __future__ import annotations

import secrets
import time


def new_request_id(now: float) -> str:
    """`now` in unix seconds → e.g. `20261122161700` + 18 random digits."""
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now))
    return f"{stamp}{secrets.randbelow(10**18):018d}"
