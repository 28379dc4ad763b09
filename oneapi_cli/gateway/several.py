"""What one request takes beyond one call: the further steps of a vendor that answers in several, and several calls at
once, where the vendor takes less of the request in each than the client gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeGuard

from ..dialects.dialect import StepReply
from ..routing.retry import pause_seconds, where
from ..values.asks import Call, Reply
from ..values.errors import UpstreamFault
from .meter import Meter
from .plan import Offer
from .refusals import Secrets, read_chunks, refused_by, secrets_of
from .steps import Here, Stepper
from .tasking import TaskWay
from .ways import Way

AT_ONCE = 16  # calls of one request that are under way together


async def sent_together(
    calls: Sequence[Call], offer: Offer, key: str, *, way: TaskWay, meter: Meter, failed: list[UpstreamFault]
) -> list[StepReply | UpstreamFault]:
    """What came of each call, in order. failed: the faults as they came, the first of them first."""
    turn = asyncio.Semaphore(AT_ONCE)
    work = [_one_of_several(call, offer, key, way=way, meter=meter, turn=turn, failed=failed) for call in calls]
    found = await asyncio.gather(*work, return_exceptions=True)
    known = [each for each in found if _is_told(each)]
    if len(known) < len(found):
        raise next(each for each in found if isinstance(each, BaseException) and not _is_told(each))
    return known


def _is_told(found: object) -> TypeGuard[StepReply | UpstreamFault]:
    """Whether it is an outcome, and no bug."""
    return isinstance(found, StepReply | UpstreamFault)


async def _one_of_several(
    call: Call,
    offer: Offer,
    key: str,
    *,
    way: TaskWay,
    meter: Meter,
    turn: asyncio.Semaphore,
    failed: list[UpstreamFault],
) -> StepReply:
    """One of the calls in its turn, followed to its end. Raises UpstreamFault, its own or (unsent) that of another
    without which there is no answer; left early, it is called off.
    """
    async with turn:
        if failed and not way.partial:
            raise failed[0]
        try:
            reply = await _patiently(call, offer, key, way=way, meter=meter)
        except UpstreamFault as fault:
            failed.append(fault)
            meter.partly_served |= fault.sent
            raise
    meter.partly_served = True
    return reply


async def _patiently(call: Call, offer: Offer, key: str, *, way: TaskWay, meter: Meter) -> StepReply:
    """As often as the evidence allows, where others of the same request have been served already and would be lost."""
    for attempt in range(1, meter.gate.policy.retries + 1):
        try:
            return await _followed_to_its_end(call, offer, key, way=way, meter=meter)
        except UpstreamFault as fault:
            pause = pause_seconds(fault, attempt)
            again = meter.partly_served and not way.partial and where(fault, retry_unknown=False) == "anywhere"
            if not again or pause is None:
                raise
        await meter.gate.sleep(pause)
    return await _followed_to_its_end(call, offer, key, way=way, meter=meter)


async def _followed_to_its_end(call: Call, offer: Offer, key: str, *, way: Way, meter: Meter) -> StepReply:
    gate = meter.gate
    secrets = secrets_of(offer.candidate.channel, key, call.headers)
    stepper = Stepper(call, offer, key, gate, way=way, undoing=meter.undoing)
    reply = await stepper.begin()
    try:
        if not 200 <= reply.status < 300:
            raise await refused_by(reply, way.decode_error, secrets)
        reply = await followed(reply, way, stepper, secrets)
        body = await read_chunks(reply.chunks(), gate.policy.reply_limit)
    except BaseException:
        stepper.abandon()
        reply.abort()
        raise
    reply.release()
    return StepReply(status=reply.status, headers=reply.headers, body=body)


async def followed(reply: Reply, way: Way, stepper: Stepper, secrets: Secrets) -> Reply:
    """The reply to read: this one, or the last of the further requests that the vendor's way of answering takes."""
    if not way.follows:
        return reply
    body = await read_chunks(reply.chunks(), stepper.gate.policy.reply_limit)
    reply.release()
    first = StepReply(status=reply.status, headers=reply.headers, body=body)
    following = way.follow(first)
    got: StepReply | None = None
    while True:
        try:
            step = next(following) if got is None else following.send(got)
        except StopIteration as last:
            stepper.over()
            return Here(last.value)
        latest = await stepper.send(step)
        if not 200 <= latest.status < 300:
            try:
                raise await refused_by(latest, way.decode_error, secrets)
            finally:
                latest.abort()
        if step.stream:
            stepper.report = way.report(first)
            return latest
        got = await stepper.whole(latest)
