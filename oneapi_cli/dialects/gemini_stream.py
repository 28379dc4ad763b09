"""The scanner beside a relayed Gemini stream, and the framing of streams as a JSON array.

There is no event that ends a stream: the connection does. So the event with a `finishReason` (or a blocked prompt's
feedback) is kept back, and let go when another follows; what is kept at the end is the ending. Usage stands in every
event and replaces what came before; in the middle of a stream it may tell the prompt alone.

The invariant: what `feed` returned, then `ending`, is the upstream's stream byte for byte.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..framing.sse import SseSplitter, parse_event, split_events
from ..values.errors import Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from .dialect import ReplyReading, VendorError
from .gemini_errors import any_error_in, error_in
from .gemini_usage import charged, queries_in, read_usage, usage_of

UNREPORTED_BYTES = 64 << 10

_anything = msgspec.json.Decoder(float_hook=str)
_members = msgspec.json.Decoder(dict[str, Raw])


_NONE = Raw()


class _Candidate(Struct, gc=False):
    finishReason: Any = None
    groundingMetadata: Raw = _NONE


class _Feedback(Struct, gc=False):
    blockReason: Any = None


class _Chunk(Struct, gc=False):
    """What matters of an event."""

    candidates: list[_Candidate] | None = None
    usageMetadata: Raw = _NONE
    promptFeedback: _Feedback | None = None
    modelVersion: str | None = None
    error: Raw = _NONE


class _PlainCandidate(Struct, gc=False):
    finishReason: None = None
    groundingMetadata: None = None


class _Plain(Struct, gc=False):
    """An event in which nothing matters but usage; typed so, any other is a fault to the decoder."""

    candidates: list[_PlainCandidate]
    usageMetadata: Raw
    promptFeedback: None = None
    error: None = None


_chunk = msgspec.json.Decoder(_Chunk)
_plain = msgspec.json.Decoder(_Plain)
_BLANK = b"\r\n\r\n"
_OUTPUT = b'sTokenCount"'  # of candidates and thoughts; prompt, cached content and total end otherwise


class Scanner:
    """A `StreamScanner`."""

    def __init__(self, *, event_limit: int) -> None:
        self._splitter = SseSplitter(event_limit)
        self._kept: list[bytes] = []
        self._seen: list[bytes] = []
        self._seen_bytes = 0
        self._unreported: list[bytes] = []
        self._unreported_bytes = 0
        self._queries: set[str] = set()
        self._model: str | None = None
        self._block: bytes | None = None  # the raw usage that counts, read when somebody asks
        self._usage: Usage | None = None
        self._fault: Malformed | None = None
        self._broken = False
        self._closed = False
        self.usage_is_early = False
        self.finished = False
        self.error: VendorError | None = None

    @property
    def ending(self) -> bytes:
        return b"".join(self._kept)

    @property
    def usage(self) -> Usage | None:
        if self._usage is None and self._block is not None:
            self._usage = usage_of(self._block, charged(self._queries, self._model))
        return self._usage

    @property
    def done(self) -> bool:
        """Only the end of the connection tells that nothing more comes."""
        return self._closed and self.clean

    @property
    def clean(self) -> bool:
        return self.finished and self.error is None and not self._broken and self._fault is None

    @property
    def unreported(self) -> list[bytes]:
        return list(self._unreported)

    @property
    def seen_bytes(self) -> int:
        return self._seen_bytes

    def take_seen(self) -> list[bytes]:
        seen, self._seen, self._seen_bytes = self._seen, [], 0
        return seen

    def feed(self, chunk: bytes) -> bytes:
        if self._fault is not None:
            raise self._fault
        out: list[bytes] = []
        try:
            block = self._splitter.feed_block(chunk)
            if _is_one_line_each(block):
                for line in block.split(_BLANK)[:-1]:
                    event, data = line + _BLANK, line[6:]
                    if self._kept or not self._passes(data):
                        self._place(event, data, out)
                    else:
                        out.append(event)
            else:
                for event in split_events(block):
                    self._place(event, parse_event(event).data, out)
        except Malformed as fault:
            self._fault = fault
            if not out:
                raise
        return b"".join(out)

    def close(self) -> None:
        """Harmless the second time. An event that lacks only its blank line is whole if it is JSON."""
        if self._fault is not None:
            raise self._fault
        rest, self._splitter = self._splitter.rest, SseSplitter()
        self._closed = True
        self._close_rest(rest)
        if self.finished and self.usage_is_early:  # never told how much was produced: what was seen tells it
            self._unreported, self._seen, self._seen_bytes = self._seen, [], 0
            self.usage_is_early = False

    def _close_rest(self, rest: bytes) -> None:
        if not rest.strip():
            self._kept += [rest] if rest and self._kept else []
            return
        out: list[bytes] = []
        try:
            self._place(rest, parse_event(rest).data, out)
        except Malformed:
            self._broken = True
        else:
            self._kept = [*out, *self._kept]

    def _passes(self, data: bytes) -> bool:
        """Whether this is an event like most: more text, and all of it counted. False is never wrong: it only costs
        the closer look."""
        try:
            raw = bytes(_plain.decode(data).usageMetadata)
        except (msgspec.DecodeError, RecursionError):
            return False
        if _OUTPUT not in raw:
            return False
        self._report(raw)
        return True

    def _place(self, event: bytes, data: bytes | None, out: list[bytes]) -> None:
        """Read one raw event; what may go on is put into `out`."""
        if not data:  # a comment: it goes where the events around it go
            (self._kept if self._kept else out).append(event)
            return
        self._read(data)
        if not self._note_usage():
            self._remember(event)
        if self.finished and self.error is None:
            out += self._kept
            self._kept = [event]
        else:
            out += [*self._kept, event]
            self._kept = []

    def _read(self, data: bytes) -> None:
        try:
            chunk = _chunk.decode(data)
        except msgspec.ValidationError:  # JSON of a shape that we do not read
            chunk = _Chunk()
        except (msgspec.DecodeError, RecursionError):
            raise Malformed("The upstream sent an event whose data is not JSON") from None
        self._latest = chunk
        self._model = chunk.modelVersion or self._model
        for candidate in chunk.candidates or ():
            self.finished = self.finished or _finishes(candidate.finishReason)
            grounding = bytes(candidate.groundingMetadata)
            if grounding.startswith(b"{"):
                self._queries |= queries_in(_anything.decode(grounding))
        if chunk.promptFeedback is not None and chunk.promptFeedback.blockReason:
            self.finished = True
        if error := bytes(chunk.error):
            self.error = error_in({"error": _anything.decode(error)}) or self.error

    _latest = _Chunk()

    def _note_usage(self) -> bool:
        """Keep what an event reports; whether that covers what it produced."""
        raw = bytes(self._latest.usageMetadata)
        if not raw.startswith(b"{"):
            return False
        whole = _OUTPUT in raw
        if not whole and self._block is not None and not self.usage_is_early:
            return False  # it says less than is known
        if whole:
            self._report(raw)
            return True
        self._block, self._usage, self.usage_is_early = raw, None, True
        return False

    def _report(self, raw: bytes) -> None:
        """Usage that covers all there was so far."""
        self._block, self._usage, self.usage_is_early = raw, None, False
        if self._seen or self._unreported:
            self._seen, self._seen_bytes = [], 0
            self._unreported, self._unreported_bytes = [], 0

    def _remember(self, event: bytes) -> None:
        if self._block is None or self.usage_is_early:
            self._seen.append(event)
            self._seen_bytes += len(event)
            return
        self._unreported.append(event)
        self._unreported_bytes += len(event)
        while self._unreported_bytes > 2 * UNREPORTED_BYTES and len(self._unreported) > 1:
            self._unreported_bytes -= len(self._unreported.pop(0))


def _is_one_line_each(block: bytes) -> bool:
    """Whether a block is events of one `data: {…}` line each, as Google's are: those need no regular expressions."""
    events = block.count(_BLANK)
    if not block.endswith(_BLANK) or block.count(b"\n") != 2 * events or block.count(b"\r") != 2 * events:
        return False
    return block.isascii() and block.startswith(b"data: {") and block.count(b"\r\n\r\ndata: {") == events - 1


