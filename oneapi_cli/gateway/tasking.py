"""The way of a request that is no conversation to a vendor with a format of its own: a dialect of `dialects/tasks/`.

One request of the client may be several of the vendor's (a batch that is too long, one picture a call). They are sent
at once, to one channel, as one attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..dialects import FOLLOWS, TASKS, ReplyReading, VendorError
from ..dialects.dialect import Following, Step, StepReply, TaskAsk, TaskFollower
from ..framing.members import too_deep
from ..values.asks import Ask
from ..values.conversation import Notes
from ..values.errors import BadRequest, Malformed
from ..values.uploads import Form
from .plan import Offer, Order
from .ways import OpenStream, Outgoing, WholeReply

MOST_CALLS = 2_048
"""Of one request, to one vendor."""

_anything = msgspec.json.Decoder()


class Encoded(Struct, frozen=True):
    """What leaves for one channel: a body a call."""

    bodies: tuple[bytes, ...]
    notes: Notes


class TaskWay:
    """A `Way` by a `TaskSpeaker`."""

    def __init__(self, ask: Ask, order: Order, offer: Offer, now: float) -> None:
        self._order = order
        self._speaker = TASKS[offer.candidate.dialect]
        self._task = task_of(ask, order, offer, now)

    @property
    def follows(self) -> bool:
        return self._speaker.NAME in FOLLOWS

    def follow(self, first: StepReply) -> Following:
        if isinstance(self._speaker, TaskFollower):
            return self._speaker.follow_task(first, self._task)
        return FOLLOWS[self._speaker.NAME].follow(first, stream=False)

    def report(self, first: StepReply) -> Step | None:
        return None

    def read_report(self, body: bytes) -> bool:
        return True

    def called_off(self, reply: StepReply) -> bool:
        """Whether what was left is not to be paid for, as the vendor's reply says. Raises Malformed."""
        return isinstance(self._speaker, TaskFollower) and self._speaker.called_off(reply)

    def outgoing(self, limit: int | None) -> Outgoing:
        made = encode_task(self._task, self._speaker.NAME)
        several = FOLLOWS.get(self._speaker.NAME)
        headers = several.request_headers(stream=False) if several is not None else {}
        return Outgoing(body=made.bodies[0], more=made.bodies[1:], notes=made.notes, headers=headers)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return self._speaker.decode_error(status, body)

    def is_stream(self, content_type: str) -> bool:
        return False

    def open_stream(self, content_type: str) -> OpenStream:
        raise AssertionError("no task streams")

    def stored_id(self, block: bytes) -> str:
        return ""

    def read_whole(self, body: bytes) -> WholeReply:
        return self.read_several([StepReply(status=200, headers={}, body=body)])

    @property
    def partial(self) -> bool:
        """Whether the replies that came are an answer, where others failed."""
        return self._speaker.PARTIAL

    def read_several(self, replies: Sequence[StepReply]) -> WholeReply:
        """The answer to the client, from the replies to each body that left, in order. Raises Malformed."""
        task = replace(self._task, told=[each.headers for each in replies])
        reply = self._speaker.decode_task([_object(each.body) for each in replies], task)
        if isinstance(reply, VendorError):
            return WholeReply(reading=ReplyReading(usage=None, error=reply))
        reading = ReplyReading(usage=reply.usage, finished=True)
        return WholeReply(
            reading=reading,
            body=msgspec.json.encode(reply.body),
            content_type="application/json",
            notes=reply.notes,
        )


def encode_task(task: TaskAsk, dialect: str) -> Encoded:
    """Raises BadRequest for what this vendor cannot do, and for what would take too many calls."""
    bodies, notes = TASKS[dialect].encode_task(task)
    if len(bodies) > MOST_CALLS:
        raise BadRequest(f"This request would take {len(bodies)} calls of the vendor; at most {MOST_CALLS} are made")
    return Encoded(tuple(msgspec.json.encode(body) for body in bodies), notes)


def task_of(ask: Ask, order: Order, offer: Offer, now: float) -> TaskAsk:
    """The request as its dialect takes it. Raises BadRequest where the body is no JSON object."""
    upload = order.upload
    return TaskAsk(
        model=offer.candidate.model_sent,
        name=order.wanted.model,
        request_id=ask.id,
        created=int(now),
        asked=_fields(upload.form) if upload is not None else _asked(order.body),
        upload=upload,
        quirks=offer.candidate.channel.quirks,
    )


def _fields(form: Form) -> dict[str, Any]:
    names = (part.name for part in form.parts if part.value is not None)
    return {name: form.text(name) for name in dict.fromkeys(names)}


def _asked(body: bytes) -> Mapping[str, Any]:
    try:
        asked = _anything.decode(body)
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The request body is not JSON") from None
    if not isinstance(asked, dict):
        raise BadRequest("The request body must be a JSON object")
    return asked


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        payload = _anything.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("The upstream's reply is not JSON") from None
    if not isinstance(payload, dict):
        raise Malformed("The upstream's reply is not a JSON object")
    return payload
