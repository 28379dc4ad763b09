"""The way of a channel that speaks the client's own dialect: its bytes, with what must change; the vendor's bytes, as
they came.

Two things may still stand around the bytes. AWS frames a stream its own way: the events inside are put into the
framing that the client knows. Gemini's clients may want a stream as a JSON array: `arrays.py` does that, for both ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from ..dialects import Dialect, VendorError
from ..dialects.dialect import Following, Step, StepReply
from ..framing.members import Set, edit
from ..values.asks import Ask, Change
from ..values.vendor import Quirks
from .plan import STORING, Offer, Order
from .ways import OpenStream, Outgoing, WholeReply
from .wrapping import Reframed, as_array

SSE = "text/event-stream"
_NOT_STORED = re.compile(rb'"store"\s*:\s*false')
_FIRST_ID = re.compile(rb'"id"\s*:\s*"([A-Za-z0-9_-]{1,200})"')
"""A response's own id stands before those of its items."""
AWS_FRAMES = "application/vnd.amazon.eventstream"

BETAS = "anthropic-beta"
ARRAYS = frozenset({"gemini"})
"""Dialects whose streams have two framings."""

_TO_VENDOR: Mapping[str, tuple[str, ...]] = {"anthropic_messages": ("anthropic-beta", "anthropic-version")}
_TO_OTHERS = ("openai-beta",)


class Relay:
    """A `Way` with nothing to translate."""

    follows = False

    def __init__(self, ask: Ask, order: Order, offer: Offer, event_limit: int) -> None:
        self._ask, self._order, self._offer, self._event_limit = ask, order, offer, event_limit
        self._dialect: Dialect = order.dialect
        self._hides_usage = False

    @property
    def _quirks(self) -> Quirks:
        return self._offer.candidate.channel.quirks

    def outgoing(self, limit: int | None) -> Outgoing:
        """The client's own bytes with what must change in them."""
        wanted = self._order.wanted
        self._hides_usage = wanted.stream and self._quirks.stream_usage and not wanted.usage_asked
        change = change_for(self._offer, limit, add_usage=self._hides_usage)
        body, notes = self._dialect.rewrite(self._order.body, wanted, change)
        named = _TO_VENDOR.get(wanted.dialect, _TO_OTHERS)
        headers = {name: self._ask.headers[name] for name in named if name in self._ask.headers}
        if self._quirks.betas_in_body and (betas := headers.pop(BETAS, "")):
            listed = [beta.strip() for beta in betas.split(",") if beta.strip()]
            body = edit(body, [Set(("anthropic_beta",), msgspec.json.encode(listed))])
        return Outgoing(body=body, notes=notes, headers=headers)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return self._dialect.decode_error(status, body)

    def follow(self, first: StepReply) -> Following:
        raise AssertionError("the first reply is the last word")

    def report(self, first: StepReply) -> Step | None:
        return None

    def read_report(self, body: bytes) -> bool:
        return True

    def called_off(self, reply: StepReply) -> bool:
        return False

    def is_stream(self, content_type: str) -> bool:
        return content_type.startswith((SSE, AWS_FRAMES))

    def read_whole(self, body: bytes) -> WholeReply:
        return WholeReply(reading=self._dialect.read_reply(body, self._quirks), body=body)

    def open_stream(self, content_type: str) -> OpenStream:
        scanner = self._dialect.open_stream(self._quirks, hide_usage=self._hides_usage, event_limit=self._event_limit)
        if content_type.startswith(AWS_FRAMES):
            scanner = Reframed(scanner, content_type, self._event_limit)
        opened = OpenStream(scanner=scanner, fail=self._dialect.encode_error_event)
        return as_array(opened) if wants_array(self._ask, self._order) else opened

    def stored_id(self, block: bytes) -> str:
        if self._order.wanted.dialect not in STORING or _NOT_STORED.search(self._order.body):
            return ""
        found = _FIRST_ID.search(block)
        return found[1].decode() if found else ""


def wants_array(ask: Ask, order: Order) -> bool:
    """Whether a Gemini client wants its stream as a JSON array: it does unless it says `alt=sse`."""
    return order.wanted.dialect in ARRAYS and ask.params.get("alt", "") != "sse"


def change_for(offer: Offer, limit: int | None, *, add_usage: bool) -> Change:
    """What a channel's quirks and a model's traits change in a body of the dialect that the vendor speaks."""
    channel, traits = offer.candidate.channel, offer.traits
    quirks = channel.quirks
    reasoning = traits.reasoning and quirks.reasoning_traits
    return Change(
        model=offer.candidate.model_sent,
        limit=limit,
        limit_name="" if quirks.token_limit_name == "auto" else quirks.token_limit_name,
        add_usage=add_usage,
        reasoning=reasoning,
        system_role=traits.system_role if reasoning else "system",
        dropped=traits.dropped if reasoning else (),
        system_prompt=channel.system_prompt,
        body_version=quirks.body_version,
    )
