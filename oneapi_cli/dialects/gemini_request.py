"""A Gemini client's request → the conversation.

Everything may be spelt in camelCase or in snake_case. What only Gemini knows (safety settings, cached content, its own
media settings) stands in `extras`.

Source: https://ai.google.dev/api/generate-content (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..values.conversation import (
    AudioFormat,
    Conversation,
    Effort,
    HostedTool,
    Notes,
    Opaque,
    OutputFormat,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
    Turn,
)
from .gemini_contents import Reader
from .gemini_fields import object_at, objects_at, snake, spelled
from .gemini_relay import NAME
from .gemini_schema import from_google
from .reading import Object, at, fault, get_flag, get_int, get_number, get_text, need_text, texts_in

TOOL_KINDS = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "url_context",
    "fileSearch": "file_search",
    "computerUse": "computer",
    "mcpServers": "mcp",
}
_MODES = ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_EXTRAS = ("safetySettings", "cachedContent")
_CONFIG_EXTRAS = (
    "mediaResolution",
    "imageConfig",
    "audioTimestamp",
    "enableAffectiveDialog",
    "enableEnhancedCivicAnswers",
    "routingConfig",
    "modelSelectionConfig",
    "translationConfig",
    "audioTranscriptionConfig",
)


def decode_request(body: Mapping[str, Any]) -> tuple[Conversation, Notes]:
    """A client's decoded body; model and streaming stand in the URL. Raises BadRequest naming the member."""
    if not isinstance(body, Mapping):
        raise fault("", "must be a JSON object")
    body = spelled(body)
    reader = Reader()
    turns = (*_system(body), *reader.turns(body))
    config = object_at(body, "generationConfig") or {}
    where = "generationConfig"
    tools, hosted = _tools(body, reader.notes)
    labels = object_at(body, "labels")
    extras = {name: body[name] for name in _EXTRAS if body.get(name) is not None}
    extras |= {name: config[name] for name in _CONFIG_EXTRAS if config.get(name) is not None}
    conversation = Conversation(
        model="",
        turns=turns,
        tools=tools,
        hosted=hosted,
        tool_choice=_choice(body, extras),
        limit=get_int(config, "maxOutputTokens", where, least=1),
        temperature=get_number(config, "temperature", where),
        top_p=get_number(config, "topP", where),
        top_k=_top_k(config, where),
        presence_penalty=get_number(config, "presencePenalty", where),
        frequency_penalty=get_number(config, "frequencyPenalty", where),
        seed=get_int(config, "seed", where, least=-(2**31)),
        stop=texts_in(config, "stopSequences", where),
        outputs=get_int(config, "candidateCount", where, least=1) or 1,
        logprobs=get_flag(config, "responseLogprobs", where),
        top_logprobs=get_int(config, "logprobs", where),
        reasoning=_reasoning(config, where),
        format=_format(config, where, reader.notes),
        modalities=_modalities(config, where),
        audio=_audio(config, where, extras),
        tier=_tier(body),
        metadata={name: str(value) for name, value in labels.items()} if labels else None,
        store=get_flag(body, "store"),
        origin=NAME,
        extras=extras,
    )
    return conversation, tuple(reader.notes)


def _system(body: Object) -> Iterator[Turn]:
    """`systemInstruction`: a Content, or its text alone."""
    value = body.get("systemInstruction")
    if value is None:
        return
    if isinstance(value, str):
        yield Turn(role="system", parts=(Text(text=value),))
        return
    content = object_at(body, "systemInstruction") or {}
    if isinstance(content.get("text"), str):
        content = {"parts": [content]}
    texts = []
    for place, part in objects_at(content, "parts", "systemInstruction"):
        if (text := get_text(part, "text", place)) is None:
            raise fault(place, "must be text")
        texts.append(Text(text=text))
    if texts:
        yield Turn(role="system", parts=tuple(texts))


def _tools(body: Object, notes: dict[str, None]) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for place, tool in objects_at(body, "tools"):
        for name, value in tool.items():
            if value is None:
                continue
            if name == "functionDeclarations":
                tools += [_tool(each, where, notes) for where, each in objects_at(tool, name, place)]
            else:
                own = Opaque(dialect=NAME, data={name: value})
                hosted.append(HostedTool(kind=TOOL_KINDS.get(name, snake(name)), own=own))
    return tuple(tools), tuple(hosted)


