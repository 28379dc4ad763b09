"""What vendors do now and then, written after their documented shapes: read at every door as it was meant.

Each case is one reply or stream and what it says; the doors are read with the readers of `make wire`. Streams are cut
byte by byte and at random.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from oneapi_cli.dialects import LISTENERS, SPEAKERS, VendorError
from oneapi_cli.framing.frames import open_frames
from oneapi_cli.values.conversation import Hosted, Text
from oneapi_cli.values.events import Finished
from oneapi_cli.values.vendor import Quirks
from scripts.wire.recordings import Recording
from scripts.wire.replies import stream_problems, whole_problems
from scripts.wire.said import Call, Counts, Said
from tests.wire.frames import aws_frame
from tests.wire.spoken import sse

PATHS = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic_messages": "/messages",
    "gemini": ":generateContent",
    "bedrock_converse": "/converse",
    "cohere_chat": "/v2/chat",
}


@dataclass(frozen=True)
class Odd:
    """body: a whole reply, or a stream's bytes."""

    name: str
    dialect: str
    body: Mapping[str, Any] | bytes
    said: Said
    content_type: str = "text/event-stream"

    def recording(self) -> Recording:
        stream = isinstance(self.body, bytes)
        return Recording(
            id=self.name,
            provider="",
            path=PATHS[self.dialect],
            request=None,
            status=200,
            content_type=self.content_type if stream else "application/json",
            stream=stream,
            reply=self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode(),
        )


def chat(message: Mapping[str, Any], finish: str = "stop", usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return {**body, "usage": usage} if usage is not None else body


def chunks(*deltas: Mapping[str, Any], finish: str | None = "stop", usage: Any = None, done: bool = True) -> bytes:
    out = [sse({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [each]}) for each in deltas]
    last = {"index": 0, "delta": {}, "finish_reason": finish}
    if finish:
        out.append(sse({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [last], "usage": usage}))
    return b"".join(out) + (b"data: [DONE]\n\n" if done else b"")


def delta(**said: Any) -> dict[str, Any]:
    return {"index": 0, "delta": said}


def messages(*events: Mapping[str, Any]) -> bytes:
    return b"".join(sse(event, event["type"]) for event in events)


def begun(**usage: Any) -> dict[str, Any]:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage}
    return {"type": "message_start", "message": message}


def block(index: int, start: Mapping[str, Any], *deltas: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": each} for each in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def over(reason: str, **usage: Any) -> list[dict[str, Any]]:
    stop = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"}]


def message(*content: Mapping[str, Any], reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}
    counted = {"input_tokens": 5, "output_tokens": 3, **usage}
    return {**head, "content": list(content), "stop_reason": reason, "usage": counted}


def gemini(*parts: Mapping[str, Any], finish: str = "STOP", usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    counted = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}
    return {"candidates": [candidate], "usageMetadata": usage or counted, "modelVersion": "gemini-3"}


def converse(*content: Mapping[str, Any], reason: str = "end_turn", **usage: int) -> dict[str, Any]:
    counted = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 8, **usage}
    output = {"message": {"role": "assistant", "content": list(content)}}
    return {"output": output, "stopReason": reason, "usage": counted, "metrics": {"latencyMs": 1}}


def aws(*lines: str) -> bytes:
    return b"".join(aws_frame(line) for line in lines)


COUNTED = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
EIGHT = Counts(input=5, output=3)
TOOL = {"name": "look", "arguments": '{"at": [1, 2]}'}
LOOK = Call("look", {"at": [1, 2]})

