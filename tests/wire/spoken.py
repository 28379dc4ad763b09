"""Replies made up by hypothesis, and how each vendor would say them: whole and as a stream.

`Spoken` is a reply without a format. The renderers below write it in each vendor's documented shapes, with the
liberties that vendors take: where deltas are cut, what comes between them (pings, comments, unknown events, empty
deltas), which spelling is used, where usage stands. What must come out at a door is known from the `Spoken` alone.

Sources: the vendors' references of their streams, as the docstrings of `oneapi_cli/dialects` name them (2026-11).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from scripts.wire.said import Call, Counts, Said
from tests.wire.frames import aws_frame

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Block:
    """kind: text, thinking, redacted, call, hosted."""

    kind: str
    text: str = ""
    id: str = ""
    name: str = ""
    arguments: Any = None


@dataclass(frozen=True)
class Spoken:
    blocks: tuple[Block, ...]
    finish: str
    read: int = 0
    cached: int = 0
    written: int = 0
    made: int = 0
    reasoned: int = 0
    marks: dict[str, bool] = field(default_factory=dict)

    def said(self, *, ids: bool = True, written: bool = True, reasoned: bool = True) -> Said:
        """What must be read at a door. read: without what was cached and written."""
        calls = [block for block in self.blocks if block.kind == "call"]
        return Said(
            text="".join(block.text for block in self.blocks if block.kind == "text"),
            reasoning="".join(block.text for block in self.blocks if block.kind == "thinking"),
            calls=[Call(block.name, block.arguments, block.id if ids else "") for block in calls],
            finish=(self.finish,),
            usage=Counts(
                input=self.read + self.cached + (self.written if written else 0),
                output=self.made,
                cache_read=self.cached,
                cache_write=self.written if written else 0,
                reasoning=self.reasoned if reasoned else None,
            ),
        )


# --- strategies -----------------------------------------------------------------------------------------------------

_LETTERS = st.characters(codec="utf-8", exclude_characters="<>\x00", exclude_categories=("Cs", "Cc"))
TEXTS = st.one_of(
    st.text(_LETTERS, min_size=1, max_size=30),
    st.sampled_from(
        [
            "Hello, world.\n\n",
            "data: [DONE]\n\nevent: error\n\n",
            "\u2028 is no line end 🎉👩‍👩‍👧",
            ' {"a": "b"} ',
            "}\r\n{",
            "\\u0000 \t \\",
            " ",
        ]
    ),
)
NAMES = st.sampled_from(["get_weather", "final-result", "f", "lookup_2"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(_LETTERS, max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_LETTERS, max_size=8), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.text(_LETTERS, min_size=1, max_size=8), VALUES, max_size=3)


@st.composite
def spoken(
    draw: Draw, *, kinds: Sequence[str] = ("text", "thinking", "call", "hosted"), finishes: Sequence[str] = ("stop",)
) -> Spoken:
    """Thoughts and texts that stand side by side are one where a format cannot tell them apart: none are made."""
    blocks: list[Block] = []
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=6)):
        if blocks and blocks[-1].kind == kind and kind in ("text", "thinking"):
            continue
        number = len(blocks)
        if kind == "call":
            blocks.append(Block(kind, id=f"call_{number}x", name=draw(NAMES), arguments=draw(ARGUMENTS)))
        elif kind == "hosted":
            blocks.append(Block(kind, id=f"srv_{number}x", name="web_search", arguments={"query": draw(TEXTS)}))
        else:
            blocks.append(Block(kind, text=draw(TEXTS)))
    called = any(block.kind == "call" for block in blocks)
    made = draw(st.integers(1, 5000))
    return Spoken(
        blocks=tuple(blocks),
        finish="tool_calls" if called else draw(st.sampled_from(finishes)),
        read=draw(st.integers(1, 100_000)),
        cached=draw(st.sampled_from([0, 0, 17, 4096])),
        written=draw(st.sampled_from([0, 0, 23, 2048])),
        made=made,
        reasoned=draw(st.integers(0, made)),
        marks={name: draw(st.booleans()) for name in ("a", "b", "c", "d", "e", "f")},
    )


@st.composite
def pieces(draw: Draw, text: str) -> list[str]:
    """A text in pieces, some of them perhaps empty."""
    if not text:
        return []
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def sse(payload: Any, event: str = "", *, crlf: bool = False, ascii_only: bool = False) -> bytes:
    head = f"event: {event}\n" if event else ""
    out = f"{head}data: {json.dumps(payload, ensure_ascii=ascii_only)}\n\n".encode()
    return out.replace(b"\n", b"\r\n") if crlf else out


# --- Anthropic ------------------------------------------------------------------------------------------------------

_ANTHROPIC_WORDS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
}
ANTHROPIC_FINISHES = tuple(word for word in _ANTHROPIC_WORDS if word != "tool_calls")


def _anthropic_block(block: Block) -> list[dict[str, Any]]:
    if block.kind == "text":
        return [{"type": "text", "text": block.text, "citations": None}]
    if block.kind == "thinking":
        return [{"type": "thinking", "thinking": block.text, "signature": "c2lnbmF0dXJl"}]
    if block.kind == "redacted":
        return [{"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="}]
    if block.kind == "call":
        return [{"type": "tool_use", "id": block.id, "name": block.name, "input": block.arguments}]
    return [
        {"type": "server_tool_use", "id": block.id, "name": block.name, "input": block.arguments},
        {
            "type": "web_search_tool_result",
            "tool_use_id": block.id,
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://example.org/",
                    "title": "Example",
                    "encrypted_content": "eA==",
                    "page_age": None,
                }
            ],
        },
    ]


def _anthropic_usage(reply: Spoken) -> dict[str, Any]:
    usage: dict[str, Any] = {"input_tokens": reply.read, "output_tokens": reply.made}
    if reply.cached or reply.marks["a"]:
        usage["cache_read_input_tokens"] = reply.cached
    if reply.written or reply.marks["a"]:
        usage["cache_creation_input_tokens"] = reply.written
        hour = reply.written // 2 if reply.marks["b"] else 0
        usage["cache_creation"] = {
            "ephemeral_5m_input_tokens": reply.written - hour,
            "ephemeral_1h_input_tokens": hour,
        }
    return usage


def anthropic_whole(reply: Spoken) -> bytes:
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [part for block in reply.blocks for part in _anthropic_block(block)],
        "stop_reason": _ANTHROPIC_WORDS[reply.finish],
        "stop_sequence": "END" if reply.finish == "stop_sequence" else None,
        "usage": _anthropic_usage(reply),
    }
    return json.dumps(message).encode()


def anthropic_stream(reply: Spoken, draw: Draw) -> bytes:
    """Usage is cumulative: the last `message_delta` may repeat the input or leave it out, and may correct it."""
    usage = _anthropic_usage(reply)
    at_start = {**usage, "output_tokens": 1}
    at_end = {"output_tokens": usage["output_tokens"]}
    if reply.marks["c"]:  # tools of the vendor's own have read more meanwhile
        at_start["input_tokens"] = min(1, reply.read)
        at_end = dict(usage)
    start: dict[str, Any] = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": at_start,
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    index = 0
    for block in reply.blocks:
        for part in _anthropic_block(block):
            events += _anthropic_events(part, index, draw)
            index += 1
        if reply.marks["d"]:
            events += [{"type": "ping"}, {"type": "a_new_kind_of_event", "index": 99}]
    stop = {"stop_reason": _ANTHROPIC_WORDS[reply.finish], "stop_sequence": None}
    if reply.finish == "stop_sequence":
        stop["stop_sequence"] = "END"
    if reply.marks["e"]:
        events.append({"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 0}})
    events += [{"type": "message_delta", "delta": stop, "usage": at_end}, {"type": "message_stop"}]
    return b"".join(sse(event, event["type"]) for event in events)


def _anthropic_events(part: dict[str, Any], index: int, draw: Draw) -> list[dict[str, Any]]:
    empty = {"text": "", "thinking": "", "signature": ""}
    start = {name: empty.get(name, value) for name, value in part.items()}
    if "input" in start:
        start["input"] = {}
    kinds = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
    deltas: list[dict[str, Any]] = []
    if part["type"] in kinds:
        kind, name = kinds[part["type"]]
        deltas = [{"type": kind, name: piece} for piece in draw(pieces(part[name]))]
    if part["type"] == "thinking":
        deltas.append({"type": "signature_delta", "signature": part["signature"]})
    if "input" in part and (part["input"] or draw(st.booleans())):
        text = json.dumps(part["input"]) if part["input"] else ""
        deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *draw(pieces(text))]]
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


# --- chat -----------------------------------------------------------------------------------------------------------

CHAT_FINISHES = ("stop", "length", "content_filter")


def _chat_usage(reply: Spoken) -> dict[str, Any]:
    """marks a: reasoning is left out of completion_tokens and stands in the total alone (xAI); b: DeepSeek's names."""
    read = reply.read + reply.cached
    usage: dict[str, Any] = {
        "prompt_tokens": read,
        "completion_tokens": reply.made - (reply.reasoned if reply.marks["a"] else 0),
        "total_tokens": read + reply.made,
        "completion_tokens_details": {"reasoning_tokens": reply.reasoned},
    }
    if reply.marks["b"]:
        usage |= {"prompt_cache_hit_tokens": reply.cached, "prompt_cache_miss_tokens": reply.read}
    else:
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached, "audio_tokens": None}
    return usage


