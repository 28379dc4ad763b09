"""What a reply says, whatever its format, and where two readings of it differ.

The stop reason is a meaning; which words of a door can carry it is `doors.py`'s. A field that is None was not said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

_THINK = re.compile(r"</?think>")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Call:
    """arguments: the JSON value, or the text where it is none."""

    name: str
    arguments: Any
    id: str = ""


@dataclass
class Counts:
    """Tokens. input and output are totals: everything read, everything produced. None: not reported."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


@dataclass
class Said:
    """finish: the meanings that it may have, the likeliest first. error: the vendor's message where it broke off.
    seen: whatever else a door's reader found to be wrong with the shape."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: tuple[str, ...] = ()
    usage: Counts | None = None
    error: str | None = None
    seen: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Carries:
    """What a door has a place for."""

    cache_write: bool = True
    reasoning_tokens: bool = True
    ids: bool = True


def arguments_of(text: str) -> Any:
    """A call's arguments as a JSON value; nothing is an empty object."""
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError:
        return text


def differences(wished: Said, got: Said, carries: Carries) -> Iterator[str]:
    """One line for each thing that `got` does not say as `wished` does."""
    yield from got.seen
    if wished.finish == ("error",) and wished.error is None:
        got = replace(got, error=None, finish=("error",) if got.error else got.finish)
    if (wished.error is None) != (got.error is None):
        yield f"error {wished.error!r} became {got.error!r}"
    elif wished.error is not None and wished.error not in (got.error or ""):
        yield f"the error's message {wished.error!r} became {got.error!r}"
    yield from _prose(wished, got)
    yield from _calls(wished.calls, got.calls, carries)
    if wished.error is None and not set(wished.finish) & set(got.finish):
        yield f"finish {'/'.join(wished.finish)} became {'/'.join(got.finish) or 'nothing'}"
    if wished.error is None:
        yield from _usage(wished.usage, got.usage, carries)


def _prose(wished: Said, got: Said) -> Iterator[str]:
    if not wished.refusal and got.refusal and set(wished.finish) & {"refusal", "content_filter"}:
        got = replace(got, refusal="")  # the vendor's explanation, which is nothing that the model said
    wish, have = wished.text + wished.refusal, got.text + got.refusal
    if wish == have and same_words(wished.reasoning, got.reasoning):
        return
    if _THINK.search(wish) and same_words(
        wished.reasoning + _THINK.sub("", wish), got.reasoning + _THINK.sub("", have)
    ):
        return
    if wish != have:
        yield f"text {cut(wish)} became {cut(have)}"
    if not same_words(wished.reasoning, got.reasoning):
        yield f"reasoning {cut(wished.reasoning)} became {cut(got.reasoning)}"


def same_words(one: str, other: str) -> bool:
    """Equal but for white space: passages may be joined in more than one way."""
    return _SPACE.sub("", one) == _SPACE.sub("", other)


def _calls(wished: list[Call], got: list[Call], carries: Carries) -> Iterator[str]:
    wish, have = [(c.name, _free(c.arguments)) for c in wished], [(c.name, _free(c.arguments)) for c in got]
    if wish != have:
        yield f"calls {cut(wish)} became {cut(have)}"
        return
    if not carries.ids:
        return
    ids = [call.id for call in got]
    if not all(ids) or len(set(ids)) != len(ids):
        yield f"call ids {ids} are empty or not unique"
    elif any(call.id and call.id != other.id for call, other in zip(wished, got, strict=True)):
        yield f"call ids {[call.id for call in wished]} became {ids}"


def _free(arguments: Any) -> Any:
    """A custom tool's free text stands in an `input` of its own where a format knows objects alone."""
    only = isinstance(arguments, dict) and set(arguments) == {"input"}
    return arguments["input"] if only and isinstance(arguments["input"], str) else arguments


def _usage(wished: Counts | None, got: Counts | None, carries: Carries) -> Iterator[str]:
    if wished is None:
        return
    if got is None:
        yield "usage was lost"
        return
    for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
        wish, have = getattr(wished, name), getattr(got, name)
        if name == "cache_write" and not carries.cache_write:
            continue
        if name == "reasoning" and not carries.reasoning_tokens and not have:
            continue
        if (wish or 0) != (have or 0):
            yield f"usage.{name} {wish} became {have}"


def cut(value: object, most: int = 160) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]} ({len(text)})"
