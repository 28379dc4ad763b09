"""A whole Converse reply → parts.

A tool that the vendor ran itself shows as `toolUse` of type `server_tool_use` and as `toolResult`: neither is the
client's. A `citationsContent` block with text is text with sources; one without belongs to the text before it.

Redacted reasoning is a blob, so base64 on the wire; what is inside is the text that Anthropic's own format has in
`data` (recorded, 2026-11). Seals hold that inner text, so that thoughts travel between the two.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (2026-11)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ..values.conversation import (
    Choice,
    Citation,
    FinishReason,
    Hosted,
    Media,
    Opaque,
    Part,
    Reply,
    Text,
    Thinking,
    ToolCall,
)
from ..values.errors import Malformed
from ..values.vendor import Quirks
from .anthropic_names import JSON_TOOL, JSON_TOOLS
from .bedrock_names import FINISHES, KINDS, MEDIA_TYPES, NAME, SEAL, SERVER_TOOL
from .bedrock_usage import read_usage
from .dialect import VendorError
from .vendor_values import count_of, object_of, objects_of, text_of

Block = Mapping[str, Any]


def decode_reply(payload: Mapping[str, Any], quirks: Quirks) -> Reply | VendorError:
    """A whole 2xx body. Raises Malformed where it has no message; VendorError where it says why."""
    output = payload.get("output")
    if not isinstance(output, dict):
        message = text_of(payload.get("message")) or text_of(payload.get("Message"))
        if message:
            return VendorError(message=message, type=text_of(payload.get("__type")).rpartition("#")[2] or None)
        raise Malformed("The upstream's reply has no `output`")
    parts = Parts()
    for block in objects_of(object_of(output.get("message")).get("content")):
        parts.add(block)
    raw = text_of(payload.get("stopReason"))
    choice = Choice(
        parts=tuple(parts.found),
        finish=finish_of(raw, called=parts.called, answered=parts.answered),
        stop_sequence=stop_sequence_of(payload),
        raw_finish=raw,
        explanation=explanation_of(payload),
    )
    return Reply(model=model_of(payload), choices=[choice], usage=read_usage(payload, quirks))


class Parts:
    """The parts of a reply, block by block. called: a call for the client is among them; answered: what stands in for
    an output format was called."""

    def __init__(self) -> None:
        self.found: list[Part] = []
        self.called = False
        self.answered = False
        self._server: dict[str, str] = {}  # id of a call that the vendor made itself → our kind of its tool

    def add(self, block: Block) -> None:
        if isinstance(text := block.get("text"), str):
            self.found += [Text(text=text)] if text else []
        elif isinstance(used := block.get("toolUse"), dict):
            self._call(block, used)
        elif isinstance(thought := block.get("reasoningContent"), dict):
            self.found += thought_of(thought)
        elif isinstance(result := block.get("toolResult"), dict):
            kind = self._server.get(text_of(result.get("toolUseId"))) or kind_of_result(result)
            self.found.append(hosted(kind, block))
        elif isinstance(cited := block.get("citationsContent"), dict):
            self._cited(cited)
        elif isinstance(image := block.get("image"), dict):
            self.found += media_of("image", image)
        elif isinstance(sound := block.get("audio"), dict):
            self.found += media_of("audio", sound)

    def _call(self, block: Block, used: Block) -> None:
        name = text_of(used.get("name"))
        arguments = used.get("input")
        if used.get("type") == SERVER_TOOL:
            kind = KINDS.get(name, name)
            self._server[text_of(used.get("toolUseId"))] = kind
            self.found.append(hosted(kind, block))
        elif name in JSON_TOOLS:
            self.answered = True
            answer = arguments if name == JSON_TOOL else object_of(arguments).get("value")
            self.found.append(Text(text=_json_text(answer)))
        else:
            self.called = True
            text = _json_text({} if arguments is None else arguments)
            self.found.append(ToolCall(id=text_of(used.get("toolUseId")), name=name, arguments=text))

    def _cited(self, cited: Block) -> None:
        text = "".join(text_of(piece.get("text")) for piece in objects_of(cited.get("content")))
        citations = tuple(citation_of(each) for each in objects_of(cited.get("citations")))
        if text:
            self.found.append(Text(text=text, citations=citations))
        elif citations and self.found and isinstance(last := self.found[-1], Text):
            self.found[-1] = replace(last, citations=(*last.citations, *citations))
        elif citations:
            self.found.append(Text(text="", citations=citations))


def finish_of(raw: str, *, called: bool, answered: bool) -> FinishReason:
    """By meaning: `tool_calls` exactly where there are calls for the client to make, unless the reply was cut off."""
    finish = FINISHES.get(raw, "unknown")
    if finish in ("length", "content_filter", "error", "context", "refusal"):
        return finish
    if called:
        return "tool_calls"
    return "stop" if finish == "tool_calls" or (answered and finish == "unknown") else finish


def stop_sequence_of(payload: Block) -> str:
    """Which stop sequence came up: asked for as a further field of the model's own reply."""
    return text_of(object_of(payload.get("additionalModelResponseFields")).get("stop_sequence"))


