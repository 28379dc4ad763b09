"""Wire formats, one per module, pure: bytes in, bytes and plain values out.

Decisions that live here:

* A dialect is a format, not a company. Where vendors differ inside one, a field of `Quirks` says so.
* Relay first: a request leaves as the client's own bytes with single members changed in place, a stream as the vendor's
  own bytes. What these modules read, they read beside the bytes.
* A module is its dialect: it has the functions of `Dialect` at top level, so that translation can add more of them
  later without touching these.
"""

from .dialect import Dialect, Listener, ReplyHead, ReplyReading, Speaker, StreamScanner, VendorError
from .registry import DIALECTS, FOLLOWS, FORMS, LISTENERS, SPEAKERS, TASKS

__all__ = [
    "DIALECTS",
    "FOLLOWS",
    "FORMS",
    "LISTENERS",
    "SPEAKERS",
    "TASKS",
    "Dialect",
    "Listener",
    "ReplyHead",
    "ReplyReading",
    "Speaker",
    "StreamScanner",
    "VendorError",
]
