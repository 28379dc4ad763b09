"""The conversation → a request for Gemini, at AI Studio or on Vertex.

Safety settings are left to Google's own default unless the client names some. Structured output beside tools is
Gemini 3's alone; for earlier models the schema is asked for in words.

Sources: https://ai.google.dev/api/generate-content · https://ai.google.dev/gemini-api/docs/thinking ·
https://ai.google.dev/gemini-api/docs/tool-combination (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.conversation import Conversation, HostedTool, Notes, OutputFormat, Tool, ToolChoice
from ..values.errors import BadRequest
from ..values.vendor import Quirks, Traits
from .gemini_relay import NAME
from .gemini_schema import for_gemini
from .gemini_thinking import thinking_config
from .gemini_turns import Writer

Json = dict[str, Any]

MOST_STOPS = 5
MOST_LOGPROBS = 20

_HOSTED = {"web_search": "googleSearch", "code_execution": "codeExecution", "url_context": "urlContext"}
_HOSTED |= {"web_fetch": "urlContext"}
_TIERS = {"flex": "flex", "priority": "priority"}
_PLAIN_TIERS = ("", "auto", "default", "standard", "standard_only")
_OWN_EXTRAS = {
    "safetySettings": "safetySettings",
    "safety_settings": "safetySettings",
    "cachedContent": "cachedContent",
    "cached_content": "cachedContent",
    "labels": "labels",
}
_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[Json, Notes]:
    """The body; the model and `:streamGenerateContent` stand in the URL. Raises BadRequest."""
    writer = Writer(talk, traits)
    writer.write()
    notes = writer.notes
    if not writer.contents:
        raise BadRequest("`messages` is empty: at least one turn of the conversation is required", member="messages")
    body: Json = {"contents": writer.contents}
    combines = traits.thinking == "level"
    tools = _tools(talk, notes, combines=combines)
    config = _config(talk, traits, notes)
    in_words = not traits.structured or (bool(tools) and not combines)
    if (said := _format(talk.format, config, notes, in_words=in_words)) is not None:
        writer.system.append({"text": said})
    if writer.system and traits.system_role == "user":
        notes["changed:system_position"] = None
        body["contents"][0]["parts"] = writer.system + body["contents"][0]["parts"]
    elif writer.system:
        body["systemInstruction"] = {"parts": writer.system}
    if tools:
        body["tools"] = tools
    if choice := _tool_config(talk, quirks, traits, notes, tools):
        body["toolConfig"] = choice
    if config:
        body["generationConfig"] = config
    body |= _others(talk, notes)
    return body, tuple(notes)


# --- tools ----------------------------------------------------------------------------------------------------------


def _tools(talk: Conversation, notes: dict[str, None], *, combines: bool) -> list[Json]:
    """combines: the model takes functions and the vendor's own tools together."""
    functions = [_function(tool, notes) for tool in talk.tools]
    found: list[Json] = [{"functionDeclarations": functions}] if functions else []
    kinds: set[str] = set()
    for tool in talk.hosted:
        own = _own_tool(tool)
        if own is None or (functions and not combines):
            notes[f"dropped:tool:{tool.kind}"] = None
        elif not kinds & own.keys():
            kinds |= own.keys()
            found.append(own)
    return found


def _own_tool(tool: HostedTool) -> Json | None:
    if tool.own.dialect == NAME and isinstance(tool.own.data, Mapping):
        return dict(tool.own.data)
    name = _HOSTED.get(tool.kind)
    return None if name is None else {name: {}}


def _function(tool: Tool, notes: dict[str, None]) -> Json:
    made: Json = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    if tool.cache is not None:
        notes["dropped:cache_control"] = None
    if tool.custom:
        notes["changed:custom_tool"] = None
        made["parametersJsonSchema"] = _INPUT
        if tool.grammar:
            grammar = msgspec.json.encode(tool.grammar).decode()
            made["description"] = f"{tool.description}\n\n`input` follows this grammar: {grammar}".strip()
    elif tool.schema:
        schema = for_gemini(tool.schema)
        schema.setdefault("type", "object")
        made["parametersJsonSchema"] = schema
    return made


def _tool_config(talk: Conversation, quirks: Quirks, traits: Traits, notes: dict[str, None], tools: list[Json]) -> Json:
    if talk.parallel_tools is False:
        notes["dropped:parallel_tool_calls"] = None
    if not talk.tools:
        return {}
    found: Json = {}
    if calling := _calling(talk.tool_choice, talk.tools, traits):
        found["functionCallingConfig"] = calling
    if len(tools) > 1 and quirks.server_tool_parts:
        found["includeServerSideToolInvocations"] = True
    return found


