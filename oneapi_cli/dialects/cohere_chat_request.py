"""A conversation → the body of `POST /v2/chat`.

What Cohere has in its own way:

* tool results are messages of their own and hold text alone: pictures in them follow in a user's message;
* one tool cannot be forced by name, so it is sent alone and a call is required;
* a plain-text document is text among text (Cohere's own `documents` stand beside the messages: `extras` may bring
  them);
* `p` ends at 0.99, the penalties lie in 0…1, and there are at most five stop sequences: what lies outside is brought
  to the nearest bound, and noted;
* a response format does not go with tools or documents.

Source: https://docs.cohere.com/reference/chat (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..values.conversation import (
    Conversation,
    Hosted,
    Media,
    Notes,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from ..values.vendor import Quirks, Traits
from .calls import CallIds, arguments_text, function_tool, merged
from .cohere_chat_parts import NAME
from .remainder import BUDGETS, check_answerable, document_text, remainder, result_text, unreachable, unreadable

MOST_STOPS = 5
MOST_K = 500
LEAST_P, MOST_P = 0.01, 0.99

_CARRIED = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "stop",
        "logprobs",
        "reasoning",
        "format",
    }
)
_EXTRAS = frozenset({"safety_mode", "documents", "citation_options", "strict_tools", "priority"})


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[dict[str, Any], Notes]:
    """See `Speaker`. Raises BadRequest for sound, film, files and documents that are not text."""
    check_answerable(talk)
    notes = remainder(talk, _CARRIED, _EXTRAS)
    messages = _Messages(talk.turns, notes).all()
    body: dict[str, Any] = {"model": talk.model, "messages": messages, "stream": talk.stream}
    body |= {name: value for name, value in talk.extras.items() if name in _EXTRAS}
    body |= _tools(talk, notes)
    body |= _sampling(talk, notes)
    if talk.limit is not None:
        body["max_tokens"] = talk.limit
    if talk.reasoning is not None:
        body |= _thinking(talk.reasoning, talk.limit)
    if talk.format is not None and talk.format.kind != "text":
        if "tools" in body or body.get("documents"):
            notes.append("dropped:response_format")
        else:
            body["response_format"] = {"type": "json_object"}
            if talk.format.schema is not None:
                body["response_format"]["json_schema"] = talk.format.schema
    return body, tuple(dict.fromkeys(notes))


class _Messages:
    """Turns → messages. What would be empty is left out."""

    def __init__(self, turns: Sequence[Turn], notes: list[str]) -> None:
        self._turns, self._notes = merged(turns), notes
        self._ids = CallIds(turns)

    def all(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        for turn in self._turns:
            if turn.role == "assistant":
                messages.append(self._assistant(turn))
            elif turn.role == "user":
                messages += self._user(turn)
            else:
                text = "\n\n".join(self._text(part) for part in turn.parts)
                messages.append({"role": "system", "content": text})
        return [each for each in messages if each["role"] == "tool" or each.get("content") or "tool_calls" in each]

    def _user(self, turn: Turn) -> list[dict[str, Any]]:
        """The results first, as each must follow its call, then what else was said."""
        messages: list[dict[str, Any]] = []
        rest: list[Part] = [part for part in turn.parts if not isinstance(part, ToolResult)]
        shown: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult):
                messages.append({"role": "tool", "tool_call_id": self._ids.of(part), "content": result_text(part)})
                shown += [inner for inner in part.content if isinstance(inner, Media) and not inner.text]
        self._notes += [f"dropped:hosted:{part.kind}" for part in turn.parts if isinstance(part, Hosted)]
        if shown:
            self._notes.append("changed:tool_result_media")
        if rest or shown:
            messages.append({"role": "user", "content": self._content([*shown, *rest])})
        return messages

    def _content(self, parts: Iterable[Part]) -> str | list[dict[str, Any]]:
        """A text alone as a string, anything more as a list."""
        items: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Media) and part.kind == "image":
                items.append(_image(part))
            elif text := self._text(part):
                items.append({"type": "text", "text": text})
        if not items:
            return ""
        return items[0]["text"] if len(items) == 1 and "text" in items[0] else items

    def _text(self, part: Part) -> str:
        if isinstance(part, Text | Refusal):
            return part.text
        if isinstance(part, Media) and part.text:
            if part.cites:
                self._notes.append("dropped:citations")
            return document_text(part.name, part.text)
        if isinstance(part, Media):
            raise unreadable(part.kind)
        return ""

    def _assistant(self, turn: Turn) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant"}
        content: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        citations: list[Any] = []
        for part in turn.parts:
            if isinstance(part, ToolCall):
                calls.append(self._call(part))
            elif isinstance(part, Thinking):
                self._recall(part, message, content)
            elif isinstance(part, Hosted):
                self._notes.append(f"dropped:hosted:{part.kind}")
            elif isinstance(part, Media):
                self._show(part, content)
            elif text := self._text(part):
                content.append({"type": "text", "text": text})
                citations += self._citations(part)
        if not any("thinking" in item for item in content) and len(content) <= 1:
            if content or not calls:
                message["content"] = content[0]["text"] if content else ""
        else:
            message["content"] = content
        return message | ({"tool_calls": calls} if calls else {}) | ({"citations": citations} if citations else {})

    def _call(self, call: ToolCall) -> dict[str, Any]:
        function = {"name": call.name, "arguments": arguments_text(call)}
        return {"id": self._ids.of(call), "type": "function", "function": function}

    def _recall(self, thought: Thinking, message: dict[str, Any], content: list[dict[str, Any]]) -> None:
        """Cohere's own thoughts and plans go back; others do not."""
        own = thought.sealed
        if own is None or own.dialect != NAME or not isinstance(own.data, dict):
            self._notes.append("dropped:thinking" if own is None else "dropped:thinking_signature")
        elif isinstance(plan := own.data.get("tool_plan"), str):
            message["tool_plan"] = message.get("tool_plan", "") + plan
        elif isinstance(text := own.data.get("thinking"), str):
            content.append({"type": "thinking", "thinking": text})

    def _show(self, media: Media, content: list[dict[str, Any]]) -> None:
        """What the model itself showed or spoke: its words, if there are any."""
        if media.transcript or media.text:
            content.append({"type": "text", "text": media.transcript or media.text})
        else:
            self._notes.append(f"dropped:messages.{media.kind}")

    def _citations(self, part: Part) -> list[Any]:
        found: list[Any] = []
        for citation in part.citations if isinstance(part, Text) else ():
            raw = citation.raw
            if raw is None or raw.dialect != NAME:
                self._notes.append("dropped:citations")
            elif raw.data not in found:
                found.append(raw.data)
        return found


