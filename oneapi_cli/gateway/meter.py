"""What one request has used and must pay, gathered while it runs and turned into one `Closing` when it ends.

Evidence first: usage the vendor reported; else what we counted of what we saw, marked `estimated`; where there is
neither, what promise and table say (the input bound for an unknown outcome, the hold for an abandoned one). Nothing
here writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace

from ..dialects import FOLLOWS, StreamScanner
from ..ledger.cost import Cost, cost_of
from ..values.errors import Broken, GatewayError, Refused, UpstreamFault
from ..values.holds import Attempt, BillLine, Closing, Hold, Outcome
from ..values.usage import Count, Usage
from .gate import Gate
from .media import guessed_counts, has_price, known_usage
from .plan import Offer, Order, context_of, input_bound, takes_limit
from .ways import FailWith

ESTIMATOR = "o200k_base"
"""Counts for models whose own vocabulary we do not have; such bills are marked `estimated` anyway."""

TEXT_OVERHEAD_TOKENS = 4
"""What a chat template adds to a text: role and separators. Source: OpenAI's cookbook on counting tokens (2026-11)."""

CLIENT_LEFT = 499
"""nginx's status for a client that closed the connection; only ever seen in the ledger and the log."""

STOPPED = 503
"""For what this server broke off itself, when it was told to stop and the grace was over."""

UNDOING_SECONDS = 90.0
"""How long a settlement waits to hear whether what was called off is paid for: a creating request may wait a minute for
its output before it can be called off at all."""
UNDOING_STOPPED_SECONDS = 5.0

End = Literal["nothing", "served", "died", "left", "abandoned", "unknown"]


