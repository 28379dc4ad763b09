"""What a door for pictures asks for, read from its canon (OpenAI's shape) whether it came as JSON or as a form, and the
answer put into that shape again. Shared by every vendor that draws in a format of its own.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...values.errors import BadRequest
from ...values.usage import Count, Usage
from ..dialect import TaskAsk, TaskReply
from ..openai_image_asks import size_of
from .pictures import Picture, Slice, look_at

_DATA_URL = re.compile(r"data:([\w.+/-]+)?(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)
_CANON = frozenset(
    {
        "model", "prompt", "n", "size", "quality", "response_format", "output_format", "output_compression", "image",
        "images", "mask", "stream", "partial_images", "user", "input", "safety_identifier", "background", "moderation",
        "style", "input_fidelity",
    }
)  # fmt: skip
_SILENT = frozenset({"user", "safety_identifier"})
"""Members that say nothing of the picture, so that nobody misses them."""


class Shown(Struct, frozen=True):
    """A picture of the client's: its bytes and media type, or where it lies."""

    data: bytes = b""
    type: str = ""
    url: str = ""
    size: tuple[int, int] | None = None

    def as_url(self) -> str:
        """As a link, or as a data URL."""
        return self.url or f"data:{self.type};base64,{base64.b64encode(self.data).decode()}"


class Drawing(Struct, frozen=True, kw_only=True):
    """A request for pictures. size: None for the model's own choice. extras: members that are not OpenAI's, the
    client's `input` among them and over the others. given: the canon's members that say something."""

    prompt: str
    n: int
    size: tuple[int, int] | None
    quality: str
    wants_data: bool
    output_format: str
    compression: int | None
    images: tuple[Shown, ...]
    mask: Shown | None
    extras: Mapping[str, Any]
    given: frozenset[str]

    def dropped(self, *carried: str) -> tuple[str, ...]:
        """Notes of what was asked for and is none of `carried`."""
        known = {"model", "prompt", "n", "size", "response_format", "image", "images", "mask", "input", *carried}
        return tuple(f"dropped:{name}" for name in sorted(self.given - known - _SILENT))


class Made(Struct, frozen=True):
    """A picture of a vendor's. data: base64 text, of `type`; a client that wants a link gets it as a data: URL."""

    data: str = ""
    url: str = ""
    type: str = ""
    revised: str = ""


def drawing_of(task: TaskAsk) -> Drawing:
    """Raises BadRequest naming the member."""
    asked = task.asked
    if asked.get("stream") in (True, "true", "1"):
        raise BadRequest(f"`stream` cannot be given to {task.name}: it draws whole pictures", member="stream")
    kind = _text(asked, "response_format")
    given = {name for name in asked if asked[name] not in (None, "", [], "auto")}
    return Drawing(
        prompt=_text(asked, "prompt"),
        n=_number(asked, "n") or 1,
        size=size_of(_text(asked, "size")),
        quality=_text(asked, "quality"),
        wants_data=kind == "b64_json",
        output_format=_text(asked, "output_format"),
        compression=_number(asked, "output_compression"),
        images=_shown(task, "image", "images"),
        mask=next(iter(_shown(task, "mask", "mask")), None),
        extras=_extras(asked, is_form=task.upload is not None),
        given=frozenset(given & _CANON),
    )


def reply_with(
    pictures: Sequence[Made], task: TaskAsk, usage: Usage | None = None, *, said: Mapping[str, Any] | None = None
) -> TaskReply:
    """The answer in OpenAI's shape. usage: beside the number of pictures; said: the reply's own `usage` member."""
    data: list[dict[str, str]] = []
    for each in pictures:
        item = {"b64_json": each.data} if each.data else {"url": each.url}
        if each.data and task.asked.get("response_format") == "url":
            item = {"url": f"data:{each.type or 'image/png'};base64,{each.data}"}
        data.append(item | ({"revised_prompt": each.revised} if each.revised else {}))
    counts: dict[str, Count] = {"images": len(pictures)}
    usage = Usage(counts=counts) if usage is None else replace(usage, counts={**counts, **usage.counts})
    body: dict[str, Any] = {"created": task.created, "data": data}
    return TaskReply(body=body if said is None else {**body, "usage": said}, usage=usage)


def bytes_of(shown: Shown, member: str) -> Shown:
    """The same picture, which must be at hand. Raises BadRequest for a link."""
    if not shown.data:
        raise BadRequest(f"`{member}` must be sent itself to this model: as a file or as a data: URL", member=member)
    return shown


def nearest_ratio(size: tuple[int, int], ratios: Sequence[str]) -> str:
    """The one of `ratios` (`16:9`) that is nearest to a size, by how much has to be stretched."""
    wanted = math.log(size[0] / size[1])
    return min(ratios, key=lambda ratio: abs(math.log(_ratio(ratio)) - wanted))


def split(count: int, most: int) -> list[int]:
    """How many each call draws, where one draws `most` at most."""
    return [min(most, count - at) for at in range(0, count, most)]


def _ratio(text: str) -> float:
    width, _, height = text.partition(":")
    return int(width) / int(height)


def _extras(asked: Mapping[str, Any], *, is_form: bool) -> dict[str, Any]:
    extras = {name: _scalar(value) if is_form else value for name, value in asked.items() if name not in _CANON}
    own = asked.get("input")
    if own is None:
        return extras
    if not isinstance(own, Mapping):
        raise BadRequest("`input` must be an object", member="input")
    return {**extras, **own}


def _scalar(value: object) -> object:
    """A form says everything as text; numbers and flags are meant as such."""
    if not isinstance(value, str):
        return value
    if value in ("true", "false"):
        return value == "true"
    if re.fullmatch(r"-?[0-9]{1,15}", value):
        return int(value)
    return float(value) if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", value) else value


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"`{name}` must be a string", member=name)
    return value or ""


def _number(asked: Mapping[str, Any], name: str) -> int | None:
    value = asked.get(name)
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else value
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequest(f"`{name}` must be a whole number", member=name)
    return value


def _shown(task: TaskAsk, field: str, member: str) -> tuple[Shown, ...]:
    """The pictures of a form's field, or of a JSON member."""
    if task.upload is not None:
        found = []
        for part in task.upload.form.files(field):
            with Slice(task.upload.file, part.content.start, part.content.size) as file:
                seen = look_at(file, part.content.size, field)
            found.append(_of(task.upload.content(part), seen))
        return tuple(found)
    value = task.asked.get(member)
    each = value if isinstance(value, list) else [value] if value is not None else []
    return tuple(
        _referred(item, f"{member}[{i}]" if isinstance(value, list) else member) for i, item in enumerate(each)
    )


def _of(data: bytes, seen: Picture) -> Shown:
    return Shown(data=data, type=seen.type, size=seen.size)


def _referred(item: object, place: str) -> Shown:
    url = item.get("image_url") if isinstance(item, Mapping) else item
    if not isinstance(url, str) or not url:
        raise BadRequest(f"`{place}` must have an `image_url`: files are kept at another vendor", member=place)
    head = _DATA_URL.match(url)
    if head is None:
        return Shown(url=url)
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
    except ValueError:
        raise BadRequest(f"`{place}` is not valid base64", member=place) from None
    return _of(data, look_at(io.BytesIO(data), len(data), place))
