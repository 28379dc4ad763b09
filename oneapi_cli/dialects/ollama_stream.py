"""Ollama's stream: a JSON object a line, each with more of the message; the last says `done` and how much was used.

Source: https://docs.ollama.com/api/streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..framing.sse import Frame
from ..values.conversation import Media
from ..values.events import Event, Failed, Started, UsageSeen
from ..values.vendor import Quirks
from .ollama_parts import FINISHES, arguments_of, error_of, logprobs_of, usage_of
from .parts import PartWriter
from .vendor_values import decoded_object, object_of, objects_of, seconds_of, text_of


def decode_stream(quirks: Quirks) -> Decoder:
    return Decoder()


class Decoder:
    """An `EventDecoder`."""

    def __init__(self) -> None:
        self._writer = PartWriter()
        self._started = False
        self._done = False

    def feed(self, frame: Frame) -> list[Event]:
        """Raises Malformed for what is not a JSON object. What follows `done` is nothing."""
        if not frame.data or self._done:
            return []
        said = decoded_object(frame.data, "a line")
        if error := error_of(said):
            return [Failed(message=error)]
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started(model=text_of(said.get("model")), created=seconds_of(said.get("created_at"))))
        message = said.get("message")
        if isinstance(message, dict):
            events += self._more(message, said.get("logprobs"))
        if said.get("done") is True:
            events += self._end(said)
        return events

    def close(self) -> list[Event]:
        return self._writer.end()

    def _more(self, message: Mapping[str, Any], logprobs: object) -> list[Event]:
        writer = self._writer
        events: list[Event] = []
        if thought := text_of(message.get("thinking")):
            events += writer.thinking(thought)
        if text := text_of(message.get("content")):
            events += writer.text(text, None if logprobs is None else logprobs_of(logprobs))
        images = message.get("images")
        for image in images if isinstance(images, list) else ():
            if isinstance(image, str):
                events += writer.media(Media(kind="image", data=image))
        for call in objects_of(message.get("tool_calls")):
            function = object_of(call.get("function"))
            events += writer.whole_call(
                id=text_of(call.get("id")),
                name=text_of(function.get("name")),
                arguments=arguments_of(function.get("arguments")),
            )
        return events

    def _end(self, said: Mapping[str, Any]) -> list[Event]:
        self._done = True
        events: list[Event] = self._writer.end()
        if (usage := usage_of(said)) is not None:
            events.append(UsageSeen(usage=usage))
        raw = text_of(said.get("done_reason"))
        finish = "tool_calls" if self._writer.called else FINISHES.get(raw, "stop")
        return [*events, *self._writer.finish(finish, raw=raw)]
