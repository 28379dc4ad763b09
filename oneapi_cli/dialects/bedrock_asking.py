"""A conversation → the body of a Converse request, without `modelId`, which stands in the URL.

What Converse has no member for and the model knows goes into `additionalModelRequestFields`: thinking, `top_k`. How a
model is asked to think is a trait of it: Claude by `thinking` (and `output_config`, the effort), a model with levels by
`reasoningConfig` (Nova), one whose levels are words of effort by `reasoning_effort` (gpt-oss). An output format is
`outputConfig` where the model knows one, else a tool that stands in for it or a sentence in `system`.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html ·
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html ·
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html ·
https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html (2026-11)
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from ..values.conversation import Conversation, Notes, OutputFormat, Reasoning
from ..values.errors import BadRequest
from ..values.vendor import Quirks, Traits
from .anthropic_asking import stand_in_for, words_for
from .anthropic_schemas import constrained
from .anthropic_thinking import Thoughts, refuses_force, thoughts_for
from .bedrock_tools import write_tools
from .bedrock_turns import TurnWriter
from .remainder import NO_TIER, remainder

UNKNOWN_LIMIT = 8_192
"""What a thinking budget is measured against where nobody says how much the model can produce."""

_CARRIED = frozenset(
    {
        "cache",
        "format",
        "hosted",
        "metadata",
        "parallel_tools",
        "reasoning",
        "stop",
        "temperature",
        "tier",
        "top_k",
        "top_p",
    }
)
_CLAUDE = ("budget", "adaptive")
_TIERS = frozenset({"priority", "flex", "reserved"})
_MOST_MARKS = 4
_MOST_METADATA = 16
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.\-]{0,256}\Z")
_LEAST_TOP_P = 0.95


class _Output(Struct, frozen=True, kw_only=True):
    """How an output format is asked for. config: `outputConfig.textFormat`; tool: the one that stands in for it;
    words: for `system`."""

    config: dict[str, Any] | None = None
    tool: dict[str, Any] | None = None
    words: str = ""
    notes: Notes = ()


class _Wish(Struct, frozen=True, kw_only=True):
    """What to say of thinking. fields: for `additionalModelRequestFields`; effort: of Claude's output; active: sampling
    members may not stand beside it."""

    fields: dict[str, Any] = {}
    effort: str = ""
    active: bool = False
    notes: Notes = ()


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[dict[str, Any], Notes]:
    """The body, and notes. Raises BadRequest for more than one output, and for what Converse does not take."""
    if talk.outputs > 1:
        raise BadRequest("`n` must be 1: this model answers once per request", member="n")
    if "audio" in talk.modalities:
        raise BadRequest("`modalities` asks for sound, which this model does not make", member="modalities")
    turns = TurnWriter(traits)
    turns.write(talk)
    output = _output(talk.format, traits, thinks=_asks_for_thoughts(talk))
    tools = write_tools(talk, turns, stand_in=output.tool, traits=traits)
    if output.words:
        turns.system.append({"text": output.words})
    wish = _wish(talk, traits, forced=tools.forced and not refuses_force(traits))
    notes = [*output.notes, *tools.notes, *wish.notes]
    if wish.active and traits.thinking == "budget" and not turns.thinks_before_acting():
        wish = _Wish()
        notes.append("dropped:reasoning")
    if traits.thinking == "adaptive" or wish.active or output.config is not None or output.tool is not None:
        turns.end_with_user()
    else:
        turns.trim_prefill()
    body: dict[str, Any] = {"messages": turns.messages}
    if turns.system:
        body["system"] = turns.system
    inference, more = _inference(talk, traits, wish)
    fields, further = _fields(talk, traits, wish)
    notes += [*more, *further]
    if tools.config is not None:
        body["toolConfig"] = tools.config
        if tools.forced and refuses_force(traits):
            tools.config["toolChoice"] = {"auto": {}}
            notes.append("changed:tool_choice")
    _put_output(body, fields, output, wish)
    body |= {"inferenceConfig": inference} if inference else {}
    body |= {"additionalModelRequestFields": fields} if fields else {}
    notes += _others(body, talk)
    notes += _limit_marks(body)
    notes += [*turns.notes, *remainder(talk, _CARRIED)]
    return body, tuple(dict.fromkeys(notes))


def _asks_for_thoughts(talk: Conversation) -> bool:
    asked = talk.reasoning
    return asked is not None and asked.enabled is not False and asked.effort != "none" and asked != Reasoning()


# --- thinking -------------------------------------------------------------------------------------------------------


def _wish(talk: Conversation, traits: Traits, *, forced: bool) -> _Wish:
    asked = talk.reasoning
    if traits.thinking in _CLAUDE:
        limit = talk.limit if talk.limit is not None else traits.max_output or UNKNOWN_LIMIT
        return _of_claude(thoughts_for(asked, traits, limit=limit, forced=forced))
    if not _asks_for_thoughts(talk) or asked is None:
        return _off(asked, traits)
    if not traits.levels:
        return _Wish(notes=("dropped:reasoning",))
    level, notes = _level(asked, traits.levels)
    if traits.thinking != "level":
        return _Wish(fields={"reasoning_effort": level}, notes=notes)
    if level == traits.levels[-1] and len(traits.levels) > 1 and talk.limit is not None:
        level, notes = traits.levels[-2], ("changed:reasoning_effort",)  # the highest level takes no limit
    config = {"type": "enabled", "maxReasoningEffort": level}
    return _Wish(fields={"reasoningConfig": config}, active=level == traits.levels[-1], notes=notes)


def _of_claude(thoughts: Thoughts) -> _Wish:
    fields = {} if thoughts.config is None else {"thinking": thoughts.config}
    return _Wish(fields=fields, effort=thoughts.effort, active=thoughts.active, notes=thoughts.notes)


def _off(asked: Reasoning | None, traits: Traits) -> _Wish:
    """Thinking is not wanted: nothing has to be said where it is off by default."""
    if asked is None or traits.thinking == "level" or not traits.levels or asked == Reasoning():
        return _Wish()
    return _Wish(fields={"reasoning_effort": traits.levels[0]}, notes=("changed:reasoning",))


def _level(asked: Reasoning, levels: tuple[str, ...]) -> tuple[str, Notes]:
    """The level that is nearest to what was asked for."""
    wanted = asked.effort or ""
    if not wanted:
        budget = asked.budget or 0
        wanted = "medium" if budget <= 0 else "low" if budget <= 2_048 else "medium" if budget <= 8_192 else "high"
        return (wanted if wanted in levels else levels[-1]), ("changed:thinking_budget",) if budget > 0 else ()
    if wanted in levels:
        return wanted, ()
    return (levels[0] if wanted in ("minimal", "low") else levels[-1]), ("changed:reasoning_effort",)


# --- settings -------------------------------------------------------------------------------------------------------


def _inference(talk: Conversation, traits: Traits, wish: _Wish) -> tuple[dict[str, Any], list[str]]:
    config: dict[str, Any] = {}
    notes: list[str] = []
    limit = talk.limit
    if limit is None and wish.active and traits.thinking == "budget" and traits.max_output:
        limit = traits.max_output  # a budget must be smaller than the limit, and the default is not told
    if limit is not None:
        config["maxTokens"] = max(1, limit)
    temperature, top_p = talk.temperature, talk.top_p
    if temperature is not None and not 0 <= temperature <= 1:
        temperature = min(max(temperature, 0), 1)
        notes.append("changed:temperature")
    if top_p is not None and not 0 <= top_p <= 1:
        top_p = min(max(top_p, 0), 1)
        notes.append("changed:top_p")
    if temperature is not None and (not traits.sampling or wish.active):
        notes += ["dropped:temperature"] if temperature != 1 else []
        temperature = None
    if top_p is not None and (not traits.sampling or (wish.active and not _may_narrow(top_p, traits))):
        notes += ["dropped:top_p"] if top_p != 1 else []
        top_p = None
    if temperature is not None and top_p is not None and traits.thinking in _CLAUDE:  # these take one of them
        notes += ["dropped:top_p"] if temperature != 1 and top_p != 1 else []
        temperature, top_p = (None, top_p) if temperature == 1 else (temperature, None)
    config |= {} if temperature is None else {"temperature": temperature}
    config |= {} if top_p is None else {"topP": top_p}
    if stop := [text for text in talk.stop if text.strip()]:
        config["stopSequences"] = stop
    if len(stop) < len(talk.stop):
        notes.append("dropped:stop")
    return config, notes


def _may_narrow(top_p: float, traits: Traits) -> bool:
    """Claude thinks with a `top_p` that cuts off next to nothing; others with none at all."""
    return traits.thinking in _CLAUDE and top_p >= _LEAST_TOP_P


def _fields(talk: Conversation, traits: Traits, wish: _Wish) -> tuple[dict[str, Any], list[str]]:
    fields = dict(wish.fields)
    if talk.top_k is None:
        return fields, []
    if not traits.sampling or wish.active:
        return fields, ["dropped:top_k"]
    if traits.thinking == "level":
        return fields | {"inferenceConfig": {"topK": talk.top_k}}, []
    return fields | {"top_k": talk.top_k}, []


def _put_output(body: dict[str, Any], fields: dict[str, Any], output: _Output, wish: _Wish) -> None:
    """The format and the effort: two members that must not both be said, here and among the model's own fields."""
    if output.config is not None:
        body["outputConfig"] = {"textFormat": output.config} | ({"effort": wish.effort} if wish.effort else {})
    elif wish.effort:
        fields["output_config"] = {"effort": wish.effort}


