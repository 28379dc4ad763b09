"""From a caller and a body to an order: the model, the channels that can serve it, what each would charge, and the
worst case.

Nothing here waits for anybody but the tokenizer. Refusals come in the order a user can act on them: the body, the
model, the channel, the price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from ..dialects import LISTENERS, SPEAKERS, TASKS, Dialect
from ..ledger.cost import Mode, dearest, fee_nanos
from ..ledger.price_card import Card
from ..ledger.stored import StoredResponse
from ..routing.select import Candidate, allows, candidates, order
from ..values.accounts import Principal
from ..values.asks import Measure, Wanted
from ..values.errors import BadRequest, Forbidden, NoChannel, NotFound
from ..values.holds import Need
from ..values.uploads import Upload
from ..values.vendor import Traits
from .authenticate import Caller
from .gate import Market, Policy
from .talk import Talk

AUDIO_TOKENS_PER_SECOND = 32
"""Gemini's count, the dearest that we know; OpenAI's chat models take 10. Source: ai.google.dev, audio (2026-11)."""
STORED_INPUT_TOKENS = 1_050_000
"""The largest context window on the list: what a conversation that is kept at the vendor can add, unseen by us."""
STORED_INPUT = frozenset(
    {
        "previous_response_id",
        "conversation",
        "prompt",
        "context_management",
        "item_reference",
        "cachedContent",
        "continuationToken",
    }
)
PRODUCING = frozenset({"openai_chat", "openai_completions", "openai_responses", "anthropic_messages", "gemini"})
STORING = frozenset({"openai_responses"})
"""Dialects whose vendors keep what they answered."""
DEMANDS_LIMIT = frozenset({"anthropic_messages"})
"""Dialects in which a request without an output limit is refused."""
UNKNOWN_IMAGE_TOKENS = 16_384
UNKNOWN_PAGE_TOKENS = 16_384
UNREMARKABLE_TIERS = ("auto", "default", "standard")
TRANSLATION_TOKENS = 1_024
"""More than any vendor's instructions for tools or for structured output (Claude's are the longest, under 700).
Source: https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview (2026-11)"""
UNREMARKABLE = Traits()
SLACK_TOKENS = 64
"""Tokens a chat template adds around a conversation that the bytes of its JSON punctuation may not cover."""


class Offer(Struct, frozen=True, kw_only=True):
    """One candidate channel with the price that it would charge."""

    candidate: Candidate
    card: Card
    at: datetime
    traits: Traits


class Order(Struct, frozen=True, kw_only=True):
    """A request that may be sent: offers best first (never empty), and the worst case over all of them. talk: the same
    request as a conversation, where an offer speaks another dialect than the client. upload: the form that takes the
    place of `body`.
    """

    caller: Caller
    dialect: Dialect
    wanted: Wanted
    body: bytes
    offers: Sequence[Offer]
    measure: Measure
    need: Need
    bounded: bool
    talk: Talk | None = None
    upload: Upload | None = None

    @property
    def principal(self) -> Principal:
        return self.caller.principal


def find_offers(caller: Caller, wanted: Wanted, gate: Market, made: StoredResponse | None = None) -> list[Offer]:
    """Priced channels for this model, best first. made: the response that is followed up on, at its own channel alone.

    Raises Forbidden (model, price), NoChannel, NotFound (pin).
    """
    principal = caller.principal
    if not allows(principal.token.models, wanted.model) or not allows(principal.user.models, wanted.model):
        raise Forbidden(
            f"This API key does not have permission to use the model: {wanted.model}",
            code="model_not_allowed",
            member="model",
        )
    found = candidates(
        wanted.model,
        lambda spoken: dialect_to_speak(wanted.dialect, spoken, native=wanted.native),
        principal.groups,
        gate.channels,
        gate.spoken,
    )
    if caller.pin:
        found = [c for c in found if c.channel.name == caller.pin]
        if not found:
            raise NotFound(f"Channel {caller.pin} does not support the requested model: {wanted.model}", status=400)
    if not found:
        raise _no_channel(wanted, gate)
    if made is not None:
        found = where_made(found, made)
    now = gate.now()
    ranked = order(found, gate.dice, lambda c: gate.health.cooling(c.channel.name, c.model_sent, now))
    offers = [offer for candidate in ranked if (offer := _price(candidate, wanted, gate, now)) is not None]
    if not offers:
        line = gate.prices.unpriced_line(ranked[0].channel, ranked[0].model_sent)
        raise Forbidden(
            f"The model {wanted.model} has no known price, and this gateway does not guess. "
            f"Price it in config.yaml, under `prices:` or the channel's own: {line}",
            code="model_not_priced",
            member="model",
        )
    return offers


def where_made(candidates: Sequence[Candidate], made: StoredResponse) -> list[Candidate]:
    """Only the channel that made the response that is followed up on. Raises NoChannel where it is gone."""
    found = [each for each in candidates if each.channel.name == made.channel and each.dialect in STORING]
    if not found:
        raise NoChannel(f"The channel that made response {made.id[:60]} does not serve this model any more; start anew")
    return found


def dialect_to_speak(door: str, spoken: Mapping[str, str], *, native: bool = False) -> str:
    """The door's own where the channel speaks it, else (unless `native`) the first that the door can be translated to,
    else "".
    """
    if door in spoken:
        return door
    if door in LISTENERS:
        return "" if native else next((dialect for dialect in spoken if dialect in SPEAKERS), "")
    return next((dialect for dialect in spoken if dialect in TASKS and door == TASKS[dialect].SURFACE), "")


def worst_case(wanted: Wanted, measure: Measure, offers: Sequence[Offer], principal: Principal, policy: Policy) -> Need:
    """The hold as a function of the output limit, at the dearest rates that any of these offers can reach."""
    asked = _asked(wanted, offers, policy)
    tokens_in = max(_input_tokens(wanted, measure, offer) for offer in offers)
    each = [_most(wanted, measure, offer) for offer in offers]
    fixed, rate = max(fixed for fixed, _ in each), max(rate for _, rate in each)
    if not takes_limit(wanted):
        asked = 0
    floor = _floor(asked, wanted, offers, principal, policy)
    return Need(
        fixed_nanos=_times(fixed, principal.multiplier),
        rate_nanos_per_mtok=_times(rate, principal.multiplier),
        outputs=wanted.outputs,
        asked=asked,
        floor=floor,
        bound_tokens=tokens_in + asked * wanted.outputs,
    )


def input_bound(order_: Order, offer: Offer) -> int:
    """What an attempt at this offer can have cost where nobody knows whether it was served, in nano-dollars."""
    return _times(_most(order_.wanted, order_.measure, offer)[0], order_.principal.multiplier)


def takes_limit(wanted: Wanted) -> bool:
    """Whether this dialect's requests produce tokens at all, so that an output limit means something."""
    return wanted.dialect in PRODUCING


