"""How much a Gemini model is to think: a budget of tokens up to 2.5, a level from 3 on.

Levels cannot be left out altogether: whoever wants no thinking gets the least that the model knows. Thoughts are asked
for unless the client does not want to see them: they are billed either way.

Sources: https://ai.google.dev/gemini-api/docs/thinking · https://ai.google.dev/gemini-api/docs/openai (2026-11)
"""

from __future__ import annotations

from typing import Any

from ..values.conversation import Effort, Reasoning
from ..values.vendor import Traits

_BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 512,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 32_768,
}
_ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_STEPS: tuple[tuple[int, Effort], ...] = ((512, "minimal"), (2_048, "low"), (12_288, "medium"))


def thinking_config(wanted: Reasoning | None, traits: Traits, notes: dict[str, None]) -> dict[str, Any]:
    """`thinkingConfig`, {} for none. notes: gains a code where the client's wish has no equal."""
    if not traits.thinking:
        if wanted is not None and (wanted.effort not in (None, "none") or wanted.budget or wanted.enabled):
            notes["dropped:reasoning"] = None
        return {}
    wanted = wanted or Reasoning()
    amount, off = _level(wanted, traits, notes) if traits.thinking == "level" else _budget(wanted, traits, notes)
    shown = {"includeThoughts": True} if wanted.show is not False and not off else {}
    return amount | shown


def _budget(wanted: Reasoning, traits: Traits, notes: dict[str, None]) -> tuple[dict[str, Any], bool]:
    """(`thinkingBudget` or nothing, whether that turns thinking off)."""
    budget = wanted.budget
    if wanted.enabled is False:
        budget = 0
    elif budget is None and wanted.effort is not None:
        budget = _BUDGETS[wanted.effort]
    if budget is None:
        return {}, False
    least, most = traits.budgets
    if budget == 0:
        if not traits.always_thinks:
            return {"thinkingBudget": 0}, True
        notes["changed:reasoning"] = None
        return {"thinkingBudget": max(least, 1)}, False
    if budget > 0:
        budget = max(least, min(budget, most) if most else budget)
    return {"thinkingBudget": budget}, False


def _level(wanted: Reasoning, traits: Traits, notes: dict[str, None]) -> tuple[dict[str, Any], bool]:
    word = wanted.effort
    if wanted.enabled is False or word == "none":
        notes["changed:reasoning"] = None
        word = "none"
    elif word is None and wanted.budget is not None and wanted.budget > 0:
        budget = wanted.budget
        word = next((step for most, step in _STEPS if budget <= most), "high")
    if word is None:
        return {}, False
    known = traits.levels or ("low", "medium", "high")
    rank = _ORDER.index(word)
    # The nearest that is not less than what was asked for, else the most there is.
    level = next((each for each in known if _ORDER.index(each) >= rank), known[-1])
    return {"thinkingLevel": level.upper()}, word == "none"
