"""A conversation → the body that creates a prediction: `{"input": {…}, "stream": …, "version": …}`.

What the inputs are called differs from model to model and stands in `Traits.inputs`. A client may give any input itself
under `input` (the OpenAI SDK's `extra_body={"input": {…}}`), over what we make of its conversation; the output limit
that was held for stands in any case.

Source: https://replicate.com/docs/reference/http#models.predictions.create (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..values.conversation import Conversation, Media, Notes, Reasoning
from ..values.errors import BadRequest
from ..values.vendor import PredictionInputs, Quirks, Traits
from .remainder import BUDGETS, check_answerable, remainder, unreachable, unreadable
from .replicate_prompt import Script

LIMITS = ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "max_length")
"""What models call the output limit."""

LEAST_BUDGET = 1_024
"""Tokens of thinking, for models that have a switch for it beside the budget."""

_VERSION = re.compile(r"[0-9a-f]{64}\Z")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_TYPES = {"image": "image/png", "audio": "audio/mpeg", "video": "video/mp4"}


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[dict[str, Any], Notes]:
    """See `Speaker`. Raises BadRequest for tools that may be called, and media that the model does not take."""
    check_answerable(talk)
    inputs = traits.inputs
    carried = {*inputs.sampling, *(("verbosity",) if inputs.verbosity else ()), "stop", "reasoning", "parallel_tools"}
    notes = remainder(talk, carried, frozenset({"input"}))
    if talk.tools:
        if talk.tool_choice is None or talk.tool_choice.mode != "none":
            raise BadRequest("`tools` cannot be given to this model: it takes a prompt alone", member="tools")
        notes.append("dropped:tools")
    script = Script(talk)
    given = _said(script, inputs) | _sampling(talk, inputs, notes)
    if talk.reasoning is not None:
        given |= _thinking(talk.reasoning, talk.limit, inputs, notes)
    given = _with_own(given, talk, inputs)
    body: dict[str, Any] = {"input": given}
    if talk.stream:
        body["stream"] = True
    if _VERSION.match(version := talk.model.rpartition(":")[2]):
        body["version"] = version
    return body, tuple(dict.fromkeys((*notes, *script.notes)))


def _said(script: Script, inputs: PredictionInputs) -> dict[str, Any]:
    """What was said and shown."""
    shown = _media(script.media, inputs)
    alone = len(script.rest) == 1 and script.rest[0][0] == "user"
    if inputs.messages and not alone and not shown:
        return {inputs.messages: script.messages()}
    given: dict[str, Any] = {"prompt": script.prompt(with_system=not inputs.system)}
    if inputs.system and script.system:
        given[inputs.system] = script.system
    return given | shown


def _media(media: Sequence[Media], inputs: PredictionInputs) -> dict[str, Any]:
    """Raises BadRequest for a kind that the model does not take, or for more of it."""
    shown: dict[str, Any] = {}
    for each in media:
        name = inputs.media.get(each.kind, "")
        if not name:
            raise unreadable(each.kind)
        if name.endswith("[]"):
            shown.setdefault(name[:-2], []).append(_url(each))
        elif name in shown:
            what = f"`messages` has several parts of a kind that this model takes one of: {each.kind}"
            raise BadRequest(what, member="messages")
        else:
            shown[name] = _url(each)
    return shown


def _url(media: Media) -> str:
    if media.data:
        return f"data:{media.media_type or _TYPES.get(media.kind, 'application/octet-stream')};base64,{media.data}"
    if not media.url.lower().startswith(("https://", "http://")):
        raise unreachable(media.kind)
    return media.url


def _sampling(talk: Conversation, inputs: PredictionInputs, notes: list[str]) -> dict[str, Any]:
    given = {name: value for name in inputs.sampling if (value := getattr(talk, name)) is not None}
    if inputs.verbosity and talk.verbosity:
        given[inputs.verbosity] = talk.verbosity
    if talk.stop:
        if inputs.stop and not any("," in stop for stop in talk.stop):
            given[inputs.stop] = ",".join(talk.stop)
        else:
            notes.append("dropped:stop")
    if talk.limit is not None:
        given |= dict.fromkeys(inputs.limits, talk.limit)
    return given


def _thinking(reasoning: Reasoning, limit: int | None, inputs: PredictionInputs, notes: list[str]) -> dict[str, Any]:
    asked = reasoning.enabled, reasoning.effort, reasoning.budget
    if asked == (None, None, None) and not reasoning.adaptive:
        return {}
    off = reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0
    if inputs.effort:
        return {inputs.effort: _effort("none" if off else reasoning.effort or "medium", inputs.efforts, notes)}
    if not inputs.budget:
        notes.append("dropped:reasoning")
        return {}
    if off:
        return {inputs.thinks: False} if inputs.thinks else {inputs.budget: 0}
    return _budget(reasoning, limit, inputs, notes)


def _budget(reasoning: Reasoning, limit: int | None, inputs: PredictionInputs, notes: list[str]) -> dict[str, Any]:
    """A budget, which leaves room for an answer where the limit counts thoughts too; none where there is no room."""
    budget = reasoning.budget if reasoning.budget is not None else BUDGETS.get(reasoning.effort or "")
    if not inputs.thinks:
        return {inputs.budget: budget} if budget is not None and budget > 0 else {}
    if limit is not None and limit <= LEAST_BUDGET:
        notes.append("dropped:reasoning")
        return {}
    if budget is None or budget < 0:
        budget = None if limit is None else limit // 2
    if budget is None:
        return {inputs.thinks: True}
    budget = max(budget, LEAST_BUDGET)
    return {inputs.thinks: True, inputs.budget: budget if limit is None else min(budget, limit - 1)}


def _effort(word: str, known: Sequence[str], notes: list[str]) -> str:
    """The nearest effort that the model knows, the higher one of two."""
    place = _EFFORTS.index(word)
    nearest = min(known, key=lambda each: (abs(_EFFORTS.index(each) - place), -_EFFORTS.index(each)))
    if nearest != word:
        notes.append("changed:reasoning_effort")
    return nearest


def _with_own(given: dict[str, Any], talk: Conversation, inputs: PredictionInputs) -> dict[str, Any]:
    """What the client gives as inputs itself goes over ours, except for the limit. Raises BadRequest."""
    own = talk.extras.get("input")
    if own is None:
        return given
    if not isinstance(own, dict):
        raise BadRequest("`input` must be an object", member="input")
    if talk.limit is None:
        return given | own
    bound = dict.fromkeys(inputs.limits, talk.limit)
    return {name: value for name, value in (given | own).items() if name not in LIMITS} | bound
