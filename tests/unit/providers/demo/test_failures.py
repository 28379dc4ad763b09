"""Ways to fail, as the prompt orders them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import pytest

from .played import Played, chat, play


def response(prompt: str, **members: object) -> Played:
    return play("/responses", {"model": "demo-small", "input": prompt, **members})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ask", [chat, response])
def test_statuses(ask: Callable[..., Played], stream: bool) -> None:
    seen = ask("[status=429] [retry_after=2]", stream=stream)
    assert (seen.status, seen.headers["retry-after"]) == (429, "2")
    assert seen.error["type"] == "rate_limit_error"
    assert ask("[status=500]", stream=stream).error["type"] == "server_error"
    assert ask("[status=418]", stream=stream).error["type"] == "invalid_request_error"


def test_html_and_a_200_that_lies() -> None:
    seen = chat("[error=html]")
    assert (seen.status, seen.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert seen.body.startswith(b"<!DOCTYPE html>")
    assert chat("[error=html] [status=503]").status == 503
    lie = chat("[error=200]", stream=True)
    assert (lie.status, lie.headers["content-type"]) == (200, "application/json")
    assert lie.error["message"]


def test_nothing_at_all() -> None:
    assert (chat("[reset=before]").status, chat("[reset=before]").dropped) == (0, True)
    hung = chat("[hang=5]")
    assert (hung.status, hung.pauses, hung.dropped) == (0, [5.0], False)
    assert chat("[hang]", stream=True).pauses == [600.0]


@pytest.mark.parametrize("ask", [chat, response])
def test_streams_that_end_early(ask: Callable[..., Played]) -> None:
    reset, eof, stall = (ask(f"[{word}=3]", stream=True) for word in ("reset", "eof", "stall"))
    assert len(reset.sent) == len(eof.sent) == len(stall.sent) == 3
    assert (reset.dropped, eof.dropped, stall.dropped) == (True, None, False)
    assert stall.pauses[-1] == 600.0


def test_error_events() -> None:
    seen = chat("[error_event=2]", stream=True)
    assert len(seen.sent) == 3
    assert json.loads(seen.sent[-1][6:])["error"]["code"] == "demo_error"
    other = response("[error_event=2]", stream=True)
    assert other.sent[-1].startswith(b"event: error\ndata: ")
    assert other.events()[-1]["type"] == "error"


def test_a_broken_event_among_good_ones() -> None:
    seen = chat("[bad_sse=2]", stream=True)
    with pytest.raises(json.JSONDecodeError):
        json.loads(seen.sent[2][6:])
    for good in seen.sent[:2] + seen.sent[3:-1]:
        assert json.loads(good[6:])["object"] == "chat.completion.chunk"
    assert seen.sent[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("stream", [False, True])
def test_gzip(stream: bool) -> None:
    seen = chat("[gzip]", stream=stream)
    assert seen.headers["content-encoding"] == "gzip"
    plain = zlib.decompress(seen.body, wbits=31)
    assert plain.endswith(b"data: [DONE]\n\n") if stream else json.loads(plain)["choices"]


def test_every_compressed_event_can_be_read_when_it_arrives() -> None:
    unpacker = zlib.decompressobj(wbits=31)
    assert unpacker.decompress(chat("[gzip]", stream=True).sent[0]).startswith(b"data: {")


@pytest.mark.parametrize("stream", [False, True])
def test_a_length_that_is_wrong(stream: bool) -> None:
    seen = chat("[length=wrong]", stream=stream)
    assert int(seen.headers["content-length"]) == len(seen.body) + 100
    assert seen.dropped is False


def test_whole_replies_that_are_cut() -> None:
    reset, eof = chat("[reset=5]"), chat("[eof=5]")
    assert reset.dropped is True
    assert int(reset.headers["content-length"]) > len(reset.body)
    assert (eof.dropped, "content-length" in eof.headers) == (None, False)
    for seen in (reset, eof):
        with pytest.raises(json.JSONDecodeError):
            json.loads(seen.body)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/chat/completions"), ("POST", "/nowhere"), ("POST", ""), ("DELETE", "/models/demo-small")],
)
def test_paths_that_are_not_there(method: str, path: str) -> None:
    seen = play(path, b"{}", method)
    assert (seen.status, seen.error["code"]) == (404, "unknown_url")
