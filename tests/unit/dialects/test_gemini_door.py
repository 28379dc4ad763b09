"""A Gemini client's request → the conversation, and replies → what the official SDK reads."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from google import genai
from google.genai import errors, types

from oneapi_cli.dialects import gemini
from oneapi_cli.dialects.dialect import ReplyHead
from oneapi_cli.dialects.parts import events_of
from oneapi_cli.dialects.sealing import seal
from oneapi_cli.values.conversation import (
    Choice,
    Citation,
    Hosted,
    Media,
    Opaque,
    Reasoning,
    Reply,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi_cli.values.errors import BadRequest, Refused, Throttled
from oneapi_cli.values.usage import Usage

HEAD = ReplyHead(request_id="7" * 32, model="asked", created=1_790_000_000)
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def said(*contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"contents": list(contents), **more}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


HI = user({"text": "hi"})


# --- requests -------------------------------------------------------------------------------------------------------


def test_everything_in_snake_case() -> None:
    talk, notes = gemini.decode_request(
        {
            "contents": {"parts": {"text": "hi"}},
            "system_instruction": {"parts": [{"text": "Be kind"}]},
            "generation_config": {
                "max_output_tokens": 9,
                "top_p": 0.5,
                "top_k": 40.0,
                "stop_sequences": ["x"],
                "candidate_count": 2,
                "response_mime_type": "application/json",
                "response_schema": {"type": "OBJECT", "properties": {"a_b": {"type": "STRING", "nullable": True}}},
                "thinking_config": {"include_thoughts": True, "thinking_level": "HIGH"},
                "response_logprobs": True,
                "logprobs": 3,
            },
            "tools": {"function_declarations": {"name": "f", "parameters": {"type": "OBJECT"}}},
            "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
            "safety_settings": [],
            "service_tier": "flex",
            "labels": {"team": "a"},
        }
    )
    assert notes == ()
    assert [turn.role for turn in talk.turns] == ["system", "user"]
    assert (talk.limit, talk.top_p, talk.top_k, talk.stop, talk.outputs) == (9, 0.5, 40, ("x",), 2)
    assert talk.format is not None
    assert talk.format.schema == {"type": "object", "properties": {"a_b": {"type": ["string", "null"]}}}
    assert talk.reasoning == Reasoning(effort="high", show=True)
    assert (talk.logprobs, talk.top_logprobs, talk.tier, talk.metadata) == (True, 3, "flex", {"team": "a"})
    assert talk.tool_choice == ToolChoice(mode="named", names=("f",))
    assert talk.tools[0].schema == {"type": "object"}
    assert dict(talk.extras) == {"safetySettings": []}


def test_calls_without_ids_are_matched_by_name_and_order() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    answer = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
    talk, _ = gemini.decode_request(said(HI, model(call, call), user(answer, answer), HI))
    calls = [part for turn in talk.turns for part in turn.parts if isinstance(part, ToolCall)]
    results = [part for turn in talk.turns for part in turn.parts if isinstance(part, ToolResult)]
    assert [part.id for part in calls] == [part.id for part in results] == ["call_contents_1_0", "call_contents_1_1"]
    assert results[0].content == (Text(text="x"),)


def test_ids_on_responses_alone() -> None:
    call = {"functionCall": {"name": "f"}}
    answer = {"functionResponse": {"id": "mine", "name": "f", "response": {"error": "no"}}}
    talk, _ = gemini.decode_request(said(HI, model(call), {"role": "function", "parts": [answer]}))
    result = talk.turns[2].parts[0]
    assert isinstance(result, ToolResult)
    assert (result.id, result.is_error, result.content) == ("call_contents_1_0", True, (Text(text="no"),))


def test_contents_of_the_model_in_a_row_are_one_turn() -> None:
    calls = [model({"functionCall": {"id": id, "name": "f"}}) for id in ("1", "2")]
    answers: list[dict[str, Any]] = [{"functionResponse": {"id": id, "name": "f", "response": {}}} for id in ("2", "1")]
    talk, _ = gemini.decode_request(said(HI, *calls, user(*answers)))
    assert [len(turn.parts) for turn in talk.turns] == [1, 2, 2]


def test_signatures() -> None:
    foreign = Opaque(dialect="anthropic_messages", data={"signature": "abc?>"})
    safe = seal(foreign).replace("+", "-").replace("/", "_").rstrip("=")
    dummy = base64.b64encode(b"skip_thought_signature_validator").decode()
    talk, _ = gemini.decode_request(
        said(
            HI,
            model(
                {"text": "hm", "thought": True, "thoughtSignature": safe},
                {"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": "b3du"},
                {"functionCall": {"id": "2", "name": "f"}, "thought_signature": dummy},
                {"text": "", "thoughtSignature": "cmVzdA=="},
            ),
            user(*({"functionResponse": {"id": id, "name": "f"}} for id in "12")),
        )
    )
    parts = talk.turns[1].parts
    assert parts[0] == Thinking(text="hm", sealed=foreign)
    assert parts[1] == Thinking(sealed=Opaque(dialect="gemini", data={"thoughtSignature": "b3du", "call": "1"}))
    assert isinstance(parts[2], ToolCall) and isinstance(parts[3], ToolCall)
    assert parts[4] == Thinking(sealed=Opaque(dialect="gemini", data={"thoughtSignature": "cmVzdA==", "call": ""}))


def test_media() -> None:
    text = base64.b64encode("größe".encode()).decode()
    talk, notes = gemini.decode_request(
        said(
            user(
                {
                    "inlineData": {"mimeType": "image/png", "data": DOT},
                    "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                },
                {"inline_data": {"data": DOT.replace("+", "-").rstrip("=")}},
                {"inlineData": {"mimeType": "text/csv", "data": text, "displayName": "a.csv"}},
                {"fileData": {"fileUri": "gs://b/a.mp4"}, "videoMetadata": {"fps": 1}},
                {"fileData": {"fileUri": "https://youtu.be/x"}},
                {"fileData": {"fileUri": "https://example.org/a.pdf"}},
            )
        )
    )
    assert notes == ("dropped:videoMetadata",)
    assert talk.turns[0].parts == (
        Media(kind="image", media_type="image/png", data=DOT, detail="low"),
        Media(kind="image", media_type="image/png", data=DOT),
        Media(kind="document", media_type="text/csv", text="größe", name="a.csv"),
        Media(kind="video", media_type="video/mp4", file_id="gs://b/a.mp4", origin="gemini"),
        Media(kind="video", file_id="https://youtu.be/x", origin="gemini"),
        Media(kind="document", media_type="application/pdf", url="https://example.org/a.pdf"),
    )


def test_tools_of_the_vendor() -> None:
    run = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "cw=="}
    talk, _ = gemini.decode_request(said(HI, model(run), HI, tools=[{"googleSearch": {}, "urlContext": {}}]))
    assert [tool.kind for tool in talk.hosted] == ["web_search", "url_context"]
    assert talk.turns[1].parts == (Hosted(kind="code_execution", sealed=Opaque(dialect="gemini", data={"part": run})),)


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({}, "contents"),
        (said(), "contents"),
        (said({"role": "user"}), "contents[0].parts"),
        (said({"role": "system", "parts": [{"text": "x"}]}), "contents[0].role"),
        (said(user({"smell": 1})), "contents[0].parts[0]"),
        (said(user({"inlineData": {"mimeType": "image/png", "data": "?"}})), "contents[0].parts[0].inlineData.data"),
        (said(user({"fileData": {"fileUri": "ftp://x"}})), "contents[0].parts[0].fileData.fileUri"),
        (said(HI, model({"functionCall": {"args": {}}})), "contents[1].parts[0].functionCall.name"),
        (said(HI, model({"functionCall": {"name": "f", "args": []}})), "contents[1].parts[0].functionCall.args"),
        (said(user({"functionResponse": {"name": "f"}})), "contents[0].parts[0].functionResponse"),
        (said(HI, generationConfig={"temperature": "hot"}), "generationConfig.temperature"),
        (said(HI, generationConfig={"topP": 1, "top_p": 1}), "generationConfig.topP"),
        (said(HI, toolConfig={"functionCallingConfig": {"mode": "MAYBE"}}), "toolConfig.functionCallingConfig.mode"),
        (said(HI, systemInstruction={"parts": [{"inlineData": {}}]}), "systemInstruction.parts[0]"),
    ],
)
def test_refused(body: dict[str, Any], member: str) -> None:
    with pytest.raises(BadRequest) as fault:
        gemini.decode_request(body)
    assert fault.value.member == member


# --- replies --------------------------------------------------------------------------------------------------------

THOUGHT = Opaque(dialect="anthropic_messages", data={"signature": "s"})
REPLY = Reply(
    id="msg_1",
    model="claude",
    choices=[
        Choice(
            parts=(
                Thinking(text="Hm.", sealed=THOUGHT),
                Text(text="Größe: ", citations=(Citation(url="https://a.b", title="A", start=0, end=5),)),
                Text(text="zwei", citations=(Citation(title="Doc", quoted="two"),)),
                ToolCall(id="", name="f", arguments='{"a":[1]}'),
                ToolCall(id="c2", name="g", arguments="{broken"),
                Media(kind="image", media_type="image/png", data=DOT),
            ),
            finish="tool_calls",
        )
    ],
    usage=Usage(
        counts={"input_tokens": 100, "cache_read_tokens": 60, "output_tokens": 30, "input_audio_tokens": 5},
        reasoning_tokens=10,
        tier="priority",
    ),
)


class _Answering(BaseHTTPRequestHandler):
    """Answers every request with the same bytes."""

    answer: tuple[int, str, bytes] = (200, "", b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        status, kind, body = self.answer
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextmanager
def client(answer: bytes, kind: str = "application/json", status: int = 200) -> Iterator[genai.Client]:
    """The official client against a server on this machine."""
    handler = type("_Handler", (_Answering,), {"answer": (status, kind, answer)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        options = types.HttpOptions(
            base_url=f"http://127.0.0.1:{server.server_address[1]}",
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        try:
            with genai.Client(api_key="sk-test", http_options=options) as google:
                yield google
        finally:
            server.shutdown()
            thread.join()


def parts_in(chunks: Iterable[types.GenerateContentResponse]) -> list[types.Part]:
    return [part for c in chunks for each in c.candidates or () if each.content for part in each.content.parts or ()]


def check(parts: list[types.Part], last: types.GenerateContentResponse) -> None:
    assert "".join(part.text or "" for part in parts if not part.thought) == "Größe: zwei"
    assert "".join(part.text or "" for part in parts if part.thought) == "Hm."
    signatures = [base64.b64encode(part.thought_signature).decode() for part in parts if part.thought_signature]
    assert signatures == [seal(THOUGHT)]
    calls = [part.function_call for part in parts if part.function_call]
    assert [(call.name, call.args) for call in calls] == [("f", {"a": [1]}), ("g", {"_raw": "{broken"})]
    assert all(call.id for call in calls)
    assert [part.inline_data.mime_type for part in parts if part.inline_data] == ["image/png"]
    candidate, usage = (last.candidates or [])[0], last.usage_metadata
    assert candidate.finish_reason == types.FinishReason.STOP
    assert usage is not None
    counted = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    assert counted == (100, 20, 10)
    assert (usage.cached_content_token_count, usage.total_token_count) == (60, 130)
    assert (last.model_version, last.response_id) == ("claude", "7" * 32)
    sources = candidate.grounding_metadata
    assert sources is not None
    first, second = sources.grounding_supports or []
    assert (sources.grounding_chunks or [])[0].web == types.GroundingChunkWeb(uri="https://a.b", title="A")
    assert first.segment is not None and (first.segment.end_index, first.segment.text) == (7, "Größe")
    assert second.segment is not None and second.segment.text == "zwei"


def test_whole_reply() -> None:
    with client(msgspec.json.encode(gemini.encode_reply(REPLY, HEAD))) as google:
        answer = google.models.generate_content(model="m", contents="hi")
    check(parts_in([answer]), answer)


def test_stream() -> None:
    encoder = gemini.encode_stream(HEAD)
    stream = b"".join(encoder.feed(event) for event in events_of(REPLY)) + encoder.close()
    with client(stream, "text/event-stream") as google:
        chunks = list(google.models.generate_content_stream(model="m", contents="hi"))
    check(parts_in(chunks), chunks[-1])
    framer = gemini.ArrayFramer()
    assert len(json.loads(framer.close(stream))) == len(chunks)


@pytest.mark.parametrize(
    ("finish", "word"),
    [("length", "MAX_TOKENS"), ("refusal", "SAFETY"), ("pause", "STOP"), ("error", "OTHER"), ("context", "MAX_TOKENS")],
)
def test_finish(finish: Any, word: str) -> None:
    reply = Reply(choices=[Choice(parts=(), finish=finish, explanation="why")])
    assert gemini.encode_reply(reply, HEAD)["candidates"][0]["finishReason"] == word
    assert gemini.encode_reply(reply, HEAD)["candidates"][0]["finishMessage"] == "why"


def test_several_choices_and_logprobs() -> None:
    logprobs = {
        "content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1}]}]
    }
    reply = Reply(choices=[Choice(parts=(Text(text=t),), finish="stop", logprobs=logprobs) for t in "ab"])
    found = types.GenerateContentResponse.model_validate(gemini.encode_reply(reply, HEAD))
    assert [candidate.index for candidate in found.candidates or ()] == [0, 1]
    result = (found.candidates or [])[0].logprobs_result
    assert result is not None and (result.chosen_candidates or [])[0].log_probability == -0.5
    encoder = gemini.encode_stream(HEAD)
    stream = b"".join(encoder.feed(event) for event in events_of(reply)) + encoder.close()
    last = json.loads(stream.split(b"\n\n")[-2][5:])
    assert [candidate["finishReason"] for candidate in last["candidates"]] == ["STOP", "STOP"]


def test_own_parts_return_as_they_came() -> None:
    part = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "cw=="}
    own = Opaque(dialect="gemini", data={"thoughtSignature": "c2ln", "call": "x"})
    parts = (
        Hosted(kind="code_execution", sealed=Opaque(dialect="gemini", data={"part": part})),
        Hosted(kind="web_search", sealed=Opaque(dialect="other", data={})),
        Thinking(sealed=own),
        ToolCall(id="x", name="f"),
    )
    reply = Reply(choices=[Choice(parts=parts, finish="tool_calls")])
    call = {"functionCall": {"id": "x", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    assert gemini.encode_reply(reply, HEAD)["candidates"][0]["content"]["parts"] == [part, call]
    encoder = gemini.encode_stream(HEAD)
    events = [json.loads(each[5:]) for each in b"".join(map(encoder.feed, events_of(reply))).split(b"\n\n") if each]
    assert [event["candidates"][0]["content"]["parts"] for event in events] == [[part], [call]]


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "code", "status"),
    [
        (BadRequest("no", member="contents"), errors.ClientError, 400, "INVALID_ARGUMENT"),
        (BadRequest("no", status=401), errors.ClientError, 401, "UNAUTHENTICATED"),
        (Throttled("slow", retry_after_seconds=3.2), errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        (Refused("no", status=400, type="FAILED_PRECONDITION"), errors.ClientError, 400, "FAILED_PRECONDITION"),
        (Refused("no", status=529, type="overloaded_error"), errors.ServerError, 529, "UNAVAILABLE"),
        (Refused("no", status=502), errors.ServerError, 502, "UNAVAILABLE"),
    ],
)
def test_errors(error: Any, kind: type[errors.APIError], code: int, status: str) -> None:
    body = gemini.encode_error(error, "5" * 32)
    with client(body, status=error.status) as google, pytest.raises(kind) as raised:
        google.models.generate_content(model="m", contents="hi")
    assert (raised.value.code, raised.value.status) == (code, status)
    assert raised.value.message == f"{error.message} (request id: {'5' * 32})"
    encoder = gemini.encode_stream(HEAD)
    stream = encoder.fail(error, "5" * 32)
    with client(stream, "text/event-stream") as google, pytest.raises(kind) as raised:
        list(google.models.generate_content_stream(model="m", contents="hi"))
    assert (raised.value.code, raised.value.status) == (code, status)


def test_error_details() -> None:
    body = json.loads(gemini.encode_error(Throttled("slow", retry_after_seconds=3.2, member="contents"), "1"))
    found = {each["@type"].rpartition(".")[2]: each for each in body["error"]["details"]}
    assert found["RetryInfo"]["retryDelay"] == "3s"
    assert found["BadRequest"]["fieldViolations"][0]["field"] == "contents"
    assert found["ErrorInfo"]["reason"] == "RATE_LIMIT_EXCEEDED"


def test_errors_of_the_vendor() -> None:
    body = {
        "error": {
            "code": 400,
            "message": "API key not valid.",
            "status": "INVALID_ARGUMENT",
            "details": [{"reason": "API_KEY_INVALID"}],
        }
    }
    for sent in (body, [body]):
        found = gemini.decode_error(400, json.dumps(sent).encode())
        assert (found.message, found.type, found.code) == ("API key not valid.", "INVALID_ARGUMENT", "API_KEY_INVALID")
    assert not gemini.decode_error(502, b"<html>").is_vendor_body