def limit_to_send(order: Order, offer: Offer, limit: int, *, lowered: bool) -> int | None:
    """The limit that the hold covers, where it has to be said: lowered, absent or said twice under a limited budget.

    A translated request says the client's own in the vendor's word, and never more than the model can produce: another
    vendor's model is not what the client chose its limit for.
    """
    wanted, most = order.wanted, offer.traits.max_output
    if order.need.asked == 0 or wanted.native:
        return None
    if offer.candidate.dialect != wanted.dialect:
        said = wanted.limit is not None or lowered or order.principal.limited
        demanded = offer.candidate.dialect in DEMANDS_LIMIT
        return (min(limit, most) if most else limit) if said or demanded else None
    if lowered:
        return limit
    if order.principal.limited and (wanted.limit is None or len(wanted.limit_members) > 1):
        return limit
    return None


def is_bounded(wanted: Wanted, measure: Measure, offers: Sequence[Offer]) -> bool:
    """Whether the hold covers everything that can be billed, as promise 2 counts it."""
    if wanted.unknown or measure.loose or measure.audio_seconds is None or any(offer.traits.agent for offer in offers):
        return False
    by_token = (offer for offer in offers if offer.card.sheet(offer.at, {}).covers("input_tokens"))
    return not (measure.images and any(_image_tokens(offer) == 0 for offer in by_token))


def check_priceable(wanted: Wanted, offers: Sequence[Offer], principal: Principal) -> None:
    """A member whose cost nobody can bound is refused for limited budgets. Raises BadRequest naming it."""
    if not principal.limited:
        return
    unpriceable = list(wanted.unpriceable)
    tier = wanted.tier
    if tier not in (None, *UNREMARKABLE_TIERS) and not all(_knows_tier(offer.card, tier) for offer in offers):
        unpriceable.append(("service_tier", f"no price is known for the tier {tier}"))
    if unpriceable:
        member, why = unpriceable[0]
        raise BadRequest(
            f"`{member}` cannot be priced in advance ({why}), so a key with a budget may not use it; "
            "ask for an unlimited key or leave it out",
            code="not_priceable",
            member=member,
        )


async def tightened(order_: Order, gate: Market) -> Order | None:
    """The same order with its input counted by the model's own tokenizer, or None where there is none to count with."""
    vocabularies = {offer.traits.vocabulary for offer in order_.offers}
    if len(vocabularies) != 1 or "" in vocabularies or order_.upload is not None:
        return None
    measure = order_.dialect.measure(order_.body, order_.wanted, texts=True)
    tokens = await gate.count(measure.texts, vocabularies.pop())
    exact = replace(measure, text_bytes=min(measure.text_bytes, tokens + measure.overhead_tokens))
    need = worst_case(order_.wanted, exact, order_.offers, order_.principal, gate.policy)
    return replace(order_, measure=exact, need=need)


