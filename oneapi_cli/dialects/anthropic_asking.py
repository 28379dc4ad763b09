"""A conversation → the body of a Messages request.

The limit is never above the conversation's own. Sampling: `temperature` within 0 and 1, and one of it and `top_p`;
thinking and the newer models take none. An output format is asked for as such where the model knows one and the schema
can be enforced; else one tool of a reserved name stands in for it, whose call is read back as text, or, where no call
can be demanded, a sentence in `system`. What the format has no member for is noted (`remainder.py`).

Sources: https://platform.claude.com/docs/en/api/messages ·
https://platform.claude.com/docs/en/build-with-claude/structured-outputs (2026-11)
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from ..values.conversation import Conversation, Notes, OutputFormat
from ..values.errors import BadRequest
from ..values.vendor import Quirks, Traits
from .anthropic_names import JSON_TOOL, JSON_VALUE_TOOL
from .anthropic_schemas import constrained, is_object
from .anthropic_thinking import Thoughts, refuses_force, thoughts_for
from .anthropic_tooling import Tooling, write_tools
from .anthropic_turns import TurnWriter, limit_marks
from .remainder import NO_TIER, remainder

DEFAULT_LIMIT = 8_192
"""For models whose largest output we do not know: the API demands a limit."""

_CARRIED = frozenset(
    {
        "cache",
        "format",
        "hosted",
        "parallel_tools",
        "reasoning",
        "stop",
        "temperature",
        "tier",
        "top_k",
        "top_p",
        "user",
    }
)
_LEAST_TOP_P = 0.95
_LONGEST_USER = 256

Form = Literal["", "native", "tool", "words"]


class _Output(Struct, frozen=True, kw_only=True):
    """How an output format is asked for. config: `output_config.format`; tool: the one that stands in for it; words:
    for `system`."""

    form: Form = ""
    config: dict[str, Any] | None = None
    tool: dict[str, Any] | None = None
    words: str = ""
    notes: Notes = ()


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[dict[str, Any], Notes]:
    """The body, and notes. Raises BadRequest for more than one output, and for media that the API does not take."""
    if talk.outputs > 1:
        raise BadRequest("`n` must be 1: this model answers once per request", member="n")
    if "audio" in talk.modalities:
        raise BadRequest("`modalities` asks for sound, which this model does not make", member="modalities")
    limit = talk.limit if talk.limit is not None else traits.max_output or DEFAULT_LIMIT
    turns = TurnWriter()
    turns.write(talk)
    output = _output(talk.format, traits, thinks=_asks_for_thoughts(talk))
    tooling = write_tools(talk, turns.called_tools(), stand_in=output.tool, structured=traits.structured)
    if output.words:
        turns.system.append({"type": "text", "text": output.words})
    forced = tooling.is_forced and not refuses_force(traits)
    thoughts = thoughts_for(talk.reasoning, traits, limit=limit, forced=forced)
    notes = [*turns.notes, *output.notes, *tooling.notes, *thoughts.notes]
    if thoughts.active and traits.thinking == "budget" and not turns.thinks_before_acting():
        thoughts = Thoughts()
        notes.append("dropped:reasoning")
    if thoughts.active and output.form == "native" and turns.cites:
        notes.append("changed:citations")
    _settle_ending(turns, traits, thoughts, output)
    body: dict[str, Any] = {"model": talk.model, "max_tokens": limit, "messages": turns.messages}
    if turns.system:
        body["system"] = _system(turns)
    notes += _tools(body, tooling, traits)
    notes += limit_marks([*body.get("tools", ()), *turns.system, *(b for m in turns.messages for b in m["content"])])
    _think(body, thoughts, output)
    notes += _sampling(body, talk, traits, thoughts)
    notes += _others(body, talk)
    notes += [*turns.notes, *remainder(talk, _CARRIED)]
    return body, tuple(dict.fromkeys(notes))


def _asks_for_thoughts(talk: Conversation) -> bool:
    asked = talk.reasoning
    return asked is not None and asked.enabled is not False and asked.effort != "none" and asked != type(asked)()


def _settle_ending(turns: TurnWriter, traits: Traits, thoughts: Thoughts, output: _Output) -> None:
    """Half an answer to go on with is taken by older models alone, and neither with thoughts nor with a format."""
    if traits.thinking == "adaptive" or thoughts.active or output.form in ("native", "tool"):
        turns.end_with_user()
    else:
        turns.trim_prefill()


def _system(turns: TurnWriter) -> Any:
    first = turns.system[0]
    return first["text"] if len(turns.system) == 1 and "cache_control" not in first else turns.system


def _tools(body: dict[str, Any], tooling: Tooling, traits: Traits) -> list[str]:
    if not tooling.tools:
        return []
    body["tools"] = tooling.tools
    if tooling.choice is None:
        return []
    if tooling.is_forced and refuses_force(traits):
        alone = tooling.choice.get("disable_parallel_tool_use")
        body["tool_choice"] = {"type": "auto"} | ({"disable_parallel_tool_use": True} if alone else {})
        return ["changed:tool_choice"]
    body["tool_choice"] = tooling.choice
    return []


def _think(body: dict[str, Any], thoughts: Thoughts, output: _Output) -> None:
    if thoughts.config is not None:
        body["thinking"] = thoughts.config
    config: dict[str, Any] = {}
    if thoughts.effort:
        config["effort"] = thoughts.effort
    if output.config is not None:
        config["format"] = output.config
    if config:
        body["output_config"] = config


def _sampling(body: dict[str, Any], talk: Conversation, traits: Traits, thoughts: Thoughts) -> list[str]:
    temperature, top_p, top_k = talk.temperature, talk.top_p, talk.top_k
    notes: list[str] = []
    if temperature is not None and not 0 <= temperature <= 1:
        temperature = min(max(temperature, 0), 1)
        notes.append("changed:temperature")
    free = traits.sampling and not thoughts.active
    if temperature is not None and not free:
        notes += ["dropped:temperature"] if temperature != 1 else []
        temperature = None
    if top_k is not None and not free:
        notes.append("dropped:top_k")
        top_k = None
    if top_p is not None and (not traits.sampling or (thoughts.active and top_p < _LEAST_TOP_P)):
        notes += ["dropped:top_p"] if top_p != 1 else []
        top_p = None
    if temperature is not None and top_p is not None:  # newer models take one of them
        if temperature == 1:
            temperature = None
        else:
            notes += ["dropped:top_p"] if top_p != 1 else []
            top_p = None
    for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
        if value is not None:
            body[name] = value
    return notes


def _others(body: dict[str, Any], talk: Conversation) -> list[str]:
    notes: list[str] = []
    if stop := [text for text in talk.stop if text.strip()]:
        body["stop_sequences"] = stop
    if len(stop) < len(talk.stop):
        notes.append("dropped:stop")
    if talk.stream:
        body["stream"] = True
    if talk.user:
        if len(talk.user) <= _LONGEST_USER:
            body["metadata"] = {"user_id": talk.user}
        else:
            notes.append("dropped:user")
    if talk.tier in ("default", "standard", "standard_only"):
        body["service_tier"] = "standard_only"
    elif talk.tier == "auto":
        body["service_tier"] = "auto"
    elif talk.tier not in NO_TIER:
        notes.append("dropped:service_tier")
    return notes


def _output(wanted: OutputFormat | None, traits: Traits, *, thinks: bool) -> _Output:
    if wanted is None or wanted.kind == "text":
        return _Output()
    schema = wanted.schema if wanted.kind == "json_schema" else None
    if schema is not None and traits.structured and (enforced := constrained(schema)) is not None:
        changed = ("changed:response_format",) if enforced != dict(schema) else ()
        return _Output(form="native", config={"type": "json_schema", "schema": enforced}, notes=changed)
    notes = ("changed:response_format",)
    if refuses_force(traits) or (schema is None and thinks and traits.thinking):
        return _Output(form="words", words=words_for(wanted), notes=notes)
    return _Output(form="tool", tool=stand_in_for(wanted), notes=notes)


def words_for(wanted: OutputFormat) -> str:
    if wanted.schema is None:
        return "Answer with one JSON object and nothing else: no other text, no code fence."
    schema = msgspec.json.encode(wanted.schema).decode()
    return f"Answer with JSON that fits this JSON Schema and nothing else: no other text, no code fence.\n\n{schema}"


def stand_in_for(wanted: OutputFormat) -> dict[str, Any]:
    about = wanted.description or "Gives the answer. Call it once, with the whole answer as its input."
    schema = dict(wanted.schema) if wanted.schema else {"type": "object", "additionalProperties": True}
    if is_object(schema) and not {"anyOf", "oneOf", "allOf", "$ref"} & schema.keys():
        schema.setdefault("properties", {})
        return {"name": JSON_TOOL, "description": about, "input_schema": {"type": "object", **schema}}
    lifted = {name: schema.pop(name) for name in ("$defs", "definitions") if name in schema}
    inside = {"type": "object", "properties": {"value": schema}, "required": ["value"], **lifted}
    return {"name": JSON_VALUE_TOOL, "description": about, "input_schema": inside}
