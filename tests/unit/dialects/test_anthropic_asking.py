"""Conversations → Messages requests: what the API would refuse is put right, and each change is noted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParams
from pydantic import TypeAdapter

from oneapi_cli.dialects.anthropic_messages import decode_reply, decode_stream, encode_request
from oneapi_cli.dialects.anthropic_schemas import constrained, fits, object_schema
from oneapi_cli.framing.sse import Frame
from oneapi_cli.providers.models import traits as traits_of
from oneapi_cli.values.conversation import (
    CacheMark,
    Conversation,
    HostedTool,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Reply,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from oneapi_cli.values.errors import BadRequest
from oneapi_cli.values.events import Delta, Finished
from oneapi_cli.values.vendor import Quirks

VALID = TypeAdapter(MessageCreateParams)
OWN = "anthropic_messages"
OLD, BUDGET, FIRST, ASKED = "claude-3-5-haiku", "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8"
DEFAULT, BETWEEN, ALWAYS = "claude-opus-5", "claude-sonnet-5-5", "claude-opus-5-5"
LOOK = Tool(name="look", schema={"type": "object", "properties": {"q": {"type": "string"}}})


def turn(role: Role, *parts: Part | str) -> Turn:
    return Turn(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


HI = (turn("user", "hi"),)


def asked(model: str = BUDGET, turns: tuple[Turn, ...] = HI, **more: Any) -> tuple[dict[str, Any], set[str]]:
    more.setdefault("limit", 20_000)
    talk = Conversation(model=model, turns=turns, **more)
    body, notes = encode_request(talk, Quirks(), traits_of(model))
    VALID.validate_python(body)
    assert len(set(notes)) == len(notes)
    return body, set(notes)


# --- turns ----------------------------------------------------------------------------------------------------------


def shape(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Roles, and of each block its kind with its text or id."""
    return [(message["role"], [said(block) for block in message["content"]]) for message in body["messages"]]


def said(block: dict[str, Any]) -> str:
    return f"{block['type']}:{block.get('text') or block.get('id') or block.get('tool_use_id') or ''}"


CALL, RESULT = ToolCall(id="c1", name="look"), ToolResult(id="c1", content=(Text(text="seen"),))


@dataclass(frozen=True)
class Turns:
    name: str
    turns: tuple[Turn, ...]
    shape: list[tuple[str, list[str]]]
    system: Any = None
    notes: set[str] = field(default_factory=set)


TURNS = [
    Turns("merged", (turn("user", "a"), turn("user", "b")), [("user", ["text:a", "text:b"])]),
    Turns(
        "leading_system",
        (turn("system", "s"), turn("developer", "d"), *HI),
        [("user", ["text:hi"])],
        [{"type": "text", "text": "s"}, {"type": "text", "text": "d"}],
    ),
    Turns("late_system", (*HI, turn("system", "s")), [("user", ["text:hi"])], "s", {"changed:system_position"}),
    Turns("system_alone", (turn("system", "s"),), [("user", ["text:s"])], None, {"changed:system_position"}),
    Turns(
        "assistant_first",
        (turn("assistant", "a"), *HI),
        [("user", ["text:."]), ("assistant", ["text:a"]), ("user", ["text:hi"])],
        None,
        {"changed:first_turn"},
    ),
    Turns(
        "blank_user",
        (turn("user", " \n"), turn("assistant", "a"), *HI),
        [("user", ["text:."]), ("assistant", ["text:a"]), ("user", ["text:hi"])],
        None,
        {"changed:empty_text"},
    ),
    Turns(
        "blank_assistant",
        (*HI, turn("assistant", " ", CALL), turn("user", RESULT)),
        [("user", ["text:hi"]), ("assistant", ["tool_use:c1"]), ("user", ["tool_result:c1"])],
    ),
    Turns(
        "results_first",
        (*HI, turn("assistant", CALL), turn("user", "first", RESULT)),
        [("user", ["text:hi"]), ("assistant", ["tool_use:c1"]), ("user", ["tool_result:c1", "text:first"])],
    ),
    Turns(
        "several_results",
        (
            *HI,
            turn("assistant", CALL, ToolCall(id="c2", name="look")),
            turn("user", RESULT),
            turn("user", ToolResult(id="c2")),
        ),
        [
            ("user", ["text:hi"]),
            ("assistant", ["tool_use:c1", "tool_use:c2"]),
            ("user", ["tool_result:c1", "tool_result:c2"]),
        ],
    ),
    Turns(
        "foreign_thought",
        (*HI, turn("assistant", Thinking(text="t"), "a"), *HI),
        [("user", ["text:hi"]), ("assistant", ["text:a"]), ("user", ["text:hi"])],
        None,
        {"dropped:thinking"},
    ),
]


