"""Client keys: made from the system's CSPRNG, shown once, stored as SHA-256 only.

48 characters of 62 are 285 bits: a plain digest needs no salt and no stretching, and looking it up leaks nothing
useful.
"""

from __future__ import annotations

import hashlib
import secrets
import string

PREFIX = "sk-"
KEY_CHARACTERS = 48
_ALPHABET = string.digits + string.ascii_letters


def new_key() -> tuple[str, bytes]:
    """A fresh key (`sk-` and 48 characters) and the digest under which it is stored."""
    text = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(KEY_CHARACTERS))
    return text, digest_of(text)


def digest_of(text: str) -> bytes:
    """SHA-256 of a key; one leading `sk-` does not count, so a client may send it or leave it out.

    Every text has a digest, also one with lone surrogates (a header of raw bytes): it is merely nobody's.
    """
    return hashlib.sha256(text.removeprefix(PREFIX).encode("utf-8", "surrogatepass")).digest()


def hint_of(text: str) -> str:
    """The last four characters, for telling keys apart in a list; "" for a key too short to show any of it."""
    bare = text.removeprefix(PREFIX)
    return bare[-4:] if len(bare) >= 16 else ""