def _chat_reasoning(reply: Spoken, text: str) -> dict[str, Any]:
    if reply.marks["c"]:
        return {"reasoning_content": text}
    made: dict[str, Any] = {"reasoning": text}
    if reply.marks["d"]:
        made["reasoning_details"] = [{"type": "reasoning.text", "text": text, "format": None, "index": 0}]
    return made


def chat_ordered(reply: Spoken) -> Spoken:
    """What this format can say of the order: thoughts, then text, then calls."""
    order = {"thinking": 0, "text": 1, "call": 2}
    blocks = sorted((block for block in reply.blocks if block.kind in order), key=lambda block: order[block.kind])
    return Spoken(**{**vars(reply), "blocks": tuple(blocks)})


def chat_whole(reply: Spoken) -> bytes:
    said = reply.said()
    message: dict[str, Any] = {"role": "assistant", "content": said.text or (None if reply.marks["e"] else "")}
    if said.reasoning:
        message |= _chat_reasoning(reply, said.reasoning)
    if said.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
            for c in said.calls
        ]
        if reply.marks["f"]:
            for call in message["tool_calls"]:
                del call["type"]
    choice = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps({**body, "usage": _chat_usage(reply)}).encode()


def chat_stream(reply: Spoken, draw: Draw) -> bytes:
    """Calls may be cut into each other; ids and names may be repeated or empty after the first delta."""
    said = reply.said()
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "" if reply.marks["e"] else None}]
    deltas += [_chat_reasoning(reply, piece) for piece in draw(pieces(said.reasoning))]
    deltas += [{"content": piece} for piece in draw(pieces(said.text))]
    waiting: list[list[dict[str, Any]]] = []
    open_: list[list[dict[str, Any]]] = []
    for index, call in enumerate(said.calls):
        text = json.dumps(call.arguments) if call.arguments or draw(st.booleans()) else ""
        first, *rest = draw(pieces(text)) or [""]
        head = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": first}}
        again: dict[str, Any] = {"id": "", "type": "function"} if reply.marks["f"] else {}
        more = [{"index": index, **again, "function": {"arguments": piece}} for piece in rest]
        waiting.append([{"index": index, **head}, *more])
    while waiting or open_:  # one that has begun goes on, or the next one begins
        if open_ and (not waiting or not reply.marks["d"] or draw(st.booleans())):
            mine = draw(st.sampled_from(open_))
        else:
            mine = waiting.pop(0)
            open_.append(mine)
        deltas.append({"tool_calls": [mine.pop(0)]})
        open_ = [each for each in open_ if each]
    return _chat_chunks(reply, deltas, draw)


