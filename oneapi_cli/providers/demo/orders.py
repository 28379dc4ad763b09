"""Directives: what a prompt tells the demo vendor to do. One table says names, bounds and meaning; the reply to
`help` prints it.

A directive is `[name]` or `[name=value]`, anywhere in the last user message; the last of a name wins. Numbers
beyond their bounds are brought inside; a value that cannot be read leaves the text what it is, for brackets are
common in prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

MAX_TOKENS = 1_000_000
MAX_PAUSE_SECONDS = 10.0
MAX_HANG_SECONDS = 600.0
MAX_COUNT = 1_000_000_000

DEFAULT_PAUSE_SECONDS = 0.004
_SLOW_PAUSE_SECONDS = 0.25

_DIRECTIVE = re.compile(r"\[([a-z_]{3,12})(?:=([^\[\]]{1,200}))?\]")


class Orders(Struct, frozen=True, kw_only=True):
    """What the directives of one prompt say. None, False and "" mean: not said. `after` members count SSE events."""

    tokens: int | None = None
    pause: float | None = None
    first: float = 0.0
    reasoning: int | None = None
    prompt: int | None = None
    completion: int | None = None
    cached: int = 0
    usage: bool = True
    status: int = 0
    retry_after: float | None = None
    error: Literal["", "html", "200"] = ""
    reset_before: bool = False
    reset_after: int | None = None
    hang: float | None = None
    stall_after: int | None = None
    eof_after: int | None = None
    error_after: int | None = None
    bad_sse_after: int | None = None
    gzip: bool = False
    wrong_length: bool = False
    tools: tuple[str, ...] | None = None


class _Rule(Struct, frozen=True):
    """member: of Orders. kind: how the value is read. lowest..highest: bounds of numbers. bare: value of `[name]`
    alone."""

    member: str
    kind: Literal["int", "float", "word", "names"]
    help: str
    lowest: float = 0
    highest: float = MAX_COUNT
    bare: object = None
    words: Mapping[str, tuple[str, object]] = {}


_RULES: Mapping[str, _Rule] = {
    "tokens": _Rule("tokens", "int", "[tokens=500] produce exactly so many words", 0, MAX_TOKENS),
    "pause": _Rule("pause", "float", "[pause=0.05] seconds between words, 10 at most", 0, MAX_PAUSE_SECONDS),
    "slow": _Rule("pause", "float", "[slow] the same as [pause=0.25]", 0, MAX_PAUSE_SECONDS, _SLOW_PAUSE_SECONDS),
    "first": _Rule("first", "float", "[first=1.5] seconds before the first byte, 10 at most", 0, MAX_PAUSE_SECONDS),
    "reasoning": _Rule("reasoning", "int", "[reasoning=200] hidden tokens (demo-reasoner only)", 0, MAX_TOKENS),
    "prompt": _Rule("prompt", "int", "[prompt=1234] prompt tokens to report"),
    "completion": _Rule("completion", "int", "[completion=99] completion tokens to report"),
    "cached": _Rule("cached", "int", "[cached=100] cached prompt tokens to report"),
    "usage": _Rule("usage", "word", "[usage=none] report no usage at all", words={"none": ("usage", False)}),
    "tool": _Rule("tools", "names", "[tool=get_weather] call that tool; [tool=a,b] both; [tool] the first", bare=()),
    "status": _Rule("status", "int", "[status=429] answer with that error status", 400, 599),
    "retry_after": _Rule("retry_after", "float", "[retry_after=2] and with this Retry-After", 0, 3600),
    "error": _Rule(
        "error",
        "word",
        "[error=html] an HTML error page; [error=200] a 200 that carries an error",
        words={"html": ("error", "html"), "200": ("error", "200")},
    ),
    "reset": _Rule(
        "reset_after",
        "int",
        "[reset=before] reset the connection before any byte; [reset=5] after five events",
        words={"before": ("reset_before", True)},
    ),
    "hang": _Rule(
        "hang",
        "float",
        "[hang] say nothing for 600 s, then close; [hang=5] for 5 s",
        0,
        MAX_HANG_SECONDS,
        MAX_HANG_SECONDS,
    ),
    "stall": _Rule("stall_after", "int", "[stall=5] say nothing more after five events"),
    "eof": _Rule("eof_after", "int", "[eof=5] end cleanly after five events, without [DONE]"),
    "error_event": _Rule("error_after", "int", "[error_event=5] an error event after five events"),
    "bad_sse": _Rule("bad_sse_after", "int", "[bad_sse=5] a broken event after five events"),
    "gzip": _Rule("gzip", "word", "[gzip] compress the body, asked or not", bare=True),
    "length": _Rule(
        "wrong_length", "word", "[length=wrong] promise more bytes than come", words={"wrong": ("wrong_length", True)}
    ),
}

HELP = "\n".join(
    [
        "This is the demo vendor: it invents its replies, costs what its price list says, and takes orders:",
        *(f"- {rule.help}" for rule in _RULES.values()),
    ]
)


def read_orders(text: str) -> Orders:
    """The directives of one user message. Never raises."""
    said: dict[str, object] = {}
    for found in _DIRECTIVE.finditer(text):
        said.update(_said(found[1], found[2]))
    return Orders(**said)  # type: ignore[arg-type]  # the table pairs every member with its type


def without_orders(text: str) -> str:
    """The message without its directives: what a reply may quote."""
    return _DIRECTIVE.sub(lambda found: "" if dict(_said(found[1], found[2])) else found[0], text)


def _said(name: str, value: str | None) -> Iterator[tuple[str, object]]:
    rule = _RULES.get(name)
    if rule is None:
        return
    if value is None:
        if rule.bare is not None:
            yield rule.member, rule.bare
    elif value in rule.words:
        yield rule.words[value]
    elif rule.kind == "names":
        yield rule.member, tuple(part.strip() for part in value.split(",") if part.strip())
    elif rule.kind != "word" and (number := _number(value)) is not None:
        bounded = min(max(number, rule.lowest), rule.highest)
        yield rule.member, int(bounded) if rule.kind == "int" else bounded


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(r"\d{1,15}(?:\.\d{1,9})?", value) else None