def _image(media: Media) -> dict[str, Any]:
    if media.file_id:
        raise unreachable(media.kind)
    url = f"data:{media.media_type or 'image/png'};base64,{media.data}" if media.data else media.url
    image = {"url": url, "detail": media.detail} if media.detail in ("auto", "low", "high") else {"url": url}
    return {"type": "image_url", "image_url": image}


def _tools(talk: Conversation, notes: list[str]) -> dict[str, Any]:
    """`tools`, `tool_choice` and `strict_tools`; auto is what Cohere does unasked."""
    choice = talk.tool_choice
    tools = talk.tools
    if choice is not None and choice.names and {tool.name for tool in tools} - set(choice.names):
        tools = tuple(tool for tool in tools if tool.name in choice.names)
        notes.append("changed:tool_choice")
    if not tools:
        if choice is not None and choice.mode in ("required", "named"):
            notes.append("dropped:tool_choice")
        return {}
    if any(tool.custom for tool in tools):
        notes.append("changed:tool:custom")
    body: dict[str, Any] = {"tools": [function_tool(tool) for tool in tools]}
    if choice is not None and choice.mode != "auto":
        body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
    return body | _strict(tools, notes)


def _strict(tools: Sequence[Tool], notes: list[str]) -> dict[str, Any]:
    """Strictness is for all tools or none, and each must then require a parameter.
    Source: https://docs.cohere.com/docs/structured-outputs-json#structured-outputs-tools (2026-11)
    """
    if not any(tool.strict for tool in tools):
        return {}
    if all(tool.strict and (tool.schema or {}).get("required") for tool in tools):
        return {"strict_tools": True}
    notes.append("dropped:strict")
    return {}


def _sampling(talk: Conversation, notes: list[str]) -> dict[str, Any]:
    bounds = (
        ("p", "top_p", talk.top_p, LEAST_P, MOST_P),
        ("k", "top_k", talk.top_k, 0, MOST_K),
        ("frequency_penalty", "frequency_penalty", talk.frequency_penalty, 0.0, 1.0),
        ("presence_penalty", "presence_penalty", talk.presence_penalty, 0.0, 1.0),
    )
    body: dict[str, Any] = {}
    for name, said, value, least, most in bounds:
        if value is not None:
            body[name] = min(max(value, least), most)
            if body[name] != value:
                notes.append(f"changed:{said}")
    if talk.temperature is not None:
        body["temperature"] = talk.temperature
    if talk.seed is not None:
        body["seed"] = talk.seed
    if talk.stop:
        body["stop_sequences"] = list(talk.stop[:MOST_STOPS])
        if len(talk.stop) > MOST_STOPS:
            notes.append("changed:stop")
    if talk.logprobs:
        body["logprobs"] = True
    return body


def _thinking(reasoning: Reasoning, limit: int | None) -> dict[str, Any]:
    """`thinking`; its budget, where there is one, leaves room for an answer."""
    if reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return {"thinking": {"type": "disabled"}}
    budget = reasoning.budget if reasoning.budget is not None else BUDGETS.get(reasoning.effort or "")
    if not reasoning.enabled and not reasoning.adaptive and reasoning.budget is None and reasoning.effort is None:
        return {}
    thinking: dict[str, Any] = {"type": "enabled"}
    if budget is not None and budget > 0:
        thinking["token_budget"] = budget if limit is None else max(1, min(budget, limit - 1))
    return {"thinking": thinking}