def _chat_chunks(reply: Spoken, deltas: list[dict[str, Any]], draw: Draw) -> bytes:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    crlf, out = reply.marks["a"], []
    for number, delta in enumerate(deltas):
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": None}
        out.append(sse({**head, "choices": [choice], "usage": None}, crlf=crlf, ascii_only=reply.marks["b"]))
        if number == 0 and reply.marks["c"]:
            out += [b": OPENROUTER PROCESSING\n\n", sse({**head, "choices": []})]
    usage = _chat_usage(reply)
    last: dict[str, Any] = {
        "index": 0,
        "delta": draw(st.sampled_from([{}, {"content": ""}])),
        "finish_reason": reply.finish,
    }
    if reply.marks["e"]:
        out.append(sse({**head, "choices": [last], "usage": usage}, crlf=crlf))
    else:
        out += [sse({**head, "choices": [last]}, crlf=crlf), sse({**head, "choices": [], "usage": usage}, crlf=crlf)]
    return b"".join(out) + (b"" if reply.marks["f"] else b"data: [DONE]\n\n")


# --- Responses ------------------------------------------------------------------------------------------------------

RESPONSES_FINISHES = ("stop", "length", "content_filter")


def _responses_items(reply: Spoken) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for number, block in enumerate(reply.blocks):
        if block.kind == "text":
            cited = {"type": "url_citation", "url": "https://e.org/", "title": "E", "start_index": 0, "end_index": 1}
            sources = [cited] if reply.marks["e"] else []
            part = {"type": "output_text", "text": block.text, "annotations": sources, "logprobs": []}
            items.append({"id": f"msg_{number}", "type": "message", "role": "assistant", "content": [part]})
        elif block.kind == "thinking":
            summary = [{"type": "summary_text", "text": block.text}]
            item: dict[str, Any] = {"id": f"rs_{number}", "type": "reasoning", "summary": summary}
            if reply.marks["a"]:
                item = {**item, "summary": [], "content": [{"type": "reasoning_text", "text": block.text}]}
            items.append({**item, "encrypted_content": "Z0FBQUFB"} if reply.marks["b"] else item)
        elif block.kind == "call":
            text = json.dumps(block.arguments)
            items.append(
                {
                    "id": f"fc_{number}",
                    "type": "function_call",
                    "call_id": block.id,
                    "name": block.name,
                    "arguments": text,
                }
            )
        else:
            action = {"type": "search", "query": "q", "queries": ["q"]}
            items.append({"id": f"ws_{number}", "type": "web_search_call", "action": action})
    return [{**item, "status": "completed"} for item in items]


