"""Cases of our own, one folder each: `<dialect>/<case>/`. Adding a case is adding a folder. Those of translation are
called `talk_…` and belong to `test_translation.py`.

request.json            the client's body, as it is spelt; `.form` where it is a form (its first line is the boundary)
upstream_request.json   what must leave for upstream, byte for byte
upstream_reply.json     what upstream answers; `.sse` for a stream, `.txt` for what is no JSON
client_reply.sse        what the client gets of a stream; absent where that is the upstream's own bytes
reading.json            change (members of `Change`), notes, hide_usage, what the reply says: text and tools as the
                        tokenizer sees them, finish, usage, error
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oneapi_cli.dialects import DIALECTS, FORMS, Dialect
from oneapi_cli.framing.multipart import FormReader
from oneapi_cli.values.asks import Change
from oneapi_cli.values.uploads import Assembled
from oneapi_cli.values.usage import Usage
from oneapi_cli.values.vendor import Quirks

HERE = Path(__file__).parent
CASES = sorted(place for place in HERE.glob("*/*") if place.is_dir() and not place.name.startswith(("__", "talk_")))
REPLIES = {"upstream_reply.json", "upstream_reply.sse", "upstream_reply.txt"}
NAMES = {"request.json", "upstream_request.json", "request.form", "upstream_request.form", "client_reply.sse"} | REPLIES
MEMBERS = {"change", "notes", "hide_usage", "texts", "finish", "usage", "reasoning_tokens", "tier", "error", "outputs"}
LIMIT = 1 << 20


def name_of(place: Path) -> str:
    return f"{place.parent.name}/{place.name}"


@pytest.fixture(params=CASES, ids=name_of)
def case(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def reading_of(case: Path) -> dict[str, Any]:
    reading = json.loads((case / "reading.json").read_bytes(), parse_float=Decimal)
    assert isinstance(reading, dict)
    return reading


def test_no_orphans() -> None:
    """Every file belongs to a case, every case to a dialect, every dialect has cases, every case is whole."""
    assert {case.parent.name for case in CASES} == set(DIALECTS)
    files = [p for p in HERE.rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc"}]
    assert [p for p in files if p.parent not in CASES and not p.parent.name.startswith("talk_")] == []
    for case in CASES:
        names = {file.name for file in case.iterdir()}
        assert names <= NAMES | {"reading.json"}, name_of(case)
        kind = "form" if "request.form" in names else "json"
        assert {f"request.{kind}", f"upstream_request.{kind}", "reading.json"} <= names, name_of(case)
        assert len(names & REPLIES) == 1, name_of(case)
        assert "client_reply.sse" not in names or "upstream_reply.sse" in names, name_of(case)
        assert set(reading_of(case)) <= MEMBERS, name_of(case)


def test_request(case: Path) -> None:
    dialect, reading = DIALECTS[case.parent.name], reading_of(case)
    streams = (case / "upstream_reply.sse").exists()
    if (case / "request.form").exists():
        check_form(case, reading, streams=streams)
        return
    body = (case / "request.json").read_bytes()
    wanted = dialect.peek(body, {"model": "m", "stream": "1" if streams else ""})
    assert wanted.outputs == reading.get("outputs", 1)
    assert wanted.stream == streams
    change = msgspec.convert(reading.get("change", {"model": wanted.model}), Change)
    sent, notes = dialect.rewrite(body, wanted, change)
    assert sent.decode() == (case / "upstream_request.json").read_text()
    assert list(notes) == reading.get("notes", [])


def check_form(case: Path, reading: dict[str, Any], *, streams: bool) -> None:
    dialect, body = FORMS[case.parent.name], (case / "request.form").read_bytes()
    reader = FormReader("multipart/form-data; boundary=" + body[2:].partition(b"\r\n")[0].decode())
    reader.feed(body)
    form = reader.close()
    wanted = dialect.peek_form(form)
    assert (wanted.outputs, wanted.stream) == (reading.get("outputs", 1), streams)
    change = msgspec.convert(reading.get("change", {"model": wanted.model}), Change)
    pieces, notes = dialect.rewrite_form(form, wanted, change)
    sent = b"".join(Assembled(pieces, io.BytesIO(body)).chunks())
    assert sent == (case / "upstream_request.form").read_bytes()
    assert list(notes) == reading.get("notes", [])


def test_reply(case: Path) -> None:
    dialect, reading = DIALECTS[case.parent.name], reading_of(case)
    path = next((case / name for name in REPLIES if (case / name).exists() and not name.endswith(".sse")), None)
    if path is not None:
        reply = dialect.read_reply(path.read_bytes(), Quirks())
        assert reply.finished == (reading.get("finish", True))
        assert (reply.error and reply.error.message) == reading.get("error")
        check_usage(reply.usage, reading)
        if reply.usage is None and reply.error is None:
            assert list(reply.texts) == reading["texts"]
        return
    stream = (case / "upstream_reply.sse").read_bytes()
    for chunks in cuts(stream):
        check_stream(dialect, case, chunks, reading)
    assert dialect.texts_of([stream]) == reading["texts"]


def check_stream(dialect: Dialect, case: Path, chunks: list[bytes], reading: dict[str, Any]) -> None:
    scanner = dialect.open_stream(Quirks(), hide_usage=reading.get("hide_usage", False), event_limit=LIMIT)
    out = b"".join(scanner.feed(chunk) for chunk in chunks)
    scanner.close()
    given = case / "client_reply.sse"
    assert (out + scanner.ending) == (given if given.exists() else case / "upstream_reply.sse").read_bytes()
    assert scanner.finished == reading.get("finish", True)
    assert (scanner.error and scanner.error.message) == reading.get("error")
    assert scanner.clean == ("error" not in reading and reading.get("finish", True))
    check_usage(scanner.usage, reading)


def check_usage(usage: Usage | None, reading: dict[str, Any]) -> None:
    assert (usage and dict(usage.counts)) == reading.get("usage")
    assert (usage and usage.reasoning_tokens) == reading.get("reasoning_tokens")
    assert (usage and usage.tier) == reading.get("tier")


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and at random places (the same ones on every run)."""
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    dice = random.Random(len(stream))
    for _ in range(20):
        places = sorted(dice.randint(0, len(stream)) for _ in range(dice.randint(1, 12)))
        yield [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
