"""OpenAI's image edits and variations: a form with pictures in (edits take JSON with links as well), pictures out.

Every picture is looked at before anything is held, and a mask must be as large as the first picture, which is the one
it belongs to.

Source: https://developers.openai.com/api/reference, images/edits and images/variations (2026-11)
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping

from ..framing.multipart import rewritten
from ..values.asks import NO_PARAMS, Change, Measure, Params, Wanted
from ..values.errors import BadRequest, GatewayError
from ..values.uploads import Form, Piece, Upload
from ..values.usage import Usage
from ..values.vendor import Quirks
from . import openai_errors
from .dialect import ReplyReading, VendorError
from .openai_events import EventScanner, texts_of
from .openai_fields import Fields, model_of, wrong
from .openai_image_asks import COUNTS, READ, Picturing, order_of
from .openai_image_replies import image_usage, read_image_reply, read_usage
from .openai_rewriting import Rewriting
from .openai_transcriptions import form_flag, form_model
from .tasks.pictures import Picture, Slice, look_at, same_size

MOST_IMAGES = 16
_FORM_READ = READ | frozenset({"image", "mask", "images", "markup"})
_KNOWN = _FORM_READ | frozenset(
    {
        "user", "background", "moderation", "output_compression", "output_format", "input_fidelity",
        "safety_identifier", "style", "frame_count", "frame_duration_ms",
    }
)  # fmt: skip
_REFERENCE = frozenset({"image_url", "file_id"})


class PictureToPicture:
    """One of the two doors. prompt: whether a text says what to change."""

    def __init__(self, name: str, *, prompt: bool) -> None:
        self.NAME = name
        self._prompt = prompt

    # -- the form ------------------------------------------------------------------------------------------------

    def peek_form(self, form: Form) -> Wanted:
        form.check(_FORM_READ)
        images = form.files("image")
        if not images:
            raise BadRequest("`image` is required: send a picture", code="image_missing", member="image")
        if len(images) > MOST_IMAGES:
            raise BadRequest(f"`image` may hold {MOST_IMAGES} pictures at most", member="image")
        if len(form.files("mask")) > 1:
            raise BadRequest("`mask` is given twice in the form; send one", code="duplicate_member", member="mask")
        for part in (*images, *form.files("mask")):
            if not part.content.size:
                raise BadRequest(f"`{part.name}` is empty; send a picture", code="image_empty", member=part.name)
        counts = [_number(form, name) or 1 for name in COUNTS]
        asked = Picturing(
            model=form_model(form, "dall-e-2"),
            prompt=self._prompt_of(form.text("prompt")),
            size=form.text("size") or "",
            quality=form.text("quality") or "",
            n=_number(form, "n"),
            times=max(counts),
            stream=form_flag(form, "stream"),
            partials=_number(form, "partial_images", least=0, most=3) or 0,
            response_format=form.text("response_format") or "",
        )
        return order_of(self.NAME, asked, tuple(name for name in form.names() if name not in _KNOWN))

    def measure_form(self, upload: Upload, wanted: Wanted) -> Measure:
        form = upload.form
        parts = [*form.files("image"), *form.files("mask")]
        seen = {part: _looked_at(upload, part.content.start, part.content.size, part.name) for part in parts}
        if masks := form.files("mask"):
            same_size(seen[form.files("image")[0]], seen[masks[0]])
        text = sum(len(part.value) for part in form.parts if part.value is not None)
        return Measure(text_bytes=text + 64, images=len(parts) + len(form.named("markup")))

    def guess_form(self, upload: Upload, wanted: Wanted) -> Measure:
        return self.measure_form(upload, wanted)

    def rewrite_form(self, form: Form, wanted: Wanted, change: Change) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        return rewritten(form, [("model", change.model.encode())]), ()

    # -- JSON ----------------------------------------------------------------------------------------------------

    def peek(self, body: bytes, params: Params = NO_PARAMS) -> Wanted:
        if not self._prompt:
            raise BadRequest(
                "The request body must be multipart/form-data with an `image`",
                code="wrong_content_type",
                member="image",
            )
        fields = Fields(body, _FORM_READ)
        images = _references(fields)
        if not images:
            raise BadRequest("`images` is required: give at least one", code="image_missing", member="images")
        if len(images) > MOST_IMAGES:
            raise BadRequest(f"`images` may hold {MOST_IMAGES} pictures at most", member="images")
        asked = Picturing(
            model=model_of(fields, "dall-e-2"),
            prompt=self._prompt_of(fields.text("prompt")),
            size=fields.text("size") or "",
            quality=fields.text("quality") or "",
            n=fields.count("n", 1, 10),
            times=max((fields.count(name, 1, 10) or 1 for name in COUNTS), default=1),
            stream=fields.flag("stream"),
            partials=fields.count("partial_images", 0, 3) or 0,
            response_format=fields.text("response_format") or "",
        )
        return order_of(self.NAME, asked, fields.unknown(_KNOWN))

    def measure(self, body: bytes, wanted: Wanted, *, texts: bool = False) -> Measure:
        fields = Fields(body, _FORM_READ)
        images = _references(fields)
        seen = [_data_picture(url, place) for place, url in images]
        mask = fields.object("mask", _REFERENCE)
        inline = sum(len(url) for _, url in images if url.startswith("data:"))
        if mask is not None and (url := mask.text("image_url") or "").startswith("data:"):
            inline += len(url)
            picture = _data_picture(url, "mask.image_url")
            if seen[0] is not None and picture is not None:
                same_size(seen[0], picture)
        return Measure(text_bytes=max(0, len(body) - inline) + 64, images=len(images) + (mask is not None))

    def rewrite(self, body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
        work = Rewriting(body)
        work.model(change)
        return work.done()

    # -- replies -------------------------------------------------------------------------------------------------

    def read_usage(self, payload: Mapping[str, object] | bytes, quirks: Quirks) -> Usage | None:
        return read_usage(payload, quirks)

    def read_reply(self, body: bytes, quirks: Quirks) -> ReplyReading:
        return read_image_reply(body, quirks)

    def open_stream(self, quirks: Quirks, *, hide_usage: bool, event_limit: int) -> EventScanner:
        return EventScanner(image_usage, quirks, event_limit)

    def texts_of(self, events: list[bytes]) -> list[str]:
        return texts_of(events)

    def encode_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.encode_error(error, request_id)

    def encode_error_event(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.encode_error_event(error, request_id)

    def decode_error(self, status: int, body: bytes) -> VendorError:
        return openai_errors.decode_error(status, body)

    def _prompt_of(self, prompt: str | None) -> str:
        if self._prompt and not prompt:
            raise BadRequest("prompt is required", code="prompt_missing", member="prompt")
        return prompt or ""


edits = PictureToPicture("openai_image_edits", prompt=True)
variations = PictureToPicture("openai_image_variations", prompt=False)


def _looked_at(upload: Upload, start: int, size: int, member: str) -> Picture:
    with Slice(upload.file, start, size) as file:
        return look_at(file, size, member)


def _references(fields: Fields) -> list[tuple[str, str]]:
    """(place, link or "") of each picture of a JSON edit. Raises BadRequest for what is no reference."""
    found = []
    for index, raw in enumerate(fields.array("images") or ()):
        place = f"images[{index}]"
        if not raw.startswith(b"{"):
            raise wrong(place, "must be an object with `image_url` or `file_id`")
        each = Fields(raw, _REFERENCE, place)
        url, file = each.value("image_url"), each.value("file_id")
        if not isinstance(url or file, str):
            raise wrong(place, "must be an object with `image_url` or `file_id`")
        found.append((f"{place}.image_url", url or ""))
    return found


def _data_picture(url: str, place: str) -> Picture | None:
    """The picture in a data: URL; None for a link. Raises BadRequest: no base64, no picture."""
    if not url.startswith("data:"):
        return None
    try:
        data = base64.b64decode(url.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise wrong(place, "is not valid base64") from None
    return look_at(io.BytesIO(data), len(data), place)


def _number(form: Form, name: str, least: int = 1, most: int = 10) -> int | None:
    value = form.text(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or not least <= int(value[:9]) <= most or len(value) > 9:
        code = "n_not_within_range" if name == "n" else "invalid_request"
        text = f"invalid value of {name}: it must be a whole number from {least} to {most}"
        raise BadRequest(text, code=code, member=name)
    return int(value)
