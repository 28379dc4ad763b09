"""The way of a channel that speaks another dialect than the client: through the conversation, there and back.

The invariant of a translated stream: what it hands out are whole events of the client's dialect, made of what the
vendor said so far, and the bytes that end the reply only after the vendor has ended its own. Usage is the vendor's;
what a stream that broke off had shown beside it is counted from the client's own events.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ..dialects import DIALECTS, FOLLOWS, LISTENERS, SPEAKERS, ReplyHead, ReplyReading, VendorError
from ..dialects.dialect import EventDecoder, EventEncoder, Following, Step, StepReply
from ..dialects.gemini import ArrayFramer
from ..dialects.parts import events_of
from ..framing.frames import open_frames
from ..framing.sse import Frame, split_events
from ..values.asks import Ask
from ..values.conversation import Conversation, Notes, Refusal, Reply, Text, Thinking, ToolCall
from ..values.errors import BadRequest, GatewayError, Malformed, Refused
from ..values.events import Delta, Event, Failed, Finished, Noted, UsageSeen
from ..values.usage import Usage
from .plan import Offer, Order
from .relaying import SSE, change_for, wants_array
from .talk import Talk, with_system_prompt
from .ways import OpenStream, Outgoing, WholeReply
from .wrapping import as_array

_STREAMS = (SSE, "application/vnd.amazon.eventstream", "application/x-ndjson", "application/stream+json")
_DONE = b"[DONE]"
_UNSAYABLE = re.compile(r"[^!-+\--~]")
_NOTE_CHARS = 100

_anything = msgspec.json.Decoder()


class Translation:
    """A `Way` through the conversation."""

    def __init__(self, ask: Ask, order: Order, offer: Offer, *, event_limit: int, now: float) -> None:
        assert order.talk is not None, "an order with such an offer has its conversation"
        self._order, self._offer, self._event_limit = order, offer, event_limit
        self._talk: Talk = order.talk
        self._array = wants_array(ask, order)
        self._stream: TranslatedStream | None = None
        self._speaker = SPEAKERS[offer.candidate.dialect]
        self._listener = LISTENERS[order.wanted.dialect]
        self._head = ReplyHead(
            request_id=ask.id,
            model=order.wanted.model,
            created=int(now),
            asked=self._talk.asked,
            query={**ask.query, **ask.params},
        )

    def outgoing(self, limit: int | None) -> Outgoing:
        body, notes = encoded(self._talk, self._offer, limit)
        several = FOLLOWS.get(self._speaker.NAME)
        headers = several.request_headers(stream=self._order.wanted.stream) if several is not None else {}
        return Outgoing(body=body, notes=notes, headers=headers)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return self._speaker.decode_error(status, body)

    @property
    def follows(self) -> bool:
        return self._speaker.NAME in FOLLOWS

    def follow(self, first: StepReply) -> Following:
        return FOLLOWS[self._speaker.NAME].follow(first, stream=self._order.wanted.stream)

    def report(self, first: StepReply) -> Step | None:
        return FOLLOWS[self._speaker.NAME].report(first)

    def read_report(self, body: bytes) -> bool:
        reply = self._decoded(body)
        if isinstance(reply, VendorError) or reply.usage is None or self._stream is None:
            return False
        self._stream.told(reply.usage)
        return True

    def called_off(self, reply: StepReply) -> bool:
        return False  # what was produced until then is paid for, and nobody knows how much that is

    def is_stream(self, content_type: str) -> bool:
        return content_type.startswith(_STREAMS)

    def read_whole(self, body: bytes) -> WholeReply:
        """The vendor's reply in the client's words; as a stream of them where it wanted one. Raises Malformed."""
        reply = self._decoded(body)
        if isinstance(reply, VendorError):
            return WholeReply(reading=ReplyReading(usage=None, error=reply))
        reading = ReplyReading(usage=reply.usage, texts=tuple(_texts_of(reply)), finished=True)
        if self._order.wanted.stream:
            return self._as_stream(reply, reading)
        encoded = msgspec.json.encode(self._listener.encode_reply(reply, self._head))
        return WholeReply(reading=reading, body=encoded, content_type="application/json", notes=reply.notes)

    def open_stream(self, content_type: str) -> OpenStream:
        encoder = self._listener.encode_stream(self._head)
        decoder = self._speaker.decode_stream(self._offer.candidate.channel.quirks)
        scanner = TranslatedStream(decoder, encoder, content_type, self._event_limit, request_id=self._head.request_id)
        self._stream = scanner
        opened = OpenStream(scanner=scanner, fail=encoder.fail)
        return as_array(opened) if self._array else opened

    def _decoded(self, body: bytes) -> Reply | VendorError:
        try:
            payload = _anything.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("The upstream's reply is not JSON") from None
        if not isinstance(payload, dict):
            raise Malformed("The upstream's reply is not a JSON object")
        return self._speaker.decode_reply(payload, self._offer.candidate.channel.quirks)

    def stored_id(self, block: bytes) -> str:
        return ""  # what a translated reply is called is our own word

    def _as_stream(self, reply: Reply, reading: ReplyReading) -> WholeReply:
        """For a client that wanted a stream and a vendor that has none."""
        encoder = self._listener.encode_stream(self._head)
        body = b"".join(encoder.feed(event) for event in events_of(reply)) + encoder.close()
        if self._array:
            array = ArrayFramer().close(body)
            return WholeReply(reading=reading, body=array, content_type="application/json", notes=reply.notes)
        return WholeReply(reading=reading, body=body, content_type=f"{SSE}; charset=utf-8", notes=reply.notes)


def encoded(talk: Talk, offer: Offer, limit: int | None) -> tuple[bytes, Notes]:
    """`encode`, once for each offer and limit."""
    key = (offer.candidate.channel.name, limit)
    if key not in talk.encoded:
        talk.encoded[key] = encode(talk, offer, limit)
    return talk.encoded[key]


def encode(talk: Talk, offer: Offer, limit: int | None) -> tuple[bytes, Notes]:
    """The body for this offer's channel, and notes of all that the way there could not carry. Raises BadRequest."""
    candidate, traits = offer.candidate, offer.traits
    quirks = candidate.channel.quirks
    conversation: Conversation = replace(talk.conversation, model=candidate.model_sent, limit=limit)
    conversation = with_system_prompt(conversation, candidate.channel.system_prompt)
    payload, notes = SPEAKERS[candidate.dialect].encode_request(conversation, quirks, traits)
    body = msgspec.json.encode(payload)
    notes = (*talk.notes, *notes)
    own = DIALECTS.get(candidate.dialect)
    counts = conversation.stream and quirks.stream_usage and candidate.dialect == "openai_chat"
    change = change_for(offer, None, add_usage=counts)
    if own is not None and (change.reasoning or change.add_usage or change.limit_name or change.body_version):
        params = {"model": candidate.model_sent, "stream": "1" if conversation.stream else ""}
        body, more = own.rewrite(body, own.peek(body, params), replace(change, system_prompt=""))
        notes = (*notes, *more)
    return body, plain_notes(notes)


