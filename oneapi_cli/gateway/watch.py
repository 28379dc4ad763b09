"""Turns "the client has left" into what the present phase of an exchange wants done about it.

While a hold is waited for: give up at once. While a whole reply, or hidden reasoning, is being made: read on for a
while, since the vendor bills it anyway. While a visible stream runs: stop now, or read on, as the config says. Each
is a cancellation of the exchange's own task, now or later; `absorb` tells it from a cancellation by anybody else.
"""

from __future__ import annotations

import asyncio

from ..values.asks import Presence


class ClientLeft(Exception):
    """There is nobody to answer any more. Never shown to anyone."""


class Watch:
    """Watches one exchange's client. Costs a method call per phase, nothing per chunk."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self.fired = False

    @property
    def gone(self) -> bool:
        return self._presence.gone

    def leave_after(self, seconds: float) -> None:
        """From now on, a client that leaves ends this exchange `seconds` later (0: at once)."""
        self._task = asyncio.current_task()
        self._stop_timer()
        self._presence.when_gone(lambda: self._start(seconds))

    def off(self) -> None:
        """Nobody is cancelled any more; a timer that is running is stopped."""
        self._presence.when_gone(None)
        self._stop_timer()
        self._task = None

    def absorb(self) -> bool:
        """In an `except CancelledError`: whether it was ours alone, and if so takes it back."""
        task = asyncio.current_task()
        return self.fired and task is not None and task.uncancel() == 0

    def _start(self, seconds: float) -> None:
        if seconds <= 0:
            self._fire()
        else:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._fire)

    def _fire(self) -> None:
        if self._task is not None and not self.fired:
            self.fired = True
            self._task.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