def _finishes(reason: object) -> bool:
    return isinstance(reason, str) and reason not in ("", "FINISH_REASON_UNSPECIFIED")


def open_stream(quirks: Quirks, *, hide_usage: bool, event_limit: int) -> Scanner:
    """A scanner for `alt=sse`. Usage is part of every event, so there is none to hide."""
    return Scanner(event_limit=event_limit)


def read_reply(body: bytes, quirks: Quirks) -> ReplyReading:
    """A whole reply. Raises Malformed when it is something else. A blocked prompt is an answer: it says so itself."""
    try:
        if not body.isascii():
            body.decode()
        members = _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("The upstream answered with something that is not a JSON object") from None
    payload: dict[str, Any] = {
        name: _anything.decode(members[name]) for name in ("candidates", "error") if name in members
    }
    if payload.get("error") and (error := error_in(payload)) is not None:
        return ReplyReading(usage=None, error=error)
    known = ("candidates", "promptFeedback", "usageMetadata")
    if not any(name in members for name in known):
        if (error := any_error_in({name: _anything.decode(raw) for name, raw in members.items()})) is not None:
            return ReplyReading(usage=None, error=error)
        raise Malformed("The upstream's answer has no `candidates`")
    usage = read_usage(body, quirks)
    texts = () if usage is not None else tuple(text for _, text in _pieces(payload))
    candidates = payload.get("candidates")
    finished = "promptFeedback" in members or any(
        isinstance(each, dict) and _finishes(each.get("finishReason")) for each in candidates or ()
    )
    return ReplyReading(usage=usage, texts=texts, finished=finished)


