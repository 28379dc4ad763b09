"""The conversation → Gemini's request, and Gemini's replies → the conversation's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.genai import types

from oneapi_cli.dialects import VendorError, gemini
from oneapi_cli.dialects.gemini_schema import for_gemini, from_google
from oneapi_cli.dialects.gemini_turns import NO_SIGNATURE
from oneapi_cli.dialects.parts import collect
from oneapi_cli.framing.sse import Frame
from oneapi_cli.providers.models import traits
from oneapi_cli.values.conversation import (
    AudioFormat,
    CacheMark,
    Citation,
    Conversation,
    Hosted,
    HostedTool,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from oneapi_cli.values.errors import BadRequest, Malformed
from oneapi_cli.values.events import Failed, UsageSeen
from oneapi_cli.values.vendor import Quirks, Traits

FLASH, PRO, OLD = traits("gemini-2.5-flash"), traits("gemini-2.5-pro"), traits("gemini-2.0-flash")
THREE, THREE_PRO = traits("gemini-3-flash-preview"), traits("gemini-3-pro-preview")


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=parts)


def model(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=parts)


HI = user(Text(text="hi"))


def asked(known: Traits = OLD, *turns: Turn, quirks: Quirks = Quirks(), **more: Any) -> tuple[dict[str, Any], Any]:  # noqa: B008
    body, notes = gemini.encode_request(Conversation(model="m", turns=turns or (HI,), **more), quirks, known)
    for content in body["contents"]:
        types.Content.model_validate_json(json.dumps(content))
    for name, kind in (("generationConfig", types.GenerationConfig), ("toolConfig", types.ToolConfig)):
        if name in body:
            kind.model_validate_json(json.dumps(body[name]))
    for tool in body.get("tools", ()):
        types.Tool.model_validate_json(json.dumps(tool))
    return body, notes


# --- thinking -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Thought:
    name: str
    traits: Traits
    reasoning: Reasoning | None
    config: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


SHOWN = {"includeThoughts": True}
THOUGHTS = [
    Thought("unsaid", FLASH, None, SHOWN),
    Thought("unsaid, not thinking", OLD, None),
    Thought("not shown", FLASH, Reasoning(show=False)),
    Thought("effort", FLASH, Reasoning(effort="medium"), {"thinkingBudget": 8192, **SHOWN}),
    Thought("no effort", FLASH, Reasoning(effort="none"), {"thinkingBudget": 0}),
    Thought("off", FLASH, Reasoning(enabled=False), {"thinkingBudget": 0}),
    Thought("off at pro", PRO, Reasoning(enabled=False), {"thinkingBudget": 128, **SHOWN}, ("changed:reasoning",)),
    Thought("dynamic", FLASH, Reasoning(budget=-1), {"thinkingBudget": -1, **SHOWN}),
    Thought("too much", FLASH, Reasoning(budget=60_000), {"thinkingBudget": 24_576, **SHOWN}),
    Thought("adaptive", FLASH, Reasoning(enabled=True, adaptive=True), SHOWN),
    Thought("a level", THREE, Reasoning(effort="minimal"), {"thinkingLevel": "MINIMAL", **SHOWN}),
    Thought("the next level", THREE_PRO, Reasoning(effort="medium"), {"thinkingLevel": "HIGH", **SHOWN}),
    Thought("the highest", THREE, Reasoning(effort="max"), {"thinkingLevel": "HIGH", **SHOWN}),
    Thought("a budget as level", THREE, Reasoning(budget=2000), {"thinkingLevel": "LOW", **SHOWN}),
    Thought("the least", THREE_PRO, Reasoning(effort="none"), {"thinkingLevel": "LOW"}, ("changed:reasoning",)),
    Thought("cannot", OLD, Reasoning(effort="high"), {}, ("dropped:reasoning",)),
]


@pytest.mark.parametrize("case", THOUGHTS, ids=lambda case: case.name)
def test_thinking(case: Thought) -> None:
    body, notes = asked(case.traits, reasoning=case.reasoning)
    assert body.get("generationConfig", {}).get("thinkingConfig", {}) == case.config
    assert notes == case.notes


# --- contents -------------------------------------------------------------------------------------------------------


def own(signature: str, call: str = "") -> Opaque:
    return Opaque(dialect="gemini", data={"thoughtSignature": signature, "call": call})


def test_signatures_return_to_their_parts() -> None:
    body, notes = asked(
        THREE,
        HI,
        model(
            Thinking(sealed=own("czE=")),
            Thinking(text="Hm", sealed=own("czI=")),
            Thinking(sealed=own("czM=", "b")),
            Text(text="So"),
            ToolCall(id="a", name="f"),
            ToolCall(id="b", name="f"),
        ),
        user(ToolResult(id="a"), ToolResult(id="b")),
        model(Text(text="Done"), Thinking(sealed=own("czQ="))),
        HI,
    )
    assert notes == ()
    assert body["contents"][1]["parts"] == [
        {"text": "Hm", "thought": True, "thoughtSignature": "czI="},
        {"text": "So", "thoughtSignature": "czE="},
        {"functionCall": {"name": "f", "args": {}, "id": "a"}, "thoughtSignature": NO_SIGNATURE},
        {"functionCall": {"name": "f", "args": {}, "id": "b"}, "thoughtSignature": "czM="},
    ]
    assert body["contents"][3]["parts"] == [{"text": "Done"}, {"text": "", "thoughtSignature": "czQ="}]


def test_foreign_thoughts_are_left_out() -> None:
    foreign = Opaque(dialect="openai_responses", data={"encrypted_content": "x"})
    body, notes = asked(
        FLASH,
        HI,
        model(
            Thinking(text="Hm", sealed=foreign), Hosted(kind="web_search", sealed=foreign), ToolCall(id="a", name="f")
        ),
        user(ToolResult(id="a", content=(Text(text="no"),), is_error=True)),
    )
    assert set(notes) == {"dropped:thinking_signature", "dropped:thinking", "dropped:hosted:web_search"}
    assert body["contents"][1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "a"}}]
    answer = {"name": "f", "response": {"error": "no"}, "id": "a"}
    assert body["contents"][2]["parts"] == [{"functionResponse": answer}]


def test_results_stand_alone_right_after_their_calls() -> None:
    picture = Media(kind="image", media_type="image/png", data="aGk=")
    film = Media(kind="video", media_type="video/mp4", data="aGk=")
    turns = (
        HI,
        model(ToolCall(id="a", name="f"), ToolCall(id="b", name="g")),
        user(Text(text="Look"), ToolResult(id="a", content=(Text(text="1"), picture, film))),
        user(ToolResult(id="b", content=(Text(text="2"),)), Text(text="And?")),
    )
    body, _ = asked(THREE, *turns)
    kinds = [[next(iter(part)) for part in content["parts"]] for content in body["contents"][2:]]
    assert kinds == [["functionResponse", "functionResponse"], ["text", "inlineData", "text"]]
    first = body["contents"][2]["parts"]
    inline = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    assert first[0]["functionResponse"]["parts"] == [inline]
    older, _ = asked(FLASH, *turns)
    assert "parts" not in older["contents"][2]["parts"][0]["functionResponse"]
    assert inline in older["contents"][3]["parts"]


def test_system_turns_and_an_odd_start() -> None:
    system = Turn(role="system", parts=(Text(text="Be kind"),))
    body, notes = asked(OLD, system, model(Text(text="Yes?")), Turn(role="developer", parts=(Text(text="Brief"),)), HI)
    assert body["systemInstruction"] == {"parts": [{"text": "Be kind"}, {"text": "Brief"}]}
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]
    assert notes == ("changed:system_position",)
    body, notes = asked(OLD, system)
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Be kind"}]}]


def test_models_without_a_system_instruction() -> None:
    system = Turn(role="system", parts=(Text(text="Be kind"),))
    known = traits("gemma-3-27b-it")
    body, notes = asked(known, system, HI, format=OutputFormat(kind="json_object"))
    texts = [part["text"] for part in body["contents"][0]["parts"]]
    assert (texts[0], texts[-1], len(texts)) == ("Be kind", "hi", 3)
    assert set(notes) == {"changed:system_position", "changed:response_format"}
    assert "systemInstruction" not in body and "generationConfig" not in body


def test_media() -> None:
    body, _ = asked(
        OLD,
        user(
            Media(kind="document", text="a,b", name="a.csv"),
            Media(kind="image", url="https://example.org/a.webp?x=1"),
            Media(kind="video", file_id="https://youtu.be/x", origin="gemini"),
            Media(kind="audio", media_type="audio/wav", data="aGk=", cache=CacheMark()),
        ),
    )
    assert body["contents"][0]["parts"] == [
        {"text": "a.csv\n\na,b"},
        {"fileData": {"fileUri": "https://example.org/a.webp?x=1", "mimeType": "image/webp"}},
        {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
    ]
    with pytest.raises(BadRequest, match="file id"):
        asked(OLD, user(Media(kind="document", file_id="file-1", origin="openai_chat")))


# --- tools and settings ---------------------------------------------------------------------------------------------

FUNCTION = Tool(name="f", description="Does it", schema={"type": "object", "properties": {}}, strict=True)
SEARCH = HostedTool(kind="web_search", own=Opaque(dialect="anthropic_messages", data={}))


@pytest.mark.parametrize(
    ("known", "choice", "calling"),
    [
        (OLD, None, None),
        (FLASH, None, {"mode": "VALIDATED"}),
        (OLD, ToolChoice(mode="auto"), {"mode": "AUTO"}),
        (OLD, ToolChoice(mode="none"), {"mode": "NONE"}),
        (OLD, ToolChoice(mode="required"), {"mode": "ANY"}),
        (OLD, ToolChoice(mode="named", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (FLASH, ToolChoice(mode="auto", names=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_tool_choice(known: Traits, choice: ToolChoice | None, calling: dict[str, Any] | None) -> None:
    body, _ = asked(known, tools=(FUNCTION,), tool_choice=choice)
    assert body.get("toolConfig", {}).get("functionCallingConfig") == calling


def test_tools_of_the_vendor_beside_functions() -> None:
    body, notes = asked(THREE, tools=(FUNCTION,), hosted=(SEARCH,))
    assert [*body["tools"][0], *body["tools"][1]] == ["functionDeclarations", "googleSearch"]
    assert body["toolConfig"]["includeServerSideToolInvocations"] is True
    body, _ = asked(THREE, tools=(FUNCTION,), hosted=(SEARCH,), quirks=Quirks(server_tool_parts=False))
    assert "includeServerSideToolInvocations" not in body["toolConfig"]
    body, notes = asked(FLASH, tools=(FUNCTION,), hosted=(SEARCH,))
    assert (len(body["tools"]), notes) == (1, ("dropped:tool:web_search",))
    body, notes = asked(FLASH, hosted=(SEARCH, HostedTool(kind="computer", own=SEARCH.own)))
    assert (body["tools"], notes) == ([{"googleSearch": {}}], ("dropped:tool:computer",))


def test_schema_beside_tools() -> None:
    wanted = OutputFormat(kind="json_schema", schema={"type": "object"})
    body, notes = asked(THREE, tools=(FUNCTION,), format=wanted)
    assert body["generationConfig"]["responseJsonSchema"] == {"type": "object"}
    assert notes == ()
    body, notes = asked(FLASH, tools=(FUNCTION,), format=wanted)
    assert '{"type":"object"}' in body["systemInstruction"]["parts"][0]["text"]
    assert notes == ("changed:response_format",)


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    custom = Tool(name="sh", custom=True, grammar={"syntax": "lark"})
    body, notes = asked(
        OLD,
        HI,
        model(ToolCall(id="1", name="sh", arguments="ls -l", custom=True)),
        user(ToolResult(id="1")),
        tools=(custom,),
    )
    assert notes == ("changed:custom_tool",)
    declared = body["tools"][0]["functionDeclarations"][0]
    assert declared["parametersJsonSchema"]["required"] == ["input"] and "lark" in declared["description"]
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": "ls -l"}


def test_settings() -> None:
    body, notes = asked(
        Traits(sampling=False),
        temperature=1.0,
        seed=2**40,
        stop=tuple("abcdef"),
        modalities=("text", "audio"),
        audio=AudioFormat(voice="Kore", format="mp3"),
        logprobs=True,
        top_logprobs=30,
        tier="priority",
        metadata={"a": "b"},
        extras={"safety_settings": [], "newThing": 1},
    )
    config = body["generationConfig"]
    assert "temperature" not in config and 0 <= config["seed"] < 2**31
    assert (len(config["stopSequences"]), config["logprobs"], config["responseModalities"]) == (5, 20, ["AUDIO"])
    assert config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"] == "Kore"
    assert (body["serviceTier"], body["safetySettings"]) == ("priority", [])
    dropped = {"dropped:temperature", "dropped:metadata", "dropped:newThing"}
    assert set(notes) == dropped | {"changed:seed", "changed:stop", "changed:audio.format"}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"const": 3}, {"enum": [3], "type": "integer"}),
        ({"type": "integer", "exclusiveMaximum": 9}, {"type": "integer", "maximum": 8}),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": "Format: uri"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        (
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]},
            {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
        ),
        (
            {"properties": {"const": {"const": "x"}}, "examples": [1]},
            {"properties": {"const": {"enum": ["x"], "type": "string"}}},
        ),
        (
            {"definitions": {"N": {"properties": {"n": {"$ref": "#/definitions/N"}}}}, "$ref": "#/definitions/N"},
            {"$ref": "#/$defs/N", "$defs": {"N": {"properties": {"n": {"$ref": "#/$defs/N"}}}}},
        ),
        (
            {"$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N", "description": "next"}}}}},
            {
                "$defs": {
                    "N": {
                        "type": "object",
                        "properties": {
                            "n": {
                                "type": "object",
                                "properties": {"n": {"$ref": "#/$defs/N"}},
                                "description": "next",
                            }
                        },
                    }
                }
            },
        ),
    ],
)
def test_schemas(given: dict[str, Any], made: dict[str, Any]) -> None:
    assert for_gemini(given) == made


def test_schemas_of_google() -> None:
    given = {
        "type": "OBJECT",
        "properties": {
            "b": {"type": "STRING", "enum": ["x"], "format": "enum", "nullable": True},
            "a": {"type": "ARRAY", "min_items": "2", "items": {"any_of": [{"type": "NUMBER"}], "nullable": True}},
        },
        "property_ordering": ["a", "b"],
        "example": {"a": []},
    }
    made = from_google(given)
    assert made == {
        "type": "object",
        "properties": {
            "a": {"type": "array", "minItems": 2, "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
            "b": {"type": ["string", "null"], "enum": ["x", None]},
        },
        "examples": [{"a": []}],
    }
    assert list(made["properties"]) == ["a", "b"]


# --- replies --------------------------------------------------------------------------------------------------------


def reply(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": "STOP", **more}], "responseId": "r_1"}


def stream(*chunks: dict[str, Any]) -> list[Any]:
    decoder = gemini.decode_stream(Quirks())
    events = [event for chunk in chunks for event in decoder.feed(Frame("", json.dumps(chunk).encode()))]
    return events + decoder.close()


def test_calls_get_ids_of_the_reply() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    found = gemini.decode_reply(reply({**call, "thoughtSignature": "cw=="}, call), Quirks())
    assert not isinstance(found, VendorError)
    assert found.choices[0].parts == (
        Thinking(sealed=own("cw==", "call_r_1_0")),
        ToolCall(id="call_r_1_0", name="f"),
        ToolCall(id="call_r_1_1", name="f"),
    )
    assert (found.choices[0].finish, found.choices[0].raw_finish) == ("tool_calls", "STOP")


def test_offsets_are_bytes() -> None:
    chunks = [{"web": {"uri": "https://a.b", "title": "A"}}, {"web": {"uri": "https://c.d"}}]
    support = {"segment": {"startIndex": 8, "endIndex": 12, "text": "zwei"}, "groundingChunkIndices": [0]}
    grounding = {"groundingChunks": chunks, "groundingSupports": [support]}
    found = gemini.decode_reply(reply({"text": "Größe zwei"}, groundingMetadata=grounding), Quirks())
    assert not isinstance(found, VendorError)
    cited = Citation(url="https://a.b", title="A", quoted="zwei", start=6, end=10)
    assert found.choices[0].parts == (Text(text="Größe zwei", citations=(cited, Citation(url="https://c.d"))),)
    late = stream(reply({"text": "Größe "}), reply({"text": "zwei"}, groundingMetadata=grounding))
    assert collect(late).choices[0].parts == found.choices[0].parts


def test_citations_of_several_texts() -> None:
    run = {"codeExecutionResult": {"output": "1"}}
    segments = [{"startIndex": 0, "endIndex": 3, "text": "one"}, {"startIndex": 3, "endIndex": 6, "text": "two"}]
    metadata = {
        "groundingChunks": [{"retrievedContext": {"title": "T", "text": "src"}}],
        "groundingSupports": [{"segment": each, "groundingChunkIndices": [0]} for each in segments],
    }
    found = gemini.decode_reply(
        reply(
            {"text": "one"},
            run,
            {"text": "two"},
            groundingMetadata=metadata,
            citationMetadata={"citations": [{"endIndex": 3, "uri": "https://q"}]},
        ),
        Quirks(),
    )
    assert not isinstance(found, VendorError)
    texts = [part for part in found.choices[0].parts if isinstance(part, Text)]
    source = Citation(title="T", quoted="src", start=0, end=3)
    assert texts[0].citations == (source, Citation(url="https://q", start=0, end=3))
    assert texts[1].citations == (source,)


def test_a_signature_in_the_middle_of_a_text_does_not_cut_it() -> None:
    events = stream(reply({"text": "a"}), reply({"text": "b", "thoughtSignature": "cw=="}), reply({"text": "c"}))
    assert collect(events).choices[0].parts == (Text(text="abc"), Thinking(sealed=own("cw==")))


def test_usage_of_a_stream_stands_where_it_counts() -> None:
    alone, whole = {"promptTokenCount": 4}, {"promptTokenCount": 4, "candidatesTokenCount": 2}
    first = {**reply({"text": "a"}), "usageMetadata": alone}
    del first["candidates"][0]["finishReason"]
    events = stream(first, {**reply({"text": "b"}), "usageMetadata": whole}, {**reply(), "usageMetadata": alone})
    kinds = [type(event).__name__ for event in events]
    assert kinds.index("UsageSeen") < kinds.index("Delta")
    last = [event for event in events if isinstance(event, UsageSeen)][-1]
    assert dict(last.usage.counts) == {"input_tokens": 4, "output_tokens": 2}


def test_a_stream_that_breaks_off_is_not_finished() -> None:
    chunk = reply({"text": "a"})
    del chunk["candidates"][0]["finishReason"]
    assert [type(event).__name__ for event in stream(chunk)] == ["Started", "PartStarted", "Delta", "PartDone"]


def test_no_candidates() -> None:
    blocked = gemini.decode_reply({"promptFeedback": {"blockReason": "SAFETY"}}, Quirks())
    assert isinstance(blocked, VendorError) and (blocked.status, blocked.code) == (400, "content_filter")
    empty = gemini.decode_reply({"candidates": []}, Quirks())
    assert isinstance(empty, VendorError) and empty.status == 502
    refused = gemini.decode_reply({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}, Quirks())
    assert isinstance(refused, VendorError) and refused.status == 429
    with pytest.raises(Malformed):
        gemini.decode_reply({"hello": 1}, Quirks())
    failed = stream({"promptFeedback": {"blockReason": "SAFETY"}})[0]
    assert isinstance(failed, Failed) and failed.status == 400


def test_what_a_vendor_may_leave_out() -> None:
    odd = {
        "candidates": [
            {"content": None, "finishReason": "NEW_REASON"},
            None,
            {"index": 1, "content": {"parts": [{}, {"smell": 1}, None]}},
        ]
    }
    found = gemini.decode_reply({**odd, "usageMetadata": None}, Quirks())
    assert not isinstance(found, VendorError)
    assert [(choice.finish, choice.raw_finish) for choice in found.choices] == [("unknown", "NEW_REASON")]


def test_logprobs() -> None:
    token = {"token": "ß", "logProbability": -0.5}
    result = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]}
    found = gemini.decode_reply(reply({"text": "ß"}, logprobsResult=result), Quirks())
    assert not isinstance(found, VendorError)
    one = {"token": "ß", "logprob": -0.5, "bytes": [195, 159]}
    assert found.choices[0].logprobs == {"content": [{**one, "top_logprobs": [one]}], "refusal": None}


def test_searches_are_charged_by_the_prompt_before_gemini_3() -> None:
    usage = {"promptTokenCount": 1}
    for name, many in (("gemini-2.5-pro", 1), ("gemini-3.5-flash", 2)):
        payload = {
            **reply(groundingMetadata={"webSearchQueries": ["a", "b"]}),
            "usageMetadata": usage,
            "modelVersion": name,
        }
        found = gemini.read_usage(payload, Quirks())
        assert found is not None and found.get("web_searches") == many
        assert found == gemini.read_usage(json.dumps(payload, separators=(",", ":")).encode(), Quirks())
