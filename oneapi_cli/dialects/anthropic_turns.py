"""The turns of a conversation → `system` and `messages`.

The API takes turns of the user and the assistant in alternation, the user's first, with a call's results at the head of
the turn that follows it. Leading system turns are `system`; later ones join them (note `changed:system_position`).
Blank texts are refused there, so they are left out; so are thoughts without Anthropic's own signature. Call ids are
made valid and unique, in calls and results alike.

Sources: https://platform.claude.com/docs/en/api/messages ·
https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls (2026-11)
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ..values.conversation import (
    CacheMark,
    Conversation,
    Hosted,
    Media,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from ..values.errors import BadRequest
from .anthropic_names import NAME
from .anthropic_replying import arguments_object

Block = dict[str, Any]
Message = dict[str, Any]

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PLACEHOLDER = "."
"""What stands for a turn that must be there and says nothing."""
CONTINUE = "Continue."


class Ids:
    """Call ids as the API takes them. A vendor that counts its calls anew in every turn repeats its ids: a repeated
    one gets another name, and the results that follow belong to the latest."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._latest: dict[str, str] = {}
        self._nameless: list[str] = []

    def of_call(self, given: str) -> str:
        made = given if _ID.match(given) else _cleaned(given)
        number = 1
        while made in self._used:
            number += 1
            made = f"{_cleaned(given)}_{number}"
        self._used.add(made)
        self._latest[given] = made
        if not given:
            self._nameless.append(made)
        return made

    def of_result(self, given: str) -> str:
        if not given and self._nameless:
            return self._nameless.pop(0)
        return self._latest.get(given) or (given if _ID.match(given) else _cleaned(given))


def _cleaned(given: str) -> str:
    mark = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_NOT_IN_ID.sub('_', given)[:40] or 'toolu'}_{mark}"


