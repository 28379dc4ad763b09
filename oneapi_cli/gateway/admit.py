"""From a caller to a committed hold: read the body, take the order, ask the ledger, and start over when it has moved.

A refusal that was decided on what a cache says of the caller is decided again on a fresh read, so that an edit by the
CLI bites (and heals) on the very next request. Every refusal leaves a row of cost 0; a client that leaves, nothing at
all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from ..dialects import DIALECTS, LISTENERS
from ..ledger.book import AccountChanged
from ..ledger.stored import StoredResponse
from ..values.asks import Ask, Wanted
from ..values.errors import BadRequest, Forbidden, GatewayError, NoChannel, OutOfCredit, Overloaded
from ..values.holds import Hold, HoldAsk, Refusal, TooTight
from .authenticate import Caller, exhausted, refusal, reread
from .covering import check_covered, spelt_out, with_talk
from .gate import Gate, Market
from .plan import Offer, Order, check_priceable, find_offers, is_bounded, limit_to_send, tightened, worst_case
from .settle import refused_account
from .stored import maker_of
from .talk import Talk, aside, fetched, read_talk
from .tasking import encode_task, task_of
from .translating import check_strict, encoded
from .uploads import NOTHING, Given, is_form, measured, payable, receive_form
from .watch import ClientLeft, Watch

MOST_ROUNDS = 4
SPELT = frozenset({"openai_embeddings"})
"""Doors at which token numbers may stand for a text."""


class _Draft(Struct):
    """What is known of a request so far, for the row that a refusal leaves."""

    caller: Caller
    model: str = ""
    stream: bool = False


async def admit(ask: Ask, caller: Caller, gate: Gate, watch: Watch) -> tuple[Order, Hold]:
    """The order and its committed hold. Raises GatewayError (recorded as a refusal) or ClientLeft."""
    draft = _Draft(caller)
    try:
        return await _admit(ask, draft, gate, watch)
    except GatewayError as refused:
        await _record(ask, draft, refused, gate)
        raise


async def _admit(ask: Ask, draft: _Draft, gate: Gate, watch: Watch) -> tuple[Order, Hold]:
    given, body = NOTHING, b""
    if is_form(ask):
        upload, wanted = await receive_form(ask, draft.caller, gate)
        draft.model, draft.stream = wanted.model, wanted.stream
        given = await measured(ask, upload, wanted)
    else:
        body = await ask.body.read()
        wanted = await aside(len(body), lambda: DIALECTS[ask.door].peek(body, ask.params))
        draft.model, draft.stream = wanted.model, wanted.stream
    made = await maker_of(wanted.previous, draft.caller, gate) if wanted.previous else None
    for _ in range(MOST_ROUNDS):
        try:
            order = take_order(draft.caller, body, wanted, gate, made, given=given)
            order = await fitted(ask, order, gate)
            return await _reserve(ask, order, gate, watch)
        except AccountChanged:
            await _reread(ask, draft, gate)
        except (BadRequest, Forbidden, NoChannel):
            if not await _reread(ask, draft, gate):
                raise
        except OutOfCredit:
            await _reread(ask, draft, gate)
            if (used_up := exhausted(draft.caller.principal)) is not None:
                raise used_up from None
            raise
    raise Overloaded("This key is being edited faster than it can be used; try again", retry_after_seconds=1)


def take_order(
    caller: Caller,
    body: bytes,
    wanted: Wanted,
    gate: Market,
    made: StoredResponse | None = None,
    *,
    given: Given = NOTHING,
) -> Order:
    """The request as an order: offers, worst case by the byte bound. Raises BadRequest, Forbidden, NoChannel."""
    dialect = DIALECTS[wanted.dialect]
    offers, measure = payable(given, find_offers(caller, wanted, gate, made))
    check_priceable(wanted, offers, caller.principal)
    measure = dialect.measure(body, wanted) if measure is None else measure
    return Order(
        caller=caller,
        dialect=dialect,
        wanted=wanted,
        body=body,
        offers=offers,
        measure=measure,
        need=worst_case(wanted, measure, offers, caller.principal, gate.policy),
        bounded=is_bounded(wanted, measure, offers),
        upload=given.upload,
    )


async def fitted(ask: Ask, order: Order, gate: Gate) -> Order:
    """The same order with only those offers whose vendors can do what it asks, as a conversation too where an offer
    needs one, and with what they need fetched. Raises BadRequest, the first offer's own, where none can.
    """
    others = [offer for offer in order.offers if offer.candidate.dialect != order.wanted.dialect]
    if not others:
        return order
    size = len(order.body) if order.upload is None else order.upload.form.size
    offers: list[Offer] = []
    faults: list[BadRequest] = []
    if order.wanted.dialect in LISTENERS:
        try:
            order = with_talk(order, await _talk_of(order, others, gate), gate)
        except BadRequest as fault:  # a channel that speaks the client's dialect takes it all the same
            faults, order = [fault], replace(order, offers=[each for each in order.offers if each not in others])
    elif order.wanted.dialect in SPELT:
        order = await spelt_out(order, gate)
    for offer in order.offers:
        try:
            if offer in others:
                await aside(size, partial(check_carried, ask, order, offer, gate))
        except BadRequest as fault:
            faults.append(fault)
        else:
            offers.append(offer)
    if not offers:
        raise faults[0]
    return replace(order, offers=offers)


async def _talk_of(order: Order, others: Sequence[Offer], gate: Gate) -> Talk:
    talk = await aside(len(order.body), lambda: read_talk(order.body, order.wanted))
    return await fetched(talk, [offer.candidate.dialect for offer in others], gate)


def check_carried(ask: Ask, order: Order, offer: Offer, gate: Gate) -> None:
    """Raises BadRequest where this offer's dialect cannot carry the request, or under `strict_translation` not all of
    it."""
    if order.talk is not None:
        limit = limit_to_send(order, offer, order.need.asked, lowered=False)
        body, notes = encoded(order.talk, offer, limit)
        check_covered(order, offer, body)
    else:
        notes = encode_task(task_of(ask, order, offer, gate.now()), offer.candidate.dialect).notes
    if gate.policy.strict_translation:
        check_strict(notes, offer.candidate.dialect)


async def _reserve(ask: Ask, order: Order, gate: Gate, watch: Watch) -> tuple[Order, Hold]:
    """Ask by the cheap bound; where that is too tight, count exactly and ask again, then as the ladder says."""
    watch.leave_after(0)
    try:
        held = await gate.book.reserve(_hold_ask(ask, order, gate, final=False))
        if isinstance(held, TooTight):
            order = await tightened(order, gate) or order
            held = await gate.book.reserve(_hold_ask(ask, order, gate, final=True))
    except asyncio.CancelledError:
        if watch.absorb():
            raise ClientLeft from None
        raise
    finally:
        watch.off()
    assert isinstance(held, Hold), "a final ask is held or refused"
    return order, held


def _hold_ask(ask: Ask, order: Order, gate: Gate, *, final: bool) -> HoldAsk:
    return HoldAsk(
        request_id=ask.id,
        principal=order.principal,
        door=ask.door,
        model_asked=order.wanted.model,
        stream=order.wanted.stream,
        need=order.need,
        wait_seconds=gate.policy.hold_wait,
        final=final,
        bounded=order.bounded,
        peer=ask.peer,
    )


async def _reread(ask: Ask, draft: _Draft, gate: Gate) -> bool:
    """Read the caller again; whether anything that matters has changed. Raises what now stands against it."""
    before = draft.caller.principal
    draft.caller = await reread(draft.caller, gate.book)
    problem = refusal(draft.caller.principal, ask.peer, gate.now())
    if problem is not None:
        raise problem
    after = draft.caller.principal
    return (before.token.version, before.user.version) != (after.token.version, after.user.version)


async def _record(ask: Ask, draft: _Draft, refused: GatewayError, gate: Gate) -> None:
    token = draft.caller.principal.token
    await gate.book.refuse(
        Refusal(
            request_id=ask.id,
            principal=draft.caller.principal,
            door=ask.door,
            status=refused.status,
            code=refused.code or "",
            message=refused.message[:500],
            model_asked=draft.model[:256],
            stream=draft.stream,
            peer=ask.peer,
        )
    )
    gate.log(refused_account(ask, refused, token=token.name, model=draft.model, now=gate.now()))