def _response(reply: Spoken, items: list[dict[str, Any]], status: str) -> dict[str, Any]:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish)
    ended = status == "ended"
    usage = {
        "input_tokens": reply.read + reply.cached + reply.written,
        "input_tokens_details": {"cached_tokens": reply.cached, "cache_write_tokens": reply.written},
        "output_tokens": reply.made,
        "output_tokens_details": {"reasoning_tokens": reply.reasoned},
        "total_tokens": reply.read + reply.cached + reply.written + reply.made,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-5",
        "status": ("incomplete" if reason else "completed") if ended else status,
        "incomplete_details": {"reason": reason} if ended and reason else None,
        "error": None,
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if ended else None,
    }


def responses_whole(reply: Spoken) -> bytes:
    return json.dumps(_response(reply, _responses_items(reply), "ended")).encode()


def responses_stream(reply: Spoken, draw: Draw) -> bytes:
    items = _responses_items(reply)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response(reply, [], "in_progress")},
        {"type": "response.in_progress", "response": _response(reply, [], "in_progress")},
    ]
    for index, item in enumerate(items):
        events += _responses_events(item, index, draw)
        if reply.marks["c"]:
            events += [{"type": "response.something.new", "output_index": index}, {"type": "keepalive"}]
    response = _response(reply, [] if reply.marks["d"] else items, "ended")
    events.append({"type": f"response.{response['status']}", "response": response})
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    return b"".join(sse(event, event["type"]) for event in numbered)


