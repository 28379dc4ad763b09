"""One choice of a chat vendor's reply, as it comes: deltas, or a whole message as its only one.

The order within a delta is fixed: thoughts, what the vendor ran itself, content, refusal, pictures, calls. Sources wait
until the text that they belong to is over, because vendors send them before, with or after it; a thought's sealed form
waits until the thought is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..values.conversation import Citation, Opaque
from ..values.events import Event
from .openai_chat_media import DIALECT
from .openai_chat_thoughts import Details, InlineThoughts, thought_in
from .openai_chat_words import (
    arguments_of,
    audio_of,
    citations_in,
    finish_of,
    has_finished,
    hosted_in,
    image_of,
    images_in,
    is_thought,
    moved,
    signature_of,
)
from .parts import PartWriter

Fields = Mapping[str, Any]

_json = msgspec.json.Decoder()


class _Call:
    """A call that is coming in. It begins with its name: what came before that is kept."""

    __slots__ = ("custom", "id", "name", "pieces", "signature", "started")

    def __init__(self, id_: str, *, custom: bool) -> None:
        self.id = id_
        self.name = ""
        self.custom = custom
        self.started = False
        self.pieces: list[str] = []
        self.signature: Fields | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are a whole JSON object: nothing can follow."""
        text = "".join(self.pieces)
        try:
            return text.lstrip().startswith("{") and isinstance(_json.decode(text), dict)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return False