def _most(wanted: Wanted, measure: Measure, offer: Offer) -> tuple[int, int]:
    """(input and fees in nano-dollars, output rate per million tokens): the most that this offer can charge."""
    context = context_of(wanted, wanted.tier)
    tokens = _input_tokens(wanted, measure, offer)
    modes = _modes(wanted, measure)
    rate_in, rate_out = dearest(offer.card, offer.at, tokens_in=tokens, context=context, modes=modes)
    counted = {"requests": 1, **wanted.fees, **measure.fees}
    fees = sum(fee_nanos(offer.card, offer.at, unit, most, context=context) for unit, most in counted.items())
    return -(-tokens * rate_in // 1_000_000) + fees, rate_out


def context_of(wanted: Wanted, tier: str | None) -> dict[str, str]:
    """What a price may depend on beside the amounts."""
    return {**wanted.context, "service_tier": tier} if tier else dict(wanted.context)


def _price(candidate: Candidate, wanted: Wanted, gate: Market, now: float) -> Offer | None:
    card = gate.prices.card(candidate.channel, wanted.model, candidate.model_sent)
    if card is None:
        return None
    at = datetime.fromtimestamp(now, UTC)
    sheet = card.sheet(at, {})
    needed = ("input_tokens", "output_tokens") if takes_limit(wanted) else ("input_tokens",)
    if all(sheet.lacks(units) for units in wanted.counted or (needed, ("requests",))):
        return None
    return Offer(candidate=candidate, card=card, at=at, traits=_traits(candidate, wanted, gate))


def _traits(candidate: Candidate, wanted: Wanted, gate: Market) -> Traits:
    """Those of the name upstream, or where that says nothing (a deployment, an ARN) of the name asked for."""
    known = gate.traits(candidate.model_sent)
    return gate.traits(wanted.model) if known == UNREMARKABLE else known


def _modes(wanted: Wanted, measure: Measure) -> set[Mode]:
    """What beyond text may be counted on the way in or out."""
    # Some models write prompts to the vendor's cache unasked, at a higher rate (gpt-5.6 and later price it).
    # Only models that draw price what they draw, and they do so unasked.
    modes: set[Mode] = {"cache_write", "image_out", "video_out"}
    if wanted.long_cache:
        modes.add("cache_write_1h")
    if measure.images or measure.pages:
        modes.add("image_in")
    if measure.audio_seconds != 0:
        modes.add("audio_in")
    if "audio" in wanted.modalities:
        modes.add("audio_out")
    return modes


def _no_channel(wanted: Wanted, gate: Market) -> NoChannel:
    if any(wanted.model in c.models or "*" in c.models for c in gate.channels):
        reason = "those that serve it are disabled, closed to this key's groups, or do not offer this endpoint"
    else:
        reason = "add it to a channel's `models` in config.yaml"
    return NoChannel(f"No available channels for model {wanted.model}: {reason}")


def _knows_tier(card: Card, tier: str | None) -> bool:
    return card.free or (tier is not None and card.knows("service_tier", tier))


def _asked(wanted: Wanted, offers: Sequence[Offer], policy: Policy) -> int:
    """The client's limit, else the greatest of the models' maxima, else what the config says of unknown ones."""
    if wanted.limit is not None:
        return wanted.limit
    return max(o.traits.max_output or o.candidate.channel.unknown_output or policy.unknown_output for o in offers)


def _floor(asked: int, wanted: Wanted, offers: Sequence[Offer], principal: Principal, policy: Policy) -> int:
    """The lowest limit worth sending. Reasoning models are lowered only where token or owner says `clamp` outright."""
    if wanted.native:
        return asked
    clamp = principal.token.clamp if principal.token.clamp is not None else principal.user.clamp
    if clamp is False or (clamp is None and any(offer.traits.reasoning for offer in offers)):
        return asked
    return min(asked, max(policy.min_output, wanted.thinking + 1))


def _input_tokens(wanted: Wanted, measure: Measure, offer: Offer) -> int:
    images = measure.images * (_image_tokens(offer) or UNKNOWN_IMAGE_TOKENS)
    audio = (measure.audio_seconds or 0) * AUDIO_TOKENS_PER_SECOND
    own = len(offer.candidate.channel.system_prompt.encode())
    stored = 0 if STORED_INPUT.isdisjoint(wanted.unknown) else STORED_INPUT_TOKENS
    # Another dialect's template stands around a translated conversation; a schema may be said again in words.
    translated = TRANSLATION_TOKENS if takes_limit(wanted) and offer.candidate.dialect != wanted.dialect else 0
    text = measure.text_bytes + SLACK_TOKENS + own + translated
    return text + stored + images + audio + measure.pages * UNKNOWN_PAGE_TOKENS


def _image_tokens(offer: Offer) -> int:
    return offer.traits.image_tokens or offer.candidate.channel.quirks.image_max_tokens


def _times(nanos: int, multiplier: Decimal) -> int:
    if multiplier == 1:
        return nanos
    scaled = nanos * multiplier
    whole = int(scaled)
    return whole + (scaled > whole)