def texts_of(events: list[bytes]) -> list[str]:
    """What raw events produced: one text per candidate and kind, in order of appearance."""
    texts: dict[tuple[object, str], list[str]] = {}
    for block in events:
        for event in split_events(block):
            if not (data := parse_event(event).data):
                continue
            payload = _anything.decode(data)
            if isinstance(payload, dict):
                for key, text in _pieces(payload):
                    texts.setdefault(key, []).append(text)
    return ["".join(parts) for parts in texts.values()]


def _pieces(payload: Mapping[str, Any]) -> Iterator[tuple[tuple[object, str], str]]:
    candidates = payload.get("candidates")
    for place, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
        content = candidate.get("content") if isinstance(candidate, dict) else None
        parts = content.get("parts") if isinstance(content, dict) else None
        index = candidate.get("index", place) if isinstance(candidate, dict) else place
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                for kind, text in _part_pieces(part):
                    yield (index, kind), text


def _part_pieces(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(text := part.get("text"), str) and text:
        yield ("thought" if part.get("thought") is True else "text"), text
    if isinstance(call := part.get("functionCall"), dict):
        if isinstance(name := call.get("name"), str):
            yield "call", name
        if (args := call.get("args")) is not None:
            yield "call", msgspec.json.encode(args).decode()
    for name, member in (("executableCode", "code"), ("codeExecutionResult", "output")):
        if isinstance(run := part.get(name), dict) and isinstance(text := run.get(member), str):
            yield name, text


class ArrayFramer:
    """SSE events → the same stream as one JSON array, for clients that did not ask for `alt=sse`."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, events: bytes) -> bytes:
        """Whole SSE events in, the array's next elements out."""
        out: list[bytes] = []
        for event in split_events(events):
            if data := parse_event(event).data:
                out += [b",\r\n" if self._begun else b"[", data.strip()]
                self._begun = True
        return b"".join(out)

    def close(self, events: bytes = b"") -> bytes:
        """The last events, and the closing bracket."""
        out = self.feed(events)
        return out + (b"]" if self._begun else b"[]")
