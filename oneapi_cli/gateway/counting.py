"""How many tokens a request would put in: asked of the vendor where it counts for nothing, else counted here.

Vendors do not charge for counting, so nothing is held. What we count ourselves is an estimate: the model's own
vocabulary where we have it, OpenAI's latest elsewhere, and each picture at the model's maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..dialects import DIALECTS
from ..dialects.gemini import counted_request, encode_count
from ..framing.members import too_deep
from ..values.asks import Ask, Call, Wanted
from ..values.errors import BadRequest, Refused, UpstreamFault
from .authenticate import Caller
from .gate import Gate
from .meter import ESTIMATOR
from .plan import UNKNOWN_IMAGE_TOKENS, Offer, find_offers
from .refusals import as_client_sees, refused_by, secrets_of, whole_body
from .steps import signed
from .talk import aside

_anything = msgspec.json.Decoder()


class Counter(Struct, frozen=True, kw_only=True):
    """How a door's dialect asks and answers. url: of the vendor's counter, from that of a reply; body: for our own
    measure; reply: (tokens) → the answer.
    """

    url: Callable[[str], str]
    reply: Callable[[int], dict[str, Any]]
    body: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict


COUNTERS: Mapping[str, Counter] = {
    "anthropic_messages": Counter(
        url=lambda url: f"{url}/count_tokens",
        reply=lambda tokens: {"input_tokens": tokens},
    ),
    "openai_responses": Counter(
        url=lambda url: f"{url}/input_tokens",
        reply=lambda tokens: {"object": "response.input_tokens", "input_tokens": tokens},
    ),
    "gemini": Counter(
        url=lambda url: url.replace(":generateContent", ":countTokens"),
        reply=encode_count,
        body=counted_request,
    ),
}


async def count_input(ask: Ask, caller: Caller, gate: Gate, dialect: str, model: str) -> bytes:
    """The answer in the door's shape. model: where the path names it. Raises BadRequest, Forbidden, NoChannel, Refused
    (the vendor's own 4xx).
    """
    body = await ask.body.read()
    asked = await aside(len(body), lambda: _decoded(body))
    model = model or str(asked.get("model") or "")
    if not model:
        raise BadRequest("`model` is required", member="model")
    wanted = Wanted(dialect=dialect, model=model)
    offer = find_offers(caller, wanted, gate)[0]
    counter = COUNTERS[dialect]
    if offer.candidate.dialect == dialect and not offer.candidate.channel.quirks.body_version:
        try:
            return await _ask_vendor(asked, offer, counter, gate, dialect)
        except UpstreamFault as fault:
            if isinstance(fault, Refused) and fault.status == 400:
                raise as_client_sees(fault, offer) from fault
    tokens = await _count(msgspec.json.encode(counter.body(asked)), wanted, offer, gate)
    return msgspec.json.encode(counter.reply(tokens))


async def _ask_vendor(body: Mapping[str, Any], offer: Offer, counter: Counter, gate: Gate, dialect: str) -> bytes:
    channel, model = offer.candidate.channel, offer.candidate.model_sent
    asked = {**body, "model": model} if "model" in body else body
    key = gate.next_key(channel)
    call = Call(
        method="POST",
        url=counter.url(gate.url(channel, dialect, model, False)),
        headers={"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"},
        body=msgspec.json.encode(asked),
        connect_seconds=channel.timeouts.connect,
        first_byte_seconds=channel.timeouts.first_byte,
        idle_seconds=channel.timeouts.idle,
        stream_seconds=channel.timeouts.stream,
        proxy=channel.proxy,
    )
    call = await signed(call, offer, key, gate, {})
    reply = await gate.transport.send(call)
    try:
        if not 200 <= reply.status < 300:
            secrets = secrets_of(channel, key, call.headers)
            raise await refused_by(reply, DIALECTS[dialect].decode_error, secrets)
        answer = await whole_body(reply, gate.policy.reply_limit)
    except BaseException:
        reply.abort()
        raise
    reply.release()
    return answer


async def _count(body: bytes, wanted: Wanted, offer: Offer, gate: Gate) -> int:
    measure = await aside(len(body), lambda: DIALECTS[wanted.dialect].measure(body, wanted, texts=True))
    tokens = await gate.count(measure.texts, offer.traits.vocabulary or ESTIMATOR)
    pictures = measure.images * (offer.traits.image_tokens or UNKNOWN_IMAGE_TOKENS)
    return tokens + measure.overhead_tokens + pictures


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        asked = _anything.decode(body)
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The request body is not JSON") from None
    if not isinstance(asked, dict):
        raise BadRequest("The request body must be a JSON object")
    return asked
