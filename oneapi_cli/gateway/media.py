"""The way of a request for pictures or sound to a channel that takes it as the client put it: its form or its JSON, and
bytes that are no text on the way back."""

from __future__ import annotations

from ..dialects import FORMS, StreamScanner
from ..dialects.openai_binary import ByteScanner
from ..dialects.openai_speech import TOKENS_PER_MINUTE
from ..values.errors import GatewayError
from ..values.uploads import Assembled
from ..values.usage import Count, Usage
from .plan import Offer, Order
from .relaying import SSE, Relay, change_for
from .ways import OpenStream, Outgoing

SOUNDING = frozenset({"openai_speech"})
"""Doors whose replies are sound unless they say otherwise."""

MEDIA = SOUNDING | frozenset(FORMS) | {"openai_images"}
AUDIO_TOKENS_PER_SECOND = 10
"""What OpenAI's transcription models count.
Source: https://developers.openai.com/api/docs/guides/realtime-costs (2026-11)"""
BYTES_PER_TOKEN = 4
Counts = dict[str, Count]

_WORDS = ("application/json", "application/problem", "text/html", "text/plain")


class MediaRelay(Relay):
    """A `Relay` for what is not only JSON."""

    def outgoing(self, limit: int | None) -> Outgoing:
        """The client's JSON, or its form as runs of the bytes that it lies in, under its own boundary."""
        wanted, upload = self._order.wanted, self._order.upload
        if upload is None:
            going = super().outgoing(limit)
            return Outgoing(body=going.body, notes=going.notes, headers={**going.headers, "Accept": "*/*"})
        change = change_for(self._offer, limit, add_usage=False)
        pieces, notes = FORMS[wanted.dialect].rewrite_form(upload.form, wanted, change)
        headers = {"Content-Type": upload.form.content_type, "Accept": "*/*"}
        return Outgoing(body=Assembled(pieces, upload.file), notes=notes, headers=headers)

    def is_stream(self, content_type: str) -> bool:
        if self._order.wanted.dialect in SOUNDING:
            return not content_type.startswith(_WORDS)
        return super().is_stream(content_type)

    def open_stream(self, content_type: str) -> OpenStream:
        if self._order.wanted.dialect in SOUNDING and not content_type.startswith(SSE):
            kind = content_type or "application/octet-stream"
            return OpenStream(scanner=ByteScanner(), fail=_cannot_say, content_type=kind)
        return super().open_stream(content_type)


def known_usage(order: Order, offer: Offer | None, scanner: StreamScanner | None) -> Usage | None:
    """What a reply without usage has used, where that does not take a tokenizer; None elsewhere.

    What was known before sending (characters, seconds) is no estimate, where the model is priced by it.
    """
    if offer is None or not order.wanted.counted:
        return None
    sheet, counts = offer.card.sheet(offer.at, {}), order.measure.counts
    if counts and any(sheet.covers(unit) for unit in counts):
        return Usage(counts=counts, estimated=order.measure.loose or (scanner is not None and not scanner.clean))
    return None


def has_price(usage: Usage, order: Order, offer: Offer | None) -> bool:
    """Whether anything that a reply reports is what the model is priced by: a picture's number of tokens may be what
    is missing, or its number."""
    if offer is None or not order.wanted.counted:
        return True
    sheet = offer.card.sheet(offer.at, {})
    return sheet.covers("requests") or any(sheet.covers(unit) for unit in usage.counts)


def guessed_counts(order: Order, scanner: StreamScanner | None, tokens_out: int, reported: Usage | None) -> Counts:
    """Tokens of what no tokenizer counts: an uploaded sound, sound that came back, pictures. By the vendor's own
    averages, and by the table that bounded the pictures."""
    measure, counts = order.measure, dict[str, Count]()
    if seconds := measure.counts.get("input_audio_seconds"):
        heard = -int(-seconds * AUDIO_TOKENS_PER_SECOND // 1)
        text = measure.text_bytes // BYTES_PER_TOKEN
        counts |= {"input_tokens": heard + text, "input_audio_tokens": heard, "output_tokens": tokens_out}
    if isinstance(scanner, ByteScanner):
        spoken = -int(-scanner.seconds() * TOKENS_PER_MINUTE // 60)
        counts |= {"output_tokens": spoken, "output_audio_tokens": spoken}
    if reported is not None and (images := int(reported.get("images"))):
        each = order.wanted.fees.get("output_tokens", 0) // max(1, order.wanted.outputs)
        counts |= {"images": images, "output_tokens": images * each, "output_image_tokens": images * each}
    return counts


def _cannot_say(error: GatewayError, request_id: str) -> bytes:
    """Sound has no words for it: the reply is broken off."""
    return b""
