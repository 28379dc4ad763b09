"""Thoughts in chat's format, which has no one place for them: a text member, sealed details, or tags in the content.

* `reasoning_content` (DeepSeek, Z.ai, Qwen, Moonshot…), `reasoning` (OpenRouter, Groq, Cerebras), plain text beside the
  content. Vendors that send both send the same twice.
* `reasoning_details`: OpenRouter's list of `reasoning.text`, `reasoning.summary` and `reasoning.encrypted`, which has
  to come back as it was.
* `<think>…</think>` (`<thought>` at Google's OpenAI path) at the start of the content, where a vendor does not take it
  out itself.

A client gets the text in `reasoning_content` (or the member it asks for) and what is sealed in `reasoning_details`: a
thought with text as `reasoning.text` whose `signature` holds the seal, one without as `reasoning.encrypted`; both say
`"format": "oneapi-v1"`.

Source: https://openrouter.ai/docs/use-cases/reasoning-tokens (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..values.conversation import Opaque, Thinking
from .openai_chat_media import DIALECT
from .reading import Object, at, fault, get_list, get_text
from .sealing import seal, unseal

MEMBERS = ("reasoning_content", "reasoning")
"""Where a vendor's message or delta has its thoughts as text, in the order in which we look."""

FORMAT = "oneapi-v1"

_TAGS = {"<think>": "</think>", "<thought>": "</thought>"}

Detail = Mapping[str, Any]
Piece = tuple[bool, str]
"""(whether it is a thought, its text)"""


class InlineThoughts:
    """Takes the thought out of content that begins with one. Nothing vanishes but the tags and white space before them;
    a thought that is never closed is one to its end."""

    def __init__(self) -> None:
        self._state = "start"
        self._held = ""
        self._closing = ""
        self.removed = 0
        """Characters of the content so far that are none of its text."""

    def feed(self, text: str) -> list[Piece]:
        """More content → the pieces that are sure."""
        if self._state == "after":
            return [(False, text)] if text else []
        text, self._held = self._held + text, ""
        return self._start(text) if self._state == "start" else self._inside(text)

    def is_tagged(self, text: str) -> bool:
        """Whether more content of this text is for `feed` to tell apart: it is within a thought, or begins one."""
        return self._state == "inside" or bool(self._held) or text.lstrip().startswith(tuple(_TAGS))

    def close(self) -> list[Piece]:
        """What was held back: the content has ended."""
        held, self._held = self._held, ""
        inside, self._state = self._state == "inside", "after"
        if inside:
            self.removed += len(held)
        return [(inside, held)] if held else []

    def _start(self, text: str) -> list[Piece]:
        bare = text.lstrip()
        for tag, closing in _TAGS.items():
            if bare.startswith(tag):
                self._state, self._closing = "inside", closing
                self.removed = len(text) - len(bare) + len(tag)
                return self._inside(bare[len(tag) :])
            if tag.startswith(bare):  # nothing yet, or the beginning of a tag
                self._held = text
                return []
        self._state = "after"
        return [(False, text)]

    def _inside(self, text: str) -> list[Piece]:
        before, closing, rest = text.partition(self._closing)
        if not closing:
            keep = _overlap(before, self._closing)
            self._held = before[len(before) - keep :]
            before = before[: len(before) - keep]
        else:
            self._state = "after"
        self.removed += len(before) + len(closing)
        return [piece for piece in ((True, before), (False, rest)) if piece[1]]


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)


class Details:
    """`reasoning_details` as they come, whole or in pieces, until the thought they belong to is over."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []

    def add(self, details: object) -> str:
        """Take entries in; their text, for vendors that have it nowhere else."""
        found = [entry for entry in details if isinstance(entry, dict)] if isinstance(details, list) else []
        for entry in found:
            if not self._extends(entry):
                self._entries.append(dict(entry))
        return text_in(found)

    def _extends(self, entry: Detail) -> bool:
        """Whether it only goes on with the last entry, and was joined to it."""
        last = self._entries[-1] if self._entries else None
        if last is None or entry.get("type") == "reasoning.encrypted":
            return False
        if (entry.get("type"), entry.get("index")) != (last.get("type"), last.get("index")):
            return False
        for name, value in entry.items():
            if name in ("text", "summary") and isinstance(value, str) and isinstance(last.get(name), str):
                last[name] += value
            elif value is not None:
                last[name] = value
        return True

    def take(self) -> Opaque | None:
        """All of them as one seal, None where there are none; then empty again."""
        entries, self._entries = self._entries, []
        return Opaque(dialect=DIALECT, data={"reasoning_details": entries}) if entries else None


def text_in(details: Iterable[Detail]) -> str:
    """What details say in the open."""
    texts = (entry.get("text") or entry.get("summary") for entry in details)
    return "".join(text for text in texts if isinstance(text, str))


def thought_in(message: Mapping[str, Any]) -> str:
    """The thoughts that a vendor's message or delta has as text, "" for none."""
    for name in MEMBERS:
        text = message.get(name)
        if text and isinstance(text, str):
            return text
    return ""


# --- what a client brings back --------------------------------------------------------------------------------------


def read_thoughts(message: Object, place: str) -> list[Thinking]:
    """The thoughts of an assistant's message, in order. Raises BadRequest."""
    plain = get_text(message, "reasoning_content", place) or get_text(message, "reasoning", place) or ""
    details = get_list(message, "reasoning_details", place) or ()
    found = _unsealed(details, at(place, "reasoning_details"))
    if not plain or any(thought.text for thought in found):
        return found
    if len(found) == 1:
        return [Thinking(text=plain, sealed=found[0].sealed)]
    return [Thinking(text=plain), *found]


def _unsealed(details: Sequence[Any], place: str) -> list[Thinking]:
    found: list[Thinking] = []
    own = Details()

    def end_own() -> None:
        sealed = own.take()
        if sealed is not None:
            found.append(Thinking(text=text_in(sealed.data["reasoning_details"]), sealed=sealed))

    for number, entry in enumerate(details):
        if not isinstance(entry, Mapping):
            raise fault(at(place, number), "must be an object")
        text = entry.get("data") if entry.get("type") == "reasoning.encrypted" else entry.get("signature")
        opaque = unseal(text) if isinstance(text, str) else None
        if opaque is None:
            own.add([dict(entry)])
            continue
        end_own()
        said = entry.get("text")
        found.append(Thinking(text=said if isinstance(said, str) else "", sealed=opaque))
    end_own()
    return found


# --- what a client is given -----------------------------------------------------------------------------------------


def details_of(text: str, sealed: Opaque, first: int) -> list[dict[str, Any]]:
    """A sealed thought as entries of `reasoning_details`, numbered from `first`. What came from this dialect stands as
    it came."""
    if sealed.dialect == DIALECT:
        own = sealed.data.get("reasoning_details") if isinstance(sealed.data, dict) else None
        if isinstance(own, list):
            return [entry for entry in own if isinstance(entry, dict)]
    if text:
        said = {"type": "reasoning.text", "text": text, "signature": seal(sealed)}
    else:
        said = {"type": "reasoning.encrypted", "data": seal(sealed)}
    return [{**said, "format": FORMAT, "index": first}]


def reasoning_member(query: Mapping[str, str]) -> str:
    """The member that a client wants thoughts in: `?reasoning_format=` as the original's."""
    wanted = query.get("reasoning_format", "")
    return wanted if wanted in ("reasoning_content", "reasoning", "thinking") else "reasoning_content"