def _responses_events(item: dict[str, Any], index: int, draw: Draw) -> list[dict[str, Any]]:
    place = {"item_id": item["id"], "output_index": index}
    events: list[dict[str, Any]] = []

    def prose(family: str, name: str, part: dict[str, Any], around: str) -> None:
        at = {**place, name: 0}
        events.append({"type": f"response.{around}.added", **at, "part": {**part, "text": ""}})
        padded = {**at, "obfuscation": "x7"} if draw(st.booleans()) else at
        more = [{"type": f"response.{family}.delta", **padded, "delta": each} for each in draw(pieces(part["text"]))]
        events.extend(more)
        events.append({"type": f"response.{family}.done", **at, "text": part["text"]})
        events.append({"type": f"response.{around}.done", **at, "part": part})

    empty = {name: [] if name in ("content", "summary") else value for name, value in item.items()}
    if item["type"] == "function_call":
        empty["arguments"] = ""
        family = "response.function_call_arguments"
        events += [{"type": f"{family}.delta", **place, "delta": each} for each in draw(pieces(item["arguments"]))]
        events.append({"type": f"{family}.done", **place, "name": item["name"], "arguments": item["arguments"]})
    elif item["type"] == "message":
        prose("output_text", "content_index", item["content"][0], "content_part")
        for number, annotation in enumerate(item["content"][0]["annotations"]):
            added = {**place, "content_index": 0, "annotation_index": number, "annotation": annotation}
            events.insert(-2, {"type": "response.output_text.annotation.added", **added})
    elif item["type"] == "reasoning" and item["summary"]:
        prose("reasoning_summary_text", "summary_index", item["summary"][0], "reasoning_summary_part")
    elif item["type"] == "reasoning":
        prose("reasoning_text", "content_index", item["content"][0], "content_part")
    elif item["type"] == "web_search_call":
        events += [{"type": f"response.web_search_call.{word}", **place} for word in ("in_progress", "completed")]
    begun = {"type": "response.output_item.added", "output_index": index, "item": {**empty, "status": "in_progress"}}
    return [begun, *events, {"type": "response.output_item.done", "output_index": index, "item": item}]


# --- Google ---------------------------------------------------------------------------------------------------------

_GEMINI_WORDS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
GEMINI_FINISHES = ("stop", "length", "content_filter")


def _gemini_part(block: Block, *, ids: bool) -> list[dict[str, Any]]:
    if block.kind == "text":
        return [{"text": block.text}]
    if block.kind == "thinking":
        return [{"text": block.text, "thought": True}]
    if block.kind == "call":
        call = {"name": block.name, "args": block.arguments}
        return [{"functionCall": {**call, "id": block.id} if ids else call, "thoughtSignature": "c2ln"}]
    return [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"toolCall": {"id": block.id, "toolType": "FILE_SEARCH"}, "thoughtSignature": "c2ln"},
        {"toolResponse": {"id": block.id, "toolType": "FILE_SEARCH"}},
        {"text": "", "thoughtSignature": "c2ln"},
        {"partFromTheFuture": {"a": 1}},
    ]


