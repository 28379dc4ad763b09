"""The turns of a conversation → `system` and `messages`.

Converse takes turns of the user and the assistant in alternation, the user's first, with a call's results at the head
of the turn that follows it. Leading system turns are `system`; later ones join them (note `changed:system_position`).
Blank texts are refused there, so they are left out, and a document wants a text beside it. A cache breakpoint is a
block of its own, after what it belongs to. Thoughts go back with Claude's own seals alone.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html (2026-11)
"""

from __future__ import annotations

import base64
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
from ..values.vendor import Traits
from .anthropic_replying import arguments_object
from .anthropic_turns import CONTINUE, Ids, tool_name
from .bedrock_media import MediaWriter
from .bedrock_names import NAME, SEAL, SERVER_TOOL

Block = dict[str, Any]
Group = list[Block]
"""A block, and the cache breakpoint after it if it has one."""

_PLACEHOLDER = "."
"""What stands for a turn that must be there and says nothing."""
_NO_OUTPUT = "(no output)"
_ATTACHED = "The document is attached."
_MOST_NAME = 64


class _Message:
    def __init__(self, role: str, groups: list[Group]) -> None:
        self.role, self.groups = role, groups


class TurnWriter:
    """Writes the turns of one conversation."""

    def __init__(self, traits: Traits) -> None:
        self.system: list[Block] = []
        self.notes: list[str] = []
        self._messages: list[_Message] = []
        self._caches = traits.thinking != ""
        self._seals = traits.thinking != "level"
        self._ids = Ids()
        self._media = MediaWriter()
        self._drawn: list[Group] = []  # pictures of the assistant's, for the user's next turn

    @property
    def messages(self) -> list[Block]:
        """`messages`, once everything is written."""
        return [
            {"role": each.role, "content": [block for group in each.groups for block in group]}
            for each in self._messages
        ]

    def write(self, talk: Conversation) -> None:
        """Raises BadRequest for media that Converse does not take."""
        for turn in talk.turns:
            if turn.role in ("system", "developer"):
                self._system_turn(turn)
            elif turn.role == "user":
                self._add("user", self._user(turn))
            else:
                self._add("assistant", [group for part in turn.parts for group in self._said(part)])
        if self._drawn:
            self.note("dropped:media")
        self._begin_with_user()
        for message in self._messages:
            _describe_documents(message)

    def end_with_user(self) -> None:
        """For models that take no half an answer to go on with."""
        if self._messages[-1].role == "assistant":
            self.note("changed:prefill")
            self._add("user", [[_text(CONTINUE)]])

    def trim_prefill(self) -> None:
        """An answer to go on with that ends in white space is refused."""
        last = self._messages[-1]
        block = last.groups[-1][0]
        if last.role == "assistant" and "text" in block:
            block["text"] = block["text"].rstrip()

    def thinks_before_acting(self) -> bool:
        """Whether the calls that the results at the end answer have their thoughts before them, as a thinking budget
        demands."""
        if len(self._messages) < 2 or not any("toolResult" in group[0] for group in self._messages[-1].groups):
            return True
        return "reasoningContent" in self._messages[-2].groups[0][0]

    def called_tools(self) -> list[str]:
        """Names of the client's tools that were called, each once."""
        return list(dict.fromkeys(used["name"] for used in self._calls() if used.get("type") != SERVER_TOOL))

    def called_system_tools(self) -> list[str]:
        """The same of those that the vendor ran."""
        return list(dict.fromkeys(used["name"] for used in self._calls() if used.get("type") == SERVER_TOOL))

    def _calls(self) -> list[Block]:
        blocks = [group[0] for message in self._messages for group in message.groups]
        return [block["toolUse"] for block in blocks if "toolUse" in block]

    def note(self, code: str) -> None:
        if code not in self.notes:
            self.notes.append(code)

    # -- turns ----------------------------------------------------------------------------------------------------

    def _system_turn(self, turn: Turn) -> None:
        groups: list[Group] = []
        for part in turn.parts:
            if isinstance(part, Text):
                groups += self._prose(part)
            elif isinstance(part, Media):
                raise BadRequest("`messages` has media in a system message, which this model does not take there")
        if groups and self._messages:
            self.note("changed:system_position")
        self.system += [block for group in groups for block in group]

    def _begin_with_user(self) -> None:
        if not self._messages and self.system:
            blocks, self.system = self.system, []
            self.note("changed:system_position")
            self._messages.append(_Message("user", [[block] for block in blocks]))
        if not self._messages or self._messages[0].role != "user":
            self.note("changed:first_turn")
            self._messages.insert(0, _Message("user", [[_text(_PLACEHOLDER)]]))

    def _add(self, role: str, groups: list[Group]) -> None:
        if not groups:
            return
        if self._messages and self._messages[-1].role == role:
            groups = self._messages.pop().groups + groups
        self._messages.append(_Message(role, _results_first(groups) if role == "user" else groups))

    def _user(self, turn: Turn) -> list[Group]:
        groups, self._drawn = self._drawn, []
        for part in turn.parts:
            if isinstance(part, Text):
                groups += self._prose(part)
            elif isinstance(part, Media):
                groups.append(self._marked(self._media.block(part), part.cache))
            elif isinstance(part, ToolResult):
                groups.append(self._result(part))
            elif isinstance(part, Hosted):
                groups += self._hosted(part)
        if not groups and turn.parts:
            self.note("changed:empty_text")
            groups = [[_text(_PLACEHOLDER)]]
        return groups

    def _said(self, part: Part) -> list[Group]:
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
            self._drawn.append(self._marked(self._media.block(part), part.cache))
        return []

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _marked(self, block: Block, mark: CacheMark | None) -> Group:
        if mark is None:
            return [block]
        if not self._caches:
            self.note("dropped:cache_control")
            return [block]
        return [block, cache_point(mark)]

    def _prose(self, part: Text) -> list[Group]:
        if not part.text.strip():
            return []
        if part.citations:
            self.note("dropped:citations")
        return [self._marked(_text(part.text), part.cache)]

    def _thought(self, part: Thinking) -> list[Group]:
        sealed = part.sealed
        if sealed is None:
            self.note("dropped:thinking")
            return []
        ours = sealed.dialect == SEAL and self._seals and isinstance(sealed.data, Mapping)
        data = sealed.data if ours else {}
        if redacted := data.get("redacted"):
            return [[_redacted(base64.b64encode(str(redacted).encode()).decode())]]
        if content := data.get("redacted_content"):
            return [[_redacted(str(content))]]
        if signature := data.get("signature"):
            return [[{"reasoningContent": {"reasoningText": {"text": part.text, "signature": signature}}}]]
        self.note("dropped:thinking_signature")
        if part.text:
            self.note("dropped:thinking")
        return []

    def _hosted(self, part: Hosted) -> list[Group]:
        if part.sealed.dialect == NAME and isinstance(part.sealed.data, Mapping):
            return [[dict(part.sealed.data)]]
        self.note(f"dropped:hosted:{part.kind}")
        return []

    def _call(self, part: ToolCall) -> Group:
        used = {
            "toolUseId": self._ids.of_call(part.id),
            "name": tool_name(part.name)[:_MOST_NAME],
            "input": arguments_object(part.arguments, custom=part.custom),
        }
        return self._marked({"toolUse": used}, part.cache)

    def _result(self, part: ToolResult) -> Group:
        content: list[Block] = []
        for each in part.content:
            if isinstance(each, Media):
                if each.kind == "audio":
                    raise BadRequest("`messages` has sound in a tool's result, which this model does not take there")
                content.append(self._media.block(each))
            elif each.text.strip():
                content.append(_text(each.text))
        result: Block = {
            "toolUseId": self._ids.of_result(part.id),
            "content": content or [_text(_NO_OUTPUT)],
        }
        if part.is_error:
            result["status"] = "error"
        return self._marked({"toolResult": result}, part.cache)


def cache_point(mark: CacheMark) -> Block:
    point: Block = {"type": "default"}
    if mark.ttl in ("5m", "1h"):
        point["ttl"] = mark.ttl
    return {"cachePoint": point}


def _text(text: str) -> Block:
    return {"text": text}


def _redacted(data: str) -> Block:
    return {"reasoningContent": {"redactedContent": data}}


def _results_first(groups: list[Group]) -> list[Group]:
    return [*(g for g in groups if "toolResult" in g[0]), *(g for g in groups if "toolResult" not in g[0])]


def _describe_documents(message: _Message) -> None:
    """A turn with a document must say something, too."""
    first = [group[0] for group in message.groups]
    if any("document" in block for block in first) and not any("text" in block for block in first):
        at = next(number for number, block in enumerate(first) if "document" in block)
        message.groups.insert(at, [_text(_ATTACHED)])
