"""Reading a client's decoded request member by member: the right type, or a BadRequest that names the place.

Places are written as clients write them: `messages[2].content[0].image_url`. Null is the same as absent. For what a
vendor sent there is no client to blame: decoders of replies read with plain `.get` and ignore what they do not know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..values.errors import BadRequest

Object = Mapping[str, Any]


def fault(place: str, what: str) -> BadRequest:
    """A 400 saying what is wrong with the member at `place`."""
    return BadRequest(f"`{place}` {what}" if place else f"The request {what}", member=place or None)


def at(place: str, name: str | int) -> str:
    """The place of a member (or an element) of what stands at `place`."""
    if isinstance(name, int):
        return f"{place}[{name}]"
    return f"{place}.{name}" if place else name


def get_text(holder: Object, name: str, place: str = "") -> str | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, str):
        raise fault(at(place, name), "must be a string")
    return value


def need_text(holder: Object, name: str, place: str = "", *, empty: bool = False) -> str:
    """A string that must be there, and unless `empty` says otherwise must not be empty."""
    value = get_text(holder, name, place)
    if value is None or (not value and not empty):
        raise fault(at(place, name), "is required")
    return value


def get_flag(holder: Object, name: str, place: str = "") -> bool | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, bool):
        raise fault(at(place, name), "must be true or false")
    return value


def get_int(holder: Object, name: str, place: str = "", *, least: int = 0) -> int | None:
    """A whole number (2.0 is one), at least `least`."""
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise fault(at(place, name), f"must be a whole number from {least} up")
    return value


def get_number(holder: Object, name: str, place: str = "") -> float | None:
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise fault(at(place, name), "must be a number")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def get_object(holder: Object, name: str, place: str = "") -> Object | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise fault(at(place, name), "must be an object")
    return value


def get_list(holder: Object, name: str, place: str = "") -> Sequence[Any] | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, list):
        raise fault(at(place, name), "must be an array")
    return value


def objects_in(holder: Object, name: str, place: str = "") -> Iterator[tuple[str, Object]]:
    """(place, object) of each element of an array; nothing where it is absent. Raises for others."""
    for index, item in enumerate(get_list(holder, name, place) or ()):
        where = at(at(place, name), index)
        if not isinstance(item, Mapping):
            raise fault(where, "must be an object")
        yield where, item


def texts_in(holder: Object, name: str, place: str = "") -> tuple[str, ...]:
    """The strings of an array, or the one string that stands there alone."""
    value = holder.get(name)
    if isinstance(value, str):
        return (value,)
    found = get_list(holder, name, place) or ()
    if not all(isinstance(item, str) for item in found):
        raise fault(at(place, name), "must be an array of strings")
    return tuple(found)


def need_choice(value: str, known: Sequence[str], place: str) -> str:
    """One of the words that are known there."""
    if value not in known:
        raise fault(place, f"must be one of {', '.join(known)}, not {value[:40]!r}")
    return value
