"""Whether a hold covers a request as it leaves, once it has been translated: its measure was taken at the door, in the
client's words, and the vendor's may mean more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from ..dialects import DIALECTS
from ..dialects.tasks.vectors import texts_of
from ..values.conversation import CacheMark, Conversation
from ..values.errors import BadRequest
from .gate import Gate, Market
from .plan import Offer, Order, check_priceable, worst_case
from .talk import Talk

_LONG = "1h"
_NUMBERS = re.compile(rb"\[\s*\d")


def with_talk(order: Order, talk: Talk, gate: Gate) -> Order:
    """The order with its conversation, held for all that this can cost."""
    wanted = order.wanted
    if wanted.long_cache or not any(mark.ttl == _LONG for mark in _marks(talk.conversation)):
        return replace(order, talk=talk)
    wanted = replace(wanted, long_cache=True)
    need = worst_case(wanted, order.measure, order.offers, order.principal, gate.policy)
    return replace(order, talk=talk, wanted=wanted, need=need)


async def spelt_out(order: Order, gate: Market) -> Order:
    """The order, held for its token numbers as the texts that they are where an offer takes no numbers: a number of
    three digits may be a hundred spaces, and each of them a token elsewhere.
    """
    if order.upload is not None or not _NUMBERS.search(order.body):
        return order
    try:
        size = await asyncio.to_thread(_spelt_bytes, order.body)
    except BadRequest:
        return order  # whoever takes texts alone refuses it in its own words
    measure = replace(order.measure, text_bytes=max(order.measure.text_bytes, size))
    fees = {**order.wanted.fees, "input_characters": max(order.wanted.fees.get("input_characters", 0), size)}
    wanted = replace(order.wanted, fees=fees)
    need = worst_case(wanted, measure, order.offers, order.principal, gate.policy)
    return replace(order, measure=measure, wanted=wanted, need=need)


def _spelt_bytes(body: bytes) -> int:
    texts = texts_of(msgspec.json.decode(body)["input"])
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def check_covered(order: Order, offer: Offer, body: bytes) -> None:
    """What leaves, read as its vendor's own clients' requests are. Raises BadRequest where a limited budget would pay
    for what nobody can bound: searches as many as the vendor likes, where the client's own words bounded them."""
    own = DIALECTS.get(offer.candidate.dialect)
    if own is None or not order.principal.limited or offer.card.free:
        return
    params = {"model": offer.candidate.model_sent, "stream": "1" if order.wanted.stream else ""}
    leaving = own.peek(body, params)
    check_priceable(leaving, [offer], order.principal)


def _marks(conversation: Conversation) -> Iterator[CacheMark]:
    parts = (part for turn in conversation.turns for part in turn.parts)
    for each in (*parts, *conversation.tools):
        if (mark := getattr(each, "cache", None)) is not None:
            yield mark
