"""Who pays for a call: hands out the headers that prove it. Plain keys need no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from ..providers.auth import headers_for
from ..values.asks import Call
from ..values.vendor import Channel


class Signer:
    """The credentials of one process."""

    async def sign(self, channel: Channel, key: str, call: Call) -> Mapping[str, str]:
        """Headers to add to this call."""
        return headers_for(channel, key)