def _gemini_usage(reply: Spoken) -> dict[str, Any]:
    """marks b: some of the input was read by the vendor's own tools, and is counted beside the prompt."""
    read = reply.read + reply.cached
    tools = reply.read // 3 if reply.marks["b"] else 0
    usage = {
        "promptTokenCount": read - tools,
        "candidatesTokenCount": reply.made - reply.reasoned,
        "totalTokenCount": read + reply.made,
        "thoughtsTokenCount": reply.reasoned,
        "toolUsePromptTokenCount": tools,
        "cachedContentTokenCount": reply.cached,
    }
    return {name: count for name, count in usage.items() if count or not reply.marks["c"]}


def gemini_whole(reply: Spoken) -> bytes:
    parts = [part for block in reply.blocks for part in _gemini_part(block, ids=reply.marks["a"])]
    content = {"role": "model", "parts": parts} if parts or reply.marks["d"] else {}
    candidate = {"content": content, "finishReason": _GEMINI_WORDS[reply.finish], "index": 0}
    body = {"candidates": [candidate], "usageMetadata": _gemini_usage(reply), "modelVersion": "gemini-3-flash"}
    return json.dumps({**body, "responseId": "r1"}).encode()


def gemini_stream(reply: Spoken, draw: Draw) -> bytes:
    """Parts of one block come in several chunks; the finish with the last of them, or alone."""
    parts: list[dict[str, Any]] = []
    for block in reply.blocks:
        for part in _gemini_part(block, ids=reply.marks["a"]):
            if "text" in part:
                parts += [{**part, "text": piece} for piece in draw(pieces(part["text"]))]
            else:
                parts.append(part)
    chunks: list[dict[str, Any]] = []
    usage = _gemini_usage(reply)
    early = {"promptTokenCount": usage.get("promptTokenCount", 0), "totalTokenCount": usage.get("promptTokenCount", 0)}
    while parts:
        count = draw(st.integers(1, 3))
        candidate = {"content": {"role": "model", "parts": parts[:count]}, "index": 0}
        chunks.append({"candidates": [candidate], "usageMetadata": early, "modelVersion": "gemini-3-flash"})
        parts = parts[count:]
    word = _GEMINI_WORDS[reply.finish]
    if reply.marks["d"] or not chunks:
        content = draw(st.sampled_from([{}, {"role": "model"}, {"parts": [{"text": ""}], "role": "model"}]))
        chunks.append({"candidates": [{"content": content, "index": 0}], "usageMetadata": early})
    chunks[-1]["candidates"][0]["finishReason"] = word
    chunks[-1]["usageMetadata"] = usage
    if reply.marks["e"]:
        chunks[-1]["usageMetadata"] = early
        chunks.append({"usageMetadata": usage, "modelVersion": "gemini-3-flash", "responseId": "r1"})
    return b"".join(sse(chunk, crlf=True) for chunk in chunks)


# --- Bedrock --------------------------------------------------------------------------------------------------------

_BEDROCK_WORDS = {
    **_ANTHROPIC_WORDS,
    "content_filter": "guardrail_intervened",
}
BEDROCK_FINISHES = ("stop", "stop_sequence", "length", "content_filter", "context")


def _bedrock_usage(reply: Spoken) -> dict[str, Any]:
    usage = {
        "inputTokens": reply.read,
        "outputTokens": reply.made,
        "totalTokens": reply.read + reply.cached + reply.written + reply.made,
    }
    if reply.cached or reply.written or reply.marks["a"]:
        usage |= {"cacheReadInputTokens": reply.cached, "cacheReadInputTokenCount": reply.cached}
        usage |= {"cacheWriteInputTokens": reply.written, "cacheWriteInputTokenCount": reply.written}
    return usage


