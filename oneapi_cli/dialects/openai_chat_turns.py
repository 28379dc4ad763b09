"""Messages as chat's clients write them → turns.

A tool's result names the call that it answers, so the calls of earlier messages are remembered: a result without one is
the client's to mend, and so are arguments in the history that are no JSON object. Messages that say nothing at all
(an empty text) are left out.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ..values.conversation import (
    CacheMark,
    Media,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from .openai_chat_media import read_document, read_file, read_image, read_sound, read_video
from .openai_chat_thoughts import read_thoughts
from .reading import Object, at, fault, get_list, get_object, get_text, need_choice, need_text, objects_in

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

_json = msgspec.json.Decoder()

_MEDIA: Mapping[str, Callable[[Object, str, CacheMark | None], Media]] = {
    "image_url": read_image,
    "input_audio": read_sound,
    "file": read_file,
    "video_url": read_video,
    "document_url": read_document,
}


def read_turns(body: Object) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """`messages` as turns, and notes. Raises BadRequest naming the message and its member."""
    if not get_list(body, "messages"):
        raise fault("messages", "must be an array of at least one message")
    history = _History()
    for place, message in objects_in(body, "messages"):
        history.add(message, place)
    if not history.turns:
        raise fault("messages", "must have at least one message that says something")
    return tuple(history.turns), tuple(history.notes)


def read_mark(holder: Object, place: str) -> CacheMark | None:
    """A prompt-cache breakpoint: `cache_control` (OpenRouter, LiteLLM) or OpenAI's `prompt_cache_breakpoint`."""
    mark = get_object(holder, "cache_control", place)
    if mark is not None:
        return CacheMark(ttl=get_text(mark, "ttl", at(place, "cache_control")) or "")
    return CacheMark() if get_object(holder, "prompt_cache_breakpoint", place) is not None else None


def read_arguments(holder: Object, place: str) -> str:
    """A call's arguments: the text of a JSON object. Nothing at all is `{}`. Raises BadRequest."""
    text = get_text(holder, "arguments", place)
    if text is None or not text.strip():
        return "{}"
    where = at(place, "arguments")
    try:
        arguments = _json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise fault(where, "must be the text of a JSON object, and is not JSON") from None
    if not isinstance(arguments, dict):
        raise fault(where, "must be the text of a JSON object")
    return text


class _History:
    """What the messages so far said."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.notes: list[str] = []
        self._calls: dict[str, ToolCall] = {}
        self._functions: dict[str, str] = {}  # a legacy function's name → the id that we gave its last call
        self._in_results = False  # whether the last turn holds results of tool messages, for the next one to join

    def add(self, message: Object, place: str) -> None:
        role = need_choice(need_text(message, "role", place), ROLES, at(place, "role"))
        if role in ("tool", "function"):
            result = self._tool(message, place) if role == "tool" else self._function(message, place)
            self._add_result(result)
            return
        parts: tuple[Part, ...]
        if role == "assistant":
            parts = tuple(self._assistant(message, place))
        elif role == "user":
            parts = _content(message, place, media=True)
        else:
            parts = _content(message, place, media=False)
        if parts:
            name = get_text(message, "name", place) or ""
            said: Role = "assistant" if role == "assistant" else "user" if role == "user" else _system(role)
            self.turns.append(Turn(role=said, parts=parts, name=name))
            self._in_results = False

    def _add_result(self, result: ToolResult) -> None:
        if self._in_results:
            last = self.turns.pop()
            self.turns.append(Turn(role="user", parts=(*last.parts, result)))
        else:
            self.turns.append(Turn(role="user", parts=(result,)))
            self._in_results = True

    # -- assistant ------------------------------------------------------------------------------------------------

    def _assistant(self, message: Object, place: str) -> list[Part]:
        found: list[Part] = [*read_thoughts(message, place)]
        found += _said(message, place)
        for where, image in objects_in(message, "images", place):
            found.append(read_image(image, where, None))
        if get_object(message, "audio", place) is not None:  # it names a sound that the vendor keeps
            self.notes.append("dropped:messages.audio")
        for where, call in objects_in(message, "tool_calls", place):
            found += self._call(call, where)
        legacy = get_object(message, "function_call", place)
        if legacy is not None:
            found.append(self._legacy_call(legacy, at(place, "function_call")))
        return found

    def _call(self, call: Object, place: str) -> list[Part]:
        kind = get_text(call, "type", place) or ("custom" if "custom" in call else "function")
        need_choice(kind, ("function", "custom"), at(place, "type"))
        holder, where = get_object(call, kind, place), at(place, kind)
        if holder is None:
            raise fault(where, "is required")
        id_ = need_text(call, "id", place)
        name = need_text(holder, "name", where)
        if kind == "custom":
            text = need_text(holder, "input", where, empty=True)
            made = ToolCall(id=id_, name=name, arguments=text, custom=True, cache=read_mark(call, place))
        else:
            arguments = read_arguments(holder, where)
            made = ToolCall(id=id_, name=name, arguments=arguments, cache=read_mark(call, place))
        self._calls[id_] = made
        return [*_google_signature(call, id_), made]

    def _legacy_call(self, call: Object, place: str) -> ToolCall:
        name = need_text(call, "name", place)
        id_ = f"call_{len(self._calls)}_{len(self.turns)}"
        made = ToolCall(id=id_, name=name, arguments=read_arguments(call, place))
        self._calls[id_] = made
        self._functions[name] = id_
        return made

    # -- results --------------------------------------------------------------------------------------------------

    def _tool(self, message: Object, place: str) -> ToolResult:
        id_ = need_text(message, "tool_call_id", place)
        call = self._calls.get(id_)
        if call is None:
            raise fault(at(place, "tool_call_id"), f"answers no call before it: there is none with id {id_[:64]!r}")
        return _result(message, place, call)

    def _function(self, message: Object, place: str) -> ToolResult:
        name = need_text(message, "name", place)
        id_ = self._functions.get(name)
        if id_ is None:
            raise fault(at(place, "name"), f"answers no call before it: {name[:64]!r} was not called")
        return _result(message, place, self._calls[id_])


def _system(role: str) -> Role:
    return "developer" if role == "developer" else "system"


def _result(message: Object, place: str, call: ToolCall) -> ToolResult:
    parts = _content(message, place, media=True, empty=True)
    marks = [part.cache for part in parts if part.cache is not None]
    content = tuple(msgspec.structs.replace(part, cache=None) if part.cache else part for part in parts)
    return ToolResult(
        id=call.id, name=call.name, content=content, custom=call.custom, cache=marks[-1] if marks else None
    )


def _google_signature(call: Object, id_: str) -> list[Part]:
    """A thought signature as Google's OpenAI path puts it: `extra_content.google.thought_signature` of a call."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    signature = google.get("thought_signature") if isinstance(google, Mapping) else None
    if not isinstance(signature, str) or not signature:
        return []
    return [Thinking(sealed=Opaque(dialect="gemini", data={"thoughtSignature": signature, "call": id_}))]


