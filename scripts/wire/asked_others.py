"""Requests of the other formats → `Asked`, in plain JSON. Google takes both spellings of every name."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import asked_openai
from .asked import Asked, Described, GivenResult, MadeCall, Seen, leaves_of
from .asked_openai import ref_of
from .said import arguments_of

Object = Mapping[str, Any]


# --- Anthropic ------------------------------------------------------------------------------------------------------


def read_anthropic(body: Object) -> Asked:
    asked = Asked(
        limit=body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop=tuple(body.get("stop_sequences") or ()),
    )
    system = body.get("system") or ()
    asked.system += [system] if isinstance(system, str) else [block["text"] for block in system]
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            _anthropic_block(block, message["role"], asked)
    for tool in body.get("tools") or ():
        if tool.get("type") in (None, "custom"):
            asked.tools[tool["name"]] = Described(tool.get("description") or "", tool["input_schema"])
        else:
            asked.hosted.append(tool["type"])
    choice = body.get("tool_choice") or {}
    words = {"any": "required", "tool": f"named:{choice.get('name')}"}
    asked.choice = words.get(choice.get("type", ""), choice.get("type", ""))
    asked.schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    return asked


def _anthropic_block(block: Object, role: str, asked: Asked) -> None:
    kind = block["type"]
    if kind == "text":
        if block["text"].strip():
            {"user": asked.user, "assistant": asked.assistant, "system": asked.system}[role].append(block["text"])
    elif kind in ("image", "document"):
        asked.media += _anthropic_media(block, asked)
    elif kind == "container_upload":
        asked.media.append(Seen("file", block["file_id"]))
    elif kind == "tool_use":
        asked.calls.append(MadeCall(block["name"], block["input"], block["id"]))
    elif kind == "tool_result":
        content = block.get("content") or ()
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        leaves = tuple(leaf for part in parts if part["type"] == "text" for leaf in leaves_of(part["text"]))
        asked.results.append(GivenResult(block["tool_use_id"], "", leaves))
        for part in parts:
            if part["type"] in ("image", "document"):
                asked.media += _anthropic_media(part, asked)


def _anthropic_media(block: Object, asked: Asked) -> list[Seen]:
    source = block["source"]
    if source["type"] == "text":
        asked.user.append(source["data"])
        return []
    return [Seen(block["type"], source.get("data") or source.get("url") or source.get("file_id") or "")]


# --- Google ---------------------------------------------------------------------------------------------------------


def camel(value: Any) -> Any:
    """Both spellings as one, in everything but what the client names itself."""
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    made = {}
    for name, inner in value.items():
        key = re.sub(r"_(\w)", lambda found: found.group(1).upper(), name)
        free = key in ("args", "response", "parametersJsonSchema", "responseJsonSchema", "parameters", "responseSchema")
        made[key] = inner if free else camel(inner)
    return made


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def read_gemini(body: Object) -> Asked:
    given = camel(body)
    config = given.get("generationConfig") or {}
    asked = Asked(
        limit=config.get("maxOutputTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stop=tuple(config.get("stopSequences") or ()),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
    )
    system = given.get("systemInstruction") or {}
    parts = [{"text": system}] if isinstance(system, str) else _several(system.get("parts"))
    asked.system += [part["text"] for part in parts if part.get("text", "").strip()]
    for content in _several(given["contents"]):
        content = {"parts": [{"text": content}]} if isinstance(content, str) else content
        for part in _several(content.get("parts")):
            _gemini_part(part, content.get("role") or "user", asked)
    for tool in _several(given.get("tools")):
        for function in _several(tool.get("functionDeclarations")):
            schema = function.get("parametersJsonSchema") or function.get("parameters")
            asked.tools[function["name"]] = Described(function.get("description") or "", schema)
        asked.hosted += [name for name in tool if name != "functionDeclarations"]
    calling = (given.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names: list[str] = calling.get("allowedFunctionNames") or []
    mode = {"ANY": "required", "AUTO": "auto", "VALIDATED": "auto", "NONE": "none"}.get(calling.get("mode") or "", "")
    asked.choice = f"named:{names[0]}" if mode == "required" and len(names) == 1 else mode
    return asked


def _gemini_part(part: Object, role: str, asked: Asked) -> None:
    if part.get("thought"):
        return
    if "functionCall" in part:
        call = part["functionCall"]
        asked.calls.append(MadeCall(call["name"], call.get("args") or {}, call.get("id") or ""))
    elif "functionResponse" in part:
        result = part["functionResponse"]
        leaves = leaves_of(result.get("response") or {})
        asked.results.append(GivenResult(result.get("id") or "", result["name"], leaves))
        for inner in result.get("parts") or ():
            asked.media += _gemini_media(inner)
    elif part.get("text", "").strip():
        (asked.assistant if role == "model" else asked.user).append(part["text"])
    asked.media += _gemini_media(part)


def _gemini_media(part: Object) -> list[Seen]:
    inline, file = part.get("inlineData"), part.get("fileData")
    if inline:
        return [Seen(kind_of(inline["mimeType"]), inline["data"])]
    return [Seen(kind_of(file.get("mimeType") or ""), file["fileUri"])] if file else []


def kind_of(media_type: str) -> str:
    first = media_type.partition("/")[0]
    return first if first in ("image", "audio", "video") else "document"


# --- Bedrock --------------------------------------------------------------------------------------------------------


def read_converse(body: Object) -> Asked:
    config = body.get("inferenceConfig") or {}
    asked = Asked(
        limit=config.get("maxTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stop=tuple(config.get("stopSequences") or ()),
        system=[block["text"] for block in body.get("system") or () if "text" in block],
    )
    for message in body["messages"]:
        for block in message["content"]:
            _converse_block(block, message["role"], asked)
    tools = body.get("toolConfig") or {}
    for tool in tools.get("tools") or ():
        if "toolSpec" in tool:
            spec = tool["toolSpec"]
            asked.tools[spec["name"]] = Described(spec.get("description") or "", spec["inputSchema"]["json"])
    choice = tools.get("toolChoice") or {}
    asked.choice = "required" if "any" in choice else f"named:{choice['tool']['name']}" if "tool" in choice else ""
    format_ = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure") or {}
    schema = (format_.get("jsonSchema") or {}).get("schema")
    asked.schema = arguments_of(schema) if isinstance(schema, str) else schema
    return asked


def _converse_block(block: Object, role: str, asked: Asked) -> None:
    if "text" in block:
        (asked.assistant if role == "assistant" else asked.user).append(block["text"])
    elif "toolUse" in block:
        call = block["toolUse"]
        asked.calls.append(MadeCall(call["name"], call["input"], call["toolUseId"]))
    elif "toolResult" in block:
        result = block["toolResult"]
        texts = [part.get("text", part.get("json")) for part in result["content"]]
        asked.results.append(GivenResult(result["toolUseId"], "", leaves_of([t for t in texts if t is not None])))
        for part in result["content"]:
            asked.media += _converse_media(part)
    document = block.get("document") or {}
    if document.get("format") in ("txt", "md", "csv", "html"):
        asked.user.append(base64.b64decode(document["source"]["bytes"]).decode())
    else:
        asked.media += _converse_media(block)


def _converse_media(block: Object) -> list[Seen]:
    kind = next((name for name in ("image", "document", "video", "audio") if name in block), "")
    if not kind:
        return []
    source = block[kind]["source"]
    return [Seen(kind, source.get("bytes") or (source.get("s3Location") or {}).get("uri") or "")]


# --- Cohere, Ollama, Replicate --------------------------------------------------------------------------------------


def read_cohere(body: Object) -> Asked:
    messages = [_with_documents_as_text(message) for message in body["messages"]]
    plain = {name: value for name, value in body.items() if name in ("temperature", "max_tokens")}
    asked = asked_openai.read_chat({**plain, "messages": messages, "tools": body.get("tools")})
    asked.top_p, asked.stop = body.get("p"), tuple(body.get("stop_sequences") or ())
    asked.choice = {"REQUIRED": "required", "NONE": "none"}.get(body.get("tool_choice") or "", "")
    asked.schema = (body.get("response_format") or {}).get("json_schema")
    return asked


def _with_documents_as_text(message: Object) -> Object:
    """A tool's result may be documents, whose data is the text."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [
        {"type": "text", "text": str(part["document"].get("data"))} if part["type"] == "document" else part
        for part in content
        if part["type"] != "thinking"
    ]
    return {**message, "content": parts}


