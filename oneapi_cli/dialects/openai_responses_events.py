"""A vendor's Responses events → our own.

Vendors differ in what they send twice: some leave out the deltas, some the `done` events, some both, with everything
in the last event. So every item is known by its place, what was said of it is counted, and each later and more
complete word for it (`…done`, `content_part.done`, `output_item.done`, the response itself) is asked for the rest. An
item is the same one when its id is, or else its output index: some vendors give wrong indices in their deltas, others
change the id from event to event or give all items the same. Unknown events are passed over.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..framing.sse import Frame
from ..values.conversation import Part, Refusal, Text, Thinking, ToolCall
from ..values.errors import Malformed
from ..values.events import Event, Failed, Started, UsageSeen
from ..values.vendor import Quirks
from .dialect import VendorError
from .openai_responses_content import read_annotation, read_reasoning
from .openai_responses_reply import (
    arguments_of,
    chat_logprobs,
    error_of_event,
    error_of_response,
    finish_of,
    hosted_of,
    part_of,
    parts_of,
    picture_of,
    text_of,
    usage_of_response,
)
from .openai_responses_stream import TERMINAL
from .parts import PartWriter

Json = dict[str, Any]

_decode = msgspec.json.Decoder().decode

_ERRORS = frozenset({"error", "response.error"})
_PROSE = {"output_text": "text", "text": "text", "refusal": "refusal"}
_THOUGHT = -1  # in place of a content part's number


class _Item(Struct, kw_only=True, eq=False):
    """What is known of one output item. said: characters by content part; cited: annotations by content part; thought:
    which kind of thought is being told (the first that comes; some vendors tell both), and in which part of it."""

    key: int
    kind: str = ""
    refuses: bool = False
    is_done: bool = False
    said: dict[int, int] = {}
    cited: dict[int, int] = {}
    thought: str = ""
    thought_part: int = 0
    thought_chars: int = 0
    arguments: list[str] = []


class ResponsesDecoder:
    """One stream."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._writer = PartWriter()
        self._items: list[_Item] = []
        self._by_index: dict[int, _Item] = {}
        self._by_id: dict[str, _Item | None] = {}
        self._spoken: tuple[_Item, int] | None = None  # whose words the open text or refusal are
        self._latest = -1  # the key of the last item that has said something
        self._is_over = False
        self._has_begun = False

    def feed(self, frame: Frame) -> list[Event]:
        """Raises Malformed for what is no JSON object."""
        data = frame.data
        if self._is_over or not data or data == b"[DONE]":
            return []
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("The upstream sent an event that is not JSON") from None
        if not isinstance(event, dict):
            raise Malformed("The upstream sent an event that is not a JSON object")
        kind = text_of(event.get("type")) or frame.event
        handler = _HANDLERS.get(kind)
        if handler is not None:
            return handler(self, event)
        if kind in TERMINAL:
            return self._end(kind, event)
        if kind in _ERRORS or (event.get("error") and not isinstance(event.get("type"), str)):
            return self._fail(error_of_event(event))
        return []

    def close(self) -> list[Event]:
        """A stream without its terminal event was cut: what is open is closed, and nothing says that it finished."""
        return [] if self._is_over else self._writer.end()

    # --- the head and the end ---

    def _begin(self, event: Json) -> list[Event]:
        response = event.get("response")
        if self._has_begun or not isinstance(response, dict):
            return []
        self._has_begun = True
        created = response.get("created_at")
        at = int(created) if isinstance(created, int | float) else 0
        return [Started(id=str(response.get("id") or ""), model=str(response.get("model") or ""), created=at)]

    def _end(self, kind: str, event: Json) -> list[Event]:
        response = event.get("response")
        if not isinstance(response, dict):
            response = {}
        if response.get("status") in (None, "queued", "in_progress"):
            response = {**response, "status": kind.removeprefix("response.").replace("done", "completed")}
        found = self._begin(event)
        usage = usage_of_response(response, self._quirks)
        seen: list[Event] = [] if usage is None else [UsageSeen(usage=usage)]
        error = error_of_response({"output": [], **response})
        if error is not None:
            return [*found, *seen, *self._fail(error)]
        output = response.get("output")
        items = [item for item in output or () if isinstance(item, dict)] if isinstance(output, list) else []
        for index, item in enumerate(items):
            found += self._whole({"output_index": index, "item": item})
        found += self._writer.end()
        self._is_over = True
        finish, raw, explanation = finish_of(response, self._told(items))
        return [*found, *seen, *self._writer.finish(finish, raw=raw, explanation=explanation)]

    def _told(self, items: list[Json]) -> list[Part]:
        """What the response consists of, as far as its finish depends on it: its own list, else what the stream
        said."""
        parts = [part for item in items for part in parts_of(item)]
        if parts:
            return parts
        for item in self._items:
            if item.kind in ("function_call", "custom_tool_call"):
                custom = item.kind == "custom_tool_call"
                parts.append(ToolCall(id="", name="", arguments="".join(item.arguments) or "{}", custom=custom))
            elif item.kind == "reasoning":
                parts.append(Thinking())
            else:
                parts.append(Refusal(text="") if item.refuses else Text(text=""))
        return parts

    def _fail(self, error: VendorError) -> list[Event]:
        self._is_over = True
        failed = Failed(message=error.message, type=error.type or "", code=error.code or "", status=error.status)
        return [*self._writer.end(), failed]

    # --- items ---

    def _item(self, event: Json, item: Json | None = None) -> _Item:
        """The item that an event speaks of, a new one where none is known."""
        index = event.get("output_index")
        id = event.get("item_id") or (item.get("id") if item is not None else None)
        found = self._by_id.get(id) if isinstance(id, str) else None
        if found is None and isinstance(index, int):
            found = self._by_index.get(index)
        if found is None:
            found = self._new(index, id)
        elif item is not None and isinstance(id, str):
            self._by_id.setdefault(id, found)
        return found

    def _new(self, index: object, id: object) -> _Item:
        """An id that stands for a second item tells none of them any more."""
        found = _Item(key=len(self._items))
        self._items.append(found)
        if isinstance(index, int):
            self._by_index.setdefault(index, found)
        if isinstance(id, str) and id:
            self._by_id[id] = None if id in self._by_id else found
        return found

    def _added(self, event: Json) -> list[Event]:
        item = event.get("item")
        if not isinstance(item, dict):
            return []
        index = event.get("output_index")
        is_known = not isinstance(index, int) or index in self._by_index
        known = self._item(event, item) if is_known else self._new(index, item.get("id"))
        known.kind = text_of(item.get("type"))
        name = item.get("name")
        if known.kind not in ("function_call", "custom_tool_call") or not name:
            return []
        return self._call(known, item)

    def _whole(self, event: Json) -> list[Event]:
        """An item as it is at last."""
        item = event.get("item")
        if not isinstance(item, dict):
            return []
        known = self._item(event, item)
        if known.is_done:
            return []
        known.is_done = True
        kind = known.kind = text_of(item.get("type")) or known.kind
        if kind not in ("message", "reasoning"):
            self._spoken, self._latest = None, max(self._latest, known.key)
        if kind == "message":
            return self._whole_message(known, item)
        if kind == "reasoning":
            return self._whole_thought(known, item)
        if kind in ("function_call", "custom_tool_call"):
            begun = [] if self._writer.has_call(known.key) else self._call(known, item)
            return [*begun, *self._rest_of_call(known, arguments_of(item)), *self._writer.end_call(known.key)]
        if kind == "image_generation_call":
            picture = picture_of(item)
            return self._writer.media(picture) if picture is not None else self._writer.hosted(hosted_of(item))
        return [made for part in parts_of(item) for made in self._writer.hosted(part)]  # type: ignore[arg-type]

    # --- text and refusals ---

    def _more_text(self, event: Json) -> list[Event]:
        return self._say("text", event, event.get("delta"), event.get("logprobs"))

    def _more_refusal(self, event: Json) -> list[Event]:
        return self._say("refusal", event, event.get("delta"))

    def _say(self, kind: str, event: Json, delta: object, logprobs: object = None) -> list[Event]:
        if not isinstance(delta, str) or not delta:
            return []
        known = self._item(event)
        number = part_of(event)
        known.kind = known.kind or "message"
        known.refuses = kind == "refusal"
        found = self._turn_to(known, number)
        known.said[number] = known.said.get(number, 0) + len(delta)
        if kind == "refusal":
            return found + self._writer.refusal(delta)
        return found + self._writer.text(delta, chat_logprobs(logprobs))

    def _turn_to(self, known: _Item, number: int) -> list[Event]:
        """The end of other prose than this, which goes on."""
        if self._spoken == (known, number):
            return []
        self._spoken, self._latest = (known, number), max(self._latest, known.key)
        return self._writer.end_prose()

    def _whole_text(self, event: Json) -> list[Event]:
        return self._rest("text", event, event.get("text"), event.get("logprobs"))

    def _whole_refusal(self, event: Json) -> list[Event]:
        return self._rest("refusal", event, event.get("refusal"))

    def _rest(self, kind: str, event: Json, text: object, logprobs: object = None) -> list[Event]:
        """What of a whole text has not been said yet."""
        if not isinstance(text, str):
            return []
        said = self._item(event).said.get(part_of(event), 0)
        return self._say(kind, event, text[said:], logprobs if not said else None)

    def _whole_part(self, event: Json) -> list[Event]:
        part = event.get("part")
        if not isinstance(part, dict):
            return []
        kind = _PROSE.get(text_of(part.get("type")))
        if kind is None:
            return []
        found = self._rest(kind, event, part.get("refusal" if kind == "refusal" else "text"), part.get("logprobs"))
        annotations = part.get("annotations")
        known, number = self._item(event), part_of(event)
        if kind == "text" and isinstance(annotations, list):
            for annotation in annotations[known.cited.get(number, 0) :]:
                found += self._cite(known, number, annotation)
        return found

    def _annotation(self, event: Json) -> list[Event]:
        return self._cite(self._item(event), part_of(event), event.get("annotation"))

    def _cite(self, known: _Item, number: int, annotation: object) -> list[Event]:
        """A source of the text that is open; of one that is over, too late; of one to come, not yet."""
        if number not in known.said:
            return []
        known.cited[number] = known.cited.get(number, 0) + 1
        if not isinstance(annotation, dict) or self._spoken != (known, number):
            return []
        return self._writer.cite(read_annotation(annotation))

    def _whole_message(self, known: _Item, item: Json) -> list[Event]:
        content = item.get("content")
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}]
        if not isinstance(content, list) or item.get("role", "assistant") != "assistant":
            return []
        place = {"output_index": None, "item_id": self._name(known)}
        parts = ({**place, "content_index": number, "part": part} for number, part in enumerate(content))
        found = [event for part in parts for event in self._whole_part(part)]
        self._spoken = None
        return found + self._writer.end_prose()

    def _name(self, known: _Item) -> str:
        """An id by which `_item` finds it again."""
        name = f"\0{known.key}"
        self._by_id[name] = known
        return name

    # --- thoughts ---

    def _more_summary(self, event: Json) -> list[Event]:
        return self._think("summary", event, event.get("summary_index"))

    def _more_reasoning(self, event: Json) -> list[Event]:
        return self._think("reasoning", event, event.get("content_index"))

    def _think(self, kind: str, event: Json, number: object) -> list[Event]:
        delta = event.get("delta")
        known = self._item(event)
        if not isinstance(delta, str) or not delta or known.thought not in ("", kind):
            return []
        part = number if isinstance(number, int) else 0
        if known.thought and known.thought_part != part:
            delta = f"\n\n{delta}"
        known.kind, known.thought, known.thought_part = "reasoning", kind, part
        known.thought_chars += len(delta)
        return self._turn_to(known, _THOUGHT) + self._writer.thinking(delta)

    def _whole_thought(self, known: _Item, item: Json) -> list[Event]:
        """Its text where no delta told it, and its seal; not behind what it led to, where it would seal nothing."""
        thought = read_reasoning(item)
        is_open = self._spoken is not None and self._spoken[0] is known
        self._spoken = None
        if thought is None:
            return self._writer.end_prose()
        if known.key < self._latest and not is_open:
            return []
        told = self._writer.end_prose() + self._writer.thinking(thought.text) if not known.thought else []
        if thought.sealed is not None:
            return told + self._writer.seal(thought.sealed)
        return told + self._writer.end_prose()

    # --- calls ---

    def _call(self, known: _Item, item: Json) -> list[Event]:
        id = str(item.get("call_id") or item.get("id") or "")
        self._spoken, self._latest = None, max(self._latest, known.key)
        name, custom = str(item.get("name") or ""), known.kind == "custom_tool_call"
        begun = self._writer.call(known.key, id=id, name=name, custom=custom)
        return begun + self._writer.arguments(known.key, "".join(known.arguments))

    def _more_arguments(self, event: Json) -> list[Event]:
        delta = event.get("delta")
        if not isinstance(delta, str) or not delta:
            return []
        known = self._item(event)
        known.arguments.append(delta)
        return self._writer.arguments(known.key, delta)

    def _whole_arguments(self, event: Json) -> list[Event]:
        whole = event.get("arguments")
        whole = event.get("input") if whole is None else whole
        if isinstance(whole, dict):
            whole = msgspec.json.encode(whole).decode()
        return self._rest_of_call(self._item(event), whole)

    def _rest_of_call(self, known: _Item, whole: object) -> list[Event]:
        """What of whole arguments has not been told; nothing where they were told in other words."""
        said = "".join(known.arguments)
        if not isinstance(whole, str) or not whole.startswith(said) or whole == said:
            return []
        known.arguments = [whole]
        return self._writer.arguments(known.key, whole[len(said) :])