def plain_notes(notes: Notes) -> Notes:
    """Each once, as a header can say it: they may name a client's own members, whose names may be anything."""
    return tuple(dict.fromkeys(_UNSAYABLE.sub("_", note)[:_NOTE_CHARS] for note in notes))


def check_strict(notes: Notes, dialect: str) -> None:
    """Under `strict_translation` nothing may be left out. Raises BadRequest."""
    if notes:
        raise BadRequest(
            f"This request cannot be carried whole to a channel that speaks {dialect}: {', '.join(notes)}. "
            "Leave those out, or set `strict_translation: false`",
            code="not_translatable",
        )


def _texts_of(reply: Reply) -> list[str]:
    """What a reply produced, for a tokenizer, where the vendor reports no usage."""
    found = []
    for choice in reply.choices:
        for part in choice.parts:
            if isinstance(part, Text | Thinking | Refusal):
                found.append(part.text)
            elif isinstance(part, ToolCall):
                found += [part.name, part.arguments]
    return found


class TranslatedStream:
    """A `StreamScanner` from one dialect's frames to another's events."""

    def __init__(
        self, decoder: EventDecoder, encoder: EventEncoder, content_type: str, event_limit: int, *, request_id: str
    ) -> None:
        self._decoder, self._encoder, self._request_id = decoder, encoder, request_id
        self._frames = open_frames(content_type, event_limit)
        self._out: list[bytes] = []
        self._seen: list[bytes] = []
        self._seen_bytes = 0
        self._fault: Malformed | None = None
        self._closed = False
        self._ending = b""
        self._said = False  # whether anything was produced since the last usage
        self.usage: Usage | None = None
        self.finished = False
        self.done = False
        self.error: VendorError | None = None
        self.notes: Notes = ()

    @property
    def ending(self) -> bytes:
        return self._ending

    @property
    def usage_is_early(self) -> bool:
        """Whether the usage there is was reported before the output was over."""
        return self.usage is not None and self._said

    @property
    def clean(self) -> bool:
        return self.finished and self.error is None and self._fault is None

    @property
    def unreported(self) -> list[bytes]:
        return []

    @property
    def seen_bytes(self) -> int:
        return self._seen_bytes

    def take_seen(self) -> list[bytes]:
        seen, self._seen, self._seen_bytes = self._seen, [], 0
        return split_events(b"".join(seen))

    def feed(self, chunk: bytes) -> bytes:
        """See `StreamScanner`."""
        if self._fault is not None:
            raise self._fault
        try:
            frames = self._frames.feed(chunk)
            self._translate(frames)
        except Malformed as fault:
            self._fault = fault
            if not self._out:
                raise
        return self._take_out()

    def told(self, usage: Usage) -> None:
        """What it has used, from elsewhere."""
        self._note(UsageSeen(usage=usage))

    def close(self) -> None:
        """See `StreamScanner`."""
        if self._fault is not None:
            raise self._fault
        if self._closed:
            return
        self._closed = True
        self._translate(self._frames.close())
        if self.error is None:
            self._note_all(self._decoder.close())
        self.done = True
        rest = self._take_out()
        self._ending = rest + self._encoder.close() if self.clean else rest

    def _translate(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if self.error is not None or self.done:
                return
            if frame.data == _DONE and not frame.event:
                self._note_all(self._decoder.feed(frame))
                self.done = True
            elif frame.data is not None:
                self._note_all(self._decoder.feed(frame))

    def _note_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._note(event)
            if self.error is not None:
                return

    def _note(self, event: Event) -> None:
        if isinstance(event, Failed):
            self.error = VendorError(
                message=event.message, type=event.type or None, code=event.code or None, status=event.status
            )
            self._say(self._encoder.fail(_refused(event), self._request_id))
            return
        if isinstance(event, UsageSeen):
            self.usage, self._said = event.usage, False
            self._seen, self._seen_bytes = [], 0
        elif isinstance(event, Delta):
            self._said = True
        elif isinstance(event, Finished):
            self.finished = True
        elif isinstance(event, Noted):
            self.notes = tuple(dict.fromkeys((*self.notes, *event.notes)))
        self._say(self._encoder.feed(event))

    def _say(self, block: bytes) -> None:
        if block:
            self._out.append(block)
            if self._said:
                self._seen.append(block)
                self._seen_bytes += len(block)

    def _take_out(self) -> bytes:
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)


def _refused(event: Failed) -> GatewayError:
    return Refused(
        event.message,
        status=event.status or 502,
        type=event.type or "upstream_error",
        code=event.code or None,
    )