def _tool(declared: Object, place: str, notes: dict[str, None]) -> Tool:
    schema = declared.get("parametersJsonSchema")
    if schema is None:
        schema = from_google(declared.get("parameters"))
    elif declared.get("parameters") is not None:
        raise fault(at(place, "parameters"), "and `parametersJsonSchema` are both given; leave one out")
    if schema is not None and not isinstance(schema, Mapping):
        raise fault(at(place, "parameters"), "must be a schema")
    for name in ("response", "responseJsonSchema", "behavior"):
        if declared.get(name) is not None:
            notes[f"dropped:{name}"] = None
    return Tool(
        name=need_text(declared, "name", place),
        description=get_text(declared, "description", place) or "",
        schema=schema,
    )


def _choice(body: Object, extras: dict[str, Any]) -> ToolChoice | None:
    config = object_at(body, "toolConfig")
    if config is None:
        return None
    if config.get("retrievalConfig") is not None:
        extras["retrievalConfig"] = config["retrievalConfig"]
    calling = object_at(config, "functionCallingConfig", "toolConfig")
    if calling is None:
        return None
    where = "toolConfig.functionCallingConfig"
    mode = (get_text(calling, "mode", where) or "AUTO").upper()
    if mode not in _MODES:
        raise fault(at(where, "mode"), f"must be one of {', '.join(_MODES)}")
    names = texts_in(calling, "allowedFunctionNames", where)
    match mode:
        case "ANY":
            return ToolChoice(mode="named" if len(names) == 1 else "required", names=names)
        case "NONE":
            return ToolChoice(mode="none")
    return ToolChoice(mode="auto", names=names)


def _top_k(config: Object, place: str) -> int | None:
    value = get_number(config, "topK", place)
    return None if value is None else int(value)


def _reasoning(config: Object, place: str) -> Reasoning | None:
    thinking = object_at(config, "thinkingConfig", place)
    if thinking is None:
        return None
    where = at(place, "thinkingConfig")
    budget = get_int(thinking, "thinkingBudget", where, least=-1)
    level = (get_text(thinking, "thinkingLevel", where) or "").lower()
    return Reasoning(
        enabled=None if budget is None else budget != 0,
        effort=cast(Effort, level) if level in _LEVELS else None,
        budget=budget or None,
        show=get_flag(thinking, "includeThoughts", where),
    )


def _format(config: Object, place: str, notes: dict[str, None]) -> OutputFormat | None:
    """Structured output: a MIME type with or without a schema, of either kind."""
    kind = (get_text(config, "responseMimeType", place) or "").lower()
    own, schema = config.get("responseSchema"), config.get("responseJsonSchema")
    if own is not None and schema is not None:
        raise fault(at(place, "responseSchema"), "and `responseJsonSchema` are both given; leave one out")
    schema = from_google(own) if own is not None else schema
    if schema is None and (asked := _text_format(config, place)) is not None:
        kind = (get_text(asked, "mimeType", at(place, "responseFormat")) or "").lower().replace("_", "/")
        schema = asked.get("schema")
    if schema is not None and not isinstance(schema, Mapping):
        raise fault(at(place, "responseSchema"), "must be a schema")
    if kind == "text/x.enum":
        notes["changed:responseMimeType"] = None  # JSON: the value comes in quotes
    if schema is not None:
        return OutputFormat(kind="json_schema", name="response", schema=schema)
    return OutputFormat(kind="json_object") if kind == "application/json" else None


def _text_format(config: Object, place: str) -> Object | None:
    for where, each in objects_at(config, "responseFormat", place):
        if (found := object_at(each, "text", where)) is not None:
            return found
    return None


def _modalities(config: Object, place: str) -> tuple[str, ...]:
    """() for text alone, which is what goes without saying."""
    asked = tuple(dict.fromkeys(text.lower() for text in texts_in(config, "responseModalities", place)))
    return () if set(asked) <= {"text", "modality_unspecified"} else asked


def _audio(config: Object, place: str, extras: dict[str, Any]) -> AudioFormat | None:
    speech = object_at(config, "speechConfig", place)
    if speech is None:
        return None
    where = at(place, "speechConfig")
    voice = object_at(speech, "voiceConfig", where) or {}
    prebuilt = object_at(voice, "prebuiltVoiceConfig", at(where, "voiceConfig")) or {}
    if speech.get("multiSpeakerVoiceConfig") is not None or speech.get("languageCode") is not None:
        extras["speechConfig"] = dict(speech)
    return AudioFormat(voice=get_text(prebuilt, "voiceName", where) or "")


def _tier(body: Object) -> str:
    tier = (get_text(body, "serviceTier") or "").lower().removeprefix("service_tier_")
    return "" if tier == "unspecified" else tier
