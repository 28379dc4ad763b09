"""Gemini's own doors for embeddings, relayed: `embedContent`, and `batchEmbedContents` for several at once.

The model stands in the URL, and may be said again in the body, where each request of a batch says it. What was read is
reported from the second generation of models on; else the text is counted.

Source: https://ai.google.dev/api/embeddings (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from ..framing.members import Edit, Set, edit
from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.errors import GatewayError, Malformed
from ..values.usage import Usage
from ..values.vendor import Quirks
from . import gemini_errors
from .dialect import ReplyReading, StreamScanner, VendorError
from .gemini_fields import Fields
from .gemini_media import measure, media_in
from .gemini_relay import model_of
from .gemini_usage import usage_of
from .reading import fault

_KNOWN = frozenset({"model", "content", "requests", "taskType", "title", "outputDimensionality", "embedContentConfig"})
MOST_REQUESTS = 1_000

_members = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder(float_hook=str)


class Embedding:
    """One of the two doors: a `Dialect`. member: what the request holds; answer: what its reply does."""

    def __init__(self, name: str, member: str, answer: str) -> None:
        self.NAME = name
        self._member, self._answer = member, answer

    def peek(self, body: bytes, params: Params = NO_PARAMS) -> Wanted:
        """The members that we read. params: `model`. Raises BadRequest."""
        fields = Fields(body, frozenset({self._member, "model"}))
        raw = fields.raw(self._member)
        if raw is None or raw[1:-1].strip() == b"":
            raise fault(self._member, "is required")
        opening = b"[" if self._answer == "embeddings" else b"{"
        if raw[:1] != opening:
            raise fault(self._member, "must be an array" if opening == b"[" else "must be an object")
        media = media_in(body)
        loose = (self._member,) if media.loose or media.stored else ()
        stored = ((self._member, "it refers to content that is kept elsewhere"),) if media.stored else ()
        return Wanted(
            dialect=self.NAME,
            model=model_of(params.get("model", "")),
            unknown=fields.unknown(_KNOWN) + loose,
            unpriceable=stored,
        )

    def measure(self, body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
        return measure(body, wanted, texts=texts)

    def rewrite(self, body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
        """The bytes for upstream: the model's name, wherever the body repeats it."""
        if change.model == wanted.model:
            return body, ()
        name = msgspec.json.encode(f"models/{change.model.removeprefix('models/')}")
        members = _members.decode(body)
        edits: list[Edit] = [Set(("model",), name)] if "model" in members else []
        if self._answer == "embeddings":
            requests = _anything.decode(members[self._member])
            edits += [Set((self._member, index, "model"), name) for index in range(len(requests))]
        return (edit(body, edits) if edits else body), ()

    def read_usage(self, payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
        raw = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        return _usage(_members.decode(raw))

    def read_reply(self, body: bytes, quirks: Quirks) -> ReplyReading:
        """A whole body with vectors. Raises Malformed when it is something else."""
        try:
            members = _members.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("The upstream answered with something that is not a JSON object") from None
        if self._answer in members:
            return ReplyReading(usage=_usage(members), finished=True)
        payload = {name: _anything.decode(raw) for name, raw in members.items()}
        if (error := gemini_errors.any_error_in(payload)) is None:
            raise Malformed(f"The upstream's answer has no `{self._answer}`")
        return ReplyReading(usage=None, error=error)

    def open_stream(self, quirks: Quirks, *, hide_usage: bool, event_limit: int) -> StreamScanner:
        raise AssertionError("no vector streams")

    def texts_of(self, events: list[bytes]) -> list[str]:
        return []

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        return gemini_errors.encode_error(error, request_id)

    def encode_error_event(self, error: GatewayError, request_id: str) -> bytes:
        return gemini_errors.encode_error_event(error, request_id)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return gemini_errors.decode_error(status, body)


one = Embedding("gemini_embed", "content", "embedding")
batch = Embedding("gemini_batch_embed", "requests", "embeddings")


def _usage(members: Mapping[str, Raw]) -> Usage | None:
    """`usageMetadata`; nothing of it is produced."""
    usage = usage_of(bytes(members.get("usageMetadata", b"")))
    if usage is None:
        return None
    counts = {unit: amount for unit, amount in usage.counts.items() if not unit.startswith("output")}
    return Usage(counts=counts, raw=usage.raw)
