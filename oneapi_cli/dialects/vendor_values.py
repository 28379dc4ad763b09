"""What a vendor sent, taken for what it is or for nothing: there is no client to blame, and no reason to fail.

`reading.py` is the strict twin, for what clients send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..values.errors import Malformed

MOST_COUNT = 10**12
"""More than this of anything is a broken number."""

_anything = msgspec.json.Decoder()


def text_of(value: object) -> str:
    """A string, "" for anything else."""
    return value if isinstance(value, str) else ""


def object_of(value: object) -> Mapping[str, Any]:
    """An object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def objects_of(value: object) -> Sequence[Mapping[str, Any]]:
    """The objects of an array, or the one that stands there alone; what else is in it is passed over."""
    if isinstance(value, dict):
        return (value,)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def count_of(value: object) -> int | None:
    """A count, also where it is written as a float; None for what is none (null, words, negative or absurd numbers)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_COUNT else None


def place_of(value: object) -> int | str | None:
    """What a vendor tells the parts of a stream apart by; None for what cannot be told apart."""
    return value if isinstance(value, int | str) else None


def seconds_of(value: object) -> int:
    """A moment as RFC 3339 writes it → whole unix seconds; 0 for anything else."""
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return 0
    return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


def decoded_object(data: bytes | None, what: str) -> dict[str, Any]:
    """A JSON object. what: how to call it in the complaint. Raises Malformed."""
    try:
        found = _anything.decode(data or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(f"The upstream sent {what} that is not JSON") from None
    if not isinstance(found, dict):
        raise Malformed(f"The upstream sent {what} that is not a JSON object")
    return found
