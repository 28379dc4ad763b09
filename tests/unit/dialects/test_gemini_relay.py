"""What is read of a Gemini client's bytes, in either spelling, and what may change in them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from oneapi_cli.dialects import gemini
from oneapi_cli.values.asks import Change, Wanted
from oneapi_cli.values.errors import BadRequest

HELLO = '"contents":[{"role":"user","parts":[{"text":"hi"}]}]'
PARAMS = {"model": "gemini-3.5-flash", "stream": "1", "alt": "sse"}


def body(more: str = "") -> bytes:
    return f"{{{HELLO}{',' if more else ''}{more}}}".encode()


@dataclass(frozen=True)
class Case:
    name: str
    more: str
    wanted: dict[str, Any] = field(default_factory=dict)
    unpriceable: tuple[str, ...] = ()


CASES = [
    Case("nothing", ""),
    Case("limit", '"generationConfig":{"maxOutputTokens":7}', {"limit": 7}),
    Case("limit in snake case", '"generation_config":{"max_output_tokens":7}', {"limit": 7}),
    Case("limit in quotes", '"generationConfig":{"maxOutputTokens":"7"}', {"limit": 7}),
    Case("limit as a float", '"generationConfig":{"maxOutputTokens":7.0}', {"limit": 7}),
    Case("null limit", '"generationConfig":{"maxOutputTokens":null}', {"limit": None}),
    Case("candidates", '"generationConfig":{"candidateCount":3}', {"outputs": 3}),
    Case("budget", '"generationConfig":{"thinkingConfig":{"thinking_budget":300}}', {"thinking": 300}),
    Case("dynamic budget", '"generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}', {"thinking": 0}),
    Case("level", '"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH"}}', {"thinking": 0}),
    Case(
        "modalities",
        '"generationConfig":{"responseModalities":["TEXT","IMAGE"]}',
        {"modalities": ("text", "image")},
    ),
    Case("speech", '"generationConfig":{"speechConfig":{}}', {"modalities": ("audio",)}),
    Case("tier", '"serviceTier":"FLEX"', {"tier": "flex"}),
    Case("functions", '"tools":[{"functionDeclarations":[{"name":"f"}]}]'),
    Case("functions without a list", '"tools":{"function_declarations":[{"name":"f"}]}'),
    Case("search", '"tools":[{"google_search":{}}]', unpriceable=("tools[0].googleSearch",)),
    Case("run code", '"tools":[{"codeExecution":{}}]', unpriceable=("tools[0].codeExecution",)),
    Case("an unknown tool", '"tools":[{"teleport":{}}]', unpriceable=("tools[0].teleport",)),
    Case("cache", '"cached_content":"c/1"', {"unknown": ("cachedContent",)}, ("cachedContent",)),
    Case(
        "another model",
        '"generationConfig":{"routingConfig":{}}',
        unpriceable=("generationConfig.routingConfig",),
    ),
    Case("unknown", '"newThing":1,"generationConfig":{"dice":2}', {"unknown": ("newThing", "generationConfig.dice")}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_peek(case: Case) -> None:
    wanted = gemini.peek(body(case.more), PARAMS)
    assert (wanted.model, wanted.stream, wanted.dialect) == ("gemini-3.5-flash", True, "gemini")
    plain = Wanted(dialect="gemini", model="")
    for name in ("limit", "outputs", "thinking", "modalities", "tier", "unknown"):
        assert getattr(wanted, name) == case.wanted.get(name, getattr(plain, name)), name
    assert tuple(member for member, _ in wanted.unpriceable) == case.unpriceable
    assert wanted.limit_members == (() if wanted.limit is None else ("generationConfig.maxOutputTokens",))


def test_files_are_not_priceable() -> None:
    sent = b'{"contents":[{"parts":[{"file_data":{"file_uri":"gs://b/film.mp4"}}]}]}'
    wanted = gemini.peek(sent, PARAMS)
    assert [member for member, _ in wanted.unpriceable] == ["contents"]
    assert wanted.unknown == ("contents",)
    assert gemini.measure(sent, wanted).audio_seconds is None


@pytest.mark.parametrize(
    ("sent", "member"),
    [
        (b"{}", "contents"),
        (b'{"contents":[]}', "contents"),
        (b'{"contents":"hi"}', "contents"),
        (body('"generationConfig":{"maxOutputTokens":1},"generation_config":{}'), "generationConfig"),
        (
            body('"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}'),
            "generationConfig.maxOutputTokens",
        ),
        (body('"generationConfig":{"maxoutputtokens":1}'), "generationConfig.maxoutputtokens"),
        (body('"GenerationConfig":{}'), "GenerationConfig"),
        (body('"generationConfig":{"maxOutputTokens":0}'), "generationConfig.maxOutputTokens"),
        (body('"generationConfig":{"maxOutputTokens":"many"}'), "generationConfig.maxOutputTokens"),
        (body('"generationConfig":[]'), "generationConfig"),
        (body('"tools":[3]'), "tools[0]"),
        (body('"serviceTier":1'), "serviceTier"),
        (b'{"contents":[{"parts":[{"inlineData":{"data":"aa","data":"bb"}}]}]}', "data"),
    ],
)
def test_refused(sent: bytes, member: str) -> None:
    with pytest.raises(BadRequest) as fault:
        gemini.peek(sent, PARAMS)
    assert fault.value.member == member


def test_media_are_measured() -> None:
    wav = (
        b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    )
    sound = base64.urlsafe_b64encode(wav + b"data\x00\x00\x00\x00" + b"\xff" * 31_956).decode()
    parts = [
        {"inlineData": {"mimeType": "image/png", "data": "A" * 4000}},
        {"inline_data": {"mime_type": "audio/wav", "data": sound}},
        {"inlineData": {"mimeType": "application/pdf", "data": base64.b64encode(b"%PDF /Type /Page ").decode()}},
        {"functionCall": {"name": "f", "args": {"inlineData": {"mimeType": "image/png", "data": "A"}}}},
    ]
    sent = json.dumps({"contents": [{"parts": parts}]}).encode()
    wanted = gemini.peek(sent, PARAMS)
    measure = gemini.measure(sent, wanted, texts=True)
    assert (measure.images, measure.pages, measure.audio_seconds) == (1, 1, 3)
    assert measure.text_bytes < len(sent) - 4000 - len(sound) + 500
    assert "f" in measure.texts and not any(len(text) > 100 for text in measure.texts)


def test_nothing_changes_without_need() -> None:
    sent = body('"generationConfig":{"maxOutputTokens":7}')
    wanted = gemini.peek(sent, PARAMS)
    assert gemini.rewrite(sent, wanted, Change(model="other"))[0] is sent
    assert gemini.rewrite(sent, wanted, Change(model="other", limit=7))[0] is sent


@pytest.mark.parametrize(
    ("more", "after"),
    [
        ("", ',"generationConfig":{"maxOutputTokens":5}'),
        (',"generationConfig": null', ',"generationConfig": {"maxOutputTokens":5}'),
        (',"generationConfig": {}', ',"generationConfig": {"maxOutputTokens":5}'),
        (',"generation_config":{"max_output_tokens": 9 }', ',"generation_config":{"max_output_tokens": 5 }'),
        (',"generationConfig":{"maxOutputTokens":null}', ',"generationConfig":{"maxOutputTokens":5}'),
    ],
)
def test_limit(more: str, after: str) -> None:
    sent = f"{{{HELLO}{more}}}".encode()
    changed, notes = gemini.rewrite(sent, gemini.peek(sent, PARAMS), Change(model="m", limit=5))
    assert (changed.decode(), notes) == (f"{{{HELLO}{after}}}", ())


def test_count_shapes() -> None:
    plain = {"contents": [{"parts": [{"text": "hi"}]}]}
    assert gemini.counted_request(plain) == plain
    wrapped = {"generate_content_request": {"model": "models/m", **plain}}
    assert gemini.counted_request(wrapped) == plain
    assert gemini.encode_count(4) == {"totalTokens": 4}
    assert gemini.decode_count({"totalTokens": 4}) == 4
    with pytest.raises(BadRequest):
        gemini.counted_request({**wrapped, **plain})
    with pytest.raises(BadRequest):
        gemini.counted_request({})
