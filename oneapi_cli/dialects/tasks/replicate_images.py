"""Pictures by a prediction at Replicate: the Flux family by what each of its models takes, every other model by its
name with its input as the client gives it.

A client may give any input itself, as further members of its request or under `input` (the OpenAI SDK's
`extra_body`); it stands over what we make of the canon. Failed and cancelled predictions have no output and cost
nothing.

Sources: https://replicate.com/docs/reference/http · the input schemas at
https://replicate.com/black-forest-labs/flux-schnell/api/schema and its siblings (2026-11)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from ...values.conversation import Notes
from ...values.errors import BadRequest, Refused, TimedOut
from ...values.usage import Usage
from ..dialect import Following, Step, StepReply, TaskAsk, TaskReply, VendorError
from ..openai_errors import decode_error
from ..replicate_follow import follow as follow_prediction
from ..replicate_follow import request_headers
from ..replicate_prediction import DONE, failure_of
from ..vendor_values import decoded_object, object_of
from .drawings import Drawing, Made, Shown, drawing_of, nearest_ratio, reply_with, split
from .pictures import flux_mask

_FEW = ("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")
_MANY = (*_FEW, "21:9", "9:21")
_LEAST_SIDE, _MOST_SIDE, _STEP = 256, 1440, 32
_VERSION = re.compile(r"[0-9a-f]{64}\Z")
_MINE = re.compile(r"nsfw|safety|sensitive|flagged|moderat|invalid|validation|\(E00[56]\)", re.IGNORECASE)
"""Reasons to fail that lie in the request: another attempt would fail as well."""


class _Inputs(Struct, frozen=True, kw_only=True):
    """What one model takes. image: the input that a picture goes into, "" for none; needs_image: nothing is drawn
    without one. outputs: how many one prediction draws. sides: width and height with the ratio `custom`."""

    prompt: bool = True
    image: str = ""
    needs_image: bool = False
    mask: bool = False
    outputs: int = 1
    ratios: tuple[str, ...] = ()
    sides: bool = False
    formats: tuple[str, ...] = ("png", "jpg", "webp")
    quality: bool = False


_OPEN = _Inputs(image="image", outputs=4, ratios=_MANY, quality=True)
_FLUX: tuple[tuple[re.Pattern[str], _Inputs], ...] = tuple(
    (re.compile(pattern), inputs)
    for pattern, inputs in (
        (r"flux-fill-pro", _Inputs(image="image", needs_image=True, mask=True, formats=("png", "jpg"))),
        (r"flux-fill-dev", _Inputs(image="image", needs_image=True, mask=True, outputs=4, quality=True)),
        (r"flux-(?:canny|depth)-pro", _Inputs(image="control_image", needs_image=True, formats=("png", "jpg"))),
        (r"flux-(?:canny|depth)-dev", _Inputs(image="control_image", needs_image=True, outputs=4, quality=True)),
        (
            r"flux-redux-",
            _Inputs(prompt=False, image="redux_image", needs_image=True, outputs=4, ratios=_MANY, quality=True),
        ),
        (r"flux-kontext-dev", _Inputs(image="input_image", ratios=_MANY, quality=True)),
        (r"flux-kontext-", _Inputs(image="input_image", ratios=(*_MANY, "2:1", "1:2"), formats=("png", "jpg"))),
        (r"flux-1\.1-pro-ultra", _Inputs(image="image_prompt", ratios=_MANY, formats=("png", "jpg"))),
        (r"flux-1\.1-pro|flux-pro", _Inputs(image="image_prompt", ratios=_FEW, sides=True, quality=True)),
        (r"flux-schnell", _Inputs(outputs=4, ratios=_MANY, quality=True)),
        (r"flux-dev", _OPEN),
    )
)
_OTHER = _Inputs(image="image", mask=True)


class ReplicateImages:
    """One of the doors for pictures, at Replicate: a `TaskSpeaker` and a `Follower`."""

    PARTIAL = True

    def __init__(self, name: str, surface: str) -> None:
        self.NAME, self.SURFACE = name, surface

    def encode_task(self, task: TaskAsk) -> tuple[list[dict[str, Any]], Notes]:
        """A body a prediction. Raises BadRequest for pictures that the model does not take, or lacks."""
        drawing = drawing_of(task)
        inputs = _inputs_of(task.model)
        _check(drawing, inputs, task.model)
        given, notes = _given(drawing, inputs)
        body: dict[str, Any] = {"input": given}
        if _VERSION.match(version := task.model.rpartition(":")[2]):
            body["version"] = version
        if inputs.outputs == 1 or "num_outputs" in drawing.extras:
            return [body] * drawing.n, notes
        counts = split(drawing.n, inputs.outputs)
        return [{**body, "input": {**given, "num_outputs": count}} if count > 1 else body for count in counts], notes

    def decode_task(self, payloads: Sequence[Mapping[str, Any]], task: TaskAsk) -> TaskReply | VendorError:
        """What succeeded, in order; the failure where nothing did."""
        made: list[Made] = []
        failures: list[VendorError] = []
        for prediction in payloads:
            if (failure := failure_of(prediction)) is not None:
                failures.append(_blamed(failure))
            else:
                made += _made(prediction)
        if not made:
            return failures[0] if failures else _empty()
        metrics = msgspec.json.encode([object_of(each.get("metrics")) for each in payloads]).decode()
        return reply_with(made, task, Usage(counts={}, raw=metrics))

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return decode_error(status, body)

    def request_headers(self, *, stream: bool) -> Mapping[str, str]:
        return request_headers(stream=False)

    def follow(self, first: StepReply, *, stream: bool) -> Following:
        return follow_prediction(first, stream=False)

    def report(self, first: StepReply) -> Step | None:
        return None

    def follow_task(self, first: StepReply, task: TaskAsk) -> Following:
        """As `follow`, and then the pictures themselves where the client wants their bytes."""
        try:
            last = yield from follow_prediction(first, stream=False)
        except TimedOut as late:
            raise Refused(late.message, status=504, code="prediction_timeout") from None  # cancelled, so not paid for
        prediction = decoded_object(last.body, "a prediction")
        if failure_of(prediction) is not None or task.asked.get("response_format") != "b64_json":
            return last
        fetched = []
        for url in _urls(prediction.get("output")):
            if url.startswith("data:"):
                fetched.append(url.partition(",")[2])
                continue
            reply = yield Step(url=url, anonymous=True)
            fetched.append(base64.b64encode(reply.body).decode())
        body = msgspec.json.encode({**prediction, "output": None, "data": fetched})
        return StepReply(status=last.status, headers=last.headers, body=body)

    def called_off(self, reply: StepReply) -> bool:
        """A prediction that has not come to its output is not paid for."""
        return decoded_object(reply.body, "a prediction").get("status") not in DONE


images = ReplicateImages("replicate_images", "openai_images")
edits = ReplicateImages("replicate_image_edits", "openai_image_edits")
variations = ReplicateImages("replicate_image_variations", "openai_image_variations")


def _inputs_of(model: str) -> _Inputs:
    name = model.partition(":")[0].rsplit("/", 1)[-1].lower()
    return next((inputs for pattern, inputs in _FLUX if pattern.match(name)), _OTHER)


def _check(drawing: Drawing, inputs: _Inputs, model: str) -> None:
    """Raises BadRequest for pictures that do not fit the model."""
    given = inputs.image in drawing.extras
    if drawing.images and not inputs.image:
        raise BadRequest(f"`image` cannot be given to {model}: it draws from a prompt alone", member="image")
    if len(drawing.images) > 1:
        raise BadRequest(f"`image` may hold one picture for {model}", member="image")
    if inputs.needs_image and not (drawing.images or given):
        raise BadRequest(f"`image` is required by {model}: use /v1/images/edits", code="image_missing", member="image")
    if drawing.mask is not None and not inputs.mask:
        raise BadRequest(f"`mask` cannot be given to {model}; a fill model takes one", member="mask")
    is_fill = inputs.mask and inputs is not _OTHER
    if is_fill and drawing.mask is None and not ({"mask", "outpaint"} & set(drawing.extras)):
        raise BadRequest(f"`mask` is required by {model}: it says what to change", code="mask_missing", member="mask")


def _given(drawing: Drawing, inputs: _Inputs) -> tuple[dict[str, Any], Notes]:
    """The input, and what of the request is not in it."""
    given: dict[str, Any] = {}
    notes: list[str] = []
    if drawing.prompt and inputs.prompt:
        given["prompt"] = drawing.prompt
    elif drawing.prompt:
        notes.append("dropped:prompt")
    if drawing.images:
        given[inputs.image] = drawing.images[0].as_url()
    if drawing.mask is not None:
        given["mask"] = _mask(drawing, inputs)
    given |= _shape(drawing, inputs, notes) | _format(drawing, inputs, notes)
    own = dict(drawing.extras)
    if inputs.image == "input_image" and "image_prompt" in own:
        own.setdefault("input_image", own.pop("image_prompt"))
    if drawing.quality:
        notes.append("dropped:quality")
    notes += drawing.dropped("output_format", "output_compression", "quality")
    return given | own, tuple(dict.fromkeys(notes))


def _mask(drawing: Drawing, inputs: _Inputs) -> str:
    """A mask in Flux's convention, white for what to change; for models that we do not know, as it came."""
    mask = drawing.mask
    assert mask is not None
    if inputs is _OTHER or not mask.data:
        return mask.as_url()
    return Shown(data=flux_mask(mask.data), type="image/png").as_url()


