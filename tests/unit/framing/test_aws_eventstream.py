"""AWS messages: the same frames whatever the cuts, as botocore reads them, and no damage unseen."""

from __future__ import annotations

import base64
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.framing.aws_eventstream import AwsFrames
from oneapi_cli.framing.sse import Frame
from oneapi_cli.values.errors import Malformed


def header(name: str, value: bytes, kind: int = 7) -> bytes:
    sized = struct.pack(">H", len(value)) + value if kind in (6, 7) else value
    return bytes([len(name)]) + name.encode() + bytes([kind]) + sized


def message(payload: bytes, *headers: bytes) -> bytes:
    block = b"".join(headers)
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    head = prelude + struct.pack(">I", zlib.crc32(prelude))
    body = head + block + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(kind: str, payload: bytes) -> bytes:
    extra = header(":date", struct.pack(">q", 1), 8), header("flag", b"", 0), header("blob", b"\x00\xff", 6)
    return message(
        payload,
        *extra,
        header(":event-type", kind.encode()),
        header(":content-type", b"application/json"),
        header(":message-type", b"event"),
    )


def exception(kind: str, payload: bytes) -> bytes:
    return message(payload, header(":exception-type", kind.encode()), header(":message-type", b"exception"))


INNER = b'{"type":"message_start"}'
STREAM = b"".join(
    [
        event("messageStart", b'{"role":"assistant","p":"abc"}'),
        event("chunk", json.dumps({"bytes": base64.b64encode(INNER).decode(), "p": "ab"}).encode()),
        event("empty", b""),
        exception("throttlingException", b'{"message":"slow down"}'),
        message(
            b"",
            header(":error-code", b"InternalError"),
            header(":error-message", b"broken"),
            header(":message-type", b"error"),
        ),
    ]
)
FRAMES = [
    Frame("messageStart", b'{"role":"assistant","p":"abc"}'),
    Frame("", INNER),
    Frame("empty", b""),
    Frame("exception:throttlingException", b'{"message":"slow down"}'),
    Frame("exception:InternalError", b'{"message":"broken"}'),
]


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_one_cut_anywhere(cut: int) -> None:
    reader = AwsFrames()
    assert [*reader.feed(STREAM[:cut]), *reader.feed(STREAM[cut:]), *reader.close()] == FRAMES


def test_byte_by_byte() -> None:
    reader = AwsFrames()
    assert [frame for at in range(len(STREAM)) for frame in reader.feed(STREAM[at : at + 1])] == FRAMES
    assert reader.close() == []


def test_reads_what_botocore_reads() -> None:
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    buffer.add_data(STREAM)
    theirs = [each.payload for each in buffer]
    assert [theirs[0], *theirs[2:4]] == [FRAMES[0].data, *(frame.data for frame in FRAMES[2:4])]


@pytest.mark.parametrize("at", range(len(STREAM)))
def test_no_changed_byte_goes_unseen(at: int) -> None:
    damaged = bytearray(STREAM)
    damaged[at] ^= 0x41
    reader, frames = AwsFrames(), []
    with pytest.raises(Malformed):
        frames += reader.feed(bytes(damaged))
        frames += reader.close()
    assert frames == FRAMES[: len(frames)]
    assert len(frames) < len(FRAMES)


@pytest.mark.parametrize("end", range(1, len(STREAM)))
def test_a_truncated_stream_is_no_end(end: int) -> None:
    reader = AwsFrames()
    frames = reader.feed(STREAM[:end])
    ends = [len(STREAM)] if end == len(STREAM) else []
    whole = AwsFrames()
    if whole.feed(STREAM[:end]) == frames and not whole._held:
        ends.append(end)
    if end in ends:
        assert reader.close() == []
    else:
        with pytest.raises(Malformed, match="broke off"):
            reader.close()


def test_too_large_is_refused_from_its_head() -> None:
    big = event("x", b"0" * 2000)
    reader = AwsFrames(limit=1000)
    first = event("small", b"{}")
    assert reader.feed(first + big[:12]) == [Frame("small", b"{}")]
    with pytest.raises(Malformed, match="more than 1000 bytes"):
        reader.feed(b"")


@pytest.mark.parametrize(
    "bad",
    [
        message(b"", b"\x05:ev"),
        message(b"", header("x", b"", 42)),
        message(b"", b"\x01x\x07\x00\xff"),
        event("chunk", b"no json"),
        event("chunk", b'{"bytes":"***"}'),
    ],
)
def test_what_is_no_message(bad: bytes) -> None:
    with pytest.raises(Malformed, match="damaged"):
        AwsFrames().feed(bad)


def test_a_chunk_without_bytes_stays_a_chunk() -> None:
    assert AwsFrames().feed(event("chunk", b'{"x":1}')) == [Frame("chunk", b'{"x":1}')]


@given(st.binary(max_size=200))
def test_noise_never_surprises(noise: bytes) -> None:
    reader = AwsFrames()
    try:
        reader.feed(noise)
        reader.close()
    except Malformed:
        pass
