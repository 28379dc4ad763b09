"""What chat vendors answer → a reply, or events.

OpenAI, and twenty more who mean to be compatible. Generous where they differ (`openai_chat_words` and
`openai_chat_choice` say how), strict in two things: an error inside a 200 is an error, and a stream that just stops is
not finished. It is over when the vendor says `[DONE]`, or has given every choice its finish reason, or has sent the
event with usage and no choices that stands last.

Source: https://platform.openai.com/docs/api-reference/chat-streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ..framing.sse import Frame
from ..values.conversation import Choice, Reply
from ..values.errors import Malformed
from ..values.events import Event, Failed, Started, UsageSeen
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import VendorError
from .openai_chat_choice import ChoiceReader
from .openai_chat_words import failure_in, sources_in, usage_in
from .openai_errors import error_in
from .openai_fields import MOST_OUTPUTS
from .openai_stream import DONE
from .parts import collect

_json = msgspec.json.Decoder()


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """A whole body. VendorError for a 200 that carries an error; raises Malformed for one without choices."""
    error = failure_in(payload)
    if error is not None:
        return error
    listed = payload.get("choices")
    choices = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    if not choices:
        raise Malformed("The upstream's answer has no `choices`")
    head = _head(payload)
    return Reply(
        id=head.id,
        model=head.model,
        created=head.created,
        fingerprint=head.fingerprint,
        choices=[_choice(each, payload) for each in choices],
        usage=usage_in(payload, choices, quirks),
    )


def _choice(fields: Mapping[str, Any], payload: Mapping[str, Any]) -> Choice:
    reader = ChoiceReader()
    found = collect([*reader.feed(fields, whole=True), *reader.finish(sources_in(payload))]).choices[0]
    logprobs = fields.get("logprobs")
    return replace(found, logprobs=logprobs) if isinstance(logprobs, dict) else found


def _head(payload: Mapping[str, Any]) -> Started:
    created = payload.get("created")
    if isinstance(created, float):
        created = int(created)
    return Started(
        id=_text(payload.get("id")),
        model=_text(payload.get("model")),
        created=created if isinstance(created, int) else 0,
        fingerprint=_text(payload.get("system_fingerprint")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def decode_stream(quirks: Quirks) -> ChatDecoder:
    """A decoder for `data: {…}` chunks that end with `data: [DONE]`."""
    return ChatDecoder(quirks)


class ChatDecoder:
    """An `EventDecoder`. Raises Malformed for data that is not JSON; JSON of another shape is passed over."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._usage_member = quirks.usage_member.partition(".")[0]
        self._readers: dict[int, ChoiceReader] = {}
        self._started = False
        self._over = False
        self._ended_by_usage = False
        self._usage: Usage | None = None
        self._sources: Mapping[str, Any] = {}

    def feed(self, frame: Frame) -> list[Event]:
        """One event of the stream."""
        if self._over or not frame.data:
            return []
        if frame.data.strip() == DONE:
            return self._end()
        chunk = _decoded(frame.data)
        if chunk is None:
            return []
        choices = chunk.get("choices")
        if choices is None or frame.event == "error" or chunk.get("error") or chunk.get("base_resp"):
            error = error_in(chunk) if frame.event == "error" else failure_in(chunk)
            if error is not None:
                return self._fail(error)
        events = [] if self._started else self._start(chunk, choices)
        if "citations" in chunk or "search_results" in chunk:
            self._sources = chunk
        counts = bool(chunk.get("usage") or chunk.get("x_groq") or chunk.get(self._usage_member))
        for place, choice in enumerate(choices if isinstance(choices, list) else ()):
            if not isinstance(choice, dict):
                continue
            if choice.get("error"):
                error = failure_in({"choices": [choice]})
                return [*events, *(self._fail(error) if error is not None else ())]
            events += self._reader(choice, place).feed(choice)
            self._ended_by_usage = False  # usage that more comes after has ended nothing
            counts = counts or choice.get("usage") is not None
        return events + self._count(chunk, choices) if counts else events

    def close(self) -> list[Event]:
        """The stream has ended: `Finished` where that is what the vendor meant, else what is open is closed and no more
        is said."""
        if self._over:
            return []
        readers = self._readers.values()
        if readers and (self._ended_by_usage or all(reader.is_over for reader in readers)):
            return self._end()
        self._over = True
        return [event for _, reader in sorted(self._readers.items()) for event in reader.end()]

    def _start(self, chunk: Mapping[str, Any], choices: object) -> list[Event]:
        """The head, from the first chunk that is one: Azure's first has neither id nor choices."""
        if not choices and not chunk.get("id"):
            return []
        self._started = True
        return [_head(chunk)]

    def _reader(self, choice: Mapping[str, Any], place: int) -> ChoiceReader:
        index = choice.get("index")
        number = index if isinstance(index, int) and 0 <= index < MOST_OUTPUTS else place
        reader = self._readers.get(number)
        if reader is None:
            reader = self._readers[number] = ChoiceReader(number)
        return reader

    def _count(self, chunk: Mapping[str, Any], choices: Any) -> list[Event]:
        """Usage, where there is news of it. Zeros in the middle are what some vendors fill a form with."""
        listed = choices if isinstance(choices, list) else []
        usage = usage_in(chunk, listed, self._quirks)
        if usage is None or (self._usage is not None and usage.raw == self._usage.raw):
            return []
        if not any(usage.counts.values()) and (self._usage is not None or listed):
            return []
        self._ended_by_usage = self._ended_by_usage or not listed
        self._usage = usage
        return [UsageSeen(usage=usage)]

    def _fail(self, error: VendorError) -> list[Event]:
        self._over = True
        return [Failed(message=error.message, type=error.type or "", code=error.code or "", status=error.status)]

    def _end(self) -> list[Event]:
        self._over = True
        readers = self._readers or {0: ChoiceReader()}
        events: list[Event] = []
        for number, reader in sorted(readers.items()):
            events += reader.finish(sources_in(self._sources) if number == 0 else ())
        return events


def _decoded(data: bytes) -> dict[str, Any] | None:
    """A chunk; Google's OpenAI path wraps an error in an array. None for JSON that is no object."""
    try:
        chunk = _json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise Malformed("The upstream sent an event whose data is not JSON") from None
    if isinstance(chunk, list) and chunk:
        chunk = chunk[0]
    return chunk if isinstance(chunk, dict) else None
