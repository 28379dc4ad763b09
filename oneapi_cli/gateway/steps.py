"""The further requests of an exchange that takes several: signed like the first, to the same channel, and called off
when nobody waits for what they lead to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from ..dialects.dialect import Step, StepReply
from ..values.asks import Call, Headers, Reply
from ..values.errors import BadRequest, GatewayError, Malformed, UpstreamFault
from ..values.vendor import Channel
from .gate import Gate
from .plan import Offer
from .refusals import read_chunks
from .tasks import keep
from .ways import Way


async def signed(call: Call, offer: Offer, key: str, gate: Gate, named: Mapping[str, str]) -> Call:
    """The call with what proves who pays for it. named: headers of this call, over the vendor's defaults and under what
    the channel's config says itself.
    """
    return await prove(call, offer.candidate.channel, key, gate, named)


async def prove(call: Call, channel: Channel, key: str, gate: Gate, named: Mapping[str, str]) -> Call:
    """`signed` for whoever knows the channel alone."""
    own = {name.lower() for name in channel.headers}
    proof = dict(await gate.sign(channel, key, replace(call, headers={**call.headers, **named})))
    kept = {name: value for name, value in named.items() if name.lower() not in own}
    lower = {name.lower() for name in kept}
    headers = {name: value for name, value in proof.items() if name.lower() not in lower}
    return replace(call, headers={**call.headers, **headers, **kept})


REPORT_SECONDS, REPORT_TRIES, REPORT_PAUSE_SECONDS = 5.0, 3, 0.5


class Stepper:
    """Sends the steps of one attempt, and remembers how the latest of them is called off."""

    def __init__(
        self, first: Call, offer: Offer, key: str, gate: Gate, *, way: Way, undoing: list[asyncio.Task[bool]]
    ) -> None:
        self._first, self._offer, self._key = first, offer, key
        self.gate, self._way = gate, way
        self._undo: Step | None = None
        self.report: Step | None = None
        self._undoing = undoing

    async def begin(self) -> Reply:
        """Send the first call. Left meanwhile, it is followed to where it can be called off."""
        if not self._way.follows:
            return await self.gate.transport.send(self._first)
        sending = keep(self._create(), "create")
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            self._undoing.append(keep(self._call_off_late(sending), "abandon"))
            raise

    async def _create(self) -> Reply:
        return await self.gate.transport.send(self._first)

    async def send(self, step: Step) -> Reply:
        """Wait as the step says, then send it. Raises UpstreamFault."""
        self._undo = step.on_abandon or self._undo
        if step.wait_seconds:
            await self.gate.sleep(step.wait_seconds)
        if step.anonymous:
            return await self._fetch(step.url)
        return await self.gate.transport.send(await self._call(step))

    async def _fetch(self, url: str) -> Reply:
        """What lies at an address that needs no key. A vendor at home keeps its outputs at home too."""
        at_home = urlsplit(self._offer.candidate.channel.base).hostname
        if at_home == urlsplit(url).hostname and urlsplit(url).scheme in ("http", "https"):
            call = replace(self._first, method="GET", url=url, headers={"Accept-Encoding": "identity"}, body=b"")
            return await self.gate.transport.send(call)
        try:
            found = await self.gate.fetch(url, self.gate.policy.reply_limit)
        except BadRequest as fault:
            raise Malformed(f"The upstream's output cannot be fetched: {fault.message}") from None
        return Here(StepReply(status=200, headers={"content-type": found.media_type}, body=found.data))

    async def ask_afterwards(self) -> None:
        """Hand on what a stream that has ended has used, where its vendor says so elsewhere, and soon."""
        if self.report is None:
            return
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                for _ in range(REPORT_TRIES):
                    reply = await self.gate.transport.send(await self._call(self.report))
                    if self._way.read_report((await self.whole(reply)).body):
                        return
                    await self.gate.sleep(REPORT_PAUSE_SECONDS)
        except (GatewayError, TimeoutError):
            return  # it is counted from what was seen

    def abandon(self) -> None:
        """Nobody waits any more: send what calls it off, if there is such a thing; once."""
        step, self._undo = self._undo, None
        if step is not None:
            self._undoing.append(keep(self._call_off(step), "abandon"))

    def over(self) -> None:
        """There is nothing left to call off."""
        self._undo = None

    async def _call_off(self, step: Step) -> bool:
        """Whether there is nothing to pay, by the vendor's own word."""
        try:
            reply = await self.gate.transport.send(await self._call(step))
            if not 200 <= reply.status < 300:
                reply.abort()
                return False
            return self._way.called_off(await self.whole(reply))
        except GatewayError:
            return False  # it runs to its own end; what it costs has been held

    async def _call_off_late(self, sending: asyncio.Task[Reply]) -> bool:
        try:
            first = await sending
            if not 200 <= first.status < 300:
                first.abort()
                return True
            whole = await self.whole(first)
            following = self._way.follow(whole)
            step = next(following, None)
        except GatewayError as fault:
            return isinstance(fault, UpstreamFault) and not fault.sent
        if step is None or step.on_abandon is None:
            return self._way.called_off(whole)
        return await self._call_off(step.on_abandon)

    async def whole(self, reply: Reply) -> StepReply:
        """All of a reply, whose connection is let go whatever happens. Raises Malformed, Broken, TimedOut."""
        try:
            body = await read_chunks(reply.chunks(), self.gate.policy.reply_limit)
        except BaseException:
            reply.abort()
            raise
        reply.release()
        return StepReply(status=reply.status, headers=reply.headers, body=body)

    async def _call(self, step: Step) -> Call:
        base = self._offer.candidate.channel.base.rstrip("/")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **step.headers}
        call = replace(
            self._first, method=step.method, url=step.url or base + step.path, headers=headers, body=step.body
        )
        if step.url and not _same_origin(step.url, base):
            return _without_key(call, base)
        return await signed(call, self._offer, self._key, self.gate, {})


def _same_origin(url: str, base: str) -> bool:
    there, home = urlsplit(url), urlsplit(base)
    return (there.scheme, there.netloc) == (home.scheme, home.netloc)


def _without_key(call: Call, base: str) -> Call:
    """A call to an address that the vendor named elsewhere: no key goes there, and nothing in clear text where the
    vendor itself is reached by TLS. Raises Malformed.
    """
    if urlsplit(call.url).scheme != "https" or urlsplit(base).scheme != "https":
        raise Malformed("The upstream named an address outside its own for its answer")
    return call


class Here:
    """A reply that has been read: the last one of an exchange of several."""

    def __init__(self, reply: StepReply) -> None:
        self.status = reply.status
        self.headers: Headers = reply.headers
        self._body = reply.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    def abort(self) -> None:
        """Its connection is none of ours any more."""

    def release(self) -> None:
        """As `abort`."""
