"""A chat request as its clients write it → a conversation.

What the API itself takes is read and checked; so are the ways in which other vendors of the format ask for thinking
(OpenRouter's `reasoning`, the `thinking` object of Anthropic and Z.ai, Qwen's `enable_thinking`). Every other member is
carried along in `extras` for a target that may know it.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from msgspec.structs import replace

from ..values.conversation import AudioFormat, Conversation, Effort, Notes, Reasoning
from .openai_chat_tools import read_choice, read_format, read_tools
from .openai_chat_turns import read_turns
from .reading import (
    Object,
    at,
    get_flag,
    get_int,
    get_number,
    get_object,
    get_text,
    need_choice,
    need_text,
    texts_in,
)

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_TAKEN = frozenset(
    {
        "audio",
        "chat_template_kwargs",
        "enable_thinking",
        "frequency_penalty",
        "function_call",
        "functions",
        "include_reasoning",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "thinking",
        "thinking_budget",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)


def decode_request(body: Mapping[str, Any]) -> tuple[Conversation, Notes]:
    """A client's decoded body. Notes: what it says that has no place in a conversation. Raises BadRequest naming the
    member."""
    turns, noted = read_turns(body)
    tools, hosted = read_tools(body)
    limits = [limit for name in ("max_tokens", "max_completion_tokens") if (limit := get_int(body, name)) is not None]
    talk = Conversation(
        model=need_text(body, "model"),
        turns=turns,
        stream=get_flag(body, "stream") or False,
        tools=tools,
        hosted=hosted,
        tool_choice=read_choice(body, tools),
        parallel_tools=get_flag(body, "parallel_tool_calls"),
        limit=min(limits) if limits else None,
        temperature=get_number(body, "temperature"),
        top_p=get_number(body, "top_p"),
        top_k=max(get_int(body, "top_k", least=-1) or 0, 0) or None,  # vLLM: -1 and 0 are "off"
        presence_penalty=get_number(body, "presence_penalty"),
        frequency_penalty=get_number(body, "frequency_penalty"),
        seed=get_int(body, "seed", least=-(2**63)),
        stop=texts_in(body, "stop"),
        outputs=get_int(body, "n", least=1) or 1,
        logprobs=get_flag(body, "logprobs"),
        top_logprobs=get_int(body, "top_logprobs"),
        logit_bias=_biases(body),
        reasoning=_reasoning(body),
        format=read_format(body),
        verbosity=_verbosity(body),
        modalities=texts_in(body, "modalities"),
        audio=_audio(body),
        tier=get_text(body, "service_tier") or "",
        user=get_text(body, "safety_identifier") or get_text(body, "user") or "",
        metadata=_metadata(body),
        cache_key=get_text(body, "prompt_cache_key") or "",
        store=get_flag(body, "store"),
        extras={name: value for name, value in body.items() if name not in _TAKEN and value is not None},
    )
    return talk, tuple(dict.fromkeys((*noted, *_unread(body))))


def _unread(body: Object) -> Notes:
    """Of `chat_template_kwargs` only what asks for thinking is read."""
    inner = get_object(body, "chat_template_kwargs") or {}
    return () if inner.keys() <= {"enable_thinking", "thinking_budget"} else ("dropped:chat_template_kwargs",)


def _biases(body: Object) -> Mapping[str, float] | None:
    biases = get_object(body, "logit_bias")
    if biases is None:
        return None
    found = {token: get_number(biases, token, "logit_bias") for token in biases}
    return {token: bias for token, bias in found.items() if bias is not None}


def _verbosity(body: Object) -> str:
    word = get_text(body, "verbosity")
    return need_choice(word, ("low", "medium", "high"), "verbosity") if word else ""


def _audio(body: Object) -> AudioFormat | None:
    """`{"voice", "format"}`; a voice of one's own is an object with its id."""
    audio = get_object(body, "audio")
    if audio is None:
        return None
    own = audio.get("voice")
    voice = need_text(own, "id", "audio.voice") if isinstance(own, Mapping) else get_text(audio, "voice", "audio")
    return AudioFormat(voice=voice or "", format=get_text(audio, "format", "audio") or "")


def _metadata(body: Object) -> Mapping[str, str] | None:
    metadata = get_object(body, "metadata")
    if metadata is None:
        return None
    return {name: get_text(metadata, name, "metadata") or "" for name in metadata}


# --- thinking, in everybody's words ---------------------------------------------------------------------------------


def _reasoning(body: Object) -> Reasoning | None:
    """What the client says of thinking, wherever it says it; the format's own member wins."""
    said = _said_in_reasoning(body) or _said_in_thinking(body) or _said_by_flag(body)
    effort = get_text(body, "reasoning_effort")
    if effort and effort != "default":  # Groq's word for saying nothing
        word = _effort(effort, "reasoning_effort")
        said = replace(said or Reasoning(), effort=word)
        if word == "none":
            said = replace(said, enabled=False, budget=None)
    shown = get_flag(body, "include_reasoning")
    return said if shown is None else replace(said or Reasoning(), show=shown)


def _effort(word: str, place: str) -> Effort:
    return cast("Effort", need_choice(word, _EFFORTS, place))


def _said_in_reasoning(body: Object) -> Reasoning | None:
    """OpenRouter: `{"effort" | "max_tokens", "enabled", "exclude", "summary"}`."""
    held, place = get_object(body, "reasoning"), "reasoning"
    if held is None:
        return None
    word = get_text(held, "effort", place)
    effort = _effort(word, at(place, "effort")) if word else None
    budget = get_int(held, "max_tokens", place)
    enabled = get_flag(held, "enabled", place)
    if effort == "none":
        enabled = False
    excluded = get_flag(held, "exclude", place)
    return Reasoning(
        enabled=True if enabled is None and budget else enabled,
        effort=effort,
        budget=budget,
        show=None if excluded is None else not excluded,
        summary=get_text(held, "summary", place) or "",
    )


def _said_in_thinking(body: Object) -> Reasoning | None:
    """Anthropic, Z.ai, Moonshot, Doubao: `{"type": "enabled" | "disabled" | "adaptive" | "auto", "budget_tokens"}`."""
    held, place = get_object(body, "thinking"), "thinking"
    if held is None:
        return None
    kind = need_choice(
        get_text(held, "type", place) or "enabled", ("enabled", "disabled", "adaptive", "auto"), at(place, "type")
    )
    display = get_text(held, "display", place)
    return Reasoning(
        enabled={"enabled": True, "adaptive": True, "disabled": False}.get(kind),
        budget=get_int(held, "budget_tokens", place),
        show=None if display is None else display != "omitted",
        adaptive=kind in ("adaptive", "auto"),
    )


def _said_by_flag(body: Object) -> Reasoning | None:
    """Qwen: `enable_thinking` and `thinking_budget`, at the top or in vLLM's `chat_template_kwargs`."""
    place, held = "", body
    inner = get_object(body, "chat_template_kwargs")
    if inner is not None and body.get("enable_thinking") is None:
        place, held = "chat_template_kwargs", inner
    enabled = get_flag(held, "enable_thinking", place)
    budget = get_int(held, "thinking_budget", place)
    if enabled is None and budget is None:
        return None
    return Reasoning(enabled=True if enabled is None else enabled, budget=budget)
