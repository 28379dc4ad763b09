"""One client request from first byte to last; the only module that knows the order of things.

    authenticate → read → route and price → hold → send (again) → relay → settle → the bytes that end the reply

Promises kept here: nothing leaves before its hold is committed; what ends the reply is yielded only after the
settlement; the hold is closed exactly once whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from ..values.asks import Ask, Head
from ..values.errors import Broken, Malformed, TimedOut
from .admit import admit
from .attempts import Answer, first_answer
from .authenticate import authenticate
from .gate import Gate
from .meter import Meter
from .settle import settle
from .watch import ClientLeft, Watch


async def exchange(ask: Ask, gate: Gate) -> AsyncGenerator[Head | bytes, None]:
    """One client request. Yields one Head, then body bytes; raises GatewayError before the Head, never after it.

    Closes the hold exactly once whatever happens: success, refusal, every channel down, client gone, task cancelled
    (also while waiting for the hold). Raises ClientLeft when there is nobody to answer any more.
    """
    caller = await authenticate(ask, gate)
    watch = Watch(ask.presence)
    order, hold = await admit(ask, caller, gate, watch)
    meter = Meter(order, hold, gate)
    answer: Answer | None = None
    try:
        watch.leave_after(order.offers[0].candidate.channel.timeouts.drain)
        answer = await first_answer(ask, meter)
        scanner = answer.scanner
        if answer.body is not None or scanner is None:
            await settle(ask, meter, gate, watch)
            yield answer.head
            yield answer.body or b""
            return
        watch.leave_after(meter.patience_seconds)
        yield answer.head
        # Clients stop at an error event, so that it ends the reply: it too waits for the settlement.
        last = answer.first if scanner.error is not None else b""
        if answer.first and not last:
            yield answer.first
        try:
            async for chunk in answer.rest():
                out = scanner.feed(chunk)
                if scanner.error is not None:
                    last = out
                    break
                if out:
                    yield out
                if scanner.seen_bytes > meter.SEEN_LIMIT:
                    await meter.count_seen()
                if scanner.done:
                    break
            scanner.close()
        except (Broken, TimedOut, Malformed) as fault:
            meter.died(fault)
        await settle(ask, meter, gate, watch)
        yield last + meter.ending(ask.id)
    except GeneratorExit:
        await _read_on(answer, meter, watch)
        raise
    except asyncio.CancelledError:
        meter.cancelled()
        if watch.absorb():
            raise ClientLeft from None
        raise
    finally:
        if answer is not None:
            answer.reply.release() if meter.ended_well else answer.reply.abort()
        await settle(ask, meter, gate, watch)


async def _read_on(answer: Answer | None, meter: Meter, watch: Watch) -> None:
    """The client stopped reading. Where that does not stop the vendor, read to the usage, for a while."""
    watch.off()
    if meter.closer is not None or answer is None:
        return
    if meter.stops_when_client_leaves or meter.scanner is None or meter.offer is None:
        meter.cancelled()
        return
    try:
        async with asyncio.timeout(meter.offer.candidate.channel.timeouts.drain):
            async for chunk in answer.rest():
                meter.scanner.feed(chunk)
                if meter.scanner.seen_bytes > meter.SEEN_LIMIT:
                    await meter.count_seen()
                if meter.scanner.done:
                    break
    except (TimeoutError, Broken, TimedOut, Malformed, asyncio.CancelledError):
        meter.cancelled()
    else:
        meter.left_but_finished()