def explanation_of(payload: Block) -> str:
    """Why a guardrail stepped in, "" where it does not say."""
    return text_of(object_of(object_of(payload.get("trace")).get("guardrail")).get("actionReason"))


def model_of(payload: Block) -> str:
    """The model that a prompt router chose, "" where none did: replies do not name their model."""
    invoked = text_of(object_of(object_of(payload.get("trace")).get("promptRouter")).get("invokedModelId"))
    return invoked.rpartition("/")[2]


def kind_of_result(result: Block) -> str:
    """`nova_code_interpreter_result` → `code_execution`."""
    name = text_of(result.get("type")).removesuffix("_result")
    return KINDS.get(name, name) or "tool"


def hosted(kind: str, block: Block) -> Hosted:
    return Hosted(kind=kind or "tool", sealed=Opaque(dialect=NAME, data=block))


def thought_of(block: Block) -> list[Thinking]:
    """One `reasoningContent`; nothing for a shape that nobody knows."""
    if isinstance(said := block.get("reasoningText"), dict):
        text, signature = text_of(said.get("text")), text_of(said.get("signature"))
        sealed = Opaque(dialect=SEAL, data={"signature": signature}) if signature else None
        return [Thinking(text=text, sealed=sealed)] if text or sealed else []
    redacted = text_of(block.get("redactedContent"))
    return [Thinking(sealed=redacted_seal(redacted))] if redacted else []


def redacted_seal(wire: str) -> Opaque:
    """`redactedContent` as it stands on the wire → the seal. What is no text inside stays as it is."""
    try:
        inner = base64.b64decode(wire, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return Opaque(dialect=SEAL, data={"redacted_content": wire})
    return Opaque(dialect=SEAL, data={"redacted": inner})


def citation_of(each: Block) -> Citation:
    """A citation, or its twin in a stream. `start` and `end` of a location are of the source, not of the answer."""
    web = object_of(object_of(each.get("location")).get("web"))
    quoted = "".join(text_of(piece.get("text")) for piece in objects_of(each.get("sourceContent")))
    url = text_of(web.get("url"))
    source = text_of(each.get("source"))
    if not url and source.startswith(("http://", "https://")):
        url = source
    return Citation(
        url=url,
        title=text_of(each.get("title")) or text_of(web.get("domain")),
        quoted=quoted,
        raw=Opaque(dialect=NAME, data=each),
    )


def media_of(kind: str, block: Block) -> list[Media]:
    """A picture or sound that the model made; what it keeps elsewhere is its address."""
    source = object_of(block.get("source"))
    media_type = MEDIA_TYPES.get(text_of(block.get("format")), "")
    data, place = text_of(source.get("bytes")), text_of(object_of(source.get("s3Location")).get("uri"))
    if not data and not place:
        return []
    made = Media(kind="audio" if kind == "audio" else "image", media_type=media_type)
    return [replace(made, data=data) if data else replace(made, url=place)]


def block_index(payload: Block) -> int:
    """Which block of the message an event is about."""
    return count_of(payload.get("contentBlockIndex")) or 0


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()
