"""Who pays for a call: hands out the headers that prove it, plain keys at once, AWS's and Google's after asking.

The libraries of those two are imported when a channel first needs them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from ..providers.auth import headers_for
from ..providers.auth.headers import with_extras
from ..values.asks import Call
from ..values.errors import Unreachable
from ..values.vendor import Channel
from .credentials_aws import AwsSigner
from .credentials_google import GoogleSigner

log = logging.getLogger("oneapi.credentials")


class Signer:
    """The credentials of one process, by what the channels say of themselves."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._aws = AwsSigner(clock)
        self._google = GoogleSigner(clock)

    async def sign(self, channel: Channel, key: str, call: Call) -> Mapping[str, str]:
        """Headers to add to this call. Raises Unreachable where there are no credentials to be had."""
        try:
            if channel.vendor.auth == "sigv4":
                return with_extras(await self._aws.prove(channel, key, call), channel, key)
            if channel.vendor.auth == "google":
                return with_extras(await self._google.prove(channel, key), channel, key)
        except Unreachable as none:
            log.warning("channel %s: no credentials could be had (%s)", channel.name, none.cause or "none are there")
            raise
        return headers_for(channel, key)
