"""How a model is asked to think, in the way that it takes (`Traits.thinking`, `Traits.thinks`).

* by a budget (up to Claude 4.5): at least 1 024 tokens and less than the limit, which is never raised for it;
* adaptively (from 4.6 on), with an effort: `xhigh` is known from 4.7 on.

Thoughts and a forced tool do not go together: the tool is what the client cannot do without, so the thoughts go, where
they can. A model that thinks whatever it is told takes no forced tool either.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking ·
https://platform.claude.com/docs/en/build-with-claude/extended-thinking ·
https://platform.claude.com/docs/en/build-with-claude/effort ·
https://platform.claude.com/docs/en/models/sonnet-5-5/whats-new-sonnet-5-5 (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..values.conversation import Reasoning
from ..values.vendor import Traits

LEAST_BUDGET = 1_024
_ROOM = 1_024
"""What is left for the answer where the budget was not the client's own."""
_BUDGETS: Mapping[str, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 32_768,
}
_UNSAID = 8_192


class Thoughts(Struct, frozen=True, kw_only=True):
    """config: `thinking`, None to leave it unsaid; effort: `output_config.effort`, ""; active: whether the model will
    think, which rules out some other members."""

    config: dict[str, Any] | None = None
    effort: str = ""
    active: bool = False
    notes: tuple[str, ...] = ()


def refuses_force(traits: Traits) -> bool:
    """Whether a call cannot be demanded of this model at all."""
    return traits.thinks in ("between", "always")


def thoughts_for(asked: Reasoning | None, traits: Traits, *, limit: int, forced: bool) -> Thoughts:
    """What to say of thinking. forced: a call is demanded, so thoughts have to go where they can."""
    wants = _wants(asked)
    if traits.thinking == "adaptive":
        return _adaptive(asked or Reasoning(), traits, wants=wants, forced=forced)
    if wants is not True:
        return Thoughts()
    if traits.thinking != "budget" or forced:
        return Thoughts(notes=("dropped:reasoning",))
    assert asked is not None, "thinking is wanted"
    return _budgeted(asked, limit)


def _wants(asked: Reasoning | None) -> bool | None:
    """True: on, False: off, None: not said."""
    if asked is None:
        return None
    if asked.enabled is not None:
        return asked.enabled
    if asked.effort == "none" or asked.budget == 0:
        return False
    return True if asked.effort is not None or asked.budget is not None or asked.adaptive else None


def _budgeted(asked: Reasoning, limit: int) -> Thoughts:
    given = asked.budget
    if given is not None and LEAST_BUDGET <= given < limit:
        return _with_budget(asked, given)
    wish = given if given is not None and given > 0 else _BUDGETS.get(asked.effort or "", _UNSAID)
    budget = min(max(wish, LEAST_BUDGET), limit - _ROOM)
    if budget < LEAST_BUDGET:
        return Thoughts(notes=("dropped:reasoning",))
    changed = ("changed:thinking_budget",) if given is not None and given > 0 else ()
    return _with_budget(asked, budget, changed)


def _with_budget(asked: Reasoning, budget: int, notes: tuple[str, ...] = ()) -> Thoughts:
    config: dict[str, Any] = {"type": "enabled", "budget_tokens": budget}
    if asked.show is False:
        config["display"] = "omitted"
    return Thoughts(config=config, active=True, notes=notes)


def _adaptive(asked: Reasoning, traits: Traits, *, wants: bool | None, forced: bool) -> Thoughts:
    if forced and not refuses_force(traits):
        dropped = ("dropped:reasoning",) if wants else ()
        return Thoughts(config={"type": "disabled"} if traits.thinks == "default" else None, notes=dropped)
    if wants is False:
        return _off(traits)
    effort, notes = _effort(asked, traits)
    if wants is None:
        return Thoughts(effort=effort, active=traits.thinks != "asked", notes=notes)
    config: dict[str, Any] = {"type": "adaptive"}
    if asked.show is False:
        config["display"] = "omitted"
    elif not traits.sampling:  # from 4.7 on thoughts are not shown unless somebody asks for them
        config["display"] = "summarized"
    return Thoughts(config=config, effort=effort, active=True, notes=notes)


def _off(traits: Traits) -> Thoughts:
    if traits.thinks == "default":
        return Thoughts(config={"type": "disabled"})
    if traits.thinks == "between":
        return Thoughts(config={"type": "between_tools"}, active=True)
    if traits.thinks == "always":
        return Thoughts(effort="low", active=True, notes=("changed:reasoning",))
    return Thoughts()


def _effort(asked: Reasoning, traits: Traits) -> tuple[str, tuple[str, ...]]:
    effort, budget = asked.effort, asked.budget
    if effort is None and budget is not None and budget > 0:
        word = "low" if budget <= 2_048 else "medium" if budget <= 8_192 else "high"
        return word, ("changed:thinking_budget",)
    if effort in (None, "none"):
        return "", ()
    if effort == "minimal":
        return "low", ("changed:reasoning_effort",)
    if effort == "xhigh" and traits.sampling:
        return "high", ("changed:reasoning_effort",)
    return effort, ()
