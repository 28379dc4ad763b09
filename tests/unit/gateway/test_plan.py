"""The worst case: what is held, per limit, over every channel that a request may reach."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from oneapi_cli.gateway.gate import Policy
from oneapi_cli.gateway.plan import SLACK_TOKENS, UNKNOWN_IMAGE_TOKENS, Offer, worst_case
from oneapi_cli.ledger.prices import Prices
from oneapi_cli.routing.select import Candidate
from oneapi_cli.values.accounts import Account, Principal
from oneapi_cli.values.asks import Measure, Wanted
from oneapi_cli.values.vendor import PriceLine, Traits
from tests.gateway.kit import MODEL, channel

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WHO = Principal(token=Account(id=1, name="t", version=1), user=Account(id=1, name="u", version=1, unlimited=True))
WANTED = Wanted(dialect="openai_chat", model=MODEL, limit=100)
POLICY = Policy(min_output=40, unknown_output=300)
TEXT = Measure(text_bytes=1000)
TOKENS = 1000 + SLACK_TOKENS
PLAIN = Traits()


def offer(name: str = "one", *, traits: Traits = PLAIN, unknown_output: int = 0, **rates: str) -> Offer:
    line = PriceLine(rates=rates or {"input": "1", "output": "10"})
    where = channel(name, prices={"*": line}, unknown_output=unknown_output)
    card = Prices({}).card(where, MODEL, MODEL)
    assert card is not None
    return Offer(candidate=Candidate(where, MODEL, "openai_chat"), card=card, at=NOW, traits=traits)


@dataclass(frozen=True)
class Case:
    """expected: (fixed nano-dollars, output rate per million, asked)."""

    name: str
    expected: tuple[int, int, int]
    wanted: Wanted = WANTED
    measure: Measure = TEXT
    offers: tuple[Offer, ...] = (offer(),)
    who: Principal = WHO


DEAR_IN, DEAR_OUT = offer("in", input="7", output="2"), offer("out", input="3", output="20")
CASES = [
    Case("text by its bytes", (TOKENS * 1000, 10_000_000_000, 100)),
    Case("the dearest of each over all channels", (TOKENS * 7000, 20_000_000_000, 100), offers=(DEAR_IN, DEAR_OUT)),
    Case(
        "the model's maximum where nothing was asked",
        (TOKENS * 1000, 10_000_000_000, 4096),
        wanted=replace(WANTED, limit=None),
        offers=(offer(traits=Traits(max_output=4096)), offer(traits=Traits(max_output=10))),
    ),
    Case(
        "the channel's own guess before the config's",
        (TOKENS * 1000, 10_000_000_000, 500),
        wanted=replace(WANTED, limit=None),
        offers=(offer(unknown_output=500),),
    ),
    Case("the config's guess", (TOKENS * 1000, 10_000_000_000, 300), wanted=replace(WANTED, limit=None)),
    Case(
        "an image of unknown size",
        ((TOKENS + 2 * UNKNOWN_IMAGE_TOKENS) * 1000, 10_000_000_000, 100),
        measure=replace(TEXT, images=2),
    ),
    Case(
        "an image of known size",
        ((TOKENS + 2 * 1105) * 1000, 10_000_000_000, 100),
        measure=replace(TEXT, images=2),
        offers=(offer(traits=Traits(image_tokens=1105)),),
    ),
    Case("sound by its seconds", ((TOKENS + 960) * 1000, 10_000_000_000, 100), measure=replace(TEXT, audio_seconds=30)),
    Case("a multiplier", (TOKENS * 1500, 15_000_000_000, 100), who=replace(WHO, multiplier=Decimal("1.5"))),
    Case(
        "no output, nothing to limit",
        (TOKENS * 1000, 10_000_000_000, 0),
        wanted=replace(WANTED, dialect="openai_embeddings"),
    ),
    Case(
        "a prediction is output too",
        (TOKENS * 1000 + 50 * 10_000, 10_000_000_000, 100),
        wanted=replace(WANTED, fees={"output_tokens": 50}),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_worst_case(case: Case) -> None:
    need = worst_case(case.wanted, case.measure, case.offers, case.who, POLICY)
    fixed, rate, asked = case.expected
    assert (need.fixed_nanos, need.rate_nanos_per_mtok, need.asked) == (fixed, rate, asked)


def test_a_multiplier_is_rounded_up() -> None:
    need = worst_case(WANTED, TEXT, (offer(),), replace(WHO, multiplier=Decimal("0.3333")), POLICY)
    assert need.fixed_nanos == -(-TOKENS * 1000 * 3333 // 10_000)
    odd = worst_case(WANTED, TEXT, (offer(input="0.0000001"),), replace(WHO, multiplier=Decimal("0.5")), POLICY)
    assert odd.fixed_nanos == 1


def test_the_hold_covers_every_output_at_every_limit() -> None:
    need = worst_case(replace(WANTED, outputs=3), TEXT, (offer(),), WHO, POLICY)
    for limit in (0, 1, 40, 100):
        assert need.nanos(limit) == TOKENS * 1000 + 3 * limit * 10_000
    assert need.bound_tokens == TOKENS + 300


REASONING = Traits(reasoning=True)


@pytest.mark.parametrize(
    ("token", "user", "traits", "wanted", "floor"),
    [
        (None, None, Traits(), WANTED, 40),
        (False, None, Traits(), WANTED, 100),
        (None, False, Traits(), WANTED, 100),
        (True, False, Traits(), WANTED, 40),
        (None, None, REASONING, WANTED, 100),
        (True, None, REASONING, WANTED, 40),
        (None, True, REASONING, WANTED, 40),
        (False, True, REASONING, WANTED, 100),
        (None, None, Traits(), replace(WANTED, limit=10), 10),
        (None, None, Traits(), replace(WANTED, thinking=60), 61),
        (None, None, Traits(), replace(WANTED, thinking=400), 100),
    ],
)
def test_the_floor(token: Any, user: Any, traits: Traits, wanted: Wanted, floor: int) -> None:
    who = replace(WHO, token=replace(WHO.token, clamp=token), user=replace(WHO.user, clamp=user))
    assert worst_case(wanted, TEXT, (offer(traits=traits),), who, POLICY).floor == floor