# --- content --------------------------------------------------------------------------------------------------------


def _content(message: Object, place: str, *, media: bool, empty: bool = False) -> tuple[Text | Media, ...]:
    """A string, or an array of parts; empty texts are left out. media: whether there may be other than text. empty:
    whether null will do."""
    value = message.get("content")
    where = at(place, "content")
    if value is None and not empty:
        raise fault(where, "is required")
    if isinstance(value, str):
        return (Text(text=value, cache=read_mark(message, place)),) if value else ()
    if value is not None and not isinstance(value, list):
        raise fault(where, "must be a string or an array of content parts")
    found = [_part(part, at(where, number), media=media) for number, part in enumerate(value or ())]
    found = [part for part in found if not isinstance(part, Text) or part.text]
    mark = read_mark(message, place)
    if mark is not None and found and found[-1].cache is None:
        found[-1] = msgspec.structs.replace(found[-1], cache=mark)
    return tuple(found)


def _part(part: object, place: str, *, media: bool) -> Text | Media:
    if isinstance(part, str):
        return Text(text=part)
    if not isinstance(part, Mapping):
        raise fault(place, "must be an object")
    kind = need_text(part, "type", place)
    if kind == "text":
        return Text(text=need_text(part, "text", place, empty=True), cache=read_mark(part, place))
    read = _MEDIA.get(kind)
    if read is None:
        known = ", ".join(("text", *_MEDIA)) if media else "text"
        raise fault(at(place, "type"), f"is {kind[:40]!r}, which is no content part: there are {known}")
    if not media:
        raise fault(at(place, "type"), f"is {kind!r}; a message of this role takes text alone")
    return read(part, place, read_mark(part, place))


def _said(message: Object, place: str) -> list[Part]:
    """What an assistant said: text, refusals, and thoughts where they stand among its parts (Mistral's way)."""
    value, where = message.get("content"), at(place, "content")
    found: list[Part] = []
    if isinstance(value, str):
        found = [Text(text=value, cache=read_mark(message, place))] if value else []
    else:
        for number, part in enumerate(get_list(message, "content", place) or ()):
            found += _said_part(part, at(where, number))
    refusal = get_text(message, "refusal", place)
    return [*found, Refusal(text=refusal)] if refusal else found


def _said_part(part: object, place: str) -> list[Part]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and kind == "refusal":
        return [Refusal(text=need_text(part, "refusal", place, empty=True))]
    if isinstance(part, Mapping) and kind == "thinking":
        thinking = part.get("thinking")
        pieces = (
            [thinking]
            if isinstance(thinking, str)
            else [get_text(piece, "text", where) or "" for where, piece in objects_in(part, "thinking", place)]
        )
        return [Thinking(text="".join(pieces))] if any(pieces) else []
    found = _part(part, place, media=kind == "image_url")
    return [] if isinstance(found, Text) and not found.text else [found]