def _shape(drawing: Drawing, inputs: _Inputs, notes: list[str]) -> dict[str, Any]:
    size = drawing.size
    if size is None or "aspect_ratio" in drawing.extras:
        return {}
    if inputs.sides and all(_LEAST_SIDE <= side <= _MOST_SIDE for side in size):
        width, height = (round(side / _STEP) * _STEP for side in size)
        return {"aspect_ratio": "custom", "width": width, "height": height}
    if inputs.ratios:
        return {"aspect_ratio": nearest_ratio(size, inputs.ratios)}
    notes.append("dropped:size")
    return {}


def _format(drawing: Drawing, inputs: _Inputs, notes: list[str]) -> dict[str, Any]:
    """The picture's format, PNG where the client does not say and we know that the model can."""
    if inputs is _OTHER:
        return {"output_format": drawing.output_format} if drawing.output_format else {}
    wanted = {"jpeg": "jpg", "": "png"}.get(drawing.output_format, drawing.output_format)
    if wanted not in inputs.formats:
        notes.append("changed:output_format")
        wanted = inputs.formats[0]
    given: dict[str, Any] = {"output_format": wanted}
    if drawing.compression is not None and inputs.quality:
        given["output_quality"] = drawing.compression
    elif drawing.compression is not None:
        notes.append("dropped:output_compression")
    return given


def _made(prediction: Mapping[str, Any]) -> list[Made]:
    data = prediction.get("data")
    if isinstance(data, list):
        return [Made(data=each) for each in data if isinstance(each, str)]
    return [_link(url) for url in _urls(prediction.get("output"))]


def _link(url: str) -> Made:
    return Made(data=url.partition(",")[2]) if url.startswith("data:") else Made(url=url)


def _urls(output: object) -> list[str]:
    """The links of an output: one, a list of them, or an object with some (`{"image": …}`, `{"images": […]}`)."""
    if isinstance(output, str):
        return [output] if output.startswith(("https://", "http://", "data:")) else []
    if isinstance(output, list):
        return [url for each in output for url in _urls(each)]
    if isinstance(output, dict):
        return [url for each in output.values() for url in _urls(each)]
    return []


def _blamed(failure: VendorError) -> VendorError:
    status = 400 if _MINE.search(failure.message) else 502
    return VendorError(message=failure.message, type=failure.type, code=failure.code, status=status)


def _empty() -> VendorError:
    return VendorError(message="The prediction has no picture in its output", type="prediction_empty", status=502)
