"""Asking the vendors, one after another, until one answers or the evidence table says to stop.

An `Answer` is a reply that the client may see: a body that is whole, or a stream whose first bytes are here. Everything
before that may still be retried; nothing after it may.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from ..dialects import LISTENERS, TASKS, StreamScanner
from ..dialects.dialect import StepReply
from ..framing.sse import split_events
from ..routing.retry import LONGEST_PAUSE_SECONDS, pause_seconds, where
from ..values.asks import Ask, Call, Head, Reply
from ..values.errors import Broken, UpstreamFault
from ..values.holds import Hold
from .gate import Gate
from .media import MEDIA, MediaRelay
from .meter import Meter
from .plan import Offer, Order, limit_to_send
from .rates import with_rates
from .refusals import Secrets, as_client_sees, as_refused, read_chunks, refused_by, secrets_of
from .relaying import Relay
from .several import followed, sent_together
from .steps import Here, Stepper, signed
from .talk import aside
from .tasking import TaskWay
from .translating import Translation, plain_notes
from .watch import ClientLeft
from .ways import OpenStream, Outgoing, Way, WholeReply
from .wrapping import Arrayed

NOTES = "X-Oneapi-Notes"
NOTES_BYTES = 1024

_TO_CLIENT = (
    "openai-processing-ms",
    "openai-version",
    "openai-model",
    "x-request-id",
    "request-id",
    "apim-request-id",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
)
_TO_CLIENT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")


async def nothing_more() -> None:
    """A stream that says itself what it has used."""


class Answer(Struct, kw_only=True):
    """head, then either `body` (whole), or `first` and the rest of `chunks` with the `scanner` beside them.

    last: the block with an error event, to be sent after the settlement. abandon: calls off what the vendor still does.
    ask_afterwards: asks what a stream has used, where the vendor says that elsewhere, before the stream is closed.
    """

    head: Head
    reply: Reply
    chunks: AsyncIterator[bytes]
    body: bytes | None = None
    scanner: StreamScanner | None = None
    first: bytes = b""
    last: bytes = b""
    abandon: Callable[[], None] = lambda: None
    ask_afterwards: Callable[[], Awaitable[None]] = nothing_more

    def is_over(self) -> bool:
        """Whether the stream has said its last, be it an error."""
        return self.scanner is not None and (self.scanner.done or self.scanner.error is not None)

    async def rest(self) -> AsyncIterator[bytes]:
        """What follows `first`, up to the stream's own last word."""
        if self.is_over():
            return
        async for chunk in self.chunks:
            yield chunk
            if self.is_over():
                return

    def sayable(self, block: bytes) -> bytes:
        """What of the scanner's output may go to the client now: clients stop at an error event, so that one ends the
        reply and waits in `last` for the settlement.
        """
        if self.scanner is None or self.scanner.error is None:
            return block
        self.last += block
        return b""


async def first_answer(ask: Ask, meter: Meter) -> Answer:
    """The first reply worth handing on. Raises the last UpstreamFault when there is none; ClientLeft where nobody
    waits for one any more, before anything is sent for it.
    """
    gate = meter.gate
    fresh, again = deque(meter.order.offers), deque[tuple[float, Offer]]()
    for attempt in range(1, gate.policy.retries + 2):
        if ask.presence.gone:
            raise ClientLeft
        offer = fresh.popleft()
        try:
            answer = await _attempt(ask, offer, meter)
        except UpstreamFault as fault:
            gate.health.failed(offer.candidate.channel.name, offer.candidate.model_sent, fault, gate.now())
            owed = meter.failed(fault)
            verdict = where(fault, retry_unknown=gate.policy.retry_unknown)
            if verdict == "nowhere" or attempt > gate.policy.retries:
                raise as_client_sees(fault, offer) from fault
            # Each channel's own wish counts, also when it is another one that has failed since.
            if verdict == "anywhere" and (pause := pause_seconds(fault, attempt)) is not None:
                again.append((gate.now() + pause, offer))
            if not fresh:
                if not again:
                    raise as_client_sees(fault, offer) from fault
                ready, next_offer = again.popleft()
                await gate.sleep(min(max(ready - gate.now(), 0.0), LONGEST_PAUSE_SECONDS))
                fresh.append(next_offer)
            if owed and not await _cover_unknown(ask.id, meter, owed):
                raise as_client_sees(fault, offer) from fault
        else:
            gate.health.succeeded(offer.candidate.channel.name, offer.candidate.model_sent)
            return answer
    raise AssertionError("the loop above returns or raises")


async def _cover_unknown(request_id: str, meter: Meter, owed: int) -> bool:
    """Hold as much again as an attempt of unknown outcome is charged, before sending once more."""
    extended = await meter.gate.book.extend(request_id, owed)
    if extended is None:
        return False
    meter.held_nanos += owed
    return True