@pytest.mark.parametrize("case", TURNS, ids=lambda case: case.name)
def test_turns(case: Turns) -> None:
    body, notes = asked(turns=case.turns, tools=(LOOK,))
    assert (shape(body), body.get("system"), notes) == (case.shape, case.system, case.notes)


def test_call_ids_are_valid_and_unique() -> None:
    turns = (
        *HI,
        *(turn("assistant", ToolCall(id="0:look", name="look")), turn("user", ToolResult(id="0:look"))),
        *(turn("assistant", ToolCall(id="0:look", name="look")), turn("user", ToolResult(id="0:look"))),
        *(turn("assistant", ToolCall(id="", name="look")), turn("user", ToolResult(id=""))),
        *(turn("assistant", ToolCall(id="", name="look")), turn("user", ToolResult(id=""))),
    )
    body, _ = asked(turns=turns, tools=(LOOK,))
    blocks = [block for message in body["messages"][1:] for block in message["content"]]
    calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert calls == [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    assert len(set(calls)) == 4
    assert body == asked(turns=turns, tools=(LOOK,))[0]


def test_own_thoughts_return_intact_and_foreign_ones_do_not() -> None:
    own = Thinking(text="t", sealed=Opaque(dialect=OWN, data={"signature": "s"}))
    hidden = Thinking(sealed=Opaque(dialect=OWN, data={"redacted": "r"}))
    foreign = Thinking(sealed=Opaque(dialect="gemini", data={"thoughtSignature": "x"}))
    body, notes = asked(turns=(*HI, turn("assistant", own, hidden, foreign, "a"), *HI))
    assert body["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
    ]
    assert notes == {"dropped:thinking_signature"}


def test_pictures_that_the_model_drew_go_to_the_users_next_turn() -> None:
    drawn = Media(kind="image", media_type="image/png", data="AAAA")
    body, notes = asked(turns=(*HI, turn("assistant", "here", drawn), turn("user", "nice")))
    assert [block["type"] for block in body["messages"][2]["content"]] == ["image", "text"]
    assert notes == {"changed:media_position"}


MEDIA: list[tuple[Media, dict[str, Any]]] = [
    (
        Media(kind="image", media_type="image/webp", data="AAAA"),
        {"type": "base64", "media_type": "image/webp", "data": "AAAA"},
    ),
    (Media(kind="image", url="https://a.example/a"), {"type": "url", "url": "https://a.example/a"}),
    (Media(kind="image", file_id="f", origin=OWN), {"type": "file", "file_id": "f"}),
    (Media(kind="document", data="AAAA"), {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}),
    (
        Media(kind="document", media_type="text/csv", data="YSxi"),
        {"type": "text", "media_type": "text/plain", "data": "a,b"},
    ),
    (Media(kind="document", text="t"), {"type": "text", "media_type": "text/plain", "data": "t"}),
]


@pytest.mark.parametrize(("media", "source"), MEDIA, ids=lambda value: str(value)[:50])
def test_media(media: Media, source: dict[str, Any]) -> None:
    body, _ = asked(turns=(turn("user", media, "what?"),))
    assert body["messages"][0]["content"][0]["source"] == source


@pytest.mark.parametrize(
    "media",
    [
        Media(kind="audio", data="AAAA"),
        Media(kind="video", url="https://a"),
        Media(kind="image", media_type="image/tiff", data="AAAA"),
        Media(kind="image", file_id="f", origin="openai_chat"),
        Media(kind="image", url="gs://a/b"),
        Media(kind="document", media_type="application/msword", data="AAAA"),
    ],
    ids=str,
)
def test_media_that_the_api_does_not_take(media: Media) -> None:
    with pytest.raises(BadRequest, match="messages"):
        asked(turns=(turn("user", media),))


def test_marks_are_four_at_most_and_long_ones_come_first() -> None:
    marked = [Text(text=f"t{number}", cache=CacheMark()) for number in range(5)]
    body, notes = asked(
        turns=(
            turn("system", Text(text="s", cache=CacheMark(ttl="1h"))),
            turn("user", *marked, Text(text="x", cache=CacheMark(ttl="1h"))),
        )
    )
    texts = [block for block in body["messages"][0]["content"] if "cache_control" in block]
    assert [block["text"] for block in texts] == ["t3", "t4", "x"]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert texts[-1]["cache_control"] == {"type": "ephemeral"}
    assert notes == {"dropped:cache_control", "changed:cache_control"}


def test_half_an_answer_to_go_on_with() -> None:
    turns = (*HI, turn("assistant", "Well, \n"))
    assert asked(BUDGET, turns)[0]["messages"][-1]["content"][0]["text"] == "Well,"
    body, notes = asked(FIRST, turns)
    assert (shape(body)[-1], notes) == (("user", ["text:Continue."]), {"changed:prefill"})


# --- thinking and sampling ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Think:
    model: str
    reasoning: Reasoning
    thinking: dict[str, Any] | None
    effort: str | None = None
    notes: set[str] = field(default_factory=set)
    limit: int = 20_000
    choice: ToolChoice | None = None


ON, OFF = Reasoning(enabled=True), Reasoning(enabled=False)
SHOWN = {"type": "adaptive", "display": "summarized"}
ANY = ToolChoice(mode="required")
THINK = [
    Think(OLD, Reasoning(effort="high"), None, notes={"dropped:reasoning"}),
    Think(OLD, OFF, None),
    Think(BUDGET, ON, {"type": "enabled", "budget_tokens": 8192}),
    Think(BUDGET, Reasoning(effort="low"), {"type": "enabled", "budget_tokens": 2048}),
    Think(BUDGET, Reasoning(effort="max"), {"type": "enabled", "budget_tokens": 18_976}),
    Think(BUDGET, Reasoning(effort="none"), None),
    Think(BUDGET, Reasoning(budget=0), None),
    Think(BUDGET, Reasoning(enabled=True, budget=-1), {"type": "enabled", "budget_tokens": 8192}),
    Think(BUDGET, Reasoning(budget=1500), {"type": "enabled", "budget_tokens": 1500}, limit=1501),
    Think(BUDGET, Reasoning(budget=500), {"type": "enabled", "budget_tokens": 1024}, notes={"changed:thinking_budget"}),
    Think(
        BUDGET,
        Reasoning(budget=30_000),
        {"type": "enabled", "budget_tokens": 18_976},
        notes={"changed:thinking_budget"},
    ),
    Think(BUDGET, Reasoning(effort="high"), None, notes={"dropped:reasoning"}, limit=1500),
    Think(BUDGET, Reasoning(effort="high"), None, notes={"dropped:reasoning"}, choice=ANY),
    Think(
        BUDGET, Reasoning(enabled=True, show=False), {"type": "enabled", "budget_tokens": 8192, "display": "omitted"}
    ),
    Think(FIRST, Reasoning(effort="xhigh"), {"type": "adaptive"}, "high", {"changed:reasoning_effort"}),
    Think(FIRST, Reasoning(enabled=True, budget=2000), {"type": "adaptive"}, "low", {"changed:thinking_budget"}),
    Think(FIRST, OFF, None),
    Think(ASKED, Reasoning(effort="minimal"), SHOWN, "low", {"changed:reasoning_effort"}),
    Think(ASKED, Reasoning(enabled=True, adaptive=True, show=False), {"type": "adaptive", "display": "omitted"}),
    Think(ASKED, ON, None, notes={"dropped:reasoning"}, choice=ANY),
    Think(DEFAULT, OFF, {"type": "disabled"}),
    Think(DEFAULT, Reasoning(), {"type": "disabled"}, choice=ANY),
    Think(BETWEEN, OFF, {"type": "between_tools"}),
    Think(BETWEEN, Reasoning(effort="max"), SHOWN, "max", {"changed:tool_choice"}, choice=ANY),
    Think(ALWAYS, OFF, None, "low", {"changed:reasoning"}),
    Think(ALWAYS, ON, SHOWN),
]


@pytest.mark.parametrize("case", THINK, ids=lambda case: f"{case.model}-{case.reasoning}"[:90])
def test_thinking(case: Think) -> None:
    body, notes = asked(case.model, reasoning=case.reasoning, limit=case.limit, tools=(LOOK,), tool_choice=case.choice)
    assert body.get("thinking") == case.thinking
    assert body.get("output_config", {}).get("effort") == case.effort
    assert notes == case.notes
    assert body["max_tokens"] == case.limit


def test_a_budget_wants_thoughts_before_the_calls_that_were_just_answered() -> None:
    turns = (*HI, turn("assistant", CALL), turn("user", RESULT))
    body, notes = asked(turns=turns, tools=(LOOK,), reasoning=ON)
    assert ("thinking" in body, notes) == (False, {"dropped:reasoning"})
    own = Thinking(text="t", sealed=Opaque(dialect=OWN, data={"signature": "s"}))
    body, notes = asked(turns=(*HI, turn("assistant", own, CALL), turn("user", RESULT)), tools=(LOOK,), reasoning=ON)
    assert ("thinking" in body, notes) == (True, set())


@pytest.mark.parametrize(
    ("model", "more", "sent", "notes"),
    [
        (BUDGET, {"temperature": 0.3, "top_k": 4}, {"temperature": 0.3, "top_k": 4}, set()),
        (BUDGET, {"temperature": 1.5}, {"temperature": 1}, {"changed:temperature"}),
        (BUDGET, {"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3}, {"dropped:top_p"}),
        (BUDGET, {"temperature": 0.3, "top_p": 1}, {"temperature": 0.3}, set()),
        (BUDGET, {"temperature": 1, "top_p": 0.9}, {"top_p": 0.9}, set()),
        (BUDGET, {"temperature": 0.3, "top_p": 0.9, "reasoning": ON}, {}, {"dropped:temperature", "dropped:top_p"}),
        (BUDGET, {"top_p": 0.97, "top_k": 3, "reasoning": ON}, {"top_p": 0.97}, {"dropped:top_k"}),
        (
            ASKED,
            {"temperature": 0.3, "top_p": 0.9, "top_k": 2},
            {},
            {"dropped:temperature", "dropped:top_p", "dropped:top_k"},
        ),
        (ASKED, {"temperature": 1, "top_p": 1}, {}, set()),
    ],
)
def test_sampling(model: str, more: dict[str, Any], sent: dict[str, Any], notes: set[str]) -> None:
    body, noted = asked(model, **more)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == sent
    assert noted == notes


# --- tools and formats ----------------------------------------------------------------------------------------------


def test_the_limit_is_what_the_conversation_says() -> None:
    assert asked(limit=None)[0]["max_tokens"] == 64_000
    assert asked("some-model", limit=None)[0]["max_tokens"] == 8_192
    assert asked(limit=7)[0]["max_tokens"] == 7


def test_more_than_one_output_is_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(outputs=2)
    assert refused.value.member == "n"


@pytest.mark.parametrize(
    ("more", "choice", "notes"),
    [
        ({"tool_choice": ToolChoice(mode="auto")}, {"type": "auto"}, set()),
        ({"tool_choice": ToolChoice(mode="none")}, {"type": "none"}, set()),
        ({"tool_choice": ANY, "parallel_tools": False}, {"type": "any", "disable_parallel_tool_use": True}, set()),
        ({"tool_choice": ToolChoice(mode="named", names=("look",))}, {"type": "tool", "name": "look"}, set()),
        ({"parallel_tools": False}, {"type": "auto", "disable_parallel_tool_use": True}, set()),
        ({"parallel_tools": True}, None, set()),
    ],
)
def test_tool_choice(more: dict[str, Any], choice: dict[str, Any] | None, notes: set[str]) -> None:
    body, noted = asked(tools=(LOOK,), **more)
    assert (body.get("tool_choice"), noted) == (choice, notes)


def test_without_tools_there_is_no_choice() -> None:
    body, notes = asked(tool_choice=ANY, parallel_tools=False)
    assert ("tools" in body, "tool_choice" in body, notes) == (False, False, set())


def test_only_the_allowed_tools_are_sent() -> None:
    other = Tool(name="other")
    body, _ = asked(tools=(LOOK, other), tool_choice=ToolChoice(mode="required", names=("other",)))
    assert [tool["name"] for tool in body["tools"]] == ["other"]
    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


def test_calls_in_a_history_without_tools_are_declared() -> None:
    body, _ = asked(turns=(*HI, turn("assistant", CALL), turn("user", RESULT)))
    assert [tool["name"] for tool in body["tools"]] == ["look"]
    assert body["tool_choice"] == {"type": "none"}


def test_tools_that_the_vendor_runs() -> None:
    search = HostedTool(
        kind="web_search",
        own=Opaque(
            dialect="openai_responses",
            data={
                "type": "web_search",
                "user_location": {"type": "approximate", "country": "NO"},
                "filters": {"allowed_domains": ["a.example"]},
            },
        ),
    )
    own = HostedTool(
        kind="code_execution",
        own=Opaque(dialect=OWN, data={"type": "code_execution_20260521", "name": "code_execution"}),
    )
    files = HostedTool(kind="file_search", own=Opaque(dialect="openai_responses", data={}))
    body, notes = asked(hosted=(search, own, files))
    assert body["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "user_location": {"type": "approximate", "country": "NO"},
            "allowed_domains": ["a.example"],
        },
        own.own.data,
    ]
    assert notes == {"dropped:tool:file_search"}


def test_a_tool_of_free_text_takes_one_member() -> None:
    patch = Tool(name="patch", custom=True, grammar={"type": "grammar", "syntax": "lark", "definition": "start: x"})
    call = ToolCall(id="c", name="patch", arguments="*** Begin", custom=True)
    body, notes = asked(turns=(*HI, turn("assistant", call), turn("user", ToolResult(id="c"))), tools=(patch,))
    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert body["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}
    assert notes == {"changed:tool:custom"}


def test_names_that_the_api_does_not_take_are_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(tools=(Tool(name="a.b"),))
    assert refused.value.member == "tools"


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_an_output_format_is_asked_for_as_such_where_the_model_knows_one() -> None:
    body, notes = asked(format=OutputFormat(kind="json_schema", schema=PERSON))
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": PERSON}}
    assert notes == set()


def test_or_by_a_tool_whose_call_is_the_answer() -> None:
    body, notes = asked(OLD, format=OutputFormat(kind="json_schema", schema=PERSON), tools=(LOOK,))
    assert [tool["name"] for tool in body["tools"]] == ["look", "oneapi_json_output"]
    assert (body["tool_choice"], notes) == ({"type": "any"}, {"changed:response_format"})
    answer = {"type": "tool_use", "id": "t", "name": "oneapi_json_output", "input": {"name": "Ada"}}
    reply = decode_reply({"content": [answer], "stop_reason": "tool_use"}, Quirks())
    assert isinstance(reply, Reply)
    assert (reply.choices[0].parts, reply.choices[0].finish) == ((Text(text='{"name":"Ada"}'),), "stop")


def test_or_in_words_where_no_call_can_be_demanded() -> None:
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    body, notes = asked(ALWAYS, format=OutputFormat(kind="json_schema", schema=recursive))
    assert "JSON Schema" in body["system"]
    assert ("tools" in body, notes) == (False, {"changed:response_format"})
    body, _ = asked(BUDGET, format=OutputFormat(kind="json_object"), reasoning=ON)
    assert ("thinking" in body, "JSON object" in body["system"]) == (True, True)


def test_a_format_that_is_no_object_is_taken_out_of_its_wrapping() -> None:
    wanted = OutputFormat(kind="json_schema", schema={"type": "array", "items": {"type": "integer"}})
    body, _ = asked(OLD, format=wanted)
    assert body["tools"][0]["input_schema"]["properties"] == {"value": wanted.schema}
    decoder = decode_stream(Quirks())
    call = b'"content_block":{"type":"tool_use","id":"t","name":"oneapi_json_value","input":{}}'
    start = b'{"type":"content_block_start","index":0,' + call + b"}"
    delta = b'"delta":{"type":"input_json_delta","partial_json":"{\\"value\\": [1, 2]}"}'
    piece = b'{"type":"content_block_delta","index":0,' + delta + b"}"
    end = b'{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}'
    events = [event for data in (start, piece, end) for event in decoder.feed(Frame("", data))]
    assert [event.text for event in events if isinstance(event, Delta)] == ["[1,2]"]
    assert [event.finish for event in events if isinstance(event, Finished)] == ["stop"]


# --- schemas --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (PERSON, PERSON),
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {}, "additionalProperties": False}),
        (
            {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "description": "A number."}}},
            {
                "type": "object",
                "properties": {"n": {"type": "integer", "description": "A number.\n\n{minimum: 1}"}},
                "additionalProperties": False,
            },
        ),
        (
            {"type": "object", "properties": {"a": {"oneOf": [{"type": "null"}, {"const": 1}]}}},
            {
                "type": "object",
                "properties": {"a": {"anyOf": [{"type": "null"}, {"const": 1}]}},
                "additionalProperties": False,
            },
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"enum": ["x"]}}},
            {
                "$defs": {"A": {"enum": ["x"]}},
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "additionalProperties": False,
            },
        ),
        ({"type": "object"}, None),
        ({"type": "object", "properties": {}, "additionalProperties": True}, None),
        ({"type": "object", "properties": {"a": {}}}, None),
        ({"type": "object", "properties": {"a": {"type": "array", "prefixItems": []}}}, None),
        ({"type": "object", "properties": {"a": {"$ref": "https://a.example"}}}, None),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}},
            },
            None,
        ),
        ({"type": "array", "items": {"type": "string"}}, None),
    ],
)
def test_constrained(schema: dict[str, Any], found: dict[str, Any] | None) -> None:
    assert constrained(schema) == found
    assert fits(schema) == (found == schema)


def test_a_schema_of_any_depth_is_no_bug() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        deep = {"type": "object", "properties": {"a": deep}}
    assert constrained(deep) is None or constrained(deep)
    chain = {
        f"D{n}": {
            "type": "object",
            "properties": {"a": {"$ref": f"#/$defs/D{n + 1}"}, "b": {"$ref": f"#/$defs/D{n + 1}"}},
        }
        for n in range(60)
    }
    chain["D60"] = {"type": "string"}
    assert constrained({"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": chain}) is not None


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (None, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}, "type": "object"}),
        ({"type": ["object", "null"]}, {"type": "object", "properties": {}}),
        (
            {
                "anyOf": [
                    {"type": "object", "properties": {"a": {}}, "required": ["a", "b"]},
                    {"properties": {"b": {}}, "required": ["b"]},
                ]
            },
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]},
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {}}}}},
            {"type": "object", "properties": {"a": {}}, "$defs": {"A": {"type": "object", "properties": {"a": {}}}}},
        ),
    ],
)
def test_object_schema(schema: dict[str, Any] | None, found: dict[str, Any]) -> None:
    assert object_schema(schema) == found