class Meter:
    """One request's account while it runs. `end` says how it ended; `status` is what the client was told."""

    SEEN_LIMIT = 256 << 10
    """Bytes of a stream that may wait to be counted, should the vendor report nothing in the end."""

    def __init__(self, order: Order, hold: Hold, gate: Gate) -> None:
        self.order, self.hold, self.gate = order, hold, gate
        self.held_nanos = hold.nanos
        self.end: End = "nothing"
        self.status = 500
        self.reason = ""
        self.usage: Usage | None = None
        self.notes: tuple[str, ...] = ()
        self.response_id = ""
        self.first_byte: float | None = None
        self.offer: Offer | None = None
        self.attempts: list[Attempt] = []
        self._attempt_started = 0.0
        self._upstream_id = ""
        self._upstream_status: int | None = None
        self._unknown_nanos = 0
        self._seen_tokens = 0
        self._uncounted: list[bytes] = []
        self._texts: Sequence[str] = ()
        self._in_flight = False
        self._fault: GatewayError | None = None
        self.scanner: StreamScanner | None = None
        self._fail: FailWith = order.dialect.encode_error_event
        self.closer: asyncio.Task[None] | None = None
        self.partly_served = False
        """Whether one of several calls has brought something, or may have, whatever becomes of the others."""
        self.undoing: list[asyncio.Task[bool]] = []
        """What calls off the work that nobody waits for any more; each says whether there is nothing to pay."""

    # -- attempts ------------------------------------------------------------------------------------------------

    def begin(self, offer: Offer, notes: tuple[str, ...]) -> None:
        """A request is about to leave for this offer's channel."""
        self.offer, self.notes = offer, notes
        self._attempt_started = self.gate.now()
        self._upstream_status, self._upstream_id = None, ""
        self._in_flight = True
        self.partly_served, self.undoing = False, []  # an earlier attempt's say nothing of this one

    def answered(self, status: int, upstream_id: str) -> None:
        self._upstream_status, self._upstream_id = status, upstream_id[:200]

    def failed(self, fault: UpstreamFault) -> int:
        """The attempt failed before the client saw a byte. What is owed all the same: this offer's input bound, where
        nobody knows whether it was served.
        """
        unknown, self._in_flight = fault.sent, False
        charged = input_bound(self.order, self.offer) if unknown and self.offer is not None else 0
        self._unknown_nanos += charged
        outcome: Outcome = "unknown" if unknown else ("unreachable" if fault.code == "do_request_failed" else "refused")
        self._record(outcome, charged, fault.message)
        self.end = "unknown" if self._unknown_nanos else "nothing"
        self.told(fault)
        return charged

    def partly_unknown(self, fault: UpstreamFault, calls: int, of: int) -> None:
        """So many of the calls of this attempt have an outcome that nobody knows, while others were served: their share
        of the input bound is owed."""
        if self.offer is None:
            return
        charged = input_bound(self.order, self.offer) * calls // of
        self._unknown_nanos += charged
        self._record("unknown", charged, f"{calls} of {of} calls: {fault.message}")

    def told(self, error: GatewayError) -> None:
        """What the client gets instead of a reply."""
        self.status, self.reason = error.status, error.code or ""
        error.rates = self.hold.rates

    def replied(self, usage: Usage | None, texts: Sequence[str]) -> None:
        """A whole reply is here."""
        self.usage, self._texts, self.end, self.status = usage, texts, "served", 200
        self._in_flight = False
        self.first_byte = self.gate.now()

    def streaming(self, scanner: StreamScanner, fail: FailWith) -> None:
        """A stream's first bytes are here; from now on it has served something."""
        self.scanner, self._fail, self.end, self.status = scanner, fail, "served", 200
        self._in_flight = False
        self.first_byte = self.gate.now()

    # -- how it can end otherwise ---------------------------------------------------------------------------------

    @property
    def stops_when_client_leaves(self) -> bool:
        """A visible stream that the config lets go. Hidden reasoning is billed by the vendor whether or not it is
        read.
        """
        return self.gate.policy.on_disconnect == "cancel" and self._visible

    @property
    def _visible(self) -> bool:
        """Whether what the vendor bills is text that a stream shows: no hidden thoughts, no sound, no pictures."""
        hidden = self.offer is None or self.offer.traits.reasoning or self.offer.traits.hidden
        return not hidden and not set(self.order.wanted.modalities) - {"text"}

    @property
    def ended_well(self) -> bool:
        """Whether the reply came to its end, so that its connection is worth keeping."""
        return self.end in ("served", "left") and (self.scanner is None or self.scanner.done)

    @property
    def patience_for_a_reply(self) -> float:
        """How long a whole reply is waited for when its client has left; not at all where it can be called off."""
        offers = self.order.offers
        if offers[0].candidate.dialect in FOLLOWS:
            return 0.0
        return offers[0].candidate.channel.timeouts.drain

    @property
    def patience_seconds(self) -> float:
        """How long the stream that runs may go on when its client has left."""
        if self.stops_when_client_leaves or self.offer is None:
            return 0.0
        return self.offer.candidate.channel.timeouts.drain

    def died(self, fault: GatewayError) -> None:
        """The upstream broke off in the middle of a stream."""
        self._fault = fault
        self.end, self.reason = "died", fault.code or "upstream_broken"

    def cancelled(self, *, stopping: bool = False) -> None:
        """This exchange was stopped from outside: the client left, or the server is going down (`stopping`)."""
        if self.closer is not None:
            return
        refused = self._upstream_status is not None and 400 <= self._upstream_status < 500
        if self.scanner is not None:
            reported = self.scanner.usage is not None
            self.end = "left" if reported or self._visible else "abandoned"
        elif self._in_flight and refused:
            self.failed(Refused("refused; nobody waited for the reason", status=self._upstream_status))
        elif self._in_flight:
            self.end = "abandoned"
        self.status, self.reason = (STOPPED, "server_stopping") if stopping else (CLIENT_LEFT, "client_left")

    def left_but_finished(self) -> None:
        """The client left, and the stream was read to its end for the bill's sake."""
        self.end, self.status, self.reason = "left", CLIENT_LEFT, "client_left"

    def ending(self, request_id: str) -> bytes:
        """The bytes that end a stream, to be sent after the settlement: what was kept back, or an error event."""
        scanner = self.scanner
        if scanner is None:
            return b""
        if self.end != "died" or scanner.error is not None:
            return scanner.ending
        fault = self._fault or Broken("The upstream ended its stream without finishing it")
        return self._fail(fault, request_id)

    def kept_for_a_bug(self) -> Closing:
        """The closing of last resort: everything held is charged and listed as an orphan."""
        rule = "this request could not be priced; the hold is kept until `oneapi ledger orphans` settles it"
        line = _flat_line("hold", self.held_nanos, rule)
        rounding = BillLine(unit="rounding", amount="", rate_nanos=0, per=1, rule="", picos=0)
        return Closing(
            state="kept",
            cost_nanos=self.held_nanos,
            status=self.status,
            lines=(line, rounding),
            attempts=tuple(self.attempts),
            bounded=True,
            reason="internal_error",
        )

    # -- counting ------------------------------------------------------------------------------------------------

    async def count_seen(self) -> None:
        """Tokenise what a long stream has shown so far and forget it, so that memory stays flat.

        Cancelled meanwhile, it forgets nothing: what was taken is counted with the rest.
        """
        if self.scanner is not None and (self.scanner.usage is None or self.scanner.usage_is_early):
            self._uncounted += self.scanner.take_seen()
            tokens = await self._count_events(self._uncounted)
            self._seen_tokens += tokens
            self._uncounted = []

    async def _count_events(self, events: list[bytes]) -> int:
        texts = self.order.dialect.texts_of(events) if events else []
        return await self.gate.count(texts, self._vocabulary()) if texts else 0

    async def _count_unreported(self, scanner: StreamScanner) -> int:
        """Tokens of what a stream showed beside what its vendor reported; nothing where the report came last."""
        tokens = await self._count_events(scanner.unreported)
        if scanner.usage_is_early and not scanner.clean:
            await self.count_seen()
            tokens += self._seen_tokens
        return tokens

    def _vocabulary(self) -> str:
        return (self.offer.traits.vocabulary if self.offer else "") or ESTIMATOR

    async def _estimate(self) -> Usage:
        """What we can count: the request's own text, and what of the reply came by."""
        order = self.order
        if (known := known_usage(order, self.offer, self.scanner)) is not None:
            return known
        measure = order.measure
        if order.upload is None:
            measure = order.dialect.measure(order.body, order.wanted, texts=True)
        counted = await self.gate.count(measure.texts, self._vocabulary())
        template = TEXT_OVERHEAD_TOKENS * len(measure.texts) if takes_limit(order.wanted) else 0
        tokens_in = min(counted + template, order.need.bound_tokens)
        image_tokens = self.offer.traits.image_tokens if self.offer else 0
        tokens_in += measure.images * image_tokens
        await self.count_seen()
        tokens_out = self._seen_tokens
        if self._texts:
            tokens_out += await self.gate.count(self._texts, self._vocabulary())
        counts: dict[str, Count] = {"input_tokens": tokens_in}
        if tokens_out:
            counts["output_tokens"] = tokens_out
        counts |= guessed_counts(order, self.scanner, tokens_out, self.usage)
        return Usage(counts=counts, estimated=True)

    # -- the end -------------------------------------------------------------------------------------------------

    async def closing(self) -> Closing:
        """How this request ends, priced. Calls the tokenizer only where the vendor reported nothing."""
        scanner = self.scanner
        if self.end == "abandoned" and self.undoing and not self.partly_served and await self._undone():
            self._record("abandoned", 0, "called off before it had an output: nothing is charged")
            self.end, self._in_flight = "nothing", False
        if self._in_flight and self.end != "abandoned":
            # A bug of ours, after the request had left. That is no evidence that nothing was served.
            self.failed(Broken("this gateway failed before it had read the answer", status=500, code="internal_error"))
        if scanner is not None and self.end == "served" and not scanner.clean:
            self.end = "died"
            self.reason = "upstream_error_event" if scanner.error is not None else "upstream_broken"
        usage = self.usage or (scanner.usage if scanner is not None else None)
        if usage is not None and not has_price(usage, self.order, self.offer):
            usage = None
        if self.end in ("served", "died", "left") and usage is None and not self._free():
            usage = await self._estimate()
        elif usage is not None and scanner is not None and (rest := await self._count_unreported(scanner)):
            counts = {**usage.counts, "output_tokens": usage.get("output_tokens") + rest}
            usage = replace(usage, counts=counts, billed=None, estimated=True)
        if usage is not None and self.order.measure.counts:
            usage = replace(usage, counts={**self.order.measure.counts, **usage.counts})
        cost = self._cost(usage)
        cost = _with_lines(cost, self._extra_lines(usage))
        if self.end in ("served", "died", "left", "abandoned"):
            outcome: Outcome = self.end
            self._record(outcome, cost.nanos - self._unknown_nanos, self.reason)
        return self._close_as(usage, cost)

    async def _undone(self) -> bool:
        """Whether the vendor has called off everything that was under way."""
        seconds = UNDOING_STOPPED_SECONDS if self.status == STOPPED else UNDOING_SECONDS
        done, pending = await asyncio.wait(self.undoing, timeout=seconds)
        return not pending and all(task.exception() is None and task.result() for task in done)

    def _close_as(self, usage: Usage | None, cost: Cost) -> Closing:
        offer = self.offer
        evident = usage is not None or cost.nanos == 0
        served = self.end in ("served", "died", "left")
        state: Literal["settled", "released", "kept"]
        if self.end == "nothing":
            state = "released"
        else:
            state = "settled" if (evident or served) and self.end != "unknown" else "kept"
        return Closing(
            state=state,
            cost_nanos=cost.nanos,
            status=self.status,
            usage=usage,
            lines=cost.lines,
            attempts=tuple(self.attempts),
            channel=offer.candidate.channel.name if offer else "",
            model_sent=offer.candidate.model_sent if offer else "",
            price_origin=offer.card.origin if offer else "",
            bounded=self.order.bounded and cost.nanos <= self.held_nanos and not cost.uncovered,
            reason=self.reason,
            first_byte=self.first_byte,
            notes=self.notes,
            response_id=self.response_id,
        )

    def _free(self) -> bool:
        return self.offer is not None and self.offer.card.free

    def _cost(self, usage: Usage | None) -> Cost:
        if usage is None or self.offer is None or self.end in ("nothing", "unknown"):
            return Cost(nanos=0, lines=())
        card, at, multiplier = self.offer.card, self.offer.at, self.order.principal.multiplier
        # A reply that does not say its tier may have been served in the one asked for or in none: the dearer counts.
        tiers = (usage.tier,) if usage.tier else (None, self.order.wanted.tier)
        contexts = (context_of(self.order.wanted, tier) for tier in dict.fromkeys(tiers))
        return max((cost_of(usage, card.sheet(at, each), multiplier) for each in contexts), key=lambda cost: cost.nanos)

    def _extra_lines(self, usage: Usage | None) -> list[BillLine]:
        """Money that is owed without a count: earlier unknown outcomes, and a reply that was abandoned."""
        lines = []
        for attempt in self.attempts:
            if attempt.outcome == "unknown" and attempt.charged_nanos:
                rule = f"attempt at {attempt.channel}: outcome unknown, the input bound is charged"
                lines.append(_flat_line("unknown_outcome", attempt.charged_nanos, rule))
        if self.end == "abandoned" and usage is None and not self._free():
            rest = max(0, self.held_nanos - self._unknown_nanos)
            lines.append(
                _flat_line("hold", rest, "the client left before the vendor said what it used: the hold is charged")
            )
        return lines

    def _record(self, outcome: Outcome, charged: int, detail: str) -> None:
        if self.offer is None:
            return
        channel = self.offer.candidate.channel
        self.attempts.append(
            Attempt(
                channel=channel.name,
                vendor=channel.vendor.name,
                model_sent=self.offer.candidate.model_sent,
                started=self._attempt_started,
                ended=self.gate.now(),
                status=self._upstream_status,
                outcome=outcome,
                charged_nanos=charged,
                detail=detail[:500],
                upstream_id=self._upstream_id,
            )
        )


def _flat_line(unit: str, nanos: int, rule: str) -> BillLine:
    return BillLine(unit=unit, amount="1", rate_nanos=nanos, per=1, rule=rule, picos=nanos * 1000)


def _with_lines(cost: Cost, extra: Sequence[BillLine]) -> Cost:
    """The same cost with more lines, kept before `rounding` so that this stays last."""
    if not extra:
        return cost
    rounding = [line for line in cost.lines if line.unit == "rounding"]
    others = [line for line in cost.lines if line.unit != "rounding"]
    if not rounding:
        rounding = [BillLine(unit="rounding", amount="", rate_nanos=0, per=1, rule="", picos=0)]
    total = cost.nanos + sum(line.picos for line in extra) // 1000
    return replace(cost, nanos=total, lines=(*others, *extra, *rounding))
