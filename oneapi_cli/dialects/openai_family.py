"""What the request side of every OpenAI dialect shares: media and text of a body as a `Measure`, and what they
forbid."""

from __future__ import annotations

from ..framing.members import elements
from ..values.asks import Measure
from .openai_fields import Fields
from .openai_media import (
    TEMPLATE_TOKENS,
    TOOLS_TOKENS,
    Media,
    may_be_loose,
    may_hold_media,
    media_in,
    numbers_in,
    texts_in,
)

MESSAGE_TOKENS = 8
TEXT_TOKENS = 3

STORED = "it refers to a file or sound that is kept at the vendor"


def media_members(fields: Fields, member: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """(`unknown`, `unpriceable`) for the media in `member`: what no count bounds, and what nobody here has even
    seen."""
    raw = fields.raw(member)
    if raw is None or not may_be_loose(raw):
        return (), ()
    media = media_in(raw)
    return (member,) if media.loose or media.stored else (), ((member, STORED),) if media.stored else ()


def measure(body: bytes, member: str, *, texts: bool) -> Measure:
    """The input's bound for a body whose conversation, prompt or input is `member`."""
    template = TEMPLATE_TOKENS + (TOOLS_TOKENS if b'"tools"' in body or b'"functions"' in body else 0)
    if not texts and not may_hold_media(body):
        return Measure(text_bytes=len(body) + template)
    fields = Fields(body, frozenset({member}))
    raw = fields.raw(member) or b"null"
    media = media_in(raw)
    bound = Measure(
        text_bytes=len(body) - media.payload + template,
        images=media.images,
        pages=media.pages,
        audio_seconds=media.seconds,
    )
    return _with_texts(bound, fields, member, media, template) if texts else bound


def _with_texts(bound: Measure, fields: Fields, member: str, media: Media, template: int) -> Measure:
    """The texts beside the bound: all strings of the conversation, and every other member (tools, formats) as it
    stands."""
    raw = fields.raw(member) or b"null"
    texts = texts_in(raw)
    # Numbers, flags and the model's name are settings: no template writes them into a prompt.
    others = (fields.body[m.start : m.end] for m in fields.listed if m.name not in (member, "model"))
    texts += [text.decode() for text in others if text[:1] in (b"{", b"[", b'"')]
    is_array = raw.startswith(b"[")
    overhead = template + len(texts) * TEXT_TOKENS + media.unmeasured
    overhead += len(elements(raw)) * MESSAGE_TOKENS + numbers_in(raw) if is_array else 0
    return Measure(
        text_bytes=bound.text_bytes,
        images=bound.images,
        pages=bound.pages,
        audio_seconds=bound.audio_seconds,
        texts=tuple(texts),
        overhead_tokens=overhead,
    )
