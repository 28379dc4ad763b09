"""What belongs to one vendor, carried through another vendor's format.

A signature or an encrypted thought must come back to its own vendor bit by bit, though the client that keeps it in
between speaks another format. So it is wrapped into one base64 text that fits wherever a format has a place for such
a thing (`signature`, `encrypted_content`, `thoughtSignature`), with its dialect's name inside. Whoever finds such a
text unwraps it; anything else in that place is the format's own.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from ..values.conversation import Opaque

_MARK = b"oneapi1:"
SEAL_START = base64.b64encode(_MARK + b"-")[:10].decode()
"""What every wrapped text begins with."""


class _Wrapped(msgspec.Struct, array_like=True):
    dialect: str
    data: object


def seal(opaque: Opaque) -> str:
    """One base64 text (standard alphabet, padded)."""
    return base64.b64encode(_MARK + msgspec.json.encode(_Wrapped(opaque.dialect, opaque.data))).decode()


def unseal(text: str) -> Opaque | None:
    """What `seal` wrapped; None where it did not."""
    if not text.startswith(SEAL_START):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
        wrapped = msgspec.json.decode(raw.removeprefix(_MARK), type=_Wrapped)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
    return Opaque(dialect=wrapped.dialect, data=wrapped.data)
