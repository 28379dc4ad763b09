"""Events → chat's chunks, as OpenAI sends them and its SDK's accumulators want them.

The accumulators join deltas: strings are appended, lists of objects are matched by `index`, and choices must begin in
order. So each choice begins with its role (those of a lower number first), every id and name is sent once, pictures
and sealed thoughts are numbered, and annotations come all in one chunk before the choice's end.

The stream's own ending, the usage chunk (only for clients that asked for it) and `[DONE]`, waits for `close`.

Source: https://platform.openai.com/docs/api-reference/chat-streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..values.conversation import Citation
from ..values.errors import GatewayError
from ..values.events import (
    Cited,
    Delta,
    Event,
    Finished,
    PartDone,
    PartKind,
    PartStarted,
    Started,
    UsageSeen,
)
from ..values.usage import Usage
from .dialect import ReplyHead
from .openai_chat_answer import (
    annotation,
    audio_id,
    call_id,
    finish_word,
    image_entry,
    says_less,
    tier_word,
    usage_object,
    wants_function_call,
)
from .openai_chat_thoughts import details_of, reasoning_member
from .openai_errors import encode_error_event

_to_json = msgspec.json.encode

_DONE = b"data: [DONE]\n\n"


class _Part(msgspec.Struct):
    """An open part. number: of a call among the calls of its choice; start, length: of a text in the content."""

    kind: PartKind
    number: int = 0
    start: int = 0
    length: int = 0
    said: bool = False
    texts: list[str] = []
    cited: list[Citation] = []


class _Choice:
    """What has been said of one choice."""

    __slots__ = ("annotations", "calls", "details", "images", "length", "over", "parts", "refused")

    def __init__(self) -> None:
        self.parts: dict[int, _Part] = {}
        self.calls = 0
        self.length = 0
        self.images = 0
        self.details = 0
        self.annotations: list[dict[str, Any]] = []
        self.refused = False
        self.over = False


def encode_stream(head: ReplyHead) -> ChatEncoder:
    """An encoder for one stream."""
    return ChatEncoder(head)


class ChatEncoder:
    """An `EventEncoder`."""

    def __init__(self, head: ReplyHead) -> None:
        self._head = head
        options = head.asked.get("stream_options")
        self._usage_asked = isinstance(options, Mapping) and options.get("include_usage") is True
        self._legacy = wants_function_call(head.asked)
        self._member = reasoning_member(head.query)
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._frame(Started())

    def _frame(self, started: Started) -> None:
        """What every chunk begins and ends with."""
        head = self._head
        said: dict[str, Any] = {
            "id": f"chatcmpl-{head.request_id}",
            "object": "chat.completion.chunk",
            "created": started.created or head.created,
            "model": started.model or head.model,
        }
        if started.fingerprint:
            said["system_fingerprint"] = started.fingerprint
        self._before = b"data: " + _to_json(said)[:-1] + b',"choices":['
        self._after = b'],"usage":null}\n\n' if self._usage_asked else b"]}\n\n"
        self._open = self._before + b'{"index":0,"delta":{'
        self._shut = b'},"logprobs":null,"finish_reason":null}' + self._after

    def feed(self, event: Event) -> bytes:
        """The chunks that an event becomes, b"" for none."""
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, PartStarted):
            return self._part_started(event)
        if isinstance(event, PartDone):
            return self._part_done(event)
        if isinstance(event, Finished):
            return self._finished(event)
        if isinstance(event, UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Started):
            if not self._choices:
                self._frame(event)
        elif isinstance(event, Cited):
            choice = self._choices.get(event.choice)
            part = choice.parts.get(event.index) if choice is not None else None
            if part is not None:
                part.cited.append(event.citation)
        return b""

    def close(self) -> bytes:
        """What ends the stream."""
        out = b"" if self._choices else self._begin(0)
        for number, choice in sorted(self._choices.items()):
            if not choice.over:
                out += self._finished(Finished(finish="unknown", choice=number))
        if self._usage_asked and self._usage is not None:
            block: dict[str, Any] = {"usage": usage_object(self._usage)}
            if tier := tier_word(self._usage):
                block["service_tier"] = tier
            out += self._before + b"]," + _to_json(block)[1:] + b"\n\n"
        return out + _DONE

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """An error event, after which nothing comes."""
        return encode_error_event(error, request_id)

    # -- chunks ---------------------------------------------------------------------------------------------------

    def _chunk(self, choice: int, delta: bytes, logprobs: Any = None) -> bytes:
        """delta: the members of the delta as JSON, without its braces."""
        if choice == 0 and logprobs is None:
            return self._open + delta + self._shut
        said = _to_json(logprobs) if logprobs is not None else b"null"
        middle = b'{"index":%d,"delta":{%b},"logprobs":%b,"finish_reason":null}' % (choice, delta, said)
        return self._before + middle + self._after

    def _begin(self, number: int, kind: str = "") -> bytes:
        """The roles of this choice and of those before it that have said nothing yet."""
        out = b""
        for each in range(number + 1):
            if each not in self._choices:
                self._choices[each] = _Choice()
                content = b'""' if kind == "text" and each == number else b"null"
                out += self._chunk(each, b'"role":"assistant","content":' + content + b',"refusal":null')
        return out

    # -- parts ----------------------------------------------------------------------------------------------------

    def _part_started(self, event: PartStarted) -> bytes:
        out = self._begin(event.choice, event.kind) if event.choice not in self._choices else b""
        choice = self._choices[event.choice]
        part = choice.parts[event.index] = _Part(kind=event.kind, start=choice.length)
        if event.kind not in ("call", "custom_call"):
            choice.refused = choice.refused or event.kind == "refusal"
            return out
        part.number = choice.calls
        choice.calls += 1
        id_ = event.id or call_id(self._head, event.choice, part.number)
        if self._legacy:
            if part.number == 0:
                out += self._chunk(event.choice, b'"function_call":' + _to_json({"name": event.name, "arguments": ""}))
            return out
        kind, member = ("custom", "input") if event.kind == "custom_call" else ("function", "arguments")
        call = {"index": part.number, "id": id_, "type": kind, kind: {"name": event.name, member: ""}}
        return out + self._chunk(event.choice, b'"tool_calls":[' + _to_json(call) + b"]")

    def _delta(self, event: Delta) -> bytes:
        choice = self._choices[event.choice]
        part = choice.parts[event.index]
        text = _to_json(event.text)
        kind = part.kind
        if kind == "text":
            size = len(event.text)
            part.length += size
            choice.length += size
            return self._chunk(event.choice, b'"content":' + text, event.logprobs)
        if kind == "thinking":
            part.texts.append(event.text)
            return self._chunk(event.choice, b'"%b":%b' % (self._member.encode(), text))
        if kind == "refusal":
            return self._chunk(event.choice, b'"refusal":' + text, event.logprobs)
        part.said = True
        return self._arguments(event.choice, part, text)

    def _arguments(self, choice: int, part: _Part, text: bytes) -> bytes:
        if self._legacy:
            return self._chunk(choice, b'"function_call":{"arguments":%b}' % text) if part.number == 0 else b""
        form = (
            b'"tool_calls":[{"index":%d,"custom":{"input":%b}}]'
            if part.kind == "custom_call"
            else b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]'
        )
        return self._chunk(choice, form % (part.number, text))

    def _part_done(self, event: PartDone) -> bytes:
        choice = self._choices[event.choice]
        part = choice.parts.pop(event.index)
        if part.kind == "text":
            end = part.start + part.length
            choice.annotations += [annotation(citation, part.start, end) for citation in part.cited]
        elif part.kind == "thinking" and event.sealed is not None:
            details = details_of("".join(part.texts), event.sealed, choice.details)
            choice.details += len(details)
            return self._chunk(event.choice, b'"reasoning_details":' + _to_json(details))
        elif part.kind == "call" and not part.said:
            return self._arguments(event.choice, part, b'"{}"')
        elif event.media is not None and event.media.kind == "image":
            entry = image_entry(event.media, choice.images)
            choice.images += 1
            return self._chunk(event.choice, b'"images":[' + _to_json(entry) + b"]")
        elif event.media is not None and event.media.kind == "audio":
            sound = {"id": audio_id(self._head), "data": event.media.data, "transcript": event.media.transcript}
            last = {"expires_at": self._head.created}
            return self._chunk(event.choice, b'"audio":' + _to_json(sound)) + self._chunk(
                event.choice, b'"audio":' + _to_json(last)
            )
        return b""

    def _finished(self, event: Finished) -> bytes:
        out = self._begin(event.choice) if event.choice not in self._choices else b""
        choice = self._choices[event.choice]
        choice.over = True
        if choice.annotations:
            out += self._chunk(event.choice, b'"annotations":' + _to_json(choice.annotations))
        word = finish_word(event.finish, called=choice.calls > 0, refused=choice.refused, legacy=self._legacy)
        last: dict[str, Any] = {"index": event.choice, "delta": {}, "logprobs": None, "finish_reason": word}
        if says_less(event.finish) and event.raw_finish:
            last["native_finish_reason"] = event.raw_finish
        return out + self._before + _to_json(last) + self._after