async def _attempt(ask: Ask, offer: Offer, meter: Meter) -> Answer:
    """One request to one channel. Raises UpstreamFault; the reply is closed then."""
    gate, order = meter.gate, meter.order
    key = gate.next_key(offer.candidate.channel)
    way = way_for(ask, order, offer, gate)
    limit = limit_to_send(order, offer, meter.hold.limit, lowered=meter.hold.lowered)
    going = await aside(len(order.body), lambda: way.outgoing(limit))
    if going.more and isinstance(way, TaskWay):
        return await _several(ask, offer, meter, way, going)
    try:
        call = await encode_call(ask, offer, meter, key, going)
    except UpstreamFault:
        meter.begin(offer, going.notes)  # nothing was sent, and that was this offer's doing
        raise
    meter.begin(offer, going.notes)
    secrets = secrets_of(offer.candidate.channel, key, call.headers)
    stepper = Stepper(call, offer, key, gate, way=way, undoing=meter.undoing)
    reply = await stepper.begin()
    try:
        meter.answered(reply.status, _upstream_id(reply.headers))
        if not 200 <= reply.status < 300:
            raise await refused_by(reply, way.decode_error, secrets)
        reply = await followed(reply, way, stepper, secrets)
        headers = _client_headers(reply.headers, meter.hold, going.notes)
        kind = reply.headers.get("content-type", "").lower()
        if order.wanted.stream and way.is_stream(kind):
            answer = await _open_stream(reply, headers, meter, secrets, way.open_stream(kind))
            answer.ask_afterwards = stepper.ask_afterwards
        else:
            answer = await _read_whole(reply, headers, meter, secrets, way)
        meter.response_id = way.stored_id(answer.body or answer.first)
        answer.abandon = stepper.abandon
        return answer
    except BaseException:
        stepper.abandon()
        reply.abort()
        raise


async def _several(ask: Ask, offer: Offer, meter: Meter, way: TaskWay, going: Outgoing) -> Answer:
    """One request as several calls to one channel, at once. Raises UpstreamFault: where some were served and the rest
    are needed, an outcome that nobody knows.
    """
    gate = meter.gate
    key = gate.next_key(offer.candidate.channel)
    bodies = (going.body, *going.more)
    try:
        calls = [await encode_call(ask, offer, meter, key, replace(going, body=body)) for body in bodies]
    except UpstreamFault:
        meter.begin(offer, going.notes)  # as in `_attempt`
        raise
    meter.begin(offer, going.notes)
    secrets = secrets_of(offer.candidate.channel, key, calls[0].headers)
    failed: list[UpstreamFault] = []
    found = await sent_together(calls, offer, key, way=way, meter=meter, failed=failed)
    came = [each for each in found if isinstance(each, StepReply)]
    faults = [each for each in found if isinstance(each, UpstreamFault)]
    meter.answered(came[0].status if came else faults[0].status, _upstream_id(came[0].headers) if came else "")
    if faults and came and not way.partial:
        raise Broken(f"{len(faults)} of the {len(found)} calls that this request takes failed: {failed[0].message}")
    unknown = [each for each in faults if each.sent]
    if faults and not came:
        raise (unknown or faults)[0]
    if unknown:
        meter.partly_unknown(unknown[0], len(unknown), len(found))
    last = Here(came[0])
    size = sum(len(each.body) for each in came) + len(meter.order.body)
    whole = await aside(size, lambda: way.read_several(came))
    return _whole_answer(whole, last, _client_headers(last.headers, meter.hold, going.notes), meter, secrets)


def way_for(ask: Ask, order: Order, offer: Offer, gate: Gate) -> Way:
    """Relay where the channel speaks the client's dialect, else translation."""
    event_limit = gate.policy.event_limit
    if offer.candidate.dialect == order.wanted.dialect:
        if order.wanted.dialect in MEDIA:
            return MediaRelay(ask, order, offer, event_limit)
        return Relay(ask, order, offer, event_limit)
    if offer.candidate.dialect in TASKS and order.wanted.dialect not in LISTENERS:
        return TaskWay(ask, order, offer, gate.now())
    return Translation(ask, order, offer, event_limit=event_limit, now=gate.now())


