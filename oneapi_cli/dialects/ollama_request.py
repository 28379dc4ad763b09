"""A conversation → the body of `POST /api/chat`.

What Ollama has in its own way:

* a message's content is one text, and its pictures stand beside it as bare base64 (the gateway has fetched what was
  behind URLs);
* it streams unless told not to, so that is always said;
* no call can be forced: without a choice of none, which leaves the tools out, the model decides, and that is noted;
* `think` is a switch or a level. A level that a model does not know is its default to Ollama.

Members of `extras` that Ollama knows go where they belong: `keep_alive`, `think`, `truncate`, `shift` beside the
messages, its runtime options (`num_ctx`, `repeat_penalty`, `min_p`…) among the options, alone or inside `options`.

Source: https://docs.ollama.com/api/chat, https://docs.ollama.com/capabilities/thinking (2026-11)
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
    ToolCall,
    ToolResult,
    Turn,
)
from ..values.vendor import Quirks, Traits
from .calls import CallIds, arguments_object, function_tool, merged
from .ollama_parts import NAME
from .remainder import check_answerable, document_text, remainder, result_text, unreachable, unreadable

# Efforts that Ollama has other words for, or none that every version knows.
LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}

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
        "top_logprobs",
        "reasoning",
        "format",
    }
)
_BESIDE = frozenset({"keep_alive", "think", "truncate", "shift"})
_OPTIONS = frozenset(
    {
        "draft_num_predict",
        "main_gpu",
        "min_p",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "num_batch",
        "num_ctx",
        "num_gpu",
        "num_keep",
        "num_thread",
        "penalize_newline",
        "repeat_last_n",
        "repeat_penalty",
        "tfs_z",
        "typical_p",
        "use_mmap",
    }
)


def encode_request(talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[dict[str, Any], Notes]:
    """See `Speaker`. Raises BadRequest for media other than pictures' bytes and plain text."""
    check_answerable(talk)
    notes = remainder(talk, _CARRIED, _BESIDE | _OPTIONS | {"options"})
    body: dict[str, Any] = {"model": talk.model, "messages": _Messages(talk.turns, notes).all(), "stream": talk.stream}
    body |= _tools(talk, notes)
    if talk.format is not None and talk.format.kind != "text":
        body["format"] = "json" if talk.format.schema is None else talk.format.schema
    if talk.reasoning is not None:
        body |= _think(talk.reasoning, notes)
    if talk.logprobs or talk.top_logprobs:
        body["logprobs"] = True
        if talk.top_logprobs:
            body["top_logprobs"] = talk.top_logprobs
    body |= {name: value for name, value in talk.extras.items() if name in _BESIDE}
    if options := _options(talk):
        body["options"] = options
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
                messages.append(self._message("system", turn.parts))
        return [message for message in messages if len(message) > 2 or message["content"] or message["role"] == "tool"]

    def _user(self, turn: Turn) -> list[dict[str, Any]]:
        """The results first, right after their calls, then what else was said."""
        messages: list[dict[str, Any]] = []
        rest: list[Part] = []
        for part in turn.parts:
            if not isinstance(part, ToolResult):
                rest.append(part)
                continue
            messages.append(self._result(part))
            shown = [inner for inner in part.content if isinstance(inner, Media) and not inner.text]
            rest += shown
            if shown:
                self._notes.append("changed:tool_result_media")
        self._notes += [f"dropped:hosted:{part.kind}" for part in turn.parts if isinstance(part, Hosted)]
        return [*messages, self._message("user", rest)] if rest else messages

    def _result(self, result: ToolResult) -> dict[str, Any]:
        message = {"role": "tool", "content": result_text(result), "tool_call_id": self._ids.of(result)}
        name = self._ids.name_of(result)
        return message | ({"tool_name": name} if name else {})

    def _message(self, role: str, parts: Iterable[Part]) -> dict[str, Any]:
        texts: list[str] = []
        images: list[str] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                texts.append(part.text)
            elif isinstance(part, Media) and part.text:
                texts.append(document_text(part.name, part.text))
            elif isinstance(part, Media):
                images.append(_image(part))
        message: dict[str, Any] = {"role": role, "content": "\n\n".join(text for text in texts if text)}
        return message | ({"images": images} if images else {})

    def _assistant(self, turn: Turn) -> dict[str, Any]:
        said = [part for part in turn.parts if isinstance(part, Text | Refusal)]
        media = [part for part in turn.parts if isinstance(part, Media)]
        words = [Text(text=each.transcript or each.text) for each in media if each.transcript or each.text]
        message = self._message("assistant", [*said, *words])
        self._notes += [f"dropped:messages.{each.kind}" for each in media if not (each.transcript or each.text)]
        self._notes += [f"dropped:hosted:{part.kind}" for part in turn.parts if isinstance(part, Hosted)]
        if any(part.citations for part in said if isinstance(part, Text)):
            self._notes.append("dropped:citations")
        thoughts = [text for part in turn.parts if isinstance(part, Thinking) and (text := self._thought(part))]
        if thoughts:
            message["thinking"] = "\n\n".join(thoughts)
        calls = [self._call(part) for part in turn.parts if isinstance(part, ToolCall)]
        return message | ({"tool_calls": calls} if calls else {})

    def _call(self, call: ToolCall) -> dict[str, Any]:
        function = {"name": call.name, "arguments": arguments_object(call)}
        return {"id": self._ids.of(call), "type": "function", "function": function}

    def _thought(self, thought: Thinking) -> str:
        """A thought's text, unless another vendor sealed it: that is for its own model alone."""
        if thought.sealed is None or thought.sealed.dialect == NAME:
            return thought.text
        self._notes.append("dropped:thinking_signature")
        return ""


