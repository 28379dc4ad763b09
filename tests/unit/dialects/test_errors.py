"""Errors: the envelope that clients know, and what vendors really send."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from openai.types.responses import ResponseErrorEvent

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.values.errors import BadRequest, Broken, GatewayError, Unauthenticated
from oneapi_cli.values.vendor import Quirks

FAMILY = ("openai_chat", "openai_completions", "openai_embeddings", "openai_moderations", "openai_responses")
"""Those with OpenAI's JSON on both sides; forms, sounds and other makers' formats have tests of their own."""

ID = "20261122000000123456789012345678"


@pytest.mark.parametrize("dialect", FAMILY)
@pytest.mark.parametrize(
    ("error", "envelope"),
    [
        (
            BadRequest("n is invalid", code="invalid_text_request", member="n"),
            {"type": "invalid_request_error", "param": "n", "code": "invalid_text_request"},
        ),
        (Broken("It broke"), {"type": "one_api_error", "param": "", "code": "upstream_broken"}),
        (Unauthenticated("No token provided"), {"type": "one_api_error"}),
    ],
)
def test_envelope(dialect: str, error: GatewayError, envelope: dict[str, str]) -> None:
    body = json.loads(DIALECTS[dialect].encode_error(error, ID))
    assert body == {"error": {"message": f"{error.message} (request id: {ID})", **envelope}}


def test_chat_event() -> None:
    event = DIALECTS["openai_chat"].encode_error_event(Broken("It broke"), ID)
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert json.loads(event[6:])["error"]["code"] == "upstream_broken"
    scanner = DIALECTS["openai_chat"].open_stream(Quirks(), hide_usage=False, event_limit=10_000)
    assert scanner.feed(event) == event
    assert scanner.error is not None
    assert scanner.error.message == f"It broke (request id: {ID})"


def test_responses_event_is_the_sdks() -> None:
    event = DIALECTS["openai_responses"].encode_error_event(BadRequest("No", member="input"), ID)
    name, data = event.decode().removesuffix("\n\n").split("\n")
    assert name == "event: error"
    read = ResponseErrorEvent.model_validate(json.loads(data.removeprefix("data: ")), strict=True)
    assert (read.type, read.code, read.param, read.sequence_number) == ("error", "invalid_request", "input", 0)


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


OTHER: dict[str, str] = {"type": "upstream_error", "code": "bad_response_status_code", "param": "418"}

CASES = [
    Case(
        "openai",
        b'{"error":{"message":"Bad n","type":"invalid_request_error","param":"n","code":"bad_n"}}',
        "Bad n",
        "invalid_request_error",
        "bad_n",
        "n",
    ),
    Case("nulls", b'{"error":{"message":"Bad","type":null,"param":null,"code":null}}', "Bad"),
    Case("number", b'{"error":{"message":"Bad","code":400}}', "Bad", code="400"),
    Case("google's array", b'[{"error":{"message":"Bad","code":400,"status":"INVALID"}}]', "Bad", "INVALID", "400"),
    Case("no message", b'{"error":{"type":"x"}}', "The upstream gave no message", "x"),
    Case("string", b'{"error":"Model not found"}', "Model not found", **OTHER),
    Case("message", b'{"object":"error","message":"Bad","code":7}', "Bad", **{**OTHER, "code": "7"}),
    Case("msg", b'{"msg":"Bad"}', "Bad", **OTHER),
    Case("err", b'{"err":"Bad"}', "Bad", **OTHER),
    Case("error_msg", b'{"error_msg":"Bad","error_code":6}', "Bad", **OTHER),
    Case("header", b'{"header":{"message":"Bad"}}', "Bad", **OTHER),
    Case("response", b'{"response":{"error":{"message":"Bad"}}}', "Bad", **OTHER),
    Case("detail", b'{"detail":"Not Found"}', "Not Found", **OTHER),
    Case("detail list", b'{"detail":[{"loc":["body"],"msg":"one"},{"msg":"two"}]}', "one; two", **OTHER),
    Case("the envelope goes first", b'{"message":"outer","error":{"message":"inner"}}', "inner"),
]
NOT_VENDORS = [b"", b"<html>502</html>", b"{}", b"[]", b"5", b'{"error":null}', b'{"error":{}}', b"\xff", b"[" * 50_000]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decode(case: Case) -> None:
    for name in FAMILY:
        read = DIALECTS[name].decode_error(418, case.body)
        assert (read.message, read.type, read.code, read.param) == (case.message, case.type, case.code, case.param)
        assert (read.status, read.is_vendor_body) == (418, True)


@pytest.mark.parametrize("body", NOT_VENDORS)
def test_what_is_no_vendors_body(body: bytes) -> None:
    read = DIALECTS["openai_chat"].decode_error(502, body)
    assert not read.is_vendor_body
    assert "502" in read.message
    assert (read.type, read.code, read.param) == ("upstream_error", "bad_response_status_code", "502")
