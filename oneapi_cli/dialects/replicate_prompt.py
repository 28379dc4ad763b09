"""A conversation as one text, for models that take a prompt.

One user's turn alone is the prompt itself. Anything longer is a transcript, which ends where the model goes on:

    System: Be brief.

    User: What is the weather in Paris?

    Assistant: [called weather with {"city":"Paris"}]

    User: [weather answered: 18 °C]

    Assistant:

An assistant's turn at the end is one to be continued: nothing follows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..values.conversation import (
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
from .calls import CallIds, merged
from .remainder import document_text, result_text

_SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "System", "developer": "System"}


class Script:
    """The texts of a conversation. system: its leading system turns; rest: what follows, as (role, text)."""

    def __init__(self, talk: Conversation) -> None:
        self._ids = CallIds(talk.turns)
        self.notes: list[str] = []
        self.media: list[Media] = []
        turns = merged(talk.turns)
        leading = next((n for n, turn in enumerate(turns) if turn.role in ("user", "assistant")), len(turns))
        self.system = "\n\n".join(text for turn in turns[:leading] if (text := self._text(turn)))
        said = [(turn.role, self._text(turn)) for turn in turns[leading:]]
        self.rest = [(role, text) for role, text in said if text]

    def prompt(self, *, with_system: bool) -> str:
        """The whole as one text."""
        system = self.system if with_system else ""
        if [role for role, _ in self.rest] == ["user"]:
            return "\n\n".join(text for text in (system, self.rest[0][1]) if text)
        lines = [f"System: {system}"] if system else []
        lines += [f"{_SPEAKERS[role]}: {text}" for role, text in self.rest]
        if not self.rest or self.rest[-1][0] != "assistant":
            lines.append("Assistant:")
        return "\n\n".join(lines)

    def messages(self) -> list[dict[str, str]]:
        """The whole as messages of a role and a text each."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        return messages + [
            {"role": "system" if role == "developer" else role, "content": text} for role, text in self.rest
        ]

    def _text(self, turn: Turn) -> str:
        return "\n\n".join(self._texts(turn.parts))

    def _texts(self, parts: Sequence[Part]) -> list[str]:
        texts: list[str] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                texts.append(part.text)
            elif isinstance(part, Media):
                self._see(part, texts)
            elif isinstance(part, ToolCall):
                texts.append(f"[called {part.name} with {part.arguments}]")
            elif isinstance(part, ToolResult):
                texts.append(f"[{self._ids.name_of(part) or 'the tool'} answered: {result_text(part)}]")
                self.media += [inner for inner in part.content if isinstance(inner, Media) and not inner.text]
            elif isinstance(part, Thinking):
                self.notes.append("dropped:thinking" if part.sealed is None else "dropped:thinking_signature")
            elif isinstance(part, Hosted):
                self.notes.append(f"dropped:hosted:{part.kind}")
        return [text for text in texts if text]

    def _see(self, media: Media, texts: list[str]) -> None:
        if media.text:
            texts.append(document_text(media.name, media.text))
        elif media.transcript:
            texts.append(media.transcript)
        else:
            self.media.append(media)