def _others(body: dict[str, Any], talk: Conversation) -> list[str]:
    notes: list[str] = []
    if body.get("inferenceConfig", {}).get("stopSequences"):
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if talk.tier in _TIERS:
        body["serviceTier"] = {"type": talk.tier}
    elif talk.tier == "default":
        body["serviceTier"] = {"type": "default"}
    elif talk.tier not in NO_TIER:
        notes.append("dropped:service_tier")
    if talk.metadata:
        fit = {key: value for key, value in talk.metadata.items() if key and _fits(key) and _fits(value)}
        kept = dict(list(fit.items())[:_MOST_METADATA])
        if kept:
            body["requestMetadata"] = kept
        if len(kept) < len(talk.metadata):
            notes.append("dropped:metadata")
    return notes


def _fits(text: object) -> bool:
    return isinstance(text, str) and _METADATA.match(text) is not None


# --- output ---------------------------------------------------------------------------------------------------------


def _output(wanted: OutputFormat | None, traits: Traits, *, thinks: bool) -> _Output:
    if wanted is None or wanted.kind == "text":
        return _Output()
    schema = wanted.schema if wanted.kind == "json_schema" else None
    if schema is not None and traits.structured:
        enforced = constrained(schema) if traits.thinking in _CLAUDE else dict(schema)
        if enforced is not None:
            changed = ("changed:response_format",) if enforced != dict(schema) else ()
            return _Output(config=_text_format(wanted, enforced), notes=changed)
    notes = ("changed:response_format",)
    if refuses_force(traits) or (schema is None and thinks and traits.thinking):
        return _Output(words=words_for(wanted), notes=notes)
    if schema is None and traits.thinking not in _CLAUDE:
        return _Output(words=words_for(wanted), notes=notes)  # not every model can be made to call a tool
    return _Output(tool=stand_in_for(wanted), notes=notes)


def _text_format(wanted: OutputFormat, schema: dict[str, Any]) -> dict[str, Any]:
    definition = {"schema": msgspec.json.encode(schema).decode()}
    definition |= {"name": wanted.name} if wanted.name else {}
    definition |= {"description": wanted.description} if wanted.description else {}
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}


# --- cache breakpoints ----------------------------------------------------------------------------------------------


def _limit_marks(body: dict[str, Any]) -> list[str]:
    """At most four breakpoints, those that live an hour before the others; → notes of what was taken off."""
    holders = [body.get("toolConfig", {}).get("tools", []), body.get("system", [])]
    holders += [message["content"] for message in body["messages"]]
    marked = [(holder, block) for holder in holders for block in holder if "cachePoint" in block]
    notes = []
    for holder, block in marked[1:-3] if len(marked) > _MOST_MARKS else []:
        holder[:] = [each for each in holder if each is not block]
        notes.append("dropped:cache_control")
    short = False
    for holder, block in marked:
        if not any(each is block for each in holder):
            continue
        long = block["cachePoint"].get("ttl") == "1h"
        if long and short:
            del block["cachePoint"]["ttl"]
            notes.append("changed:cache_control")
        short = short or not long
    return list(dict.fromkeys(notes))
