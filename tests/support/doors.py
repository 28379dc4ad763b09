"""The official clients at each door, asked for one thing and read in one way."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types as google

from .gateway import Gateway
from .vendors import ARGUMENTS, TOOL

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION, RESULT, SYSTEM = "What is the weather in Paris?", "21 degrees", "You are terse."
LIMIT = 2000
MODEL = "m"


@dataclass
class Said:
    """What a client read of one answer."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    finish: str = ""
    used: tuple[int, int, int] = (0, 0, 0)  # in, of that cached, out


Door = Callable[[Gateway, bool, Said | None], Awaitable[Said]]
"""(gateway, stream?, the answer whose call is answered now) → what came. None: the first turn, with the tool."""


async def chat(gateway: Gateway, stream: bool, before: Said | None) -> Said:
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    if before is not None:
        function = {"name": TOOL, "arguments": json.dumps(ARGUMENTS)}
        call = {"id": before.ids[0], "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": before.ids[0], "content": RESULT})
    tool: Any = {"type": "function", "function": {"name": TOOL, "description": "Weather.", "parameters": SCHEMA}}
    common: dict[str, Any] = {"model": MODEL, "messages": messages, "tools": [tool], "max_tokens": LIMIT}
    async with openai.AsyncOpenAI(api_key=gateway.key, base_url=gateway.base, max_retries=0) as api:
        if stream:
            async with api.chat.completions.stream(**common, stream_options={"include_usage": True}) as events:
                reply: Any = await events.get_final_completion()
        else:
            reply = await api.chat.completions.create(**common)
    choice, usage = reply.choices[0], reply.usage
    calls = choice.message.tool_calls or []
    return Said(
        text=choice.message.content or "",
        calls=[(call.function.name, json.loads(call.function.arguments)) for call in calls],
        ids=[call.id for call in calls],
        finish={"stop": "stop", "tool_calls": "calls"}.get(choice.finish_reason, choice.finish_reason),
        used=(usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens),
    )


async def responses(gateway: Gateway, stream: bool, before: Said | None) -> Said:
    items: list[Any] = [{"role": "user", "content": QUESTION}]
    if before is not None:
        call = {"call_id": before.ids[0], "name": TOOL, "arguments": json.dumps(ARGUMENTS)}
        items.append({"type": "function_call", **call})
        items.append({"type": "function_call_output", "call_id": before.ids[0], "output": RESULT})
    tool: Any = {"type": "function", "name": TOOL, "description": "Weather.", "parameters": SCHEMA, "strict": False}
    common: dict[str, Any] = {"model": MODEL, "input": items, "instructions": SYSTEM, "tools": [tool]}
    common |= {"max_output_tokens": LIMIT, "store": False}
    async with openai.AsyncOpenAI(api_key=gateway.key, base_url=gateway.base, max_retries=0) as api:
        if stream:
            async with api.responses.stream(**common) as events:
                reply: Any = await events.get_final_response()
        else:
            reply = await api.responses.create(**common)
    calls = [item for item in reply.output if item.type == "function_call"]
    usage = reply.usage
    return Said(
        text=reply.output_text,
        calls=[(call.name, json.loads(call.arguments)) for call in calls],
        ids=[call.call_id for call in calls],
        finish="calls" if calls and reply.status == "completed" else {"completed": "stop"}.get(reply.status, ""),
        used=(usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens),
    )


async def messages(gateway: Gateway, stream: bool, before: Said | None) -> Said:
    turns: list[Any] = [{"role": "user", "content": QUESTION}]
    if before is not None:
        call = {"type": "tool_use", "id": before.ids[0], "name": TOOL, "input": ARGUMENTS}
        turns.append({"role": "assistant", "content": [call]})
        result = {"type": "tool_result", "tool_use_id": before.ids[0], "content": RESULT}
        turns.append({"role": "user", "content": [result]})
    tool: Any = {"name": TOOL, "description": "Weather.", "input_schema": SCHEMA}
    common: dict[str, Any] = {"model": MODEL, "messages": turns, "system": SYSTEM, "tools": [tool], "max_tokens": LIMIT}
    async with anthropic.AsyncAnthropic(api_key=gateway.key, base_url=gateway.url, max_retries=0) as api:
        if stream:
            async with api.messages.stream(**common) as events:
                reply: Any = await events.get_final_message()
        else:
            reply = await api.messages.create(**common)
    calls = [block for block in reply.content if block.type == "tool_use"]
    usage = reply.usage
    cached = usage.cache_read_input_tokens or 0
    return Said(
        text="".join(block.text for block in reply.content if block.type == "text"),
        calls=[(call.name, call.input) for call in calls],
        ids=[call.id for call in calls],
        finish={"end_turn": "stop", "tool_use": "calls"}.get(reply.stop_reason, str(reply.stop_reason)),
        used=(usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0), cached, usage.output_tokens),
    )


async def gemini(gateway: Gateway, stream: bool, before: Said | None) -> Said:
    contents: list[Any] = [google.Content(role="user", parts=[google.Part(text=QUESTION)])]
    if before is not None:
        call = google.FunctionCall(id=before.ids[0] or None, name=TOOL, args=ARGUMENTS)
        contents.append(google.Content(role="model", parts=[google.Part(function_call=call)]))
        result = google.FunctionResponse(id=before.ids[0] or None, name=TOOL, response={"result": RESULT})
        contents.append(google.Content(role="user", parts=[google.Part(function_response=result)]))
    declared = google.FunctionDeclaration(name=TOOL, description="Weather.", parameters_json_schema=SCHEMA)
    config = google.GenerateContentConfig(
        system_instruction=SYSTEM,
        tools=[google.Tool(function_declarations=[declared])],
        max_output_tokens=LIMIT,
        automatic_function_calling=google.AutomaticFunctionCallingConfig(disable=True),
    )
    api = genai.Client(api_key=gateway.key, http_options=google.HttpOptions(base_url=gateway.url))
    replies: list[Any] = []
    try:
        if stream:
            async for each in await api.aio.models.generate_content_stream(
                model=MODEL, contents=contents, config=config
            ):
                replies.append(each)
        else:
            replies.append(await api.aio.models.generate_content(model=MODEL, contents=contents, config=config))
    finally:
        await api.aio.aclose()
        api.close()
    candidates = [reply.candidates[0] for reply in replies if reply.candidates]
    parts = [part for each in candidates if each.content for part in each.content.parts or []]
    calls = [part.function_call for part in parts if part.function_call]
    reason = next(each.finish_reason for each in reversed(candidates) if each.finish_reason)
    usage = replies[-1].usage_metadata
    return Said(
        text="".join(part.text for part in parts if part.text and not part.thought),
        calls=[(call.name, call.args) for call in calls],
        ids=[call.id or "" for call in calls],
        finish="calls" if calls and reason == "STOP" else {"STOP": "stop"}.get(reason.value, reason.value),
        used=(
            usage.prompt_token_count,
            usage.cached_content_token_count or 0,
            usage.candidates_token_count + (usage.thoughts_token_count or 0),
        ),
    )


DOORS: Mapping[str, Door] = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic_messages": messages,
    "gemini": gemini,
}
