"""Messages and thoughts of a reply as Responses' items, event by event.

`Outlet` numbers events and items for all of them. Consecutive texts are one output text (their citations move with
it), a refusal is a further part of the same message.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..values.conversation import Citation, Opaque
from .openai_responses_content import DIALECT
from .openai_responses_object import Json, annotation_of, logprobs_of
from .sealing import seal

_encode = msgspec.json.Encoder().encode

_REST = {"output_text": b',"logprobs":[]}', "refusal": b"}"}

MEMBERS = {"output_text": "text", "refusal": "refusal"}
"""Kinds of a message's content, each with the member that has its words."""


class Outlet:
    """Where events and items get their numbers. items: those that are done, by output index."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.number = 0
        self.items: dict[int, Json] = {}
        self._outputs = 0

    def event(self, name: str, /, **members: Any) -> Json:
        number, self.number = self.number, self.number + 1
        return {"type": name, "sequence_number": number, **members}

    def add(self, prefix: str, item: Json) -> tuple[str, int, Json]:
        """(item id, output index, event) of an item that begins. prefix: of the id made for it, "" where it has one."""
        output, self._outputs = self._outputs, self._outputs + 1
        id = f"{prefix}_{self.request_id}_{output}" if prefix else item["id"]
        return id, output, self.event("response.output_item.added", output_index=output, item={"id": id, **item})

    def done(self, output: int, item: Json) -> Json:
        self.items[output] = item
        return self.event("response.output_item.done", output_index=output, item=item)

    def output(self) -> list[Json]:
        return [self.items[number] for number in sorted(self.items)]


class _Content(Struct, kw_only=True):
    """An open content part. start: where the current text began in it, in characters."""

    kind: str
    number: int
    texts: list[str] = []
    length: int = 0
    start: int = 0
    annotations: list[Json] = []
    unplaced: list[Citation] = []
    logprobs: list[Json] = []

    def part(self, text: str) -> Json:
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        annotations, logprobs = list(self.annotations), list(self.logprobs)
        return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


class Messages:
    """The message that is open, if one is. It begins with its first words and ends when something else begins."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._id = ""
        self._place: Json = {}  # of the open part
        self._wire = b""  # how its deltas are framed, but for their number and words
        self._output = -1
        self._parts: list[Json] = []
        self._open: _Content | None = None
        self._is_fresh = False

    def begin(self) -> None:
        """A text or refusal begins: what is cited next is cited of it."""
        self._is_fresh = True

    def more(self, kind: str, text: str, logprobs: Any) -> list[Json]:
        """More words of an output text or a refusal."""
        content = self._open
        found: list[Json] = []
        if content is None or content.kind != kind or self._is_fresh:
            content, found = self._opened(kind)
        content.texts.append(text)
        content.length += len(text)
        more = self._outlet.event(f"response.{kind}.delta", **self._place, delta=text)
        if kind == "output_text":
            more["logprobs"] = said = logprobs_of(logprobs) if logprobs is not None else []
            content.logprobs += said
        return [*found, more]

    def frame(self, kind: str, text: str) -> bytes:
        """What `more` says of an open part that just goes on, as it is on the wire: most of any stream, and a third
        of the cost. b"" where there is more to it."""
        content = self._open
        if content is None or content.kind != kind or self._is_fresh:
            return b""
        content.texts.append(text)
        content.length += len(text)
        number, self._outlet.number = self._outlet.number, self._outlet.number + 1
        return self._wire % (number, _encode(text))

    def cite(self, citation: Citation) -> list[Json]:
        """At once where the vendor says which characters are meant; else when the text is whole, for all of it."""
        found: list[Json] = []
        if self._open is None or self._open.kind != "output_text" or self._is_fresh:
            _, found = self._opened("output_text")
        assert self._open is not None, "it was opened just now"
        own = citation.raw is not None and citation.raw.dialect == DIALECT
        if not own and (citation.start is None or citation.end is None):
            self._open.unplaced.append(citation)
            return found
        return [*found, self._annotate(self._open, citation)]

    def end_text(self) -> list[Json]:
        """One text is whole; the part stays open for another."""
        content = self._open
        if content is None or not content.unplaced:
            return []
        unplaced, content.unplaced = content.unplaced, []
        return [self._annotate(content, citation) for citation in unplaced]

    def end(self, status: str) -> list[Json]:
        """The message is over."""
        if self._output < 0:
            return []
        found = self._end_content()
        item = {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": self._parts}
        found.append(self._outlet.done(self._output, item))
        self._output, self._parts = -1, []
        return found

    def _opened(self, kind: str) -> tuple[_Content, list[Json]]:
        """The part for what begins: the open one, where it is of that kind."""
        self._is_fresh = False
        found: list[Json] = []
        content = self._open
        if content is not None and content.kind == kind:
            found = self.end_text()
            content.start = content.length
            return content, found
        if self._output < 0:
            item: Json = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
            self._id, self._output, added = self._outlet.add("msg", item)
            found.append(added)
        found += self._end_content()
        content = self._open = _Content(kind=kind, number=len(self._parts))
        self._place = {"item_id": self._id, "output_index": self._output, "content_index": content.number}
        self._wire = _wire(kind, self._id, self._output, content.number)
        found.append(self._outlet.event("response.content_part.added", **self._place, part=content.part("")))
        return content, found

    def _annotate(self, content: _Content, citation: Citation) -> Json:
        annotation = annotation_of(citation, content.start, content.length - content.start)
        content.annotations.append(annotation)
        number = len(content.annotations) - 1
        name = "response.output_text.annotation.added"
        return self._outlet.event(name, **self._place, annotation_index=number, annotation=annotation)

    def _end_content(self) -> list[Json]:
        content = self._open
        if content is None:
            return []
        found = self.end_text()
        text = "".join(content.texts)
        part = content.part(text)
        whole: Json = {MEMBERS[content.kind]: text}
        if content.kind == "output_text":
            whole["logprobs"] = content.logprobs
        found.append(self._outlet.event(f"response.{content.kind}.done", **self._place, **whole))
        found.append(self._outlet.event("response.content_part.done", **self._place, part=part))
        self._parts.append(part)
        self._open = None
        return found


def _wire(kind: str, id: str, output: int, number: int) -> bytes:
    """A delta on the wire, its number and its words still to be filled in."""
    name = f"response.{kind}.delta".encode()
    return (
        b'event: %b\ndata: {"type":"%b","sequence_number":%%d,"item_id":"%b","output_index":%d,"content_index":%d,'
        b'"delta":%%b%b\n\n' % (name, name, id.encode(), output, number, _REST[kind])
    )


class Thoughts:
    """Reasoning items: a passage is the one part of a summary, its seal the encrypted content."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._open: dict[int, tuple[Json, list[str]]] = {}  # part → (its place, its texts)

    def __contains__(self, index: int) -> bool:
        return index in self._open

    def begin(self, index: int) -> list[Json]:
        id, output, added = self._outlet.add("rs", {"type": "reasoning", "summary": []})
        self._open[index] = {"item_id": id, "output_index": output, "summary_index": 0}, []
        return [added]

    def more(self, index: int, text: str) -> list[Json]:
        place, texts = self._open[index]
        found = []
        if not texts:
            part = {"type": "summary_text", "text": ""}
            found.append(self._outlet.event("response.reasoning_summary_part.added", **place, part=part))
        texts.append(text)
        return [*found, self._outlet.event("response.reasoning_summary_text.delta", **place, delta=text)]

    def end(self, index: int, sealed: Opaque | None) -> list[Json]:
        place, texts = self._open.pop(index)
        item: Json = {"id": place["item_id"], "type": "reasoning", "summary": []}
        found = []
        if texts:
            text = "".join(texts)
            part = {"type": "summary_text", "text": text}
            found.append(self._outlet.event("response.reasoning_summary_text.done", **place, text=text))
            found.append(self._outlet.event("response.reasoning_summary_part.done", **place, part=part))
            item["summary"] = [part]
        if sealed is not None:
            own = sealed.data.get("encrypted_content") if sealed.dialect == DIALECT else None
            item["encrypted_content"] = own or seal(sealed)
        return [*found, self._outlet.done(place["output_index"], item)]

    def end_all(self) -> list[Json]:
        return [event for index in sorted(self._open) for event in self.end(index, None)]
