"""Calls of a reply as Responses' items, event by event.

A call is done one event after its last piece, when it is known whether the output limit cut it. Calls of tools that
another vendor knows under another shape (`openai_responses_tools`) wait until they are whole.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .openai_responses_object import Json
from .openai_responses_prose import Outlet
from .openai_responses_tools import LOCAL_TOOLS, Known, free_text


class _Call(Struct, kw_only=True):
    """id, output: "" and -1 until it is added, which waits for the whole call where `known` is of another shape."""

    call_id: str
    known: Known
    id: str = ""
    output: int = -1
    texts: list[str] = []

    def item(self, text: str, status: str) -> Json:
        known = self.known
        item: Json = {"type": "function_call", "status": status, "call_id": self.call_id, "name": known.name}
        if known.kind == "custom":
            item |= {"type": "custom_tool_call", "input": text}
        else:
            item["arguments"] = text
        return item | ({"namespace": known.namespace} if known.namespace else {})


class Calls:
    """known: what the client's tools are, by the name that the vendor knows them by."""

    def __init__(self, outlet: Outlet, known: Mapping[str, Known]) -> None:
        self._outlet = outlet
        self._known = known
        self._open: dict[int, _Call] = {}
        self._waiting: list[_Call] = []
        self._ids: set[str] = set()

    def __contains__(self, index: int) -> bool:
        return index in self._open

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def begin(self, index: int, id: str, name: str, *, custom: bool) -> list[Json]:
        """id: the vendor's, "" where it has none; one that it gives twice is told apart."""
        known = self._known.get(name, Known("custom" if custom else "function", name))
        if not id or id in self._ids:
            id = f"call_{self._outlet.request_id}_{index}"
        self._ids.add(id)
        call = self._open[index] = _Call(call_id=id, known=known)
        is_late = known.kind in LOCAL_TOOLS or custom != (known.kind == "custom")
        return [] if is_late else [self._add(call)]

    def more(self, index: int, text: str) -> list[Json]:
        call = self._open[index]
        call.texts.append(text)
        return [self._event(call, "delta", delta=text)] if call.output >= 0 and text else []

    def end(self, index: int) -> None:
        """A call is whole; `flush` says so."""
        self._waiting.append(self._open.pop(index))

    def end_all(self, status: str) -> list[Json]:
        """All calls are over. status: of the last of them."""
        for index in sorted(self._open):
            self.end(index)
        if not self._waiting:
            return []
        last = self._waiting.pop()
        return self.flush() + self._done(last, status)

    def flush(self) -> list[Json]:
        """The end of calls that are whole."""
        waiting, self._waiting = self._waiting, []
        return [event for call in waiting for event in self._done(call, "completed")]

    def _add(self, call: _Call) -> Json:
        prefix = "ctc" if call.known.kind == "custom" else "fc"
        call.id, call.output, added = self._outlet.add(prefix, call.item("", "in_progress"))
        return added

    def _event(self, call: _Call, step: str, **members: str) -> Json:
        name = "custom_tool_call_input" if call.known.kind == "custom" else "function_call_arguments"
        return self._outlet.event(f"response.{name}.{step}", item_id=call.id, output_index=call.output, **members)

    def _done(self, call: _Call, status: str) -> list[Json]:
        text, is_late = "".join(call.texts), call.output < 0
        found: list[Json] = []
        if is_late:
            if call.known.kind in LOCAL_TOOLS:
                if local := self._local(call, text):
                    return local
                call.known = Known("function", call.known.name)
            elif call.known.kind == "custom":
                text = free_text(text)
            found.append(self._add(call))
        custom = call.known.kind == "custom"
        whole = text if text or custom else "{}"
        if whole and (is_late or not text):
            found.append(self._event(call, "delta", delta=whole))
        said = {"input" if custom else "arguments": whole}
        found.append(self._event(call, "done", **said))
        return [*found, self._outlet.done(call.output, {"id": call.id, **call.item(whole, status)})]

    def _local(self, call: _Call, arguments: str) -> list[Json]:
        """A call of a tool that the client knows by an item of its own; nothing where the arguments do not fit it."""
        local = LOCAL_TOOLS[call.known.kind]
        held = local.asked(arguments or "{}")
        if held is None:
            return []
        item: Json = {"type": local.item, "call_id": call.call_id, local.holder: held}
        if local.is_open:
            item["execution"] = "client"
        id, output, added = self._outlet.add("call", {**item, "status": "in_progress"})
        return [added, self._outlet.done(output, {"id": id, **item, "status": "completed"})]
