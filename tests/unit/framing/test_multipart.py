"""Forms: read in any pieces, changed in one value, refused where two readers could read them in two ways."""

from __future__ import annotations

import hashlib
import random
import resource
import sys
from dataclasses import dataclass

import pytest

from oneapi_cli.framing.multipart import FormReader, boundary_of, rewritten
from oneapi_cli.values.errors import BadRequest, TooLarge
from oneapi_cli.values.uploads import Form, Piece, Span, size_of

TYPE = "multipart/form-data; boundary=frontier"
SOUND = b"RIFF\x00\r\n--fronti\r\n\r\n--frontie\x00" + bytes(range(256)) * 3
WHOLE = (
    b'--frontier\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--frontier\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xc3\xa4 "quoted"\r\nline\r\n'
    b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n" + SOUND + b"\r\n--frontier--\r\n"
)


def read(raw: bytes, content_type: str = TYPE, sizes: list[int] | None = None, **limits: int) -> Form:
    reader = FormReader(content_type, **limits)
    at = 0
    for size in sizes or []:
        reader.feed(raw[at : at + size])
        at += size
    reader.feed(raw[at:])
    return reader.close()


def joined(raw: bytes, pieces: tuple[Piece, ...]) -> bytes:
    return b"".join(raw[piece.start : piece.end] if isinstance(piece, Span) else piece for piece in pieces)


def test_a_form_is_a_table_of_contents() -> None:
    form = read(WHOLE)
    assert form.names() == ("model", "prompt", "file")
    assert form.text("model") == "whisper-1"
    assert form.text("prompt") == 'ä "quoted"\r\nline'
    (sound,) = form.files("file")
    assert (sound.file, sound.type, sound.value) == ('a "b".wav', "audio/wav", None)
    assert WHOLE[sound.content.start : sound.content.end] == SOUND
    assert form.size == len(WHOLE)
    assert form.text("language") is None


def test_where_the_network_cuts_changes_nothing() -> None:
    whole = read(WHOLE)
    assert read(WHOLE, sizes=[1] * len(WHOLE)) == whole
    dice = random.Random(7)
    for _ in range(200):
        assert read(WHOLE, sizes=[dice.randint(0, 90) for _ in range(60)]) == whole


@dataclass(frozen=True)
class Change:
    name: str
    values: tuple[tuple[str, bytes | None], ...]
    names: tuple[str, ...]


CHANGES = [
    Change("nothing", (), ("model", "prompt", "file")),
    Change("same", (("model", b"whisper-1"),), ("model", "prompt", "file")),
    Change("shorter", (("model", b"w"),), ("model", "prompt", "file")),
    Change("longer", (("model", b"openai/whisper-large-v3"),), ("model", "prompt", "file")),
    Change("added", (("stream", b"true"),), ("stream", "model", "prompt", "file")),
    Change("removed", (("prompt", None),), ("model", "file")),
    Change("several", (("prompt", None), ("model", b"x"), ("n", b"2")), ("n", "model", "file")),
    Change("first removed", (("model", None),), ("prompt", "file")),
]


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: case.name)
def test_a_change_keeps_every_other_byte(case: Change) -> None:
    pieces = rewritten(read(WHOLE), case.values)
    raw = joined(WHOLE, pieces)
    assert size_of(pieces) == len(raw)
    form = read(raw)
    assert form.names() == case.names
    for name, value in case.values:
        assert form.text(name) == (value.decode() if value is not None else None)
    (sound,) = form.files("file")
    content = raw[sound.content.start : sound.content.end]
    assert hashlib.sha256(content).digest() == hashlib.sha256(SOUND).digest()
    if case.name in ("nothing", "same"):
        assert raw == WHOLE


def field(name: str, value: bytes = b"x", more: bytes = b"", boundary: bytes = b"frontier") -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n' % (boundary, name.encode(), more)
    return head + value + b"\r\n"


END = b"--frontier--\r\n"


@dataclass(frozen=True)
class Bad:
    name: str
    raw: bytes
    says: str
    content_type: str = TYPE