def _bedrock_block(block: Block) -> list[dict[str, Any]]:
    if block.kind == "text":
        return [{"text": block.text}]
    if block.kind == "thinking":
        return [{"reasoningContent": {"reasoningText": {"text": block.text, "signature": "c2ln"}}}]
    if block.kind == "redacted":
        return [{"reasoningContent": {"redactedContent": "cmVk"}}]
    call = {"toolUseId": block.id, "name": block.name, "input": block.arguments}
    if block.kind == "call":
        return [{"toolUse": call}]
    content = [{"json": {"result": "1"}}]
    return [
        {"toolUse": {**call, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": block.id, "type": "nova_code_interpreter_result", "content": content}},
    ]


def bedrock_whole(reply: Spoken) -> bytes:
    content = [part for block in reply.blocks for part in _bedrock_block(block)]
    body = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _BEDROCK_WORDS[reply.finish],
        "usage": _bedrock_usage(reply),
        "metrics": {"latencyMs": 12},
    }
    return json.dumps(body).encode()


def bedrock_stream(reply: Spoken, draw: Draw) -> bytes:
    """Text has no start of its own; usage comes after the stop."""
    lines: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
    index = 0
    for block in reply.blocks:
        for part in _bedrock_block(block):
            lines += _bedrock_events(part, index, draw)
            index += 1
        if reply.marks["b"]:
            lines.append(("somethingNew", {"p": "abc"}))
    lines.append(("messageStop", {"stopReason": _BEDROCK_WORDS[reply.finish]}))
    lines.append(("metadata", {"usage": _bedrock_usage(reply), "metrics": {"latencyMs": 1}, "p": "abcdef"}))
    return b"".join(aws_frame(f"{kind} {json.dumps(payload)}") for kind, payload in lines)


def _bedrock_events(part: dict[str, Any], index: int, draw: Draw) -> list[tuple[str, dict[str, Any]]]:
    at = {"contentBlockIndex": index, "p": "abcd"}
    start: dict[str, Any] | None = None
    deltas: list[dict[str, Any]] = []
    if "text" in part:
        deltas = [{"text": piece} for piece in draw(pieces(part["text"]))]
    elif "reasoningContent" in part and "reasoningText" in part["reasoningContent"]:
        thought = part["reasoningContent"]["reasoningText"]
        deltas = [{"reasoningContent": {"text": piece}} for piece in draw(pieces(thought["text"]))]
        if draw(st.booleans()):  # models of other makers do not sign
            deltas.append({"reasoningContent": {"signature": thought["signature"]}})
    elif "reasoningContent" in part:
        deltas = [{"reasoningContent": part["reasoningContent"]}]
    elif "toolUse" in part:
        call = part["toolUse"]
        start = {"toolUse": {name: value for name, value in call.items() if name != "input"}}
        text = json.dumps(call["input"]) if call["input"] else ""
        deltas = [{"toolUse": {"input": piece}} for piece in ["", *draw(pieces(text))]]
    else:
        result = part["toolResult"]
        start = {"toolResult": {name: value for name, value in result.items() if name != "content"}}
        deltas = [{"toolResult": result["content"]}]
    if start is None and draw(st.booleans()):
        start = {}
    events = [("contentBlockStart", {**at, "start": start})] if start is not None else []
    events += [("contentBlockDelta", {**at, "delta": delta}) for delta in deltas]
    return [*events, ("contentBlockStop", at)]


# --- Cohere ---------------------------------------------------------------------------------------------------------

_COHERE_WORDS = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
}
COHERE_FINISHES = ("stop", "stop_sequence", "length")


def _cohere_usage(reply: Spoken) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "billed_units": {"input_tokens": 3.0, "output_tokens": 2.0},
        "tokens": {"input_tokens": float(reply.read + reply.cached), "output_tokens": float(reply.made)},
    }
    return {**usage, "cached_tokens": reply.cached} if reply.cached or reply.marks["a"] else usage


def cohere_whole(reply: Spoken) -> bytes:
    said = reply.said()
    content: list[dict[str, Any]] = []
    message: dict[str, Any] = {"role": "assistant"}
    if said.reasoning and reply.marks["b"]:
        message["tool_plan"] = said.reasoning
    elif said.reasoning:
        content.append({"type": "thinking", "thinking": said.reasoning})
    if said.text:
        content.append({"type": "text", "text": said.text})
    if content:
        message["content"] = content
    if said.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
            for c in said.calls
        ]
    word = _COHERE_WORDS[reply.finish]
    return json.dumps({"id": "x", "finish_reason": word, "message": message, "usage": _cohere_usage(reply)}).encode()


