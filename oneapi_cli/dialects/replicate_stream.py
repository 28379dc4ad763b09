"""Replicate's stream: `output` events whose data is the text itself, then `done`; `error` and `logs` between.

Text of several lines comes as several `data` lines, joined by the framing. `done` has a JSON object, with a `reason`
where the prediction did not succeed.

Source: https://replicate.com/docs/topics/predictions/streaming (2026-11)
"""

from __future__ import annotations

import msgspec

from ..framing.sse import Frame
from ..values.errors import Malformed
from ..values.events import Event, Failed
from ..values.vendor import Quirks
from .parts import PartWriter
from .replicate_prediction import error_text
from .vendor_values import object_of, text_of

_anything = msgspec.json.Decoder()


def decode_stream(quirks: Quirks) -> Decoder:
    return Decoder()


class Decoder:
    """An `EventDecoder`. Usage never comes."""

    def __init__(self) -> None:
        self._writer = PartWriter()
        self._over = False

    def feed(self, frame: Frame) -> list[Event]:
        """Raises Malformed for output that is no text."""
        if self._over:
            return []
        if frame.event == "output":
            return self._writer.text(_decoded(frame.data or b""))
        if frame.event == "error":
            self._over = True
            said = _decoded(frame.data or b"")
            return [
                Failed(message=error_text(_json(said) or said) or "The prediction failed", type="prediction_failed")
            ]
        return self._done(frame) if frame.event == "done" else []

    def close(self) -> list[Event]:
        return self._writer.end()

    def _done(self, frame: Frame) -> list[Event]:
        self._over = True
        reason = text_of(object_of(_json(_decoded(frame.data or b""))).get("reason"))
        if reason in ("", "succeeded"):
            return self._writer.finish("stop", raw=reason or "done")
        what = "was cancelled" if reason.startswith("cancel") else f"did not finish: {reason}"
        return [*self._writer.end(), Failed(message=f"The prediction {what}", type=f"prediction_{reason}")]


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("The upstream sent output that is not UTF-8") from None


def _json(text: str) -> object:
    try:
        return _anything.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