BAD = [
    Bad("json", b"{}", "must be multipart/form-data", "application/json"),
    Bad("no boundary", WHOLE, "one boundary", "multipart/form-data"),
    Bad("two boundaries", WHOLE, "one boundary", TYPE + "; boundary=other"),
    Bad("bad boundary", WHOLE, "one boundary", 'multipart/form-data; boundary="a{b"'),
    Bad("empty", b"", "ended early"),
    Bad("another boundary", WHOLE, "does not begin", "multipart/form-data; boundary=other"),
    Bad("no part", b"--frontier--\r\n", "no part"),
    Bad("preamble", b"hello\r\n" + WHOLE, "does not begin"),
    Bad("truncated in a file", WHOLE[:-40], "ended early"),
    Bad("truncated at the end", WHOLE[:-6], "ended early"),
    Bad("epilogue", WHOLE + b"more", "follows the last boundary"),
    Bad("line feeds alone", WHOLE.replace(b"\r\n", b"\n"), "no line end"),
    Bad("a line feed before a boundary", WHOLE.replace(b"\r\n--frontier\r", b"\n--frontier\r"), "LF alone"),
    Bad("a line feed after a boundary", WHOLE.replace(b"--frontier\r", b"--frontier"), "no line end"),
    Bad("a line feed first", field("a", b"\n--frontier\n") + END, "LF alone"),
    Bad("prefix", field("a", b"x\r\n--frontierx\r\ny") + END, "no line end"),
    Bad("no name", b"--frontier\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, "with a name"),
    Bad("no disposition", b"--frontier\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, "with a name"),
    Bad("two names", field("a", more=b'; name="b"') + END, "malformed Content-Disposition"),
    Bad("extended name", field("a", more=b"; name*=UTF-8''b") + END, "malformed Content-Disposition"),
    Bad("encoded", field("a", more=b"\r\nContent-Transfer-Encoding: base64") + END, "is encoded"),
    Bad("two headers", field("a", more=b'\r\nContent-Disposition: form-data; name="b"') + END, "two headers"),
    Bad("folded header", field("a", more=b";\r\n x=1") + END, "malformed header"),
    Bad("large head", field("a", more=b"\r\nX: " + b"x" * 20_000) + END, "bytes of headers"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_forms(case: Bad) -> None:
    for sizes in ([], [1] * len(case.raw)):
        with pytest.raises(BadRequest) as caught:
            read(case.raw, case.content_type, sizes)
        assert case.says in caught.value.message
        assert caught.value.status == 400


def test_limits() -> None:
    with pytest.raises(BadRequest, match="more than 3 parts"):
        read(field("a") * 4 + END, most_parts=3)
    assert len(read(field("a") * 3 + END, most_parts=3).parts) == 3
    with pytest.raises(TooLarge, match="`prompt`"):
        read(field("prompt", b"x" * 101) + END, field_limit=100)
    with pytest.raises(TooLarge, match="`c`"):
        read(b"".join(field(n, b"x" * 80) for n in "abc") + END, field_limit=100)
    assert (
        read(field("file", b"x" * 101, b'; filename="f"') + END, field_limit=100).files("file")[0].content.size == 101
    )


def test_what_a_field_may_be() -> None:
    form = read(
        field("model", b"one")
        + field("model", b"two")
        + field("image[]", b"1", b'; filename="1.png"')
        + field("image", b"2", b'; filename="2.png"')
        + field("mask", b"text")
        + field("user", b"\xff")
        + field("n", b"")
        + field("Size", b"1x1")
        + END
    )
    assert [part.file for part in form.files("image")] == ["1.png", "2.png"]
    assert form.texts("model") == ("one", "two")
    assert form.text("n") is None
    for ask, member, says in (
        (lambda: form.text("model"), "model", "given twice"),
        (lambda: form.text("image"), "image", "given twice"),
        (lambda: form.files("mask"), "mask", "must be a file"),
        (lambda: form.text("user"), "user", "not UTF-8"),
        (lambda: form.check(frozenset({"size"})), "size", "write it as"),
    ):
        with pytest.raises(BadRequest, match=says) as caught:
            ask()
        assert caught.value.member == member


def test_boundaries_as_clients_write_them() -> None:
    for text, boundary in (
        ("multipart/form-data; boundary=abc", "abc"),
        ('Multipart/Form-Data; boundary="a b:c"', "a b:c"),
        (
            "multipart/form-data; charset=utf-8; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        ("multipart/form-data;boundary=1d9;charset=utf-8", "1d9"),
    ):
        assert boundary_of(text) == boundary


def test_a_large_upload_costs_nothing() -> None:
    """20 MB fed in pieces: what grows is the table of contents."""
    reader = FormReader(TYPE)
    head = field("model", b"m") + field("file", b"", b'; filename="f"')[:-2]
    reader.feed(head)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest, piece = 0, random.Random(1).randbytes(1 << 18)
    for _ in range(80):
        reader.feed(piece)
        digest += len(piece)
    reader.feed(b"\r\n" + END)
    form = reader.close()
    assert form.files("file")[0].content.size == digest == 80 << 18
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 8 << 20
