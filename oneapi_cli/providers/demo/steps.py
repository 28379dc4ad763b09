"""What the server is to do for one request, as plain steps: head, bytes, pauses, and the ways to fail.

The pure side decides everything, failures included; the server only plays steps. A list of steps that ends is a
reply that ends as HTTP wants it; `Drop` leaves it unfinished.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from .orders import DEFAULT_PAUSE_SECONDS, MAX_HANG_SECONDS, Orders

_MISSING_BYTES = 100
_HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_BAD_EVENT = b'data: {"id":"chatcmpl-demo","object":"chat.comp\n\n'


class Start(Struct, frozen=True):
    """Status and headers; `content-length` among them where the body has one."""

    status: int
    headers: Mapping[str, str]


class Send(Struct, frozen=True):
    data: bytes


class Pause(Struct, frozen=True):
    seconds: float


class Drop(Struct, frozen=True):
    """Leave the connection as it is: with a reset, or by closing it."""

    reset: bool


Step = Start | Send | Pause | Drop


class Fault(Exception):
    """A request that the demo vendor refuses, in OpenAI's error shape. retry_after: seconds, for the header."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after

    @property
    def type(self) -> str:
        """OpenAI's error type for this status."""
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def body(self) -> dict[str, object]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def refuse(fault: Fault) -> Iterator[Step]:
    """A plain JSON error."""
    headers = {"content-type": "application/json"}
    if fault.retry_after is not None:
        headers["retry-after"] = f"{fault.retry_after:g}"
    yield from _body(fault.status, headers, msgspec.json.encode(fault.body()), Orders())


def reply(payload: object, orders: Orders, *, words: int = 0) -> Iterator[Step]:
    """A JSON reply of `words` produced tokens, which it takes its time over only if it was told how slow to be."""
    yield from blob(msgspec.json.encode(payload), "application/json", orders, words=words)


def blob(data: bytes, content_type: str, orders: Orders, *, words: int = 0) -> Iterator[Step]:
    """A reply of any type in one piece."""
    waiting = min(orders.first + words * (orders.pause or 0.0), MAX_HANG_SECONDS)
    if waiting:
        yield Pause(waiting)
    yield from _body(200, {"content-type": content_type}, data, orders)


def stream(events: Iterable[bytes], orders: Orders, error_event: bytes) -> Iterator[Step]:
    """SSE events with small pauses, and the failure that was ordered, if any, after as many of them as was said."""
    if orders.first:
        yield Pause(orders.first)
    pause = DEFAULT_PAUSE_SECONDS if orders.pause is None else orders.pause
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    packer = zlib.compressobj(wbits=31) if orders.gzip else None
    if packer:
        headers["content-encoding"] = "gzip"
    if orders.wrong_length:
        events = list(events)
        headers["content-length"] = str(sum(map(len, events)) + _MISSING_BYTES)
    yield Start(200, headers)
    for number, event in enumerate(events):
        failure = _failure(number, orders, error_event)
        if number and pause:
            yield Pause(pause)
        if failure is None:
            yield Send(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) if packer else event)
            continue
        yield from failure
        if orders.bad_sse_after != number:
            return
        yield Send(event)
    if packer:
        yield Send(packer.flush())
    if orders.wrong_length:
        yield Drop(reset=False)


def ordered_failure(orders: Orders) -> Iterator[Step] | None:
    """The steps of a failure that comes before any reply, or None."""
    if orders.hang is not None:
        return iter((Pause(orders.hang), Drop(reset=False)))
    if orders.reset_before:
        return iter((*_first(orders), Drop(reset=True)))
    if orders.error == "html":
        return _body(orders.status or 502, {"content-type": "text/html; charset=utf-8"}, _HTML, orders)
    if orders.error == "200":
        fault = Fault(500, "The demo vendor was told to fail inside a 200.", code="demo_error")
        return _body(200, {"content-type": "application/json"}, msgspec.json.encode(fault.body()), orders)
    if orders.status:
        return refuse(
            Fault(
                orders.status,
                f"The demo vendor was told to answer {orders.status}.",
                code="rate_limit_exceeded" if orders.status == 429 else "demo_error",
                retry_after=orders.retry_after,
            )
        )
    return None


def _failure(number: int, orders: Orders, error_event: bytes) -> tuple[Step, ...] | None:
    if number == orders.reset_after:
        return (Drop(reset=True),)
    if number == orders.eof_after:
        return ()
    if number == orders.stall_after:
        return (Pause(MAX_HANG_SECONDS), Drop(reset=False))
    if number == orders.error_after:
        return (Send(error_event),)
    if number == orders.bad_sse_after:
        return (Send(_BAD_EVENT),)
    return None


def _first(orders: Orders) -> tuple[Step, ...]:
    return (Pause(orders.first),) if orders.first else ()


def _body(status: int, headers: dict[str, str], data: bytes, orders: Orders) -> Iterator[Step]:
    if orders.gzip:
        packer = zlib.compressobj(wbits=31)
        data = packer.compress(data) + packer.flush()
        headers = {**headers, "content-encoding": "gzip"}
    cut = orders.reset_after is not None or orders.eof_after is not None or orders.stall_after is not None
    if orders.eof_after is None:
        # An ordered end is a clean one: no length is promised, the JSON that is cut short is all that is wrong.
        missing = _MISSING_BYTES if orders.wrong_length else 0
        headers = {**headers, "content-length": str(len(data) + missing)}
    yield Start(status, headers)
    yield Send(data[: len(data) // 2] if cut else data)
    if orders.stall_after is not None:
        yield Pause(MAX_HANG_SECONDS)
    if orders.wrong_length or (cut and orders.eof_after is None):
        yield Drop(reset=orders.reset_after is not None)
