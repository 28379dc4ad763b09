"""Model → channels, best first.

A channel is a candidate when it is enabled, its groups admit the caller, it speaks the dialect asked for (or one that
it can be translated to) and it serves the model under the name the client used. `*` serves anything that no other
channel of the whole config names.
Candidates are ordered by priority; within one priority they are shuffled by weight, so that weights share traffic and
every channel of the tier still has its turn on a retry. Channels in cool-down go last: they are tried when nothing
else is left.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from ..values.vendor import Channel

Dice = Callable[[], float]
"""Uniform in [0, 1)."""

Spoken = Callable[[Channel, str], Mapping[str, str]]
"""What a channel speaks for a model by its name there: dialect → path, first preferred."""

Choice = Callable[[Mapping[str, str]], str]
"""The one of those dialects to speak, "" for none."""


class Candidate(Struct, frozen=True):
    """A channel that serves the model, the model's name there, and the dialect to speak to it."""

    channel: Channel
    model_sent: str
    dialect: str


def allows(patterns: Sequence[str], model: str) -> bool:
    """Whether a token's model list (globs, case-sensitive; empty for all) admits a model by the name the client
    used.
    """
    return not patterns or any(fnmatch.fnmatchcase(model, pattern) for pattern in patterns)


def speaks_of(channel: Channel, _model: str = "") -> Mapping[str, str]:
    """What a channel speaks, where that does not depend on the model."""
    return channel.speaks or channel.vendor.speaks


def in_groups(channel: Channel, groups: Sequence[str]) -> bool:
    return not channel.groups or any(group in channel.groups for group in groups)


def served_names(channels: Iterable[Channel], groups: Sequence[str]) -> dict[str, Channel]:
    """Every model name that callers of these groups can ask for, with the first channel that names it. `*` is not a
    name.
    """
    names: dict[str, Channel] = {}
    for channel in channels:
        if channel.enabled and in_groups(channel, groups):
            for name in channel.models:
                if name != "*":
                    names.setdefault(name, channel)
    return names


def candidates(
    model: str, choose: Choice, groups: Sequence[str], channels: Sequence[Channel], spoken: Spoken = speaks_of
) -> list[Candidate]:
    """Every channel that could serve this request, in the config's order; [] when none can."""
    usable = [c for c in channels if c.enabled and in_groups(c, groups)]
    named = [(c, c.models[model]) for c in usable if model in c.models and model != "*"]
    if not named and not any(model in c.models for c in channels if c.enabled):
        named = [(c, _through_wildcard(c, model)) for c in usable if "*" in c.models]
    found = [Candidate(channel, sent, choose(spoken(channel, sent))) for channel, sent in named]
    return [candidate for candidate in found if candidate.dialect]


def order(
    found: Sequence[Candidate], dice: Dice, cooling: Callable[[Candidate], bool] = lambda _: False
) -> list[Candidate]:
    """Candidates best first: not cooling before cooling, higher priority first, weighted shuffle within a priority."""
    shuffled = _weighted_shuffle(found, dice)
    return sorted(shuffled, key=lambda c: (cooling(c), -c.channel.priority))


def _through_wildcard(channel: Channel, model: str) -> str:
    target = channel.models["*"]
    return model if target in ("", "*") else target


def _weighted_shuffle(found: Sequence[Candidate], dice: Dice) -> list[Candidate]:
    """Efraimidis and Spirakis: sort by u^(1/w). Weight 0 comes after every positive one."""
    if len(found) < 2:
        return list(found)
    keyed = [((dice() or 1e-12) ** (1 / c.channel.weight) if c.channel.weight > 0 else -1.0, c) for c in found]
    return [c for _, c in sorted(keyed, key=lambda pair: -pair[0])]