class TurnWriter:
    """Writes the turns of one conversation. system and messages are what came of them; marked: the blocks with a cache
    breakpoint, in the order in which the API reads them (`system` first); cites: a document wants citations."""

    def __init__(self) -> None:
        self.system: list[Block] = []
        self.messages: list[Message] = []
        self.notes: list[str] = []
        self.cites = False
        self._ids = Ids()
        self._drawn: list[Block] = []  # pictures of the assistant's, for the user's next turn

    def write(self, talk: Conversation) -> None:
        """Raises BadRequest for media that the API does not take."""
        for turn in talk.turns:
            if turn.role in ("system", "developer"):
                self._system_turn(turn)
            elif turn.role == "user":
                self._add("user", self._user(turn))
            else:
                self._add("assistant", self._assistant(turn))
        if self._drawn:
            self.note("dropped:media")
        if not self.messages and self.system:
            blocks, self.system = self.system, []
            self.note("changed:system_position")
            self.messages.append({"role": "user", "content": blocks})
        if not self.messages or self.messages[0]["role"] != "user":
            self.note("changed:first_turn")
            self.messages.insert(0, {"role": "user", "content": [_text(_PLACEHOLDER)]})

    def end_with_user(self) -> None:
        """For models that take no half an answer to go on with."""
        if self.messages[-1]["role"] == "assistant":
            self.note("changed:prefill")
            self._add("user", [_text(CONTINUE)])

    def trim_prefill(self) -> None:
        """The API refuses an answer to go on with that ends in white space."""
        last = self.messages[-1]
        if last["role"] == "assistant" and (block := last["content"][-1]).get("type") == "text":
            block["text"] = block["text"].rstrip()

    def thinks_before_acting(self) -> bool:
        """Whether the calls that the results at the end answer have their thoughts before them, as a thinking budget
        demands."""
        if len(self.messages) < 2 or not any(b["type"] == "tool_result" for b in self.messages[-1]["content"]):
            return True
        return str(self.messages[-2]["content"][0]["type"]) in ("thinking", "redacted_thinking")

    def called_tools(self) -> list[str]:
        """Names of the tools that were called, each once."""
        blocks = (block for message in self.messages for block in message["content"])
        return list(dict.fromkeys(block["name"] for block in blocks if block["type"] == "tool_use"))

    def note(self, code: str) -> None:
        if code not in self.notes:
            self.notes.append(code)

    # -- turns ----------------------------------------------------------------------------------------------------

    def _system_turn(self, turn: Turn) -> None:
        blocks = []
        for part in turn.parts:
            if isinstance(part, Text):
                blocks += self._prose(part)
            elif isinstance(part, Media):
                raise BadRequest("`messages` has media in a system message, which this model does not take there")
        if blocks and self.messages:
            self.note("changed:system_position")
        self.system += blocks

    def _add(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            content = self.messages[-1]["content"] + blocks
            self.messages[-1]["content"] = _results_first(content) if role == "user" else content
        else:
            self.messages.append({"role": role, "content": _results_first(blocks) if role == "user" else blocks})

    def _user(self, turn: Turn) -> list[Block]:
        blocks: list[Block] = self._drawn
        self._drawn = []
        for part in turn.parts:
            if isinstance(part, Text):
                blocks += self._prose(part)
            elif isinstance(part, Media):
                blocks.append(self._media(part))
            elif isinstance(part, ToolResult):
                blocks.append(self._result(part))
            elif isinstance(part, Hosted):
                blocks += self._hosted(part)
        if not blocks and turn.parts:
            self.note("changed:empty_text")
            blocks = [_text(_PLACEHOLDER)]
        return blocks

    def _assistant(self, turn: Turn) -> list[Block]:
        blocks: list[Block] = []
        for part in turn.parts:
            blocks += self._said(part)
        return blocks

    def _said(self, part: Part) -> list[Block]:
        if isinstance(part, Text):
            return self._prose(part)
        if isinstance(part, Refusal):
            return self._prose(Text(text=part.text))
        if isinstance(part, ToolCall):
            return [self._call(part)]
        if isinstance(part, Thinking):
            return self._thought(part)
        if isinstance(part, Hosted):
            return self._hosted(part)
        if isinstance(part, Media):
            self.note("changed:media_position")
            self._drawn.append(self._media(part))
        return []

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _prose(self, part: Text) -> list[Block]:
        if not part.text.strip():
            return []
        if part.citations:
            self.note("dropped:citations")
        return [_marked(_text(part.text), part.cache)]

    def _thought(self, part: Thinking) -> list[Block]:
        sealed = part.sealed
        if sealed is None:
            self.note("dropped:thinking")
            return []
        data = sealed.data if sealed.dialect == NAME and isinstance(sealed.data, Mapping) else {}
        if redacted := data.get("redacted"):
            return [{"type": "redacted_thinking", "data": redacted}]
        if signature := data.get("signature"):
            return [{"type": "thinking", "thinking": part.text, "signature": signature}]
        self.note("dropped:thinking_signature")
        if part.text:
            self.note("dropped:thinking")
        return []

    def _hosted(self, part: Hosted) -> list[Block]:
        if part.sealed.dialect == NAME and isinstance(part.sealed.data, Mapping):
            return [dict(part.sealed.data)]
        self.note(f"dropped:hosted:{part.kind}")
        return []

    def _call(self, part: ToolCall) -> Block:
        arguments = arguments_object(part.arguments, custom=part.custom)
        block = {"type": "tool_use", "id": self._ids.of_call(part.id), "name": tool_name(part.name), "input": arguments}
        return _marked(block, part.cache)

    def _result(self, part: ToolResult) -> Block:
        content: list[Block] = []
        for each in part.content:
            content += self._prose(each) if isinstance(each, Text) else [self._media(each)]
        for inner in content:  # a breakpoint belongs to the result as a whole
            inner.pop("cache_control", None)
        block: Block = {"type": "tool_result", "tool_use_id": self._ids.of_result(part.id)}
        if len(content) == 1 and content[0]["type"] == "text":
            block["content"] = content[0]["text"]
        elif content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return _marked(block, part.cache)

    def _media(self, media: Media) -> Block:
        if media.kind == "image":
            return _marked({"type": "image", "source": _image_source(media)}, media.cache)
        if media.kind != "document":
            raise BadRequest(f"`messages` has a part of a kind that this model does not take: {media.kind}")
        block: Block = {"type": "document", "source": _document_source(media)}
        if media.name:
            block["title"] = media.name
        if media.cites:
            self.cites = True
            block["citations"] = {"enabled": True}
        return _marked(block, media.cache)


def tool_name(name: str) -> str:
    """A tool's name in history, made valid."""
    return name if re.match(r"[a-zA-Z0-9_-]{1,128}\Z", name) else _NOT_IN_ID.sub("_", name)[:128] or "tool"


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _marked(block: Block, mark: CacheMark | None) -> Block:
    if mark is not None:
        block["cache_control"] = {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}
    return block


def _results_first(blocks: list[Block]) -> list[Block]:
    return [*(b for b in blocks if b["type"] == "tool_result"), *(b for b in blocks if b["type"] != "tool_result")]


def _image_source(media: Media) -> Block:
    if media.data:
        if media.media_type not in _IMAGES:
            what = media.media_type or "an unknown type"
            raise BadRequest(f"`messages` has an image that this model does not take: {what} (JPEG, PNG, GIF or WebP)")
        return {"type": "base64", "media_type": media.media_type, "data": media.data}
    return _kept_source(media)


def _kept_source(media: Media) -> Block:
    if media.url.startswith(("http://", "https://")):
        return {"type": "url", "url": media.url}
    if media.file_id and media.origin == NAME:
        return {"type": "file", "file_id": media.file_id}
    raise BadRequest(f"`messages` refers to a {media.kind} that this model's vendor cannot read")


def _document_source(media: Media) -> Block:
    if media.text:
        return {"type": "text", "media_type": "text/plain", "data": media.text}
    if not media.data:
        return _kept_source(media)
    if media.media_type in ("application/pdf", ""):
        return {"type": "base64", "media_type": "application/pdf", "data": media.data}
    if media.media_type.startswith("text/") or media.media_type in ("application/json", "application/xml"):
        try:
            text = binascii.a2b_base64(media.data).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadRequest("`messages` has a text document that is not UTF-8") from None
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise BadRequest(f"`messages` has a document that this model does not take: {media.media_type} (PDF or text)")


def limit_marks(holders: list[Block]) -> list[str]:
    """At most four breakpoints, those that live long before the others; what the API would refuse is taken off. →
    notes."""
    marked = [block for block in holders if "cache_control" in block]
    notes = []
    for block in marked[1:-3] if len(marked) > _MOST_MARKS else []:
        del block["cache_control"]
        notes = ["dropped:cache_control"]
    short = False
    for block in marked:
        mark = block.get("cache_control") or {}
        if mark.get("ttl") == "1h" and short:
            block["cache_control"] = {"type": "ephemeral"}
            notes.append("changed:cache_control")
        short = short or ("cache_control" in block and block["cache_control"].get("ttl") != "1h")
    return list(dict.fromkeys(notes))


_MOST_MARKS = 4

__all__ = ["CONTINUE", "Block", "Ids", "Message", "TurnWriter", "limit_marks", "tool_name"]
