"""Pictures by Imagen's `predict`, at Vertex AI and in the Gemini API: instances and parameters in, predictions out.

Editing takes reference images: the picture itself and, for a part of it, a mask in which white is what to change. Only
what was drawn is charged; what the safety filter took out is said as a note, and refused where nothing is left.

Sources: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api ·
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api-edit · https://ai.google.dev/gemini-api/docs/imagen
(2026-11)
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ...values.conversation import Notes
from ...values.errors import BadRequest
from ..dialect import TaskAsk, TaskReply, VendorError
from ..gemini_errors import any_error_in, decode_error
from ..vendor_values import objects_of, text_of
from .drawings import Drawing, Made, bytes_of, drawing_of, nearest_ratio, reply_with, split
from .pictures import flux_mask

_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
_MOST = 4
_TYPES = {"": "", "png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg"}
_MODES = ("edit_mode", "mask_mode")


class Imagen:
    """One of the doors for pictures, by `predict`: a `TaskSpeaker`."""

    PARTIAL = True

    def __init__(self, name: str, surface: str) -> None:
        self.NAME, self.SURFACE = name, surface

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        """A body for every four pictures. Raises BadRequest: no text, a picture that is a link, a mask alone."""
        drawing = drawing_of(task)
        if not drawing.prompt:
            raise BadRequest("prompt is required", code="prompt_missing", member="prompt")
        notes = list(drawing.dropped("output_format", "output_compression"))
        parameters = _parameters(drawing, notes)
        instance: dict[str, Any] = {"prompt": drawing.prompt}
        if drawing.images:
            instance["referenceImages"] = _references(drawing)
            parameters.pop("aspectRatio", None)
            masked = drawing.mask is not None or "mask_mode" in drawing.extras
            default = "EDIT_MODE_INPAINT_INSERTION" if masked else "EDIT_MODE_DEFAULT"
            parameters["editMode"] = drawing.extras.get("edit_mode", default)
        elif drawing.mask is not None:
            raise BadRequest("`mask` needs the `image` that it belongs to", member="image")
        bodies: list[dict[str, Any]] = [
            {"instances": [instance], "parameters": {"sampleCount": count, **parameters}}
            for count in split(drawing.n, _MOST)
        ]
        return bodies, tuple(dict.fromkeys(notes))

    def decode_task(self, payloads: Sequence[Mapping[str, Any]], task: TaskAsk) -> TaskReply | VendorError:
        made: list[Made] = []
        reasons: list[str] = []
        for payload in payloads:
            if (error := any_error_in(payload)) is not None:
                return error
            for each in objects_of(payload.get("predictions")):
                if data := text_of(each.get("bytesBase64Encoded")):
                    made.append(
                        Made(data=data, type=text_of(each.get("mimeType")), revised=text_of(each.get("prompt")))
                    )
                elif reason := text_of(each.get("raiFilteredReason")):
                    reasons.append(reason)
        if not made:
            return _filtered(reasons)
        reply = reply_with(made, task)
        if not reasons:
            return reply
        return replace(reply, body={**reply.body, "filtered": reasons}, notes=("filtered:images",))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return decode_error(status, body)


images = Imagen("imagen", "openai_images")
edits = Imagen("imagen_edits", "openai_image_edits")


def _parameters(drawing: Drawing, notes: list[str]) -> dict[str, Any]:
    """Everything but how many. The client's own further members are Imagen's parameters, by its names for them."""
    parameters: dict[str, Any] = {"includeRaiReason": True}
    if drawing.size is not None:
        parameters["aspectRatio"] = nearest_ratio(drawing.size, _RATIOS)
    kind = _TYPES.get(drawing.output_format)
    if kind is None:
        notes.append("changed:output_format")
    elif kind:
        options: dict[str, Any] = {"mimeType": kind}
        if drawing.compression is not None and kind == "image/jpeg":
            options["compressionQuality"] = drawing.compression
        parameters["outputOptions"] = options
    own = {name: value for name, value in drawing.extras.items() if name not in _MODES}
    return parameters | own


def _references(drawing: Drawing) -> list[dict[str, Any]]:
    """The pictures by number, and the mask behind them."""
    references = [
        {
            "referenceType": "REFERENCE_TYPE_RAW",
            "referenceId": number,
            "referenceImage": {"bytesBase64Encoded": _base64(bytes_of(shown, "image").data)},
        }
        for number, shown in enumerate(drawing.images, 1)
    ]
    mode = drawing.extras.get("mask_mode")
    if drawing.mask is None and mode is None:
        return references
    mask: dict[str, Any] = {
        "referenceType": "REFERENCE_TYPE_MASK",
        "referenceId": len(references) + 1,
        "maskImageConfig": {"maskMode": mode or "MASK_MODE_USER_PROVIDED"},
    }
    if drawing.mask is not None:
        data = flux_mask(bytes_of(drawing.mask, "mask").data)
        mask["referenceImage"] = {"bytesBase64Encoded": _base64(data)}
    return [*references, mask]


def _filtered(reasons: Sequence[str]) -> VendorError:
    said = f": {reasons[0]}" if reasons else ""
    return VendorError(
        message=f"Every picture was taken out by the vendor's safety filter{said}",
        type="image_generation_user_error",
        code="content_policy_violation",
        param="prompt",
        status=400,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
