"""Cohere's stream: server-sent events whose data says its own `type`.

    message-start (content-start content-delta* content-end | tool-plan-delta* | tool-call-start tool-call-delta*
    tool-call-end | citation-start citation-end)* message-end

Citations may come after the end of the text that they belong to, so a text ends only where something else begins.
Source: https://docs.cohere.com/v2/docs/streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..framing.sse import Frame
from ..values.events import Event, Failed, Noted, Started, UsageSeen
from ..values.vendor import Quirks
from .cohere_chat_parts import FINISHES, citations_of, in_plan, logprobs_of, sealed, usage_of
from .parts import PartWriter
from .vendor_values import decoded_object, object_of, objects_of, place_of, text_of

_DONE = b"[DONE]"


def decode_stream(quirks: Quirks) -> Decoder:
    return Decoder()


class Decoder:
    """An `EventDecoder`."""

    def __init__(self) -> None:
        self._writer = PartWriter()
        self._in_text = False
        self._thought: list[str] = []  # the open thought, kept for its seal
        self._kind: Literal["thinking", "tool_plan"] = "thinking"
        self._read: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], list[Event]]] = {
            "message-start": self._message_start,
            "content-start": self._content_start,
            "content-delta": self._content,
            "content-end": self._content_end,
            "tool-plan-delta": self._plan,
            "tool-call-start": self._call_start,
            "tool-call-delta": self._call_delta,
            "tool-call-end": self._call_end,
            "citation-start": self._cite,
            "message-end": self._message_end,
            "error": self._error,
        }

    def feed(self, frame: Frame) -> list[Event]:
        """Raises Malformed for what is not a JSON object."""
        if frame.data is None or frame.data == _DONE:
            return []
        said = decoded_object(frame.data, "an event")
        kind = said.get("type")
        read = self._read.get(kind) if isinstance(kind, str) else self._error
        return [] if read is None else read(said, object_of(object_of(said.get("delta")).get("message")))

    def close(self) -> list[Event]:
        return [*self._end_thought(), *self._writer.end()]

    def _message_start(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        return [Started(id=text_of(said.get("id")))]

    def _content_start(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        return [*self._end_thought(), *self._writer.end_prose(), *self._content(said, message)]

    def _content(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        content = object_of(message.get("content"))
        if thought := text_of(content.get("thinking")):
            return self._think("thinking", thought)
        text, logprobs = text_of(content.get("text")), said.get("logprobs")
        if not text and logprobs is None:
            return []
        events = self._end_thought()
        self._in_text = True
        return [*events, *self._writer.text(text, logprobs_of(logprobs))]

    def _content_end(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        return self._end_thought()

    def _plan(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        return self._think("tool_plan", text_of(message.get("tool_plan")))

    def _call_start(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        events = self._end_thought()
        self._in_text = False
        for call in objects_of(message.get("tool_calls")):
            function = object_of(call.get("function"))
            key = place_of(said.get("index"))
            events += self._writer.end_call(key)
            events += self._writer.call(key, id=text_of(call.get("id")), name=text_of(function.get("name")))
            events += self._writer.arguments(key, text_of(function.get("arguments")))
        return events

    def _call_delta(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        for call in objects_of(message.get("tool_calls")):
            more = text_of(object_of(call.get("function")).get("arguments"))
            events += self._writer.arguments(place_of(said.get("index")), more)
        return events

    def _call_end(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        return self._writer.end_call(place_of(said.get("index")))

    def _cite(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        for citation in objects_of(message.get("citations")):
            if in_plan(citation) or not self._in_text:
                events.append(Noted(notes=("dropped:citations",)))
            else:
                for each in citations_of(citation):
                    events += self._writer.cite(each)
        return events

    def _message_end(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        delta = object_of(said.get("delta"))
        events = self.close()
        if (usage := usage_of(delta.get("usage"))) is not None:
            events.append(UsageSeen(usage=usage))
        raw = text_of(delta.get("finish_reason"))
        finish = FINISHES.get(raw.upper(), "unknown")
        if finish == "error":
            why = text_of(delta.get("error")) or f"The upstream could not finish its reply ({raw})"
            return [*events, Failed(message=why, code=raw.lower())]
        return [*events, *self._writer.finish("tool_calls" if self._writer.called else finish, raw=raw)]

    def _error(self, said: Mapping[str, Any], message: Mapping[str, Any]) -> list[Event]:
        """An error body where an event was due; anything else without a type is nothing that we know."""
        why = text_of(said.get("message")) or text_of(said.get("error"))
        return [Failed(message=why)] if why else []

    def _think(self, kind: Literal["thinking", "tool_plan"], text: str) -> list[Event]:
        events: list[Event] = self._end_thought() if kind != self._kind else []
        self._kind, self._in_text = kind, False
        if text:
            self._thought.append(text)
        return [*events, *self._writer.thinking(text)]

    def _end_thought(self) -> list[Event]:
        if not self._thought:
            return []
        text, self._thought = "".join(self._thought), []
        return self._writer.seal(sealed(self._kind, text))