def cohere_stream(reply: Spoken, draw: Draw) -> bytes:
    said = reply.said()
    events: list[dict[str, Any]] = [{"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}}]

    def content(index: int, kind: str, text: str) -> None:
        start = {"message": {"content": {"type": kind, kind: ""}}}
        events.append({"type": "content-start", "index": index, "delta": start})
        for piece in draw(pieces(text)):
            delta = {"message": {"content": {kind: piece}}}
            events.append({"type": "content-delta", "index": index, "delta": delta})
        events.append({"type": "content-end", "index": index})

    if said.reasoning and reply.marks["b"]:
        plans = draw(pieces(said.reasoning))
        events += [{"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}} for piece in plans]
    elif said.reasoning:
        content(0, "thinking", said.reasoning)
    if said.text:
        content(1, "text", said.text)
    for index, call in enumerate(said.calls):
        function = {"name": call.name, "arguments": ""}
        start = {"message": {"tool_calls": {"id": call.id, "type": "function", "function": function}}}
        events.append({"type": "tool-call-start", "index": index, "delta": start})
        for piece in draw(pieces(json.dumps(call.arguments))):
            delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            events.append({"type": "tool-call-delta", "index": index, "delta": delta})
        events.append({"type": "tool-call-end", "index": index})
    if reply.marks["c"]:
        events.append({"type": "something-new"})
    last = {"finish_reason": _COHERE_WORDS[reply.finish], "usage": _cohere_usage(reply)}
    events.append({"type": "message-end", "delta": last})
    return b"".join(sse(event, event["type"] if reply.marks["d"] else "") for event in events)


# --- Ollama ---------------------------------------------------------------------------------------------------------

OLLAMA_FINISHES = ("stop", "length")


def _ollama_end(reply: Spoken) -> dict[str, Any]:
    counts = {"prompt_eval_count": reply.read + reply.cached, "eval_count": reply.made, "total_duration": 5}
    reason = "length" if reply.finish == "length" else "stop"
    return {"done": True, "done_reason": reason, **counts}


def _ollama_calls(said: Said) -> list[dict[str, Any]]:
    return [{"function": {"name": call.name, "arguments": call.arguments}} for call in said.calls]


def ollama_whole(reply: Spoken) -> bytes:
    said = reply.said()
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    if said.reasoning:
        message["thinking"] = said.reasoning
    if said.calls:
        message["tool_calls"] = _ollama_calls(said)
    head = {"model": "qwen3", "created_at": "2026-11-27T00:00:00.123456789Z", "message": message}
    return json.dumps({**head, **_ollama_end(reply)}).encode()


def ollama_stream(reply: Spoken, draw: Draw) -> bytes:
    """Lines of JSON; calls come whole, several in one line or one in each."""
    said = reply.said()
    messages = [{"role": "assistant", "content": "", "thinking": piece} for piece in draw(pieces(said.reasoning))]
    messages += [{"role": "assistant", "content": piece} for piece in draw(pieces(said.text))]
    calls = _ollama_calls(said)
    groups = [calls] if calls and reply.marks["a"] else [[call] for call in calls]
    lines: list[dict[str, Any]] = [{"message": message, "done": False} for message in messages]
    lines += [{"message": {"role": "assistant", "content": "", "tool_calls": each}, "done": False} for each in groups]
    lines.append({"message": {"role": "assistant", "content": ""}, **_ollama_end(reply)})
    head = {"model": "qwen3", "created_at": "2026-11-27T00:00:00Z"}
    return b"".join(json.dumps({**head, **line}).encode() + b"\n" for line in lines)
