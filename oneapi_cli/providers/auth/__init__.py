"""How a call proves who pays for it: the headers that carry a channel's key. Signed schemes get modules of their
own."""

from .headers import headers_for

__all__ = ["headers_for"]