CHAT = (
    Odd(
        "the legacy function_call",
        "openai_chat",
        chat({"content": None, "function_call": TOOL}, "function_call", COUNTED),
        Said(calls=[LOOK], finish=("tool_calls",), usage=EIGHT),
    ),
    Odd(
        "the legacy function_call, streamed",
        "openai_chat",
        chunks(
            delta(role="assistant", content=None, function_call={"name": "look", "arguments": ""}),
            delta(function_call={"arguments": '{"at": '}),
            delta(function_call={"arguments": "[1, 2]}"}),
            finish="function_call",
            usage=COUNTED,
        ),
        Said(calls=[LOOK], finish=("tool_calls",), usage=EIGHT),
    ),
    Odd(
        "a refusal",
        "openai_chat",
        chat({"content": None, "refusal": "I would rather not."}, "stop", COUNTED),
        Said(refusal="I would rather not.", finish=("refusal", "stop"), usage=EIGHT),
    ),
    Odd(
        "a refusal, streamed",
        "openai_chat",
        chunks(
            delta(role="assistant", content="", refusal=None), delta(refusal="I would "), delta(refusal="rather not.")
        ),
        Said(refusal="I would rather not.", finish=("refusal", "stop")),
    ),
    Odd(
        "calls that say stop",
        "openai_chat",
        chat({"content": "", "tool_calls": [{"id": "1", "type": "function", "function": TOOL}]}, "stop", COUNTED),
        Said(calls=[LOOK], finish=("tool_calls",), usage=EIGHT),
    ),
    Odd(
        "calls without index, id and type, each whole",
        "openai_chat",
        chunks(
            delta(role="assistant", tool_calls=[{"function": TOOL}]),
            delta(tool_calls=[{"function": {"name": "wait", "arguments": "{}"}}]),
            finish="tool_calls",
        ),
        Said(calls=[LOOK, Call("wait", {})], finish=("tool_calls",)),
    ),
    Odd(
        "calls that all have index 0 and ids of their own",
        "openai_chat",
        chunks(
            delta(role="assistant", tool_calls=[{"index": 0, "id": "a", "type": "function", "function": TOOL}]),
            delta(tool_calls=[{"index": 0, "id": "b", "type": "function", "function": {**TOOL, "name": "see"}}]),
            finish="tool_calls",
        ),
        Said(calls=[LOOK, Call("see", LOOK.arguments)], finish=("tool_calls",)),
    ),
    Odd(
        "two calls in one delta",
        "openai_chat",
        chunks(
            delta(
                tool_calls=[
                    {"index": 0, "id": "a", "function": TOOL},
                    {"index": 1, "id": "b", "function": {"name": "see", "arguments": None}},
                ]
            ),
            finish="tool_calls",
        ),
        Said(calls=[LOOK, Call("see", {})], finish=("tool_calls",)),
    ),
    Odd(
        "arguments as an object",
        "openai_chat",
        chat(
            {"content": None, "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": {"at": [1, 2]}}}]},
            "tool_calls",
        ),
        Said(calls=[LOOK], finish=("tool_calls",)),
    ),
    Odd(
        "thoughts and text as parts of the content, streamed",
        "openai_chat",
        chunks(
            delta(role="assistant", content=""),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Two and "}]}]),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "two."}]}]),
            delta(content=[{"type": "text", "text": "Fo"}]),
            delta(content="ur"),
            usage=COUNTED,
        ),
        Said(reasoning="Two and two.", text="Four", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "thoughts in reasoning_details alone",
        "openai_chat",
        chat(
            {
                "content": "Four",
                "reasoning_details": [
                    {"type": "reasoning.summary", "summary": "Adding.", "format": "openai-responses-v1", "index": 0},
                    {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "index": 0},
                ],
            }
        ),
        Said(reasoning="Adding.", text="Four", finish=("stop",)),
    ),
    Odd(
        "thoughts after text, and text again",
        "openai_chat",
        chunks(
            delta(content="One. "), delta(reasoning_content="Hm."), delta(content="Two."), delta(reasoning_content="!")
        ),
        Said(text="One. Two.", reasoning="Hm.!", finish=("stop",)),
    ),
    Odd(
        "reasoning in completion_tokens_details and outside of completion_tokens",
        "openai_chat",
        chat(
            {"content": "x"},
            usage={
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "total_tokens": 108,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
        ),
        Said(text="x", finish=("stop",), usage=Counts(input=5, output=103, reasoning=100)),
    ),
    Odd(
        "tools that the vendor ran",
        "openai_chat",
        chat(
            {
                "content": "Sunny.",
                "executed_tools": [{"index": 0, "type": "search", "arguments": "{}", "output": "sun"}],
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "https://e.org/", "title": "E", "start_index": 0, "end_index": 5},
                    }
                ],
            }
        ),
        Said(text="Sunny.", finish=("stop",)),
    ),
    Odd(
        "citations in several deltas, without index",
        "openai_chat",
        chunks(
            delta(content="Sunny."),
            delta(annotations=[{"type": "url_citation", "url_citation": {"url": "https://a.org/", "title": "A"}}]),
            delta(annotations=[{"type": "url_citation", "url_citation": {"url": "https://b.org/", "title": ""}}]),
        ),
        Said(text="Sunny.", finish=("stop",)),
    ),
    Odd(
        "an error in the middle",
        "openai_chat",
        chunks(delta(content="One"), finish=None, done=False)
        + sse({"error": {"message": "The model broke.", "type": "server_error", "code": 502}}, "error"),
        Said(text="One", error="The model broke."),
    ),
    Odd(
        "an error beside a finish",
        "openai_chat",
        chunks(delta(content="One"), finish=None, done=False)
        + sse(
            {
                "error": {"code": 502, "message": "Provider disconnected."},
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            }
        ),
        Said(text="One", error="Provider disconnected."),
    ),
    Odd(
        "nulls wherever there could be something",
        "openai_chat",
        {
            **chat({"content": "x", "tool_calls": None, "function_call": None, "audio": None, "refusal": None}),
            "usage": {**COUNTED, "prompt_tokens_details": None, "completion_tokens_details": None},
            "system_fingerprint": None,
            "service_tier": None,
        },
        Said(text="x", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "words of its own for the finish",
        "openai_chat",
        chat({"content": "x"}, "eos", COUNTED),
        Said(text="x", finish=("stop", "unknown"), usage=EIGHT),
    ),
    Odd(
        "two choices",
        "openai_chat",
        {
            **chat({"content": "a"}),
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"},
                {"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "length"},
            ],
        },
        Said(text="a", finish=("stop",)),
    ),
    Odd(
        "two choices, mixed",
        "openai_chat",
        chunks(
            delta(content="a"),
            {"index": 1, "delta": {"content": "b"}},
            delta(content="A"),
            {"index": 1, "delta": {"content": "B"}, "finish_reason": "length"},
        ),
        Said(text="aA", finish=("stop",)),
    ),
    Odd(
        "more members than anybody knows",
        "openai_chat",
        {
            **chat({"content": "x", "reasoning": None, "audio": None, "annotations": [], "images": [], "provider": {}}),
            "usage": {**COUNTED, "num_sources_used": 3, "cost": 0.1, "is_byok": False, "queue_time": 1.5},
            "citations": ["https://e.org/"],
            "search_results": [{"title": "E", "url": "https://e.org/", "date": None}],
            "time_info": {"queue_time": 1},
            "provider": "x",
        },
        Said(text="x", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "a stream in one line after another, with comments and names",
        "openai_chat",
        b": hello\n\nid: 1\nevent: message\nretry: 10\n"
        + chunks(delta(role="assistant", content="x"), usage=COUNTED).replace(b"\n\n", b"\r\n\r\n"),
        Said(text="x", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "usage on every chunk, growing",
        "openai_chat",
        b"".join(
            sse({"id": "c", "choices": [delta(content=text)], "usage": {**COUNTED, "completion_tokens": n}})
            for n, text in enumerate("ab", 1)
        )
        + chunks(usage=COUNTED),
        Said(text="ab", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "usage before the finish",
        "openai_chat",
        sse({"id": "c", "choices": [], "usage": COUNTED}) + chunks(delta(content="x")),
        Said(text="x", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "a first chunk of filter results, and one at the end",
        "openai_chat",
        sse({"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
        + chunks(delta(role="assistant", content=""), delta(content="x")),
        Said(text="x", finish=("stop",)),
    ),
)

ANTHROPIC = (
    Odd(
        "five minutes and an hour",
        "anthropic_messages",
        message(
            {"type": "text", "text": "x"},
            cache_read_input_tokens=100,
            cache_creation_input_tokens=30,
            cache_creation={"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        ),
        Said(text="x", finish=("stop",), usage=Counts(input=135, output=3, cache_read=100, cache_write=30)),
    ),
    Odd(
        "a pause",
        "anthropic_messages",
        message(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            reason="pause_turn",
        ),
        Said(finish=("pause",), usage=EIGHT),
    ),
    Odd(
        "a refusal that says why",
        "anthropic_messages",
        {
            **message({"type": "text", "text": "I "}, reason="refusal"),
            "stop_details": {"type": "refusal", "category": "cyber", "explanation": "No."},
        },
        Said(text="I ", finish=("refusal",), usage=EIGHT),
    ),
    Odd(
        "a call and a tool of the vendor's own at once",
        "anthropic_messages",
        messages(
            begun(input_tokens=5, output_tokens=1),
            *block(
                0,
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"query": "x"}'},
            ),
            *block(
                1,
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
                },
            ),
            *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "So: "}),
            *block(
                3,
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
                {"type": "input_json_delta", "partial_json": '{"at": [1, '},
                {"type": "input_json_delta", "partial_json": "2]}"},
            ),
            *over("tool_use", output_tokens=3),
        ),
        Said(text="So: ", calls=[LOOK], finish=("tool_calls",), usage=EIGHT),
    ),
    Odd(
        "tools of a server of the client's naming, and a search for tools",
        "anthropic_messages",
        message(
            {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "roll", "server_name": "dice", "input": {}},
            {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": "4"},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_bm25", "input": {"query": "x"}},
            {
                "type": "tool_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": {"type": "tool_search_tool_search_result", "tool_references": []},
            },
            {"type": "container_upload", "file_id": "file_1"},
            {"type": "text", "text": "Four."},
        ),
        Said(text="Four.", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "a whole input at the start of a call, and no deltas",
        "anthropic_messages",
        messages(
            begun(input_tokens=5, output_tokens=1),
            *block(0, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": [1, 2]}}),
            *over("tool_use", output_tokens=3),
        ),
        Said(calls=[LOOK], finish=("tool_calls",), usage=EIGHT),
    ),
    Odd(
        "text at the start of a block",
        "anthropic_messages",
        messages(
            begun(input_tokens=5, output_tokens=1),
            *block(0, {"type": "text", "text": "Hel"}, {"type": "text_delta", "text": "lo"}),
            *over("end_turn", output_tokens=3),
        ),
        Said(text="Hello", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "thoughts that are not shown",
        "anthropic_messages",
        messages(
            begun(input_tokens=5, output_tokens=1),
            *block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": ""},
                {"type": "signature_delta", "signature": "c2ln"},
            ),
            *block(1, {"type": "redacted_thinking", "data": "eA=="}),
            *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}),
            *over("end_turn", output_tokens=3, output_tokens_details={"thinking_tokens": 2}),
        ),
        Said(text="x", finish=("stop",), usage=Counts(input=5, output=3, reasoning=2)),
    ),
    Odd(
        "blocks and deltas of new kinds",
        "anthropic_messages",
        messages(
            begun(input_tokens=5, output_tokens=1),
            *block(0, {"type": "from_the_future", "value": 1}, {"type": "future_delta", "value": 2}),
            *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}, {"type": "new_delta"}),
            {"type": "new_event"},
            *over("end_turn", output_tokens=3),
        ),
        Said(text="x", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "overloaded in the middle",
        "anthropic_messages",
        messages(
            begun(input_tokens=5, output_tokens=1),
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "One"}},
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ),
        Said(text="One", error="Overloaded"),
    ),
    Odd(
        "citations of a document",
        "anthropic_messages",
        messages(
            begun(input_tokens=5, output_tokens=1),
            *block(
                0,
                {"type": "text", "text": "", "citations": []},
                {
                    "type": "citations_delta",
                    "citation": {
                        "type": "page_location",
                        "cited_text": "grass",
                        "document_index": 0,
                        "document_title": None,
                        "start_page_number": 1,
                        "end_page_number": 2,
                    },
                },
                {"type": "text_delta", "text": "Green."},
            ),
            *over("end_turn", output_tokens=3),
        ),
        Said(text="Green.", finish=("stop",), usage=EIGHT),
    ),
)

GEMINI = (
    Odd(
        "a prompt that was blocked",
        "gemini",
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}},
        Said(error=""),
    ),
    Odd(
        "a prompt that was blocked, streamed",
        "gemini",
        sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5}}),
        Said(error=""),
    ),
    Odd(
        "a call that could not be read",
        "gemini",
        {
            "candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "print(look(1"}],
            "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
        },
        Said(finish=("error",), usage=Counts(input=5, output=0)),
    ),
    Odd(
        "recited",
        "gemini",
        gemini({"text": "To be"}, finish="RECITATION"),
        Said(text="To be", finish=("content_filter", "error"), usage=EIGHT),
    ),
    Odd(
        "parallel calls in one chunk, and the finish in another",
        "gemini",
        sse({"candidates": [{"content": {"parts": [{"functionCall": {"name": "look", "args": {"at": [1, 2]}}}]}}]})
        + sse(
            {
                "candidates": [
                    {
                        "content": {
                            "parts": [
                                {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2ln"},
                                {"functionCall": {"name": "see"}},
                            ]
                        }
                    }
                ]
            }
        )
        + sse(
            {
                "candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8},
            }
        ),
        Said(calls=[LOOK, Call("look", {}), Call("see", {})], finish=("tool_calls",), usage=EIGHT),
    ),
    Odd(
        "cached, thought, and read by tools",
        "gemini",
        gemini(
            {"text": "Hm", "thought": True},
            {"text": "x", "thoughtSignature": "c2ln"},
            usage={
                "promptTokenCount": 100,
                "cachedContentTokenCount": 60,
                "toolUsePromptTokenCount": 20,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 7,
                "totalTokenCount": 130,
                "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 60}],
            },
        ),
        Said(
            text="x",
            reasoning="Hm",
            finish=("stop",),
            usage=Counts(input=120, output=10, cache_read=60, reasoning=7),
        ),
    ),
    Odd(
        "code that it ran",
        "gemini",
        gemini(
            {"text": "Let me see. "},
            {"executableCode": {"language": "PYTHON", "code": "print(4)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4\n"}},
            {"text": "Four."},
        ),
        Said(text="Let me see. Four.", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "finishes on every chunk",
        "gemini",
        b"".join(
            sse(
                {
                    "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}],
                    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8},
                }
            )
            for text in ("a", "b", "c")
        ),
        Said(text="abc", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "an error in the middle",
        "gemini",
        sse({"candidates": [{"content": {"parts": [{"text": "One"}]}}]})
        + sse({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
        Said(text="One", error="The model is overloaded."),
    ),
    Odd(
        "two candidates",
        "gemini",
        {
            **gemini(),
            "candidates": [
                {"index": 0, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
                {"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "MAX_TOKENS"},
            ],
        },
        Said(text="a", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "sources of what it says",
        "gemini",
        {
            **gemini(),
            "candidates": [
                {
                    "content": {"parts": [{"text": "Grün ist das Gras."}]},
                    "finishReason": "STOP",
                    "groundingMetadata": {
                        "webSearchQueries": ["grass"],
                        "searchEntryPoint": {"renderedContent": "<b/>"},
                        "groundingChunks": [{"web": {"uri": "https://e.org/", "title": "E"}}],
                        "groundingSupports": [
                            {"segment": {"startIndex": 0, "endIndex": 5, "text": "Grün"}, "groundingChunkIndices": [0]}
                        ],
                    },
                }
            ],
        },
        Said(text="Grün ist das Gras.", finish=("stop",), usage=EIGHT),
    ),
)

AWS = "application/vnd.amazon.eventstream"
BEDROCK = (
    Odd(
        "a tool that the service ran, and one that it did not",
        "bedrock_converse",
        aws(
            'messageStart {"role":"assistant"}',
            'contentBlockStart {"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"s1","name":"nova_grounding",'
            '"type":"server_tool_use"}}}',
            'contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}',
            'contentBlockStop {"contentBlockIndex":0}',
            'contentBlockStart {"contentBlockIndex":1,"start":{"toolResult":{"toolUseId":"s1","status":"success",'
            '"type":"nova_grounding_result"}}}',
            'contentBlockDelta {"contentBlockIndex":1,"delta":{"toolResult":[{"json":{"a":1}}]}}',
            'contentBlockStop {"contentBlockIndex":1}',
            'contentBlockDelta {"contentBlockIndex":2,"delta":{"text":"So: "}}',
            'contentBlockDelta {"contentBlockIndex":2,"delta":{"citation":{"title":"E","location":{"web":'
            '{"url":"https://e.org/","domain":"e.org"}}}}}',
            'contentBlockStop {"contentBlockIndex":2}',
            'contentBlockStart {"contentBlockIndex":3,"start":{"toolUse":{"toolUseId":"t1","name":"look"}}}',
            'contentBlockDelta {"contentBlockIndex":3,"delta":{"toolUse":{"input":"{\\"at\\": [1, 2]}"}}}',
            'contentBlockStop {"contentBlockIndex":3}',
            'messageStop {"stopReason":"tool_use"}',
            'metadata {"usage":{"inputTokens":5,"outputTokens":3,"totalTokens":8},"metrics":{"latencyMs":1}}',
        ),
        Said(text="So: ", calls=[Call("look", {"at": [1, 2]}, "t1")], finish=("tool_calls",), usage=EIGHT),
        AWS,
    ),
    Odd(
        "tool_use for what the service ran alone",
        "bedrock_converse",
        converse(
            {"toolUse": {"toolUseId": "s", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}},
            {"toolResult": {"toolUseId": "s", "content": [{"json": {}}], "type": "nova_code_interpreter_result"}},
            {"text": "4"},
        ),
        Said(text="4", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "throttled in the middle",
        "bedrock_converse",
        aws(
            'messageStart {"role":"assistant"}',
            'contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"One"}}',
            '!throttlingException {"message":"Too many requests, please wait."}',
        ),
        Said(text="One", error="Too many requests, please wait."),
        AWS,
    ),
    Odd(
        "a guardrail that stepped in",
        "bedrock_converse",
        {**converse({"text": "Sorry."}, reason="guardrail_intervened"), "trace": {"guardrail": {"action": "x"}}},
        Said(text="Sorry.", finish=("content_filter",), usage=EIGHT),
    ),
    Odd(
        "cited text",
        "bedrock_converse",
        converse(
            {
                "citationsContent": {
                    "content": [{"text": "Green."}],
                    "citations": [
                        {
                            "title": "A",
                            "sourceContent": [{"text": "grass"}],
                            "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 1}},
                        }
                    ],
                }
            }
        ),
        Said(text="Green.", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "thoughts, sealed and shown",
        "bedrock_converse",
        converse(
            {"reasoningContent": {"redactedContent": "eA=="}},
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
            {"text": "x"},
            cacheReadInputTokens=10,
            cacheWriteInputTokens=20,
        ),
        Said(
            text="x", reasoning="Hm.", finish=("stop",), usage=Counts(input=35, output=3, cache_read=10, cache_write=20)
        ),
    ),
)


def responses(*items: Mapping[str, Any], status: str = "completed", **more: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 8,
    }
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5", "error": None}
    return {**head, "status": status, "output": list(items), "usage": usage, "incomplete_details": None, **more}


def said_item(*parts: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": list(parts)}


RESPONSES = (
    Odd(
        "everything that it ran itself",
        "openai_responses",
        responses(
            {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
            {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}},
            {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["x"], "results": None},
            {
                "id": "ci_1",
                "type": "code_interpreter_call",
                "status": "completed",
                "code": "1",
                "container_id": "c",
                "outputs": None,
            },
            {"id": "mcp_1", "type": "mcp_call", "name": "roll", "arguments": "{}", "server_label": "d", "output": "4"},
            {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBORw0KGgo="},
            {"id": "x_1", "type": "from_the_future", "value": 1},
            said_item({"type": "output_text", "text": "Done.", "annotations": []}),
        ),
        Said(text="Done.", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "a refusal",
        "openai_responses",
        responses(said_item({"type": "refusal", "refusal": "No."})),
        Said(refusal="No.", finish=("refusal", "stop"), usage=EIGHT),
    ),
    Odd(
        "stopped by its filter",
        "openai_responses",
        responses(
            said_item({"type": "output_text", "text": "Well", "annotations": []}),
            status="incomplete",
            incomplete_details={"reason": "content_filter"},
        ),
        Said(text="Well", finish=("content_filter",), usage=EIGHT),
    ),
    Odd(
        "failed",
        "openai_responses",
        responses(status="failed", error={"code": "server_error", "message": "The model broke."}, usage=None),
        Said(error="The model broke."),
    ),
    Odd(
        "failed, streamed",
        "openai_responses",
        messages(
            {"type": "response.created", "sequence_number": 0, "response": responses(status="in_progress", usage=None)},
            {
                "type": "response.failed",
                "sequence_number": 1,
                "response": responses(
                    status="failed", error={"code": "server_error", "message": "The model broke."}, usage=None
                ),
            },
        ),
        Said(error="The model broke."),
    ),
    Odd(
        "an error event",
        "openai_responses",
        messages(
            {"type": "response.created", "sequence_number": 0, "response": responses(status="in_progress", usage=None)},
            {"type": "error", "sequence_number": 1, "code": "rate_limit_exceeded", "message": "Slower.", "param": None},
        ),
        Said(error="Slower."),
    ),
    Odd(
        "a custom tool's call",
        "openai_responses",
        responses({"id": "ct_1", "type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** x"}),
        Said(calls=[Call("patch", "*** x", "c1")], finish=("tool_calls",), usage=EIGHT),
    ),
    Odd(
        "several summaries and several messages",
        "openai_responses",
        responses(
            {
                "id": "rs_1",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
            },
            said_item({"type": "output_text", "text": "First. ", "annotations": []}),
            {
                **said_item(
                    {"type": "output_text", "text": "Second. ", "annotations": []},
                    {"type": "output_text", "text": "Third.", "annotations": []},
                ),
                "id": "msg_2",
            },
        ),
        Said(text="First. Second. Third.", reasoning="One.Two.", finish=("stop",), usage=EIGHT),
    ),
)

COHERE = (
    Odd(
        "citations, thoughts and a text",
        "cohere_chat",
        {
            "id": "x",
            "finish_reason": "COMPLETE",
            "message": {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Green."}],
                "citations": [
                    {
                        "start": 0,
                        "end": 5,
                        "text": "Green",
                        "sources": [
                            {"type": "document", "id": "d", "document": {"title": "E", "url": "https://e.org"}}
                        ],
                        "content_index": 1,
                    }
                ],
            },
            "usage": {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 5, "output_tokens": 3}},
        },
        Said(text="Green.", reasoning="Hm.", finish=("stop",), usage=EIGHT),
    ),
    Odd(
        "an error at the end",
        "cohere_chat",
        sse({"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}})
        + sse({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}})
        + sse({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "One"}}}})
        + sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "The model broke."}}),
        Said(text="One", error="The model broke."),
    ),
)

ODD: Sequence[Odd] = (*CHAT, *ANTHROPIC, *GEMINI, *BEDROCK, *RESPONSES, *COHERE)


@pytest.mark.parametrize("door", sorted(LISTENERS))
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd.dialect}: {odd.name}")
def test_every_door_reads_it(odd: Odd, door: str) -> None:
    if odd.dialect not in SPEAKERS:
        pytest.skip("this dialect is not there yet")
    made = odd.recording()
    problems = stream_problems(made, odd.said, door, 5) if made.stream else whole_problems(made, odd.said, door)
    if door != odd.dialect:
        assert list(problems) == []


@pytest.mark.parametrize("dialect", sorted(PATHS))
def test_a_stream_that_stops_has_not_finished(dialect: str) -> None:
    """Cut off before its end, nothing says that the reply is whole."""
    if dialect not in SPEAKERS:
        pytest.skip("this dialect is not there yet")
    for odd in ODD:
        if odd.dialect != dialect or not isinstance(odd.body, bytes) or b"STOP" in odd.body[:200]:
            continue
        frames = open_frames(odd.content_type, 1 << 20).feed(odd.body)
        decoder = SPEAKERS[dialect].decode_stream(Quirks())
        events = [event for frame in frames[: len(frames) // 2] for event in decoder.feed(frame)]
        assert not any(isinstance(event, Finished) for event in [*events, *decoder.close()]), odd.name


def test_what_the_vendor_ran_is_kept_for_its_own_clients() -> None:
    if "anthropic_messages" not in SPEAKERS:
        pytest.skip("this dialect is not there yet")
    body = message(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "text", "text": "x"},
    )
    reply = SPEAKERS["anthropic_messages"].decode_reply(body, Quirks())
    assert not isinstance(reply, VendorError)
    assert [type(part) for part in reply.choices[0].parts] == [Hosted, Text]