def _image(media: Media) -> str:
    if media.kind != "image":
        raise unreadable(media.kind)
    if not media.data:
        raise unreachable(media.kind)
    return media.data


def _tools(talk: Conversation, notes: list[str]) -> dict[str, Any]:
    choice, tools = talk.tool_choice, talk.tools
    if choice is not None and choice.mode == "none":
        if tools:
            notes.append("changed:tool_choice")
        return {}
    if choice is not None and choice.names and {tool.name for tool in tools} - set(choice.names):
        tools = tuple(tool for tool in tools if tool.name in choice.names)
        notes.append("changed:tool_choice")
    if choice is not None and choice.mode in ("required", "named"):
        notes.append("dropped:tool_choice")
    if not tools:
        return {}
    if any(tool.custom for tool in tools):
        notes.append("changed:tool:custom")
    if any(tool.strict for tool in tools):
        notes.append("dropped:strict")
    return {"tools": [function_tool(tool) for tool in tools]}


def _think(reasoning: Reasoning, notes: list[str]) -> dict[str, Any]:
    """`think`: a level where the client named one, else on or off; what it may cost in tokens cannot be said."""
    if reasoning.enabled is False or reasoning.effort == "none" or reasoning.budget == 0:
        return {"think": False}
    if reasoning.budget is not None and reasoning.budget > 0:
        notes.append("dropped:thinking_budget")
    if reasoning.effort is not None:
        level = LEVELS[reasoning.effort]
        if level != reasoning.effort:
            notes.append("changed:reasoning_effort")
        return {"think": level}
    return {"think": True} if reasoning.enabled or reasoning.adaptive or reasoning.budget is not None else {}


def _options(talk: Conversation) -> dict[str, Any]:
    """Runtime options: those of `extras` first, over them what the conversation says in its own words."""
    inner = talk.extras.get("options")
    options = dict(inner) if isinstance(inner, dict) else {}
    options |= {name: value for name, value in talk.extras.items() if name in _OPTIONS}
    own = {
        "temperature": talk.temperature,
        "top_p": talk.top_p,
        "top_k": talk.top_k,
        "presence_penalty": talk.presence_penalty,
        "frequency_penalty": talk.frequency_penalty,
        "seed": talk.seed,
        "num_predict": talk.limit,
        "stop": list(talk.stop) or None,
    }
    return options | {name: value for name, value in own.items() if value is not None}
