"""Which channels serve a model, and in which order."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi_cli.providers.table import VENDORS
from oneapi_cli.routing.select import Candidate, allows, candidates, order, served_names
from oneapi_cli.values.vendor import Channel

CHAT = "openai_chat"


def channel(
    name: str,
    *names: str,
    sent: str = "",
    priority: int = 0,
    weight: int = 1,
    groups: tuple[str, ...] = (),
    **more: Any,
) -> Channel:
    return Channel(
        name=name,
        vendor=VENDORS["openai-compatible"],
        base="http://127.0.0.1:1/v1",
        keys=(),
        models={each: sent or each for each in names},
        priority=priority,
        weight=weight,
        groups=groups,
        speaks={CHAT: "/chat/completions"},
        **more,
    )


PLAIN = channel("plain", "a", "b")
MAPPED = channel("mapped", "a", sent="vendor/a")
CLUB = channel("club", "a", "secret", groups=("club", "staff"))
OFF = channel("off", "a", "sleeping", enabled=False)
ANY = channel("any", "*")
ONE_FOR_ALL = channel("one-for-all", "*", sent="the-one")
BOTH = channel("both", "a", "*")


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    channels: tuple[Channel, ...]
    expected: list[tuple[str, str]]
    groups: tuple[str, ...] = ()
    dialect: str = CHAT


CASES = [
    Case("by name, in the file's order", "a", (PLAIN, MAPPED), [("plain", "a"), ("mapped", "vendor/a")]),
    Case("unknown", "z", (PLAIN, MAPPED), []),
    Case("names are case-sensitive", "A", (PLAIN,), []),
    Case("a group of strangers", "a", (CLUB,), []),
    Case("one group is enough", "a", (CLUB,), [("club", "a")], groups=("staff", "other")),
    Case("disabled", "a", (OFF, PLAIN), [("plain", "a")]),
    Case("the wildcard serves what nobody names", "z", (PLAIN, ANY), [("any", "z")]),
    Case("the wildcard leaves alone what is named elsewhere", "a", (PLAIN, ANY), [("plain", "a")]),
    Case("also where that is closed to this caller", "secret", (CLUB, ANY), []),
    Case("a disabled channel names nothing", "sleeping", (OFF, ANY), [("any", "sleeping")]),
    Case("a wildcard with a target", "z", (ONE_FOR_ALL,), [("one-for-all", "the-one")]),
    Case("named and wild in one channel", "z", (BOTH,), [("both", "z")]),
    Case("an asterisk is not a model", "*", (BOTH,), []),
    Case("another endpoint", "a", (PLAIN,), [], dialect="anthropic_messages"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_candidates(case: Case) -> None:
    found = candidates(
        case.model, lambda spoken: case.dialect if case.dialect in spoken else "", case.groups, case.channels
    )
    assert [(c.channel.name, c.model_sent) for c in found] == case.expected
    assert {c.dialect for c in found} <= {case.dialect}


@pytest.mark.parametrize(
    ("patterns", "model", "expected"),
    [
        ((), "anything", True),
        (("gpt-*",), "gpt-4o", True),
        (("gpt-*",), "o1", False),
        (("gpt-*", "o1"), "o1", True),
        (("GPT-*",), "gpt-4o", False),
        (("gpt-4?",), "gpt-4o", True),
    ],
)
def test_allows(patterns: tuple[str, ...], model: str, expected: bool) -> None:
    assert allows(patterns, model) is expected


def test_served_names_are_those_that_this_caller_can_ask_for() -> None:
    served = served_names((PLAIN, MAPPED, CLUB, OFF, ANY), ())
    assert {name: where.name for name, where in served.items()} == {"a": "plain", "b": "plain"}
    assert "secret" in served_names((PLAIN, CLUB), ("club",))


def found(*channels: Channel) -> list[Candidate]:
    return [Candidate(each, "a", "openai_chat") for each in channels]


def names(ordered: list[Candidate]) -> list[str]:
    return [candidate.channel.name for candidate in ordered]


def test_priority_comes_before_weight() -> None:
    high, low = channel("high", "a", priority=1, weight=1), channel("low", "a", weight=1000)
    for seed in range(50):
        assert names(order(found(low, high), random.Random(seed).random)) == ["high", "low"]


def test_a_channel_that_rests_comes_last_whatever_its_priority() -> None:
    high, low = channel("high", "a", priority=1), channel("low", "a")
    ordered = order(found(high, low), random.Random(1).random, lambda c: c.channel.name == "high")
    assert names(ordered) == ["low", "high"]


def test_weights_share_the_traffic_and_all_have_their_turn() -> None:
    three, one, none = channel("three", "a", weight=3), channel("one", "a", weight=1), channel("none", "a", weight=0)
    dice, firsts = random.Random(20261122).random, Counter[str]()
    for _ in range(4000):
        ordered = names(order(found(none, one, three), dice))
        assert sorted(ordered) == ["none", "one", "three"]
        assert ordered[-1] == "none"
        firsts[ordered[0]] += 1
    assert 0.71 < firsts["three"] / 4000 < 0.79


def test_the_worst_throw_of_the_dice_is_no_error() -> None:
    assert len(order(found(PLAIN, MAPPED), lambda: 0.0)) == 2
