"""Events → the Responses API's own, whole: every item is added, filled and done, under rising sequence numbers.

A message lasts until something else begins, so text and thoughts that alternate are items in the order in which they
were said. The terminal event waits for `close`. A stream that breaks ends with `response.failed`, not with an `error`
event: the official SDK hands out either without raising, but only the former carries the response that was begun, and
Codex reads only the former.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..values.conversation import FinishReason, Hosted, Media, Reply
from ..values.errors import GatewayError
from ..values.events import Cited, Delta, Event, Finished, PartDone, PartKind, PartStarted, Started, UsageSeen
from ..values.usage import Usage
from .dialect import ReplyHead
from .openai_responses_calls import Calls
from .openai_responses_content import DIALECT
from .openai_responses_object import Json, end_response, fail_response, response_object
from .openai_responses_prose import Messages, Outlet, Thoughts
from .openai_responses_tools import read_toolbox
from .parts import events_of

_encode = msgspec.json.Encoder().encode

_CUT: frozenset[FinishReason] = frozenset({"length", "context"})
_PROSE: dict[PartKind, str] = {"text": "output_text", "refusal": "refusal"}
_PICTURES = frozenset({"png", "webp", "jpeg", "gif"})


class Writer:
    """One reply. What its methods return are events as plain objects, in order; `response` is whole after `end`."""

    def __init__(self, head: ReplyHead) -> None:
        self._head = head
        self._outlet = Outlet(head.request_id)
        self._messages = Messages(self._outlet)
        self._thoughts = Thoughts(self._outlet)
        self._calls = Calls(self._outlet, read_toolbox(head.asked).known)
        self._prose: dict[int, str] = {}
        self._usage: Usage | None = None
        self._over: Finished | None = None
        self.response: Json = {}

    def write(self, event: Event) -> list[Json]:
        """What an event comes to. Other choices than the first have no place here."""
        if getattr(event, "choice", 0):
            return []
        if isinstance(event, Delta):
            return self._more(event)
        found = self._begin(event)
        if isinstance(event, Finished):
            self._over = event
            return found + self._finish(event)
        found += self._calls.flush()
        if isinstance(event, PartStarted):
            found += self._start(event)
        elif isinstance(event, Cited):
            found += self._messages.cite(event.citation) if event.index in self._prose else []
        elif isinstance(event, PartDone):
            found += self._done(event)
        elif isinstance(event, UsageSeen):
            self._usage = event.usage
        return found

    def frame(self, event: Delta) -> bytes:
        """An event that is nothing but more of an open text, as it is on the wire; b"" where there is more to it."""
        kind = self._prose.get(event.index)
        if kind is None or not event.text or event.logprobs is not None or event.choice or self._calls.is_waiting:
            return b""
        return self._messages.frame(kind, event.text)

    def end(self) -> list[Json]:
        """What is still open, and the terminal event."""
        found = self._begin(None)
        over = self._over
        if over is None:
            over = Finished(finish="unknown")
            found += self._finish(over)
        self.response["output"] = self._outlet.output()
        end_response(self.response, over.finish, over.explanation, self._usage)
        return [*found, self._outlet.event(f"response.{self.response['status']}", response=self.response)]

    def fail(self, error: GatewayError, request_id: str) -> list[Json]:
        """The end of a stream that broke. Nothing half-said is announced as done: a client might act on it."""
        found = self._begin(None) + self._calls.flush()
        number = self._outlet.number
        self._thoughts.end_all()
        self._messages.end("incomplete")
        self._outlet.number = number
        fail_response(self.response, error, request_id, self._usage)
        self.response["output"] = self._outlet.output()
        return [*found, self._outlet.event("response.failed", response=self.response)]

    def _begin(self, event: Event | None) -> list[Json]:
        if self.response:
            return []
        started = event if isinstance(event, Started) else Started()
        self.response = response_object(self._head, started.model, started.created)
        names = ("response.created", "response.in_progress")
        return [self._outlet.event(name, response=dict(self.response)) for name in names]

    def _start(self, event: PartStarted) -> list[Json]:
        if event.kind in _PROSE:
            self._prose[event.index] = _PROSE[event.kind]
            self._messages.begin()
            return []
        if event.kind == "thinking":
            return self._messages.end("completed") + self._thoughts.begin(event.index)
        if event.kind in ("call", "custom_call"):
            custom = event.kind == "custom_call"
            ended = self._messages.end("completed")
            return ended + self._calls.begin(event.index, event.id, event.name, custom=custom)
        return []

    def _more(self, event: Delta) -> list[Json]:
        found = self._begin(None) if not self.response else []
        if self._calls.is_waiting:
            found += self._calls.flush()
        kind = self._prose.get(event.index)
        if kind is not None:
            if event.text or event.logprobs is not None:
                found += self._messages.more(kind, event.text, event.logprobs)
        elif event.index in self._calls:
            found += self._calls.more(event.index, event.text)
        elif event.index in self._thoughts and event.text:
            found += self._thoughts.more(event.index, event.text)
        return found

    def _done(self, event: PartDone) -> list[Json]:
        index = event.index
        if index in self._prose:
            del self._prose[index]
            return self._messages.end_text()
        if index in self._calls:
            self._calls.end(index)
            return []
        if index in self._thoughts:
            return self._thoughts.end(index, event.sealed)
        if event.media is not None:
            return self._media(event.media)
        return self._hosted(event.hosted) if event.hosted is not None else []

    def _finish(self, over: Finished) -> list[Json]:
        status = "incomplete" if over.finish in _CUT else "completed"
        found = self._thoughts.end_all() + self._calls.end_all(status)
        if over.finish == "refusal" and over.explanation and not self._outlet.items:
            found += self._messages.more("refusal", over.explanation, None)
        return found + self._messages.end(status)

    def _media(self, media: Media) -> list[Json]:
        """A picture as the image tool's call; one at a URL, and what a sound says, as text: there is no item for
        them."""
        if media.kind != "image" or not media.data:
            text = f"![image]({media.url})" if media.kind == "image" and media.url else media.transcript or media.text
            self._messages.begin()
            return self._messages.more("output_text", text, None) if text else []
        item: Json = {"type": "image_generation_call", "status": "in_progress", "result": None}
        ended = self._messages.end("completed")
        id, output, added = self._outlet.add("ig", item)
        found = [*ended, added]
        place: Json = {"item_id": id, "output_index": output}
        for step in ("in_progress", "generating", "completed"):
            found.append(self._outlet.event(f"response.image_generation_call.{step}", **place))
        done = {"id": id, **item, "status": "completed", "result": media.data}
        form = media.media_type.removeprefix("image/")
        if form in _PICTURES:
            done["output_format"] = form
        return [*found, self._outlet.done(output, done)]

    def _hosted(self, hosted: Hosted) -> list[Json]:
        """An item of this dialect as it came; what other vendors ran has no item here."""
        item = hosted.sealed.data
        if hosted.sealed.dialect != DIALECT or not isinstance(item, dict) or not item.get("id"):
            return []
        ended = self._messages.end("completed")
        _, output, added = self._outlet.add("", item)
        return [*ended, added, self._outlet.done(output, item)]


class ResponsesEncoder:
    """`Writer` on the wire."""

    def __init__(self, head: ReplyHead) -> None:
        self._writer = Writer(head)

    def feed(self, event: Event) -> bytes:
        if isinstance(event, Delta) and (block := self._writer.frame(event)):
            return block
        return _frames(self._writer.write(event))

    def close(self) -> bytes:
        return _frames(self._writer.end())

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        return _frames(self._writer.fail(error, request_id))


def _frames(events: list[Json]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event)) for event in events)


def encode_stream(head: ReplyHead) -> ResponsesEncoder:
    return ResponsesEncoder(head)


def encode_reply(reply: Reply, head: ReplyHead) -> dict[str, Any]:
    """The response object, as its stream would have ended."""
    writer = Writer(head)
    for event in events_of(reply):
        writer.write(event)
    writer.end()
    return writer.response
