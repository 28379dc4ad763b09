"""The further requests of an exchange that takes several: signed like the first, to the same channel, and called off
when nobody waits for what they lead to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from ..dialects.dialect import Step, StepReply
from ..values.asks import Call, Headers, Reply
from ..values.errors import GatewayError, Malformed
from ..values.vendor import Channel
from .gate import Gate
from .plan import Offer
from .tasks import keep


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


class Stepper:
    """Sends the steps of one attempt, and remembers how the latest of them is called off."""

    def __init__(self, first: Call, offer: Offer, key: str, gate: Gate) -> None:
        self._first, self._offer, self._key = first, offer, key
        self.gate = gate
        self._undo: Step | None = None

    async def send(self, step: Step) -> Reply:
        """Wait as the step says, then send it. Raises UpstreamFault."""
        self._undo = step.on_abandon or self._undo
        if step.wait_seconds:
            await self.gate.sleep(step.wait_seconds)
        return await self.gate.transport.send(await self._call(step))

    def abandon(self) -> None:
        """Nobody waits any more: send what calls it off, if there is such a thing; once."""
        step, self._undo = self._undo, None
        if step is not None:
            keep(self._call_off(step), "abandon")

    def over(self) -> None:
        """There is nothing left to call off."""
        self._undo = None

    async def _call_off(self, step: Step) -> None:
        try:
            reply = await self.gate.transport.send(await self._call(step))
        except GatewayError:
            return  # it runs to its own end; what it costs has been held
        reply.abort()

    async def _call(self, step: Step) -> Call:
        base = self._offer.candidate.channel.base.rstrip("/")
        url = self._checked(step.url) if step.url else base + step.path
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **step.headers}
        call = replace(self._first, method=step.method, url=url, headers=headers, body=step.body)
        return await signed(call, self._offer, self._key, self.gate, {})

    def _checked(self, url: str) -> str:
        """An address that the vendor named: its own or one below its domain, or no key goes there. Raises Malformed."""
        there, base = urlsplit(url), urlsplit(self._offer.candidate.channel.base)
        same = (there.scheme, there.netloc) == (base.scheme, base.netloc)
        domain = ".".join((base.hostname or "").split(".")[-2:])
        below = there.scheme == "https" and "." in domain and (there.hostname or "").endswith(f".{domain}")
        if not (same or (below and not domain.replace(".", "").isdigit())):
            raise Malformed("The upstream named an address outside its own domain for its answer")
        return url


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