def _calling(choice: ToolChoice | None, tools: tuple[Tool, ...], traits: Traits) -> Json:
    """`VALIDATED` is auto that keeps to the schemas, or to some of the functions; models before 2.5 have no such."""
    strict = all(tool.strict for tool in tools)
    if choice is None or choice.mode == "auto":
        names = choice.names if choice is not None else ()
        if traits.thinking and (strict or names):
            return {"mode": "VALIDATED"} | ({"allowedFunctionNames": list(names)} if names else {})
        return {} if choice is None else {"mode": "AUTO"}
    if choice.mode == "none":
        return {"mode": "NONE"}
    names = choice.names
    return {"mode": "ANY"} | ({"allowedFunctionNames": list(names)} if names else {})


# --- generationConfig -----------------------------------------------------------------------------------------------


def _config(talk: Conversation, traits: Traits, notes: dict[str, None]) -> Json:
    plain = {
        "maxOutputTokens": talk.limit,
        "temperature": talk.temperature,
        "topP": talk.top_p,
        "topK": talk.top_k,
        "presencePenalty": talk.presence_penalty,
        "frequencyPenalty": talk.frequency_penalty,
        "candidateCount": talk.outputs if talk.outputs > 1 else None,
    }
    config: Json = {name: value for name, value in plain.items() if value is not None}
    if not traits.sampling:
        for name, word in (("temperature", "temperature"), ("topP", "top_p"), ("topK", "top_k")):
            if config.pop(name, None) is not None:
                notes[f"dropped:{word}"] = None
    if talk.seed is not None:
        if -(2**31) <= talk.seed < 2**31:
            config["seed"] = talk.seed
        else:
            config["seed"] = talk.seed % 2**31
            notes["changed:seed"] = None
    if stops := [text for text in talk.stop if text]:
        config["stopSequences"] = stops[:MOST_STOPS]
        if len(stops) > MOST_STOPS:
            notes["changed:stop"] = None
    if talk.logprobs:
        config["responseLogprobs"] = True
        if talk.top_logprobs:
            config["logprobs"] = min(talk.top_logprobs, MOST_LOGPROBS)
    if thinking := thinking_config(talk.reasoning, traits, notes):
        config["thinkingConfig"] = thinking
    _say_modalities(talk, config, notes)
    if not traits.sampling and talk.logprobs is False:
        config.pop("responseLogprobs", None)
    return config


def _say_modalities(talk: Conversation, config: Json, notes: dict[str, None]) -> None:
    """Sound comes alone, pictures with text."""
    if "audio" in talk.modalities:
        config["responseModalities"] = ["AUDIO"]
    elif set(talk.modalities) - {"text"}:
        config["responseModalities"] = [word.upper() for word in dict.fromkeys(("text", *talk.modalities))]
    if "audio" in talk.modalities and talk.audio is not None:
        if talk.audio.voice:
            config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": talk.audio.voice}}}
        if talk.audio.format and talk.audio.format != "pcm16":
            notes["changed:audio.format"] = None


def _format(wanted: OutputFormat | None, config: Json, notes: dict[str, None], *, in_words: bool) -> str | None:
    """Structured output, as members of `config` or as the words that ask for it."""
    if wanted is None or wanted.kind == "text":
        return None
    if in_words:
        notes["changed:response_format"] = None
        if wanted.schema is None:
            return "Answer with a JSON object and nothing else, without a code fence."
        schema = msgspec.json.encode(wanted.schema).decode()
        return (
            "When you answer in text, answer with JSON that keeps to this JSON schema and with nothing else, "
            f"without a code fence:\n{schema}"
        )
    config["responseMimeType"] = "application/json"
    if wanted.schema is not None:
        config["responseJsonSchema"] = for_gemini(wanted.schema)
    return None


# --- what stands beside ---------------------------------------------------------------------------------------------


def _others(talk: Conversation, notes: dict[str, None]) -> Json:
    body: Json = {}
    if talk.tier in _TIERS:
        body["serviceTier"] = _TIERS[talk.tier]
    elif talk.tier not in _PLAIN_TIERS:
        notes["dropped:service_tier"] = None
    dropped = {
        "logit_bias": bool(talk.logit_bias),
        "verbosity": bool(talk.verbosity),
        "user": bool(talk.user),
        "metadata": bool(talk.metadata),
        "prompt_cache_key": bool(talk.cache_key),
        "store": talk.store is True,
    }
    notes.update({f"dropped:{name}": None for name, given in dropped.items() if given})
    for name, value in talk.extras.items():
        own = _OWN_EXTRAS.get(name)
        if own is None:
            notes[f"dropped:{name}"] = None
        else:
            body[own] = value
    return body