def read_ollama(body: Object) -> Asked:
    options = body.get("options") or {}
    asked = Asked(
        limit=options.get("num_predict"),
        temperature=options.get("temperature"),
        top_p=options.get("top_p"),
        stop=tuple(options.get("stop") or ()),
        schema=body["format"] if isinstance(body.get("format"), Mapping) else None,
    )
    into = {"system": asked.system, "user": asked.user, "assistant": asked.assistant}
    for message in body["messages"]:
        if message["role"] == "tool":
            name, leaves = message.get("tool_name") or "", leaves_of(message["content"])
            asked.results.append(GivenResult(message.get("tool_call_id") or "", name, leaves))
        elif message.get("content", "").strip():
            into[message["role"]].append(message["content"])
        asked.media += [Seen("image", data) for data in message.get("images") or ()]
        for call in message.get("tool_calls") or ():
            asked.calls.append(MadeCall(call["function"]["name"], call["function"]["arguments"], call.get("id") or ""))
    for tool in body.get("tools") or ():
        function = tool["function"]
        asked.tools[function["name"]] = Described(function.get("description") or "", function.get("parameters"))
    return asked


def read_replicate(body: Object) -> Asked:
    """A prompt and a system prompt: texts and pictures alone."""
    given = body["input"]
    prompt = given.get("prompt") or ""
    asked = Asked(
        system=[given.get("system_prompt") or "", prompt],
        user=[prompt],
        assistant=[prompt],
        limit=given.get("max_tokens") or given.get("max_new_tokens"),
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        stop=tuple((given.get("stop_sequences") or "").split(",")) if given.get("stop_sequences") else (),
    )
    pictures = [given.get(name) for name in ("image", "image_input", "images")]
    asked.media += [Seen("image", ref_of(url)) for value in pictures for url in _several(value)]
    return asked


READERS: Mapping[str, Callable[[Object], Asked]] = {
    "openai_chat": asked_openai.read_chat,
    "openai_responses": asked_openai.read_responses,
    "anthropic_messages": read_anthropic,
    "gemini": read_gemini,
    "bedrock_converse": read_converse,
    "cohere_chat": read_cohere,
    "ollama": read_ollama,
    "replicate": read_replicate,
}