_HANDLERS: Mapping[Hashable, Callable[[ResponsesDecoder, Json], list[Event]]] = {
    "response.created": ResponsesDecoder._begin,
    "response.queued": ResponsesDecoder._begin,
    "response.in_progress": ResponsesDecoder._begin,
    "response.output_item.added": ResponsesDecoder._added,
    "response.output_item.done": ResponsesDecoder._whole,
    "response.content_part.done": ResponsesDecoder._whole_part,
    "response.output_text.delta": ResponsesDecoder._more_text,
    "response.output_text.done": ResponsesDecoder._whole_text,
    "response.output_text.annotation.added": ResponsesDecoder._annotation,
    "response.output_text_annotation.added": ResponsesDecoder._annotation,  # its name until 2025
    "response.refusal.delta": ResponsesDecoder._more_refusal,
    "response.refusal.done": ResponsesDecoder._whole_refusal,
    "response.reasoning_summary_text.delta": ResponsesDecoder._more_summary,
    "response.reasoning_summary.delta": ResponsesDecoder._more_summary,
    "response.reasoning_text.delta": ResponsesDecoder._more_reasoning,
    "response.reasoning.delta": ResponsesDecoder._more_reasoning,
    "response.function_call_arguments.delta": ResponsesDecoder._more_arguments,
    "response.function_call_arguments.done": ResponsesDecoder._whole_arguments,
    "response.custom_tool_call_input.delta": ResponsesDecoder._more_arguments,
    "response.custom_tool_call_input.done": ResponsesDecoder._whole_arguments,
}


def decode_stream(quirks: Quirks) -> ResponsesDecoder:
    return ResponsesDecoder(quirks)
