"""What a conversation asks for that a format has no member for: a note each, so that nothing is left out in silence.

The names in the notes are those of OpenAI's chat format, which most clients know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from ..values.conversation import Conversation, Reasoning, Text, ToolResult
from ..values.errors import BadRequest

NO_TIER = frozenset({"", "auto", "default", "standard", "standard_only"})
"""Tiers that ask for nothing beyond what everybody gets."""


BUDGETS: Mapping[str, int] = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384}
"""Tokens of thinking for an effort, for formats that count it; an effort that is not here has no bound."""


def remainder(talk: Conversation, carried: Set[str], extras: Set[str] = frozenset()) -> list[str]:
    """Notes for what is said and not in `carried` (names of fields of `Conversation`) nor in `extras`."""
    notes = [f"dropped:{name}" for field, name in _said(talk) if field not in carried]
    if "hosted" not in carried:
        notes += [f"dropped:tool:{tool.kind}" for tool in talk.hosted]
    if "cache" not in carried and _has_cache_marks(talk):
        notes.append("dropped:cache_control")
    return [*notes, *(f"dropped:{name}" for name in talk.extras if name not in extras)]


def check_answerable(talk: Conversation) -> None:
    """Raises BadRequest for what nobody would want left out: several answers, sound."""
    if talk.outputs > 1:
        raise BadRequest("`n` must be 1: this model answers once per request", member="n")
    if "audio" in talk.modalities:
        raise BadRequest("`modalities` asks for sound, which this model does not make", member="modalities")


def _said(talk: Conversation) -> Iterator[tuple[str, str]]:
    """(field, name for people) of each optional member that asks for something."""
    reasoning = talk.reasoning
    asked = {
        "outputs": ("n", talk.outputs > 1),
        "parallel_tools": ("parallel_tool_calls", talk.parallel_tools is False and bool(talk.tools)),
        "temperature": ("temperature", talk.temperature is not None),
        "top_p": ("top_p", talk.top_p is not None),
        "top_k": ("top_k", talk.top_k is not None),
        "presence_penalty": ("presence_penalty", bool(talk.presence_penalty)),
        "frequency_penalty": ("frequency_penalty", bool(talk.frequency_penalty)),
        "seed": ("seed", talk.seed is not None),
        "stop": ("stop", bool(talk.stop)),
        "logprobs": ("logprobs", bool(talk.logprobs)),
        "top_logprobs": ("top_logprobs", bool(talk.top_logprobs)),
        "logit_bias": ("logit_bias", bool(talk.logit_bias)),
        "reasoning": ("reasoning", reasoning is not None and _asks(reasoning)),
        "format": ("response_format", talk.format is not None and talk.format.kind != "text"),
        "verbosity": ("verbosity", bool(talk.verbosity)),
        "modalities": ("modalities", any(kind != "text" for kind in talk.modalities)),
        "audio": ("audio", talk.audio is not None),
        "tier": ("service_tier", talk.tier not in NO_TIER),
        "user": ("user", bool(talk.user)),
        "metadata": ("metadata", bool(talk.metadata)),
        "cache_key": ("prompt_cache_key", bool(talk.cache_key)),
        "store": ("store", talk.store is True),
    }
    return ((field, name) for field, (name, said) in asked.items() if said)


def _asks(reasoning: Reasoning) -> bool:
    return reasoning.adaptive or (reasoning.enabled, reasoning.effort, reasoning.budget) != (None, None, None)


def _has_cache_marks(talk: Conversation) -> bool:
    if any(tool.cache is not None for tool in talk.tools):
        return True
    return any(getattr(part, "cache", None) is not None for turn in talk.turns for part in turn.parts)


def unreadable(kind: str) -> BadRequest:
    """For media that a format has no place for."""
    what = f"`messages` has a part of a kind that this model does not take: {kind}; give its text instead"
    return BadRequest(what, member="messages")


def unreachable(kind: str) -> BadRequest:
    """For media behind a name or URL that the vendor cannot read."""
    what = f"`messages` refers to media that this model's vendor cannot read: {kind}; send its bytes"
    return BadRequest(what, member="messages")


def document_text(name: str, text: str) -> str:
    """A plain-text document as text among other text, its name above it."""
    return f"{name}\n\n{text}" if name else text


def result_text(result: ToolResult) -> str:
    """The text of a tool's result, for formats that have no word for its failure; a plain-text document counts as
    text."""
    texts = []
    for part in result.content:
        if isinstance(part, Text):
            texts.append(part.text)
        elif part.text:
            texts.append(document_text(part.name, part.text))
    text = "\n".join(texts)
    return f"Error: {text}" if result.is_error else text
