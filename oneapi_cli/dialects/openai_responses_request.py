"""A conversation → a request for a vendor that speaks Responses.

System turns stay where they stand, as items: vendors differ in whether they know `instructions`, none in whether they
know a `system` message. Nothing is stored unless the client asked for it, so reasoning travels encrypted, and the
seals of earlier answers return as they came.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..values.conversation import Conversation, Effort, Notes, OutputFormat, Reasoning
from ..values.errors import BadRequest
from ..values.vendor import Quirks, Traits
from .openai_responses_content import DIALECT
from .openai_responses_offer import tools_of
from .openai_responses_turns import Items

Json = dict[str, Any]

_OPENAI_DOORS = frozenset({"openai_chat", DIALECT})
_TIERS = {"standard_only": "default", "standard": "default"}  # Anthropic's words
_KNOWN_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
# Members of other doors that mean here what they mean there.
_SHARED_EXTRAS = frozenset(
    {"max_tool_calls", "moderation", "prompt_cache_options", "prompt_cache_retention", "truncation"}
)
_SILENT_EXTRAS = frozenset({"stream_options"})  # how a chat client wants its own stream
_LEAST_MEDIUM, _LEAST_HIGH = 4_096, 16_384  # thinking tokens


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[Json, Notes]:
    """Raises BadRequest for several outputs, sound and film, and files that another vendor keeps."""
    if talk.outputs > 1:
        raise BadRequest("`n` must be 1: the channel that serves this model answers once", member="n")
    if "audio" in talk.modalities or talk.audio is not None:
        raise BadRequest("The channel that serves this model cannot speak; leave `audio` out", member="modalities")
    reasons = traits.reasoning and quirks.reasoning_traits
    items = Items(system_role=traits.system_role if reasons else "system")
    for turn in talk.turns:
        items.add(turn)
    notes = items.notes
    body: Json = {"model": talk.model, "input": items.items, "store": bool(talk.store)}
    if talk.stream:
        body["stream"] = True
    body |= tools_of(talk, notes)
    body |= _thinking(talk, traits, notes)
    body |= _text(talk.format, talk.verbosity)
    body |= _sampling(talk, traits.dropped if reasons else (), notes)
    body |= _rest(talk, notes)
    include = [*(["reasoning.encrypted_content"] if _seals(talk, traits) and not talk.store else [])]
    if talk.logprobs or talk.top_logprobs:
        include.append("message.output_text.logprobs")
    if include:
        body["include"] = include
    return body, tuple(dict.fromkeys(notes))


def _seals(talk: Conversation, traits: Traits) -> bool:
    """Whether reasoning is to be expected, so that its encrypted form may be asked for (others answer 400)."""
    asked = talk.reasoning
    return traits.reasoning or (talk.origin in _OPENAI_DOORS and asked is not None and asked.effort is not None)


def _thinking(talk: Conversation, traits: Traits, notes: list[str]) -> Json:
    """`reasoning`, for models that reason or clients that say so in OpenAI's own word."""
    asked = talk.reasoning
    if asked is None:
        return {}
    if not _seals(talk, traits):
        if asked.enabled is not False:
            notes.append("dropped:reasoning")
        return {}
    effort = asked.effort or _effort_of(asked)
    if effort is None and asked.enabled is False:
        effort = "low"  # what every model that reasons knows; `none` most refuse
        notes.append("changed:reasoning")
    found: Json = {} if effort is None else {"effort": effort}
    wanted = asked.show or (asked.show is None and (asked.enabled or bool(asked.budget)))
    if asked.summary or wanted:
        found["summary"] = asked.summary or "auto"
    return {"reasoning": found} if found else {}


def _effort_of(asked: Reasoning) -> Effort | None:
    budget = asked.budget
    if budget is None or budget <= 0:
        return None
    if budget < _LEAST_MEDIUM:
        return "low"
    return "medium" if budget < _LEAST_HIGH else "high"


def _text(form: OutputFormat | None, verbosity: str) -> Json:
    text: Json = {}
    if form is not None and form.kind == "json_schema":
        text["format"] = {"type": "json_schema", "name": form.name or "answer", "schema": form.schema or {}}
        if form.description:
            text["format"]["description"] = form.description
        if form.strict is not None:
            text["format"]["strict"] = form.strict
    elif form is not None:
        text["format"] = {"type": form.kind}
    if verbosity:
        text["verbosity"] = verbosity
    return {"text": text} if text else {}


def _sampling(talk: Conversation, dropped: tuple[str, ...], notes: list[str]) -> Json:
    """The members that Responses has; what it has not is noted."""
    found: Json = {}
    given = {"temperature": talk.temperature, "top_p": talk.top_p, "top_logprobs": talk.top_logprobs}
    for name, value in given.items():
        if value is None:
            continue
        if name in dropped:
            notes.append(f"dropped:{name}")
        else:
            found[name] = value
    missing: Mapping[str, Any] = {
        "top_k": talk.top_k,
        "seed": talk.seed,
        "stop": talk.stop or None,
        "presence_penalty": talk.presence_penalty or None,
        "frequency_penalty": talk.frequency_penalty or None,
        "logit_bias": talk.logit_bias or None,
    }
    notes += [f"dropped:{name}" for name, value in missing.items() if value is not None]
    return found


def _rest(talk: Conversation, notes: list[str]) -> Json:
    found: Json = {}
    if talk.limit is not None:
        found["max_output_tokens"] = talk.limit
    if talk.user:
        found["user"] = talk.user
    if talk.metadata:
        found["metadata"] = dict(talk.metadata)
    if talk.cache_key:
        found["prompt_cache_key"] = talk.cache_key
    tier = _TIERS.get(talk.tier, talk.tier)
    if tier in _KNOWN_TIERS:
        found["service_tier"] = tier
    elif tier:
        notes.append("dropped:service_tier")
    if any(kind not in ("text", "image") for kind in talk.modalities):
        notes.append("dropped:modalities")
    for name, value in talk.extras.items():
        if name in _SHARED_EXTRAS:
            found[name] = value
        elif name not in _SILENT_EXTRAS:
            notes.append(f"dropped:{name}")
    return found
