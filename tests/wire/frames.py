"""Frames of an AWS event stream, written for tests: the other half of what `framing/aws_eventstream.py` reads."""

from __future__ import annotations

import binascii
import struct


def aws_frame(line: str) -> bytes:
    """`contentBlockDelta {…}` → one frame, checksums and all; a `!` before the type makes it an exception."""
    kind, _, payload = line.partition(" ")
    message = "exception" if kind.startswith("!") else "event"
    given = {f":{message}-type": kind.lstrip("!"), ":content-type": "application/json", ":message-type": message}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in given.items()
    )
    body = payload.encode()
    start = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    start += struct.pack(">I", binascii.crc32(start))
    return start + headers + body + struct.pack(">I", binascii.crc32(start + headers + body))
