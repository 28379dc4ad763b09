"""A conversation → the body for a vendor that speaks chat completions.

What depends on a model's traits alone (`max_completion_tokens`, the name of the system role, dropped sampling members,
`stream_options`) is done afterwards, by the same rewriting that relayed requests go through. Here is decided what this
format can say at all, and which of it a vendor takes (`Quirks.takes`, `refuses`).

Thinking has one member, `reasoning_effort`. A budget becomes an effort: up to 4 096 tokens low, up to 16 384 medium,
beyond that high (Anthropic's own sizes for a light, an ordinary and a long thought). It is sent to models that are
known to think, and for an effort that the client put in OpenAI's words; a budget for any other model is left out with
a note, because a model that does not think refuses the member. Vendors that take a `thinking` object are told so, on
or off.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..values.conversation import Conversation, Notes, OutputFormat, Reasoning
from ..values.vendor import Quirks, Traits
from .openai_chat_media import DIALECT
from .openai_chat_messages import messages_of
from .openai_chat_tools import format_member, tool_members

Body = dict[str, Any]

_MOST_STOPS = 4
_EFFORTS = ((4096, "low"), (16384, "medium"))
_OPENAI = frozenset({DIALECT, "openai_responses"})
_SHARED = frozenset({"prompt_cache_retention", "prompt_cache_options", "moderation"})
_TIERS = {"standard": "default", "standard_only": "default"}
_KNOWN_TIERS = frozenset({"default", "flex", "scale", "priority"})


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[Body, Notes]:
    """The body, and notes of what this format or this vendor cannot carry. Raises BadRequest for media that nobody
    would want left out."""
    notes: list[str] = []
    body: Body = {"model": talk.model, "messages": messages_of(talk.turns, quirks, notes)}
    if talk.stream:
        body["stream"] = True
    marks = "cache_control" in quirks.takes
    body |= tool_members(talk, notes, marks=marks, searches=traits.agent)
    if talk.limit is not None:
        name = quirks.token_limit_name
        body["max_completion_tokens" if name == "max_completion_tokens" else "max_tokens"] = talk.limit
    body |= _sampling(talk, quirks, notes)
    body |= _output(talk, notes)
    body |= _account(talk, notes)
    body |= _reasoning(talk, quirks, traits, notes)
    if talk.format is not None:
        _add_format(body, talk.format, quirks, notes)
    _carry_extras(body, talk, notes)
    for name in quirks.refuses:
        if body.pop(name, None) is not None:
            notes.append(f"dropped:{name}")
    return body, tuple(dict.fromkeys(notes))


def _sampling(talk: Conversation, quirks: Quirks, notes: list[str]) -> Body:
    body: Body = {
        "temperature": talk.temperature,
        "top_p": talk.top_p,
        "presence_penalty": talk.presence_penalty,
        "frequency_penalty": talk.frequency_penalty,
        "random_seed" if "random_seed" in quirks.takes else "seed": talk.seed,
        "logit_bias": talk.logit_bias or None,
    }
    if talk.top_k is not None and "top_k" in quirks.takes:
        body["top_k"] = talk.top_k
    elif talk.top_k is not None:
        notes.append("dropped:top_k")
    if talk.stop:
        body["stop"] = list(talk.stop[:_MOST_STOPS])
        if len(talk.stop) > _MOST_STOPS:
            notes.append("changed:stop")
    return {name: value for name, value in body.items() if value is not None}


def _output(talk: Conversation, notes: list[str]) -> Body:
    """How many answers, with what beside them, in which form."""
    body: Body = {}
    if talk.outputs != 1:
        body["n"] = talk.outputs
    if talk.logprobs or talk.top_logprobs:
        body["logprobs"] = True
        if talk.top_logprobs is not None:
            body["top_logprobs"] = talk.top_logprobs
    if talk.verbosity:
        body["verbosity"] = talk.verbosity
    wanted = [word.lower() for word in talk.modalities]
    if "audio" in wanted:
        body["modalities"] = wanted
        sound = talk.audio
        body["audio"] = {
            "voice": (sound.voice if sound else "") or "alloy",
            "format": (sound.format if sound else "") or ("pcm16" if talk.stream else "wav"),
        }
    elif "image" in wanted:
        body["modalities"] = wanted
    elif talk.audio is not None:
        notes.append("dropped:audio")
    return body


def _account(talk: Conversation, notes: list[str]) -> Body:
    """Who pays how, and what is kept. Metadata is taken only with `store`."""
    body: Body = {}
    tier = _TIERS.get(talk.tier, talk.tier)
    if tier in _KNOWN_TIERS and talk.tier != "standard_only":
        body["service_tier"] = tier
    elif tier not in ("", "auto", "default"):
        notes.append("dropped:service_tier")
    if talk.user:
        body["user"] = talk.user
    if talk.cache_key:
        body["prompt_cache_key"] = talk.cache_key
    if talk.store:
        body["store"] = True
    if talk.metadata and talk.store:
        body["metadata"] = dict(talk.metadata)
    elif talk.metadata:
        notes.append("dropped:metadata")
    return body


def _reasoning(talk: Conversation, quirks: Quirks, traits: Traits, notes: list[str]) -> Body:
    said = talk.reasoning
    if said is None:
        return {}
    if said.summary:
        notes.append("dropped:reasoning.summary")
    if said.show is False:
        notes.append("dropped:reasoning.exclude")
    body: Body = {}
    if "thinking" in quirks.takes and said.enabled is not None:
        body["thinking"] = {"type": "enabled" if said.enabled else "disabled"}
    effort = _effort(said)
    thinks = traits.reasoning or bool(traits.thinking) or "reasoning_effort" in quirks.takes
    if effort and (thinks or (said.effort is not None and talk.origin in _OPENAI)):
        if said.enabled is not False or "thinking" not in body:
            body["reasoning_effort"] = effort
    elif not body and (effort or (thinks and said.enabled is False)):
        notes.append("dropped:thinking")
    return body


def _effort(said: Reasoning) -> str:
    """The effort's word, "" for the model's own choice."""
    if said.effort is not None:
        return said.effort
    if said.enabled is False or said.budget is None or said.budget < 0:
        return ""
    return next((word for most, word in _EFFORTS if said.budget <= most), "high")


def _add_format(body: Body, form: OutputFormat, quirks: Quirks, notes: list[str]) -> None:
    """`response_format`; for a vendor that knows only JSON as such, the schema in words before everything else."""
    if form.kind == "text":
        return
    if form.kind == "json_schema" and "json_schema" in quirks.refuses:
        schema = msgspec.json.encode(form.schema or {}).decode()
        text = f"Answer with one JSON object, and nothing else, that is valid under this JSON Schema:\n{schema}"
        body["messages"].insert(0, {"role": "system", "content": text})
        body["response_format"] = {"type": "json_object"}
        notes.append("changed:response_format")
        return
    body["response_format"] = format_member(form)


def _carry_extras(body: Body, talk: Conversation, notes: list[str]) -> None:
    """Members that only the client's dialect knows: its own, or those that both of OpenAI's formats share."""
    for name, value in talk.extras.items():
        if talk.origin == DIALECT or (talk.origin in _OPENAI and name in _SHARED):
            body.setdefault(name, value)
        else:
            notes.append(f"dropped:{name}")
