"""One client request from first byte to last; the only module that knows the order of things.

    authenticate → read → route and price → hold → send (again) → relay → settle → the bytes that end the reply

Promises kept here: nothing leaves before its hold is committed; what ends the reply is yielded only after the
settlement; the hold is closed exactly once whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from ..values.asks import Ask, Head
from ..values.errors import Broken, GatewayError, Malformed, TimedOut
from .admit import admit
from .attempts import Answer, first_answer
from .authenticate import Caller, authenticate
from .gate import Gate
from .meter import Meter
from .settle import settle
from .watch import ClientLeft, Watch


async def exchange(ask: Ask, gate: Gate, caller: Caller | None = None) -> AsyncGenerator[Head | bytes, None]:
    """One client request. Yields one Head, then body bytes; raises GatewayError before the Head, never after it.
    caller: who it is, where that is known already: whoever owns the ledger needs no key.

    Closes the hold exactly once whatever happens, also when cancelled. Raises ClientLeft when nobody is left to tell.
    """
    caller = caller or await authenticate(ask, gate)
    watch = Watch(ask.presence)
    order, hold = await admit(ask, caller, gate, watch)
    meter = Meter(order, hold, gate)
    answer: Answer | None = None
    try:
        watch.leave_after(meter.patience_for_a_reply)
        answer = await first_answer(ask, meter)
        scanner = answer.scanner
        if answer.body is not None or scanner is None:
            await settle(ask, meter, gate, watch)
            yield answer.head
            yield answer.body or b""
            return
        watch.leave_after(meter.patience_seconds)
        yield answer.head
        if first := answer.sayable(answer.first):
            yield first
        try:
            async for chunk in answer.rest():
                if out := answer.sayable(scanner.feed(chunk)):
                    yield out
                if scanner.seen_bytes > meter.SEEN_LIMIT:
                    await meter.count_seen()
            await answer.ask_afterwards()
            scanner.close()
        except (Broken, TimedOut, Malformed) as fault:
            meter.died(fault)
        await settle(ask, meter, gate, watch)
        yield answer.last + meter.ending(ask.id)
    except GeneratorExit:
        await _read_on(answer, meter, watch)
        raise
    except (ClientLeft, asyncio.CancelledError) as stopped:
        meter.cancelled(stopping=not watch.gone)
        if isinstance(stopped, ClientLeft) or watch.absorb():
            raise ClientLeft from None
        raise
    except GatewayError as error:
        meter.told(error)
        raise
    finally:
        _hang_up(answer, meter)
        await settle(ask, meter, gate, watch)


def _hang_up(answer: Answer | None, meter: Meter) -> None:
    """Let go of the vendor's reply. A connection is kept only where the reply came to its end; elsewhere the vendor is
    told that nobody waits any more, if it has a word for that."""
    if answer is None:
        return
    if meter.ended_well:
        answer.reply.release()
    else:
        answer.reply.abort()
        answer.abandon()


async def _read_on(answer: Answer | None, meter: Meter, watch: Watch) -> None:
    """The client stopped reading. Where that does not stop the vendor, read to the usage, for a while."""
    watch.off()
    if meter.closer is not None or answer is None:
        return
    task = asyncio.current_task()
    stopped = task is not None and task.cancelling() > 0
    if stopped or meter.stops_when_client_leaves or meter.scanner is None or meter.offer is None:
        meter.cancelled(stopping=stopped and not watch.gone)
        return
    try:
        async with asyncio.timeout(meter.offer.candidate.channel.timeouts.drain):
            async for chunk in answer.rest():
                meter.scanner.feed(chunk)
                if meter.scanner.seen_bytes > meter.SEEN_LIMIT:
                    await meter.count_seen()
            await answer.ask_afterwards()
            meter.scanner.close()
    except (TimeoutError, Broken, TimedOut, Malformed, asyncio.CancelledError):
        meter.cancelled()
    else:
        meter.left_but_finished()
