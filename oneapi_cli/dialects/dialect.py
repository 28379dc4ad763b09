"""What every wire format offers to the gateway: the shapes of a dialect's module, and the values it answers with.

`Dialect` is a format that is relayed; `Listener` and `Speaker` are the two sides of translation: what clients speak,
and what vendors speak. A conversational module may have all three.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from ..framing.sse import Frame
from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.conversation import Conversation, Notes, Reply
from ..values.errors import GatewayError
from ..values.events import Event
from ..values.uploads import Upload
from ..values.usage import Usage
from ..values.vendor import Quirks, Traits


class VendorError(Struct, frozen=True, kw_only=True):
    """An error as the vendor put it. status: what it says of itself inside a 200 or a stream, None where it does not.

    is_vendor_body: the vendor's own words (JSON of a known shape), not a proxy's page on the way to it.
    """

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None
    is_vendor_body: bool = True


class ReplyReading(Struct, frozen=True, kw_only=True):
    """What a whole reply says. texts: what it produced, to be counted where there is no usage. error: a 200 that is
    none."""

    usage: Usage | None
    error: VendorError | None = None
    texts: tuple[str, ...] = ()
    finished: bool = False


class StreamScanner(Protocol):
    """Reads beside a stream that is relayed. Bytes come out as they went in, whole events only, and the ending not at
    all."""

    @property
    def ending(self) -> bytes:
        """What was kept back: the bytes that end the reply, in order."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The last usage object so far."""
        ...

    @property
    def usage_is_early(self) -> bool:
        """Whether that usage came before the output was over (Anthropic reports the input first): what was seen after
        it lies ready for `take_seen`."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the model said that it has finished."""
        ...

    @property
    def done(self) -> bool:
        """Whether the stream's own last event is here."""
        ...

    @property
    def error(self) -> VendorError | None:
        """An error event; its bytes were relayed as they came."""
        ...

    @property
    def clean(self) -> bool:
        """Whether the stream came to its end and not just to a stop; final after `close`."""
        ...

    @property
    def unreported(self) -> list[bytes]:
        """Raw events that came after the last usage object, the latest of them if they are many: what a stream that
        broke off has produced beside what its vendor reported."""
        ...

    @property
    def seen_bytes(self) -> int:
        """How much lies ready for `take_seen`; 0 for good once the vendor has reported usage."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """What may go to the client now. Raises Malformed; what came before the fault is handed out first, then the
        next call (`feed` or `close`) raises."""
        ...

    def close(self) -> None:
        """The upstream has ended. Raises Malformed where `feed` still owed it."""
        ...

    def take_seen(self) -> list[bytes]:
        """Raw events not handed out before, for `texts_of`."""
        ...


class Dialect(Protocol):
    """One wire format. Every member is a module-level function or constant of `dialects/<name>.py`."""

    NAME: str

    def peek(self, body: bytes, params: Params = NO_PARAMS) -> Wanted:
        """The members that we read. params: what stands in the URL instead. Raises BadRequest naming the member at
        fault."""
        ...

    def measure(self, body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
        """How large the input can be at most. Raises BadRequest for media given twice in one part."""
        ...

    def rewrite(self, body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
        """The bytes for upstream (the same object where nothing changes) and note codes such as
        `dropped:temperature`."""
        ...

    def read_usage(self, payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
        """The usage in a reply or an event, given decoded or as JSON. None where there is no usage object."""
        ...

    def read_reply(self, body: bytes, quirks: Quirks) -> ReplyReading:
        """A whole 2xx body. Raises Malformed when it is not one of this dialect's."""
        ...

    def open_stream(self, quirks: Quirks, *, hide_usage: bool, event_limit: int) -> StreamScanner:
        """hide_usage: we asked for the usage event, not the client: it is taken out."""
        ...

    def texts_of(self, events: list[bytes]) -> list[str]:
        """The text that raw events carry, joined by where it belongs, for a tokenizer."""
        ...

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        """`error` as a body of this dialect."""
        ...

    def encode_error_event(self, error: GatewayError, request_id: str) -> bytes:
        """`error` as an event of this dialect's streams."""
        ...

    def decode_error(self, status: int, body: bytes) -> VendorError:
        """What a body that is not 2xx says."""
        ...


class ReplyHead(Struct, frozen=True, kw_only=True):
    """What a reply for the client needs to know beside what the vendor said.

    request_id: ours, 32 digits; ids that a format wants are made from it (`chatcmpl-…`, `msg_…`, `resp_…`). model: the
    name the client asked for, for vendors that name none. created: unix seconds. asked: the client's own request,
    decoded, for formats that repeat it. query: named members of its URL (`alt`, `reasoning_format`).
    """

    request_id: str
    model: str
    created: int
    asked: Mapping[str, Any] = {}
    query: Mapping[str, str] = {}


class EventDecoder(Protocol):
    """A vendor's frames → events. Raises Malformed for what its format cannot mean."""

    def feed(self, frame: Frame) -> list[Event]: ...

    def close(self) -> list[Event]:
        """The stream has ended. What is still open is closed; `Finished` is emitted here where the format says it only
        by ending."""
        ...


