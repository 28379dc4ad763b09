"""Cool-downs: a channel that has just failed rests, so that the next request tries another one first.

A 429 or a 5xx rests the channel for that model; a refused key or a dead address rests it for every model.
`Retry-After` is honoured up to ten minutes. State is one small dict per process; nothing is shared and nothing is
written.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..values.errors import Refused, Unreachable, UpstreamFault

MAX_REST_SECONDS = 600.0
MOST_RESTS = 4096
REST_SECONDS = {"throttled": 20.0, "auth": 60.0, "unreachable": 10.0, "failing": 10.0}


class Health:
    """Which (channel, model) rests until when; times are the caller's clock in seconds."""

    def __init__(self) -> None:
        self._rests: dict[tuple[str, str], float] = {}

    def cooling(self, channel: str, model: str, now: float) -> bool:
        return self._until(channel, model) > now

    def forget(self, channels: Iterable[str]) -> None:
        """What was learned of these channels no longer holds: their config has changed."""
        names = frozenset(channels)
        for key in [key for key in self._rests if key[0] in names]:
            del self._rests[key]

    def succeeded(self, channel: str, model: str) -> None:
        """A reply ends the rest of this model; a channel-wide rest ends too, since its key and address evidently
        work.
        """
        if self._rests:
            self._rests.pop((channel, model), None)
            self._rests.pop((channel, ""), None)

    def failed(self, channel: str, model: str, fault: UpstreamFault, now: float) -> None:
        """Rest after a fault. Client errors of the vendor (400, 404, 422…) say nothing about its health."""
        kind = _kind(fault)
        if kind is None:
            return
        seconds = fault.retry_after_seconds if fault.retry_after_seconds is not None else REST_SECONDS[kind]
        scope = "" if kind in ("auth", "unreachable") else model
        self._rests[channel, scope] = now + min(max(seconds, 0.0), MAX_REST_SECONDS)
        if len(self._rests) > MOST_RESTS:
            # Through a `*` channel clients name any model: what would end first goes first.
            longest = sorted(self._rests.items(), key=lambda rest: rest[1])[MOST_RESTS // 2 :]
            self._rests = {key: until for key, until in longest if until > now}

    def _until(self, channel: str, model: str) -> float:
        if not self._rests:
            return 0.0
        return max(self._rests.get((channel, model), 0.0), self._rests.get((channel, ""), 0.0))


def _kind(fault: UpstreamFault) -> str | None:
    if isinstance(fault, Unreachable):
        return "unreachable"
    if isinstance(fault, Refused):
        if fault.status == 429:
            return "throttled"
        if fault.status in (401, 403):
            return "auth"
        return "failing" if fault.status >= 500 else None
    return "failing"
