"""Pictures by a Gemini model that draws, asked through `generateContent`: one picture a call, charged by tokens.

Source: https://ai.google.dev/gemini-api/docs/image-generation (2026-11)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...values.conversation import Notes
from ...values.errors import BadRequest
from ...values.usage import Count, Usage
from ..dialect import TaskAsk, TaskReply, VendorError
from ..gemini_errors import decode_error
from ..gemini_reading import refusal_in
from ..gemini_usage import usage_from
from ..vendor_values import object_of, objects_of, text_of
from .drawings import Made, bytes_of, drawing_of, nearest_ratio, reply_with

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_WITHOUT_SHAPE = re.compile(r"(?:models/)?gemini-2\.0")
"""The first ones know no `imageConfig`."""

_Object = Mapping[str, Any]


class GeminiImages:
    """One of the doors for pictures, by `generateContent`: a `TaskSpeaker`."""

    PARTIAL = True

    def __init__(self, name: str, surface: str) -> None:
        self.NAME, self.SURFACE = name, surface

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        """A body a picture. Raises BadRequest: no text, a mask, a picture that is a link."""
        drawing = drawing_of(task)
        if not drawing.prompt:
            raise BadRequest("prompt is required", code="prompt_missing", member="prompt")
        if drawing.mask is not None:
            raise BadRequest("`mask` cannot be given to this model: say in the prompt what to change", member="mask")
        parts: list[dict[str, Any]] = [{"text": drawing.prompt}]
        for shown in drawing.images:
            given = bytes_of(shown, "image")
            data = base64.b64encode(given.data).decode()
            parts.append({"inlineData": {"mimeType": given.type, "data": data}})
        config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
        notes = list(drawing.dropped())
        if drawing.size is not None and not _WITHOUT_SHAPE.match(task.model):
            config["imageConfig"] = {"aspectRatio": nearest_ratio(drawing.size, _RATIOS)}
        elif drawing.size is not None:
            notes.append("dropped:size")
        own = dict(drawing.extras)
        config |= object_of(own.pop("generationConfig", None))
        body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config, **own}
        return [body] * drawing.n, tuple(dict.fromkeys(notes))

    def decode_task(self, payloads: Sequence[_Object], task: TaskAsk) -> TaskReply | VendorError:
        made: list[Made] = []
        refusals: list[VendorError] = []
        for payload in payloads:
            drawn = [picture for candidate in objects_of(payload.get("candidates")) for picture in _drawn(candidate)]
            made += drawn
            if not drawn:
                refusals.append(refusal_in(payload) or _nothing(payload))
        if not made:
            return refusals[0] if refusals else _nothing({})
        usage = _added(payloads)
        return reply_with(made, task, usage, said=_said(usage))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return decode_error(status, body)


images = GeminiImages("gemini_images", "openai_images")
edits = GeminiImages("gemini_image_edits", "openai_image_edits")


def _drawn(candidate: _Object) -> list[Made]:
    """The pictures of one candidate, what it said beside them as the first one's revised prompt. Thoughts are
    sketches."""
    parts = [part for part in objects_of(object_of(candidate.get("content")).get("parts")) if not part.get("thought")]
    said = "".join(text_of(part.get("text")) for part in parts).strip()
    found: list[Made] = []
    for part in parts:
        inline = object_of(part.get("inlineData") or part.get("inline_data"))
        if data := text_of(inline.get("data")):
            kind = text_of(inline.get("mimeType") or inline.get("mime_type"))
            found.append(Made(data=data, type=kind, revised="" if found else said))
    return found


def _nothing(payload: _Object) -> VendorError:
    """Why there is no picture: the reason that the model stopped for, and what it said instead."""
    candidate = next(iter(objects_of(payload.get("candidates"))), {})
    reason = text_of(candidate.get("finishReason"))
    said = "".join(text_of(part.get("text")) for part in objects_of(object_of(candidate.get("content")).get("parts")))
    words = said.strip()[:500] or text_of(candidate.get("finishMessage")) or reason or "it gave no reason"
    return VendorError(
        message=f"The model drew nothing: {words}",
        type="image_generation_user_error",
        code="content_policy_violation" if "SAFETY" in reason or "PROHIBITED" in reason else "no_image",
        status=400,
    )


def _added(payloads: Sequence[_Object]) -> Usage | None:
    """The usage of all calls together."""
    blocks = [object_of(payload.get("usageMetadata")) for payload in payloads]
    each = [usage for block in blocks if (usage := usage_from(block)) is not None]
    if not each:
        return None
    counts: dict[str, Count] = {}
    for usage in each:
        for unit, amount in usage.counts.items():
            counts[unit] = counts.get(unit, 0) + amount
    reasoning = [usage.reasoning_tokens for usage in each if usage.reasoning_tokens is not None]
    raw = msgspec.json.encode(blocks[0] if len(blocks) == 1 else blocks).decode()
    return Usage(counts=counts, reasoning_tokens=sum(reasoning) if reasoning else None, raw=raw)


def _said(usage: Usage | None) -> dict[str, Any] | None:
    """OpenAI's `usage` of images."""
    if usage is None:
        return None
    given, produced = int(usage.get("input_tokens")), int(usage.get("output_tokens"))
    shown = int(usage.get("input_image_tokens"))
    return {
        "input_tokens": given,
        "input_tokens_details": {"image_tokens": shown, "text_tokens": given - shown},
        "output_tokens": produced,
        "total_tokens": given + produced,
    }