class ChoiceReader:
    """Deltas of one choice → events. `finish` ends it."""

    def __init__(self, number: int = 0) -> None:
        self._writer = PartWriter(number)
        self._inline = InlineThoughts()
        self._details = Details()
        self._open = ""  # text, thought or refusal: what the writer has open
        self._said = 0  # characters of text so far
        self._part_start = 0  # where in the content the open text began
        self._cited: list[Citation] = []
        self._logprobs: Any = None
        self._audio: list[str] = []
        self._transcript: list[str] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._calls: list[_Call] = []
        self._refused = False
        self._ending: Fields | None = None

    @property
    def is_over(self) -> bool:
        """Whether the vendor has said that it is."""
        return self._ending is not None

    def feed(self, choice: Fields, *, whole: bool = False) -> list[Event]:
        """One element of `choices`. whole: its message is all there is, so every call in it is one."""
        delta = choice.get("delta") or choice.get("message")
        events: list[Event] = []
        if isinstance(delta, dict):
            if choice.get("logprobs") is not None:
                self._logprobs = _merged(self._logprobs, choice["logprobs"])
            more = self._more_text(delta) if len(delta) == 1 and self._open == "text" else None
            events = self._delta(delta, whole=whole) if more is None else more
        if choice.get("finish_reason"):
            self._ending = choice if has_finished(choice) else self._ending
        return events

    def _more_text(self, delta: Fields) -> list[Event] | None:
        """The most frequent delta by far: more of the open text and nothing else; None for any other."""
        text = delta.get("content")
        if not isinstance(text, str):
            return None
        self._said += len(text)
        logprobs, self._logprobs = self._logprobs, None
        return self._writer.text(text, logprobs)

    def finish(self, sources: Iterable[Citation] = ()) -> list[Event]:
        """End it. sources: of the whole reply, where none stood in the choice itself."""
        if not self._cited:
            self._cited = list(sources)
        events = self.end()
        ending = self._ending or {}
        finish, stop, raw = finish_of(ending, called=self._writer.called, refused=self._refused)
        return [*events, *self._writer.finish(finish, stop_sequence=stop, raw=raw)]

    def end(self) -> list[Event]:
        """Close what is open, for a stream that was cut."""
        events = self._pieces(self._inline.close())
        for call in self._calls:
            if not call.started and (call.id or call.pieces):
                events += self._start(call)
        events += self._leave()
        if self._cited:
            events += self._cite()
        sealed = self._details.take()
        if sealed is not None:
            events += self._writer.seal(sealed)
        sound = audio_of(self._audio, "".join(self._transcript))
        self._audio, self._transcript = [], []
        return [*events, *(self._writer.media(sound) if sound is not None else ()), *self._writer.end()]

    # -- one delta ------------------------------------------------------------------------------------------------

    def _delta(self, delta: Fields, *, whole: bool) -> list[Event]:
        events = self._thoughts(delta)
        if delta.get("annotations"):
            self._cited += citations_in(delta)
        for hosted in hosted_in(delta) if delta.get("executed_tools") else ():
            events += self._leave() + self._writer.hosted(hosted)
        content = delta.get("content")
        if content:
            events += self._content(content, delta)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            events += self._leave(keep="refusal") + self._writer.refusal(refusal)
            self._open, self._refused = "refusal", True
        for image in images_in(delta) if delta.get("images") else ():
            events += self._leave() + self._writer.media(image)
        if isinstance(sound := delta.get("audio"), Mapping):
            self._hear(sound)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, Mapping):
                events += self._call(call, whole=whole)
        if isinstance(legacy := delta.get("function_call"), Mapping):
            events += self._call({"index": 0, "function": legacy}, whole=whole)
        return events

    def _thoughts(self, delta: Fields) -> list[Event]:
        details = delta.get("reasoning_details")
        hidden = self._details.add(details) if details else ""
        text = thought_in(delta) or hidden
        events = self._thought(text) if text else []
        signature = signature_of(delta) if "extra_content" in delta else None
        if signature is not None:
            sealed = Opaque(dialect=DIALECT, data={"extra_content": signature, "call": ""})
            events += self._leave(keep="thought") + self._writer.seal(sealed)
            self._open = ""
        return events

    def _thought(self, text: str) -> list[Event]:
        events = self._leave(keep="thought")
        self._open = "thought"
        return [*events, *self._writer.thinking(text)]

    def _content(self, content: object, delta: Fields) -> list[Event]:
        if isinstance(content, str):
            if is_thought(delta) and not self._inline.is_tagged(content):
                return self._thought(content)
            return self._pieces(self._inline.feed(content))
        events: list[Event] = []
        for part in content if isinstance(content, list) else ():
            events += self._part(part)
        return events

    def _part(self, part: object) -> list[Event]:
        """An element of a content that is an array (Mistral's): text, thought, picture; references are passed over."""
        if isinstance(part, str):
            return self._pieces(self._inline.feed(part))
        if not isinstance(part, Mapping):
            return []
        thinking = part.get("thinking")
        if thinking is not None:
            pieces = thinking if isinstance(thinking, list) else [{"text": thinking}]
            texts = (piece.get("text") for piece in pieces if isinstance(piece, Mapping))
            thought = "".join(each for each in texts if isinstance(each, str))
            return self._thought(thought) if thought else []
        if "image_url" in part:
            image = image_of(part)
            return [] if image is None else self._leave() + self._writer.media(image)
        text = part.get("text")
        return self._pieces(self._inline.feed(text)) if isinstance(text, str) else []

    def _pieces(self, pieces: Iterable[tuple[bool, str]]) -> list[Event]:
        events: list[Event] = []
        for is_thought_, text in pieces:
            if is_thought_:
                events += self._thought(text)
                continue
            if self._open != "text":
                events += self._leave()
                self._open, self._part_start = "text", self._said
            self._said += len(text)
            logprobs, self._logprobs = self._logprobs, None
            events += self._writer.text(text, logprobs)
        return events

    def _hear(self, sound: Fields) -> None:
        data, transcript = sound.get("data"), sound.get("transcript")
        if isinstance(data, str):
            self._audio.append(data)
        if isinstance(transcript, str):
            self._transcript.append(transcript)

    def _leave(self, keep: str = "") -> list[Event]:
        """Before something that is not `keep`: what the open part still waits for, and its end."""
        if self._open == keep and keep:
            return []
        events: list[Event] = []
        if self._open == "text" and self._cited:
            events = self._cite()
        elif self._open == "thought":
            sealed = self._details.take()
            events = [] if sealed is None else self._writer.seal(sealed)
        self._open = ""
        return [*events, *self._writer.end_prose()]

    def _cite(self) -> list[Event]:
        cited, self._cited = self._cited, []
        base = self._inline.removed + self._part_start
        events: list[Event] = []
        for citation in cited:
            events += self._writer.cite(moved(citation, base, self._said - self._part_start))
        return events

    # -- calls ----------------------------------------------------------------------------------------------------

    def _call(self, fields: Fields, *, whole: bool) -> list[Event]:
        custom = fields.get("type") == "custom" or isinstance(fields.get("custom"), Mapping)
        held = fields.get("custom" if custom else "function")
        held = held if isinstance(held, Mapping) else {}
        name = held.get("name")
        name = name if isinstance(name, str) else ""
        piece = arguments_of(held.get("input" if custom else "arguments"))
        call = None if whole else self._known(fields, name, piece)
        if call is None:
            call = self._new(fields, custom=custom)
        call.name = call.name or name
        call.signature = call.signature or signature_of(fields)
        if piece:
            call.pieces.append(piece)
        if call.started:
            return self._writer.arguments(call, piece)
        return self._start(call) if call.name else []

    def _known(self, fields: Fields, name: str, piece: str) -> _Call | None:
        """The call that a delta goes on with, None for a new one.

        Vendors tell parallel calls apart by `index`, by `id`, or not at all; some number all of them 0. A call whose
        arguments are whole cannot go on.
        """
        index, id_ = fields.get("index"), fields.get("id")
        if isinstance(index, int):
            known = self._by_index.get(index)
        elif id_:
            return self._by_id.get(str(id_))
        else:
            known = self._calls[-1] if self._calls else None
        if known is None or (id_ and known.id and id_ != known.id):
            return None
        if name and known.name and not (id_ and id_ == known.id):
            another = name != known.name or known.is_whole
            return None if another and (piece or name != known.name) else known
        return known

    def _new(self, fields: Fields, *, custom: bool) -> _Call:
        index, id_ = fields.get("index"), fields.get("id")
        call = _Call(id_ if isinstance(id_, str) else "", custom=custom)
        self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        if call.id:
            self._by_id[call.id] = call
        return call

    def _start(self, call: _Call) -> list[Event]:
        events = self._leave()
        for other in self._calls:
            if other.started and other is not call and other.is_whole:
                events += self._writer.end_call(other)
        sealed = self._details.take()
        if sealed is not None:
            events += self._writer.seal(sealed)
        if call.signature is not None:
            data = {"extra_content": call.signature, "call": call.id}
            events += self._writer.seal(Opaque(dialect=DIALECT, data=data))
        call.started = True
        events += self._writer.call(call, id=call.id, name=call.name, custom=call.custom)
        return [*events, *self._writer.arguments(call, "".join(call.pieces))]


def _merged(kept: Any, new: Any) -> Any:
    """Log probabilities that wait for their text, and more of them."""
    if not isinstance(new, dict):
        return kept
    if not isinstance(kept, dict):
        return new
    return {name: [*(kept.get(name) or ()), *(new.get(name) or ())] or None for name in ("content", "refusal")}
