"""The scanner that runs beside a relayed stream of the OpenAI family.

Two speeds. A block of whole events in which nothing matters (no usage object, no error, no ending) is checked line by
line by msgspec and handed on as it came: one C call per event. Everything else goes event by event. The invariant:
what `feed` returned, then `ending`, is the upstream's stream byte for byte, but for the usage event that only we asked
for.

What a format adds is a `Grammar`: which members of an event matter, and what an event means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ..framing.sse import BOM, SseSplitter, parse_event, split_events
from ..values.errors import Malformed
from ..values.usage import Count, Usage
from ..values.vendor import Quirks
from .dialect import VendorError

DONE = b"[DONE]"

LATE_BYTES = 16 << 10
UNREPORTED_BYTES = 64 << 10

_NEWLINE, _D, _BOM_BYTE = 0x0A, 0x64, BOM[0]

_any_json = msgspec.json.Decoder(Raw)

Fate = Literal["pass", "hide", "end"]


class Sight(Struct):
    """What one event means. usage: the raw block, its tier and whether it closes the stream; early: it was reported
    before the output and says nothing of it; counts: what is billed beside it."""

    fate: Fate = "pass"
    usage: bytes | None = None
    early: bool = False
    tier: str | None = None
    counts: Mapping[str, Count] = {}
    finished: bool = False
    error: VendorError | None = None


class Grammar(Struct, frozen=True):
    """One format's events. plain: a decoder's method that passes only JSON in which nothing matters, and raises
    DecodeError for all other; look: event name and JSON → its meaning; finish: matches in raw events that say the
    model has finished; join: what was reported so far and a further report → both in one, where a format reports in
    pieces."""

    plain: Callable[[bytes], object]
    look: Callable[[str, bytes], Sight]
    read_usage: Callable[[bytes, str | None, Quirks], Usage | None]
    finish: re.Pattern[bytes]
    join: Callable[[bytes, bytes], bytes] | None = None


class Scanner:
    """A `StreamScanner` for one `Grammar`."""

    def __init__(self, grammar: Grammar, quirks: Quirks, *, hide_usage: bool, event_limit: int) -> None:
        self._grammar = grammar
        self._quirks = quirks
        self._hide_usage = hide_usage
        self._splitter = SseSplitter(event_limit)
        self._ending: list[bytes] = []
        self._sealed = False  # something that is no comment came after the ending: it is not the reply's
        self._seen: list[bytes] = []
        self._seen_bytes = 0
        self._late: list[bytes] = []
        self._unreported: list[bytes] = []
        self._unreported_bytes = 0
        self.usage: Usage | None = None
        self.usage_is_early = False
        self._reported: bytes | None = None  # the raw usage so far, where a format reports it in pieces
        self._last_word = False  # usage came in an event of its own, as it does at the end
        self._finished = False
        self._fault: Malformed | None = None
        self._broken = False
        self.done = False
        self.error: VendorError | None = None

    @property
    def ending(self) -> bytes:
        return b"".join(self._ending)

    @property
    def finished(self) -> bool:
        if not self._finished:
            search = self._grammar.finish.search
            self._finished = any(search(block) is not None for block in (*self._late, *self._seen, *self._unreported))
        return self._finished

    @property
    def clean(self) -> bool:
        if self.error is not None or self._broken or self._fault is not None:
            return False
        return self.done or self.finished or self._last_word

    @property
    def unreported(self) -> list[bytes]:
        return list(self._unreported)

    @property
    def seen_bytes(self) -> int:
        return self._seen_bytes

    def take_seen(self) -> list[bytes]:
        seen, self._seen, self._seen_bytes = self._seen, [], 0
        # What says that the model has finished stands near the end: looked for there, and only if the end is missing.
        self._late = _last_of([*self._late, *seen], LATE_BYTES)
        return seen

    def feed(self, chunk: bytes) -> bytes:
        if self._fault is not None:
            raise self._fault
        try:
            block = self._splitter.feed_block(chunk)
        except Malformed as fault:
            self._fault = fault
            raise
        if not block:
            return b""
        if not self.done and self._is_plain(block):
            self._remember(block)
            return block
        return self._one_by_one(block)

    def close(self) -> None:
        self.feed(b"")  # what it still owes
        rest = self._splitter.rest
        self._splitter = SseSplitter()
        if not rest.strip(b"\r\n"):
            self._ending += [rest] if not self._sealed else []
        elif _is_whole(rest):
            try:
                kept = self._place(rest)
            except Malformed:
                self._broken = True
            else:
                self._ending += [rest] if kept else []
        else:
            self._broken = not self.done

    # -- both speeds ----------------------------------------------------------------------------------------------

    def _is_plain(self, block: bytes) -> bool:
        """Whether every event is valid and none of them matters. False is never wrong: it only costs the closer look.

        A loop over offsets: it makes one object per event, where splitting the block makes three. Lines that begin with
        another letter are names and comments, which say nothing that the data does not.
        """
        if b"\r" in block:
            return False
        decode, find = self._grammar.plain, block.find
        at, end = 0, len(block)
        try:
            if not block.isascii():
                block.decode()
            while at < end:
                first = block[at]
                if first == _NEWLINE:
                    at += 1
                    continue
                stop = find(b"\n", at)
                if first == _D:
                    decode(block[at + 5 : stop])  # what follows `data:`
                elif first == _BOM_BYTE:
                    return False
                at = stop + 1
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return True

    def _one_by_one(self, block: bytes) -> bytes:
        out: list[bytes] = []
        for event in split_events(block):
            try:
                if self._place(event):
                    out.append(event)
            except Malformed as fault:
                self._fault = fault
                if not out:
                    raise
                break
        return b"".join(out)

    def _place(self, event: bytes) -> bool:
        """Read one raw event and put it where it belongs; whether it goes on to the client now. Raises Malformed."""
        frame = parse_event(event)
        data = frame.data.strip() if frame.data is not None else b""
        if self.done:
            self._sealed = self._sealed or bool(data and data != DONE)
            self._ending += [event] if not self._sealed else []
            return False
        if data == DONE:
            self.done = True
            self._ending.append(event)
            return False
        sight = self._look(frame.event, data) if data else Sight()
        reports = self._note(sight)
        if sight.fate == "end":
            self.done = True
            self._ending.append(event)
            return False
        if sight.fate == "hide" and self._hide_usage:
            return False
        if not reports:
            self._remember(event)
        return True

    def _look(self, name: str, data: bytes) -> Sight:
        try:
            return self._grammar.look(name, data)
        except msgspec.ValidationError:
            pass  # JSON, but of no shape that we read: passed on as it is, once it is sure to be JSON
        except (msgspec.DecodeError, RecursionError):
            raise Malformed("The upstream sent an event whose data is not JSON") from None
        try:
            _any_json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise Malformed("The upstream sent an event whose data is not JSON") from None
        return Sight()

    def _note(self, sight: Sight) -> bool:
        """Keep what an event says; whether it reports usage."""
        self._finished = self._finished or sight.finished
        self.error = sight.error or self.error
        usage = None if sight.usage is None else self._read_usage(sight.usage, sight)
        if usage is None or not self._is_news(usage, sight):
            return False
        self._finished = self.finished
        self.usage_is_early = sight.early
        self.usage = replace(usage, counts={**usage.counts, **sight.counts}) if sight.counts else usage
        self._last_word = self._last_word or sight.fate != "pass"
        self._seen, self._seen_bytes = [], 0
        self._unreported, self._unreported_bytes = [], 0
        return True

    def _read_usage(self, raw: bytes, sight: Sight) -> Usage | None:
        join = self._grammar.join
        if join is not None:
            raw = self._reported = raw if self._reported is None else join(self._reported, raw)
        usage = self._grammar.read_usage(raw, sight.tier, self._quirks)
        if usage is None or not sight.early:
            return usage
        return replace(usage, counts={unit: n for unit, n in usage.counts.items() if unit != "output_tokens"})

    def _is_news(self, usage: Usage, sight: Sight) -> bool:
        """Zeros in the middle of a stream are what some vendors fill a form with; after a real report they take
        nothing back."""
        if any(usage.counts.values()):
            return True
        return self.usage is None and (sight.fate != "pass" or sight.finished)

    def _remember(self, block: bytes) -> None:
        """Kept until it is counted; once the vendor has counted for us, only the last of what came after that."""
        if self.usage is None or self.usage_is_early:
            self._seen.append(block)
            self._seen_bytes += len(block)
        else:
            self._unreported.append(block)
            self._unreported_bytes += len(block)
            if self._unreported_bytes > 2 * UNREPORTED_BYTES:
                self._unreported = _last_of(self._unreported, UNREPORTED_BYTES)
                self._unreported_bytes = sum(map(len, self._unreported))


def _last_of(blocks: list[bytes], size: int) -> list[bytes]:
    """The blocks at the end that hold at least this many bytes together."""
    for place in range(len(blocks) - 1, -1, -1):
        size -= len(blocks[place])
        if size <= 0:
            return blocks[place:]
    return blocks


def _is_whole(rest: bytes) -> bool:
    """Whether an event that lacks only its blank line was cut at the end of a line's content rather than within."""
    last = rest.rstrip(b"\r\n").replace(b"\r", b"\n").rpartition(b"\n")[2]
    return last.startswith((b":", b"data:"))


def data_lines(events: list[bytes]) -> list[bytes]:
    """The JSON texts of raw events (blocks of several too), for reading what they say; endings and noise left out."""
    found = []
    for block in events:
        for event in split_events(block):
            data = parse_event(event).data
            if data and data.strip() != DONE:
                found.append(data)
    return found
