"""Errors in every vendor's own shape, at every door: the official client raises what the vendor's status means, with
the vendor's message inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google_errors

from oneapi_cli.dialects import DIALECTS, LISTENERS, SPEAKERS
from oneapi_cli.dialects.parts import PartWriter
from oneapi_cli.values.errors import Refused
from oneapi_cli.values.events import Started
from scripts.wire.refusals import REQUEST_ID, Refusals
from scripts.wire.replies import head_for

SAID = "Nothing of the kind: `model` is not “here”."
STATUSES = (400, 401, 404, 413, 429, 500, 529)
_OPENAI = {"error": {"message": SAID, "type": "invalid_request_error", "param": None, "code": "model_not_found"}}
BODIES: Mapping[str, tuple[Any, ...]] = {
    "openai_chat": (
        _OPENAI,
        {"error": {"message": SAID, "code": 429, "metadata": {"provider_name": "x"}}},
        {"error": {"message": SAID, "type": None, "code": None}},
        {"object": "error", "message": SAID, "type": "invalid_request_error", "param": None, "code": "3051"},
        {"error": SAID},
        {"detail": SAID},
        [{"error": {"code": 400, "message": SAID, "status": "INVALID_ARGUMENT"}}],
    ),
    "openai_responses": (_OPENAI,),
    "anthropic_messages": (
        {"type": "error", "error": {"type": "not_found_error", "message": SAID}, "request_id": "req_1"},
        {"message": SAID},  # what Bedrock says for it
    ),
    "gemini": (
        {"error": {"code": 400, "message": SAID, "status": "INVALID_ARGUMENT", "details": [{"@type": "x"}]}},
        [{"error": {"code": 400, "message": SAID, "status": "INVALID_ARGUMENT"}}],
    ),
    "bedrock_converse": ({"message": SAID}, {"Message": SAID}, {"message": SAID, "__type": "ValidationException"}),
    "cohere_chat": ({"message": SAID}, {"id": "x", "message": SAID}),
    "ollama": ({"error": SAID},),
    "replicate": ({"detail": SAID, "title": "No", "status": 422}, {"detail": SAID}),
}


@pytest.fixture(scope="module")
def refusals() -> Iterator[Refusals]:
    with Refusals() as entered:
        yield entered


@pytest.mark.parametrize("door", sorted(LISTENERS))
@pytest.mark.parametrize("dialect", sorted(SPEAKERS))
def test_the_client_raises_it(dialect: str, door: str, refusals: Refusals) -> None:
    problems = []
    for body in BODIES[dialect]:
        for status in STATUSES:
            decoded = SPEAKERS[dialect].decode_error(status, json.dumps(body).encode())
            assert decoded.message == SAID, body
            assert decoded.is_vendor_body, body
            error = Refused(decoded.message, status=status, type=decoded.type or "upstream_error", code=decoded.code)
            answer = DIALECTS[door].encode_error(error, REQUEST_ID)
            found = refusals.raised_problems(door, status, answer, SAID)
            problems += [f"{status} {body}: {problem}" for problem in found]
    assert problems == []


@pytest.mark.parametrize("door", sorted(LISTENERS))
def test_the_client_raises_what_breaks_a_stream(door: str, refusals: Refusals) -> None:
    encoder = LISTENERS[door].encode_stream(head_for(door))
    writer = PartWriter()
    events = [Started(id="x", model="m"), *writer.text("Once upon "), *writer.text("a time")]
    out = b"".join(encoder.feed(event) for event in events)
    out += encoder.fail(Refused(SAID, status=529, type="overloaded_error"), REQUEST_ID)
    if door == "openai_responses":  # its package hands the event on
        assert SAID in str(refusals.stream(door, out))
        return
    with pytest.raises((openai.APIError, anthropic.APIError, google_errors.APIError)) as raised:
        refusals.stream(door, out)
    assert SAID in str(raised.value)


@pytest.mark.parametrize("door", sorted(LISTENERS))
def test_the_client_reads_a_stream_to_its_end(door: str, refusals: Refusals) -> None:
    encoder = LISTENERS[door].encode_stream(head_for(door))
    writer = PartWriter()
    events = [Started(id="x", model="m"), *writer.text("Once"), *writer.whole_call(id="c", name="f", arguments="{}")]
    out = b"".join(encoder.feed(event) for event in [*events, *writer.finish("tool_calls")]) + encoder.close()
    assert "Once" in str(refusals.stream(door, out))


@pytest.mark.parametrize("dialect", sorted(SPEAKERS))
@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"null", b'"x"', b"[]", b"{}", b"\xff", b"{"])
def test_what_no_vendor_said_is_not_taken_for_its_words(dialect: str, body: bytes) -> None:
    decoded = SPEAKERS[dialect].decode_error(502, body)
    assert decoded.message
    assert not decoded.is_vendor_body