class EventEncoder(Protocol):
    """Events → the client's bytes, whole events of its framing. A format's last bytes wait for `close`."""

    def feed(self, event: Event) -> bytes: ...

    def close(self) -> bytes:
        """The bytes that end the reply (`[DONE]`, `message_stop`, `response.completed`, the last chunk with usage)."""
        ...

    def fail(self, error: GatewayError, request_id: str) -> bytes:
        """The bytes that end it with an error instead."""
        ...


class Step(Struct, frozen=True, kw_only=True):
    """One more request of an exchange that takes several (create, then poll). path: below the channel's base; url:
    absolute instead, where only the vendor can name it. stream: its reply is the stream that the client waits for.
    on_abandon: what to send if nobody waits any more (cancel the prediction). anonymous: `url` is where an output lies
    for whoever knows its address: no key goes there, and it must be public or at the vendor's own host.
    """

    method: str = "GET"
    path: str = ""
    url: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = {}
    wait_seconds: float = 0.0
    stream: bool = False
    anonymous: bool = False
    on_abandon: Step | None = None


class StepReply(Struct, frozen=True, kw_only=True):
    """What came back of one step, whole. Always 2xx: the gateway raises the rest."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Following = Generator[Step, StepReply, StepReply]
"""Yields steps, is sent their replies, returns the reply that `decode_reply` is to read. A speaker whose vendor needs
it is a `Follower` too; a step with `stream` is its last one."""


class Follower(Protocol):
    """A speaker whose vendor answers in several requests."""

    def request_headers(self, *, stream: bool) -> Mapping[str, str]:
        """Headers of the first request."""
        ...

    def follow(self, first: StepReply, *, stream: bool) -> Following: ...

    def report(self, first: StepReply) -> Step | None:
        """What to ask for once a stream has ended, whose reply says what was used; None where it said so itself."""
        ...


class Listener(Protocol):
    """The client's side of a conversational format: module-level functions beside those of `Dialect`."""

    NAME: str

    def decode_request(self, body: Mapping[str, Any]) -> tuple[Conversation, Notes]:
        """A client's decoded body. Raises BadRequest naming the member."""
        ...

    def encode_reply(self, reply: Reply, head: ReplyHead) -> dict[str, Any]: ...

    def encode_stream(self, head: ReplyHead) -> EventEncoder: ...


class Speaker(Protocol):
    """The vendor's side of a conversational format: module-level functions."""

    NAME: str

    def encode_request(self, talk: Conversation, quirks: Quirks, traits: Traits) -> tuple[dict[str, Any], Notes]:
        """The body for upstream, the model's upstream name and the output limit in it already being `talk`'s. Raises
        BadRequest for what this format cannot carry and nobody would want left out."""
        ...

    def decode_reply(self, payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
        """A whole 2xx body, decoded; VendorError where it carries an error instead. Raises Malformed."""
        ...

    def decode_stream(self, quirks: Quirks) -> EventDecoder: ...

    def decode_error(self, status: int, body: bytes) -> VendorError: ...


@runtime_checkable
class TaskFollower(Protocol):
    """A `TaskSpeaker` whose further requests depend on what was asked for. In `FOLLOWS` as well."""

    def follow_task(self, first: StepReply, task: TaskAsk) -> Following: ...

    def called_off(self, reply: StepReply) -> bool:
        """Whether this reply, to the request that calls it off or to any other, says that there is nothing to pay."""
        ...


class TaskAsk(Struct, frozen=True, kw_only=True):
    """A request that is no conversation, in the canon of its door (OpenAI's shape), for a vendor that has another.

    model: the name upstream. asked: the client's JSON, or the plain fields of its form (texts); upload: that form, for
    its files. request_id, created, name: for the answer: our id, unix seconds, the model as the client named it.
    told: once the replies are here, the headers of each, in order.
    """

    model: str
    name: str
    request_id: str
    created: int
    asked: Mapping[str, Any]
    upload: Upload | None = None
    quirks: Quirks = Quirks()
    told: Sequence[Mapping[str, str]] = ()


class TaskReply(Struct, frozen=True, kw_only=True):
    """What the client gets. usage: None where no reply said it and the measure of the request must do."""

    body: Mapping[str, Any]
    usage: Usage | None = None
    notes: Notes = ()


class TaskSpeaker(Protocol):
    """A vendor's way of doing what a door asks for: module-level functions. NAME: the dialect; SURFACE: the door's.
    PARTIAL: where several bodies leave and not all of them succeed, the answer is made of those that did.
    """

    NAME: str
    SURFACE: str
    PARTIAL: bool

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        """The bodies for upstream, in order: one, or several where the vendor takes less at once (batches, one picture
        a call). Each is sent on its own. Raises BadRequest for what this vendor cannot do.
        """
        ...

    def decode_task(self, payloads: Sequence[Mapping[str, Any]], task: TaskAsk) -> TaskReply | VendorError:
        """The answer, from the decoded replies to those bodies, in order; VendorError for a reply that is an error.
        Raises Malformed.
        """
        ...

    def decode_error(self, status: int, body: bytes) -> VendorError: ...
