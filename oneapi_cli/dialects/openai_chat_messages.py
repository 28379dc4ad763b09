"""Turns → the messages that chat vendors take.

What the format demands and the conversation does not know: results stand directly after the calls that they answer,
one message each and text alone, so a picture that a tool came to goes into the user's message after them; call ids have
at most 40 characters; an assistant's message holds no pictures. Text goes as a plain string wherever it stands alone:
not every vendor takes arrays.

What belongs to one vendor returns to this dialect as it came: `reasoning_details` (OpenRouter) and `extra_content`
(Google's OpenAI path, which refuses a call without its signature). Thoughts as text are sent back only to vendors whose
`Quirks.takes` names a member for them.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from ..values.conversation import Hosted, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult, Turn
from ..values.vendor import Quirks
from .openai_chat_media import DIALECT, data_url, media_part
from .openai_chat_thoughts import MEMBERS

Message = dict[str, Any]

_LONGEST_ID = 40
_PLAIN_ID = re.compile(r"[a-zA-Z0-9]*")

_ERROR = "Error: "
_ELSEWHERE = "The result is in the message after this one."
_BRIDGE = "OK"


def messages_of(turns: Sequence[Turn], quirks: Quirks, notes: list[str]) -> list[Message]:
    """`messages`; notes are added to. Raises BadRequest for media that no message can carry."""
    writer = _Writer(quirks, notes)
    for role, run in groupby(turns, key=lambda turn: "system" if turn.role == "developer" else turn.role):
        if role == "user":
            writer.users(list(run))
        elif role == "assistant":
            for turn in run:
                writer.assistant(turn)
        else:
            for turn in run:
                writer.system(turn)
    writer.flush()
    return writer.messages


class _Writer:
    """Messages so far, and pictures that wait for the next message of a user's."""

    def __init__(self, quirks: Quirks, notes: list[str]) -> None:
        self.messages: list[Message] = []
        self._quirks = quirks
        self._notes = notes
        self._marks = "cache_control" in quirks.takes
        self._thoughts = next((name for name in MEMBERS if name in quirks.takes), "")
        self._names = "name" not in quirks.refuses
        self._waiting: list[Part] = []

    def system(self, turn: Turn) -> None:
        """As `system`: who takes `developer` gets it from the model's own traits, when the request is rewritten."""
        texts = [part for part in turn.parts if isinstance(part, Text)]
        self._waiting += [part for part in turn.parts if isinstance(part, Media)]
        if texts:
            self.messages.append({"role": "system", "content": self._content(texts), **self._name(turn)})

    def users(self, run: Sequence[Turn]) -> None:
        """Turns of a user's in a row: all results first, then what else they say."""
        for turn in run:
            for part in turn.parts:
                if isinstance(part, ToolResult):
                    self._result(part)
                elif isinstance(part, Hosted):
                    self._notes.append(f"dropped:hosted:{part.kind}")
        for turn in run:
            parts = [part for part in turn.parts if isinstance(part, Text | Media)]
            self._user(parts, turn)

    def _user(self, parts: Sequence[Text | Media], turn: Turn) -> None:
        waiting, self._waiting = self._waiting, []
        if parts or waiting:
            if self._quirks.answers_tools and self.messages and self.messages[-1]["role"] == "tool":
                self.messages.append({"role": "assistant", "content": _BRIDGE})
            self.messages.append({"role": "user", "content": self._content([*waiting, *parts]), **self._name(turn)})

    def flush(self) -> None:
        """What still waits, in a message of its own; not after the model's own beginning of its answer."""
        if self._waiting and self.messages[-1:] and self.messages[-1]["role"] == "assistant":
            self._notes.append("dropped:images")
        elif self._waiting:
            self._user((), Turn(role="user", parts=()))

    def _result(self, result: ToolResult) -> None:
        texts = [part.text for part in result.content if isinstance(part, Text)]
        others = [part for part in result.content if isinstance(part, Media)]
        plain = [part for part in others if part.text]
        texts += [f"{part.name}\n\n{part.text}" if part.name else part.text for part in plain]
        media = [part for part in others if not part.text]
        text = "\n\n".join(texts)
        if media:
            named = f" of `{result.name}`" if result.name else ""
            self._waiting += [Text(text=f"Result{named} ({result.id}):"), *media]
            text = text or _ELSEWHERE
        self.messages.append(
            {
                "role": "tool",
                "tool_call_id": self._id(result.id),
                "content": f"{_ERROR}{text}" if result.is_error else text,
            }
        )
        if result.cache is not None:
            self._notes.append("dropped:cache_control")

    def assistant(self, turn: Turn) -> None:
        """One turn of the model's as one message; nothing where it says nothing."""
        texts = [part for part in turn.parts if isinstance(part, Text)]
        refused = [part.text for part in turn.parts if isinstance(part, Refusal)]
        text = "".join([*(part.text for part in texts), *refused])
        message: Message = {"role": "assistant", "content": text or None, **self._name(turn)}
        calls = {part.id: self._call(part) for part in turn.parts if isinstance(part, ToolCall)}
        if calls:
            message["tool_calls"] = list(calls.values())
        self._add_thoughts(message, calls, [part for part in turn.parts if isinstance(part, Thinking)])
        self._leave_out(turn.parts, texts)
        if len(message) > 2 or message["content"] is not None:
            self.messages.append(message)

    def _call(self, call: ToolCall) -> Message:
        if call.custom:
            held = {"name": call.name, "input": call.arguments}
            return {"id": self._id(call.id), "type": "custom", "custom": held}
        held = {"name": call.name, "arguments": call.arguments or "{}"}
        return {"id": self._id(call.id), "type": "function", "function": held}

    def _id(self, id_: str) -> str:
        """The id that this vendor is given for a call: the same one every time."""
        exact = self._quirks.call_id_length
        if exact:
            fits = len(id_) == exact and _PLAIN_ID.fullmatch(id_) is not None
            return id_ if fits else hashlib.sha256(id_.encode()).hexdigest()[:exact]
        if 0 < len(id_) <= _LONGEST_ID:
            return id_
        return "call_" + hashlib.sha256(id_.encode()).hexdigest()[: _LONGEST_ID - 5]

    def _add_thoughts(self, message: Message, calls: dict[str, Message], thoughts: Iterable[Thinking]) -> None:
        texts: list[str] = []
        details: list[Any] = []
        for thought in thoughts:
            own = self._own(thought)
            if isinstance(own.get("reasoning_details"), list):
                details += own["reasoning_details"]
                continue
            if own.get("extra_content"):
                (calls.get(own.get("call") or "", message))["extra_content"] = own["extra_content"]
            elif thought.sealed is not None:
                self._notes.append("dropped:thinking_signature")
            if thought.text and self._thoughts:
                texts.append(thought.text)
            elif thought.text:
                self._notes.append("dropped:thinking")
        if texts or (calls and self._thoughts == MEMBERS[0]):  # DeepSeek wants it beside calls, be it empty
            message[self._thoughts] = "".join(texts)
        if details:
            message["reasoning_details"] = details

    def _own(self, thought: Thinking) -> Message:
        """What this dialect itself sealed, as far as this vendor takes it."""
        sealed = thought.sealed
        if sealed is None or sealed.dialect != DIALECT or not isinstance(sealed.data, dict):
            return {}
        return {name: value for name, value in sealed.data.items() if name not in self._quirks.refuses}

    def _leave_out(self, parts: Iterable[Part], texts: Iterable[Text]) -> None:
        """What an assistant's message has no place for: pictures wait for the next user's, the rest is noted."""
        for part in parts:
            if isinstance(part, Hosted):
                self._notes.append(f"dropped:hosted:{part.kind}")
            elif isinstance(part, Media) and part.kind == "image":
                self._waiting += [Text(text="A picture that the assistant made:"), part]
                self._notes.append("changed:images")
            elif isinstance(part, Media):
                self._notes.append(f"dropped:{part.kind}")
        if any(text.citations for text in texts):
            self._notes.append("dropped:citations")
        if any(text.cache for text in texts):
            self._notes.append("dropped:cache_control")

    # -- content --------------------------------------------------------------------------------------------------

    def _content(self, parts: Sequence[Part]) -> str | list[Message]:
        """A string where there is text alone, else an array of parts."""
        marked = any(isinstance(part, Text | Media) and part.cache is not None for part in parts)
        if marked and not self._marks:
            self._notes.append("dropped:cache_control")
            marked = False
        texts = [part.text for part in parts if isinstance(part, Text)]
        if len(texts) == len(parts) and not marked:
            return "\n\n".join(texts)
        return [self._part(part) for part in parts if isinstance(part, Text | Media)]

    def _part(self, part: Text | Media) -> Message:
        found: Message = {"type": "text", "text": part.text} if isinstance(part, Text) else self._media(part)
        if part.cache is not None and self._marks:
            found["cache_control"] = {"type": "ephemeral", **({"ttl": part.cache.ttl} if part.cache.ttl else {})}
        return found

    def _media(self, media: Media) -> Message:
        if media.kind == "video" and "video_url" in self._quirks.takes and not media.file_id:
            return {"type": "video_url", "video_url": {"url": media.url or data_url(media, "video/mp4")}}
        if media.kind == "document" and "document_url" in self._quirks.takes and (media.url or media.data):
            url = media.url or data_url(media, "application/pdf")
            return {
                "type": "document_url",
                "document_url": url,
                **({"document_name": media.name} if media.name else {}),
            }
        if media.kind == "document" and media.url and "file_url" in self._quirks.takes:
            return {"type": "file", "file": {"filename": media.name or "document.pdf", "file_data": media.url}}
        return media_part(media)

    def _name(self, turn: Turn) -> Message:
        if turn.name and not self._names:
            self._notes.append("dropped:name")
            return {}
        return {"name": turn.name} if turn.name else {}