async def encode_call(ask: Ask, offer: Offer, meter: Meter, key: str, going: Outgoing) -> Call:
    """What leaves, as one signed HTTP request. A channel's own headers are the last word, the client's the next."""
    gate, order, wanted = meter.gate, meter.order, meter.order.wanted
    channel = offer.candidate.channel
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream" if wanted.stream else "application/json",
        "Accept-Encoding": "identity",
    }
    if (idempotency := ask.headers.get("idempotency-key")) and not going.more:  # several calls are no repetitions
        # The vendor must not confuse two tokens that chose the same key, nor learn what a client put in it.
        chosen = idempotency.encode("utf-8", "surrogateescape")
        headers["Idempotency-Key"] = hmac.new(order.caller.digest, chosen, "sha256").hexdigest()
    call = Call(
        method="POST",
        url=_with_action(
            gate.url(channel, offer.candidate.dialect, offer.candidate.model_sent, wanted.stream), ask.params
        ),
        headers=headers,
        body=going.body,
        connect_seconds=channel.timeouts.connect,
        first_byte_seconds=channel.timeouts.first_byte,
        idle_seconds=channel.timeouts.idle,
        stream_seconds=channel.timeouts.stream,
        proxy=channel.proxy,
    )
    return await signed(call, offer, key, gate, going.headers)


def _with_action(url: str, params: Mapping[str, str]) -> str:
    """The address of what the door wants done beside answering (`compact`), below that of a reply."""
    if not (action := params.get("action", "")):
        return url
    path, mark, query = url.partition("?")
    return f"{path}/{action}{mark}{query}"


async def _open_stream(
    reply: Reply, headers: dict[str, str], meter: Meter, secrets: Secrets, opened: OpenStream
) -> Answer:
    """Reads up to the first bytes worth sending. An error event before any of them is a refusal like any other."""
    order, scanner = meter.order, opened.scanner
    chunks = reply.chunks()
    first = b""
    async for chunk in chunks:
        first = scanner.feed(chunk)
        if first or scanner.done:
            break
    if scanner.error is not None:
        reported = scanner.usage is not None and not scanner.usage_is_early
        events = scanner.events if isinstance(scanner, Arrayed) else first
        if not reported and not order.dialect.texts_of(split_events(events)):
            raise as_refused(scanner.error, scanner.error.status or 502, secrets)
    if not first and not scanner.done:
        scanner.close()
        if not scanner.clean:
            raise Broken("The upstream closed its stream before saying anything")
    meter.streaming(scanner, opened.fail)
    headers["Content-Type"] = opened.content_type
    headers["Cache-Control"] = "no-cache"
    headers["X-Accel-Buffering"] = "no"
    return Answer(head=Head(200, headers), reply=reply, scanner=scanner, first=first, chunks=chunks)


async def _read_whole(reply: Reply, headers: dict[str, str], meter: Meter, secrets: Secrets, way: Way) -> Answer:
    """A whole reply and its usage. A 200 that carries an error object is the refusal that it says it is."""
    chunks = reply.chunks()
    body = await read_chunks(chunks, meter.gate.policy.reply_limit)
    if isinstance(way, TaskWay):
        told = StepReply(status=reply.status, headers=reply.headers, body=body)
        whole = await aside(len(body) + len(meter.order.body), lambda: way.read_several([told]))
    else:
        whole = way.read_whole(body)
    return _whole_answer(whole, reply, headers, meter, secrets)


def _whole_answer(whole: WholeReply, reply: Reply, headers: dict[str, str], meter: Meter, secrets: Secrets) -> Answer:
    reading = whole.reading
    if reading.error is not None:
        raise as_refused(reading.error, reading.error.status or 502, secrets)
    meter.replied(reading.usage, reading.texts)
    headers["Content-Length"] = str(len(whole.body))
    headers["Content-Type"] = whole.content_type or reply.headers.get("content-type", "application/json")
    if whole.notes:
        _add_notes(headers, whole.notes)
    return Answer(head=Head(200, headers), reply=reply, chunks=reply.chunks(), body=whole.body)


def _client_headers(upstream: Mapping[str, str], hold: Hold, notes: tuple[str, ...]) -> dict[str, str]:
    allowed = {
        name: value
        for name, value in upstream.items()
        if name.lower() in _TO_CLIENT or name.lower().startswith(_TO_CLIENT_PREFIXES)
    }
    headers = with_rates(allowed, hold.rates)
    if hold.lowered:
        headers["X-Oneapi-Max-Tokens"] = str(hold.limit)
    if notes:
        _add_notes(headers, notes)
    return headers


def _add_notes(headers: dict[str, str], notes: tuple[str, ...]) -> None:
    """Codes of what could not be carried, in the header that says so; whole codes only."""
    said = [code for code in headers.get(NOTES, "").split(",") if code]
    text = ",".join(dict.fromkeys((*said, *plain_notes(notes))))
    headers[NOTES] = text if len(text) <= NOTES_BYTES else text[:NOTES_BYTES].rpartition(",")[0]


def _upstream_id(headers: Mapping[str, str]) -> str:
    return headers.get("x-request-id") or headers.get("request-id") or headers.get("apim-request-id") or ""
