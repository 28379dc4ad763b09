"""Requests in OpenAI's two chat formats → `Asked`, in plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .asked import Asked, Described, GivenResult, MadeCall, Seen, leaves_of
from .said import arguments_of

Object = Mapping[str, Any]


def read_chat(body: Object) -> Asked:
    asked = Asked(
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop=_stops(body.get("stop")),
    )
    for message in body["messages"]:
        _chat_message(message, asked)
    for tool in body.get("tools") or ():
        kind = tool.get("type", "function")
        if kind == "function":
            function = tool["function"]
            described = Described(function.get("description") or "", function.get("parameters"))
            asked.tools[function["name"]] = described
        elif kind == "custom":
            asked.tools[tool["custom"]["name"]] = Described(tool["custom"].get("description") or "", None)
        else:
            asked.hosted.append(kind)
    for function in body.get("functions") or ():
        asked.tools[function["name"]] = Described(function.get("description") or "", function.get("parameters"))
    asked.choice = _choice(body.get("tool_choice"))
    format_ = body.get("response_format") or {}
    if format_.get("type") == "json_schema":
        asked.schema = format_["json_schema"].get("schema")
    return asked


def _stops(stop: Any) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _choice(choice: Any) -> str:
    if not isinstance(choice, Mapping):
        return str(choice or "")
    if choice["type"] == "allowed_tools":
        allowed = choice.get("allowed_tools") or choice
        names = [(tool.get("function") or tool)["name"] for tool in allowed["tools"]]
        return f"named:{names[0]}" if len(names) == 1 and allowed["mode"] == "required" else str(allowed["mode"])
    inner = choice.get("function") or choice.get("custom") or choice
    return f"named:{inner['name']}" if "name" in inner else f"hosted:{choice['type']}"


def _chat_message(message: Object, asked: Asked) -> None:
    role, content = message["role"], message.get("content")
    texts, media = _chat_content(content)
    if role in ("tool", "function"):
        asked.media += media
        leaves = tuple(leaf for text in texts for leaf in leaves_of(text))
        asked.results.append(GivenResult(message.get("tool_call_id") or "", message.get("name") or "", leaves))
        return
    into = {"system": asked.system, "developer": asked.system, "user": asked.user, "assistant": asked.assistant}[role]
    into += texts
    asked.media += media
    if message.get("function_call"):
        call = message["function_call"]
        asked.calls.append(MadeCall(call["name"], arguments_of(call["arguments"])))
    for call in message.get("tool_calls") or ():
        if call.get("type") == "custom":
            asked.calls.append(MadeCall(call["custom"]["name"], call["custom"]["input"], call["id"]))
            continue
        asked.calls.append(MadeCall(call["function"]["name"], arguments_of(call["function"]["arguments"]), call["id"]))


def _chat_content(content: Any) -> tuple[list[str], list[Seen]]:
    if isinstance(content, str):
        return ([content] if content.strip() else []), []
    texts, media = [], []
    for part in content or ():
        kind = part["type"]
        if kind == "text" and part["text"].strip():
            texts.append(part["text"])
        elif kind == "image_url":
            media.append(Seen("image", ref_of(part["image_url"]["url"])))
        elif kind == "input_audio":
            media.append(Seen("audio", part["input_audio"]["data"]))
        elif kind == "file":
            given = part["file"]
            media.append(Seen("document", ref_of(given.get("file_data") or given.get("file_id") or "")))
        elif kind == "document_url":
            media.append(Seen("document", ref_of(part["document_url"])))
        elif kind == "video_url":
            media.append(Seen("video", ref_of(part["video_url"]["url"])))
        elif kind == "refusal":
            texts.append(part["refusal"])
    return texts, media


def ref_of(url: str) -> str:
    """A data URL's data; any other URL as it is."""
    return url.partition(",")[2] if url.startswith("data:") else url


# --- Responses ------------------------------------------------------------------------------------------------------


def read_responses(body: Object) -> Asked:
    asked = Asked(
        limit=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
    )
    if body.get("instructions"):
        asked.system.append(body["instructions"])
    given = body.get("input") or ()
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _item(item, asked)
    loaded = [tool for item in given if isinstance(item, Mapping) for tool in item.get("tools") or ()]
    for tool in [*(body.get("tools") or ()), *loaded]:
        if tool["type"] in ("function", "custom"):
            asked.tools[tool["name"]] = Described(tool.get("description") or "", tool.get("parameters"))
        elif tool["type"] == "namespace":
            for inner in tool["tools"]:
                asked.tools[inner["name"]] = Described(inner.get("description") or "", inner.get("parameters"))
        else:
            asked.hosted.append(tool["type"])
    asked.choice = _choice(body.get("tool_choice"))
    format_ = (body.get("text") or {}).get("format") or {}
    if format_.get("type") == "json_schema":
        asked.schema = format_["schema"]
    return asked


def _item(item: Object, asked: Asked) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        role = item["role"]
        into = {"system": asked.system, "developer": asked.system, "user": asked.user, "assistant": asked.assistant}
        texts, media = _content(item["content"])
        into[role] += texts
        asked.media += media
    elif kind in ("function_call", "custom_tool_call"):
        arguments = arguments_of(item["arguments"]) if kind == "function_call" else item["input"]
        asked.calls.append(MadeCall(item["name"], arguments, item["call_id"]))
    elif kind == "tool_search_call" and item.get("execution") == "client":
        arguments = item["arguments"]
        value = arguments_of(arguments) if isinstance(arguments, str) else arguments
        asked.calls.append(MadeCall("tool_search", value, item["call_id"]))
    elif kind == "tool_search_output" and item.get("execution") == "client":
        asked.results.append(GivenResult(item["call_id"], "", tuple(tool["name"] for tool in item["tools"])))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        texts, media = _content(item["output"])
        leaves = tuple(leaf for text in texts for leaf in leaves_of(text))
        asked.media += media
        asked.results.append(GivenResult(item["call_id"], "", leaves))


def _content(content: Any) -> tuple[list[str], list[Seen]]:
    if isinstance(content, str):
        return ([content] if content.strip() else []), []
    texts, media = [], []
    for part in content or ():
        kind = part["type"]
        if kind in ("input_text", "output_text", "text") and part["text"].strip():
            texts.append(part["text"])
        elif kind == "refusal":
            texts.append(part["refusal"])
        elif kind == "input_image":
            media.append(Seen("image", ref_of(part.get("image_url") or part.get("file_id") or "")))
        elif kind == "input_file":
            ref = part.get("file_data") or part.get("file_url") or part.get("file_id") or ""
            media.append(Seen("document", ref_of(ref)))
        elif kind == "input_audio":
            media.append(Seen("audio", part["input_audio"]["data"]))
    return texts, media
