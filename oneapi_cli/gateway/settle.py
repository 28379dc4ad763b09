"""Closing a hold, once, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import logging

from ..values.asks import Ask
from ..values.errors import GatewayError
from .gate import Account, Gate
from .meter import Meter
from .tasks import keep
from .watch import Watch

log = logging.getLogger("oneapi.gateway")


async def settle(ask: Ask, meter: Meter, gate: Gate, watch: Watch) -> None:
    """Commit the settlement; idempotent, and shielded: a caller that is cancelled leaves it running to its end."""
    watch.off()
    if meter.closer is None:
        meter.closer = keep(_close(ask, meter, gate), "settle")
    await asyncio.shield(meter.closer)


async def _close(ask: Ask, meter: Meter, gate: Gate) -> None:
    try:
        closing = await meter.closing()
    except Exception:
        # A bug in pricing or counting must not leave money held for ever, nor give it away: the hold is kept, and
        # listed
        # by `oneapi ledger orphans`.
        log.exception("request %s could not be priced; its hold is kept", ask.id)
        closing = meter.kept_for_a_bug()
    settlement = await gate.book.close(ask.id, closing)
    wanted = meter.order.wanted
    gate.log(
        Account(
            request_id=ask.id,
            door=ask.door,
            token=meter.order.principal.token.name,
            model=wanted.model,
            channel=closing.channel,
            status=closing.status,
            state="pending" if settlement.pending else closing.state,
            cost_nanos=settlement.cost_nanos,
            seconds=gate.now() - ask.received,
            attempts=len(closing.attempts),
            reason=closing.reason,
            outcomes=tuple((attempt.channel, attempt.outcome) for attempt in closing.attempts),
        )
    )


def refused_account(ask: Ask, refused: GatewayError, *, token: str, model: str, now: float) -> Account:
    """A refusal, as a line of the log."""
    return Account(
        request_id=ask.id,
        door=ask.door,
        token=token,
        model=model,
        channel="",
        status=refused.status,
        state="refused",
        cost_nanos=0,
        seconds=now - ask.received,
        attempts=0,
        reason=refused.code or "",
    )
