"""Every recorded request in a format that clients may speak, translated to every other dialect: valid in the vendor's
own terms, and nothing lost without a note. Pictures and files behind URLs are replaced as the gateway would, by tiny
ones of the right kind, for dialects that take bytes alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from oneapi_cli.dialects import LISTENERS, SPEAKERS
from oneapi_cli.gateway.talk import BYTES_ONLY
from oneapi_cli.values.conversation import Conversation, Media, Notes, Part, ToolResult
from oneapi_cli.values.errors import BadRequest
from oneapi_cli.values.vendor import Quirks, Traits

from .asked import Asked, lost
from .asked_others import READERS
from .models import model_problems
from .recordings import Recording
from .rules import rule_problems
from .said import cut
from .table import Result

TINY: Mapping[str, tuple[str, str]] = {
    "image": (
        "image/png",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    ),
    "document": ("application/pdf", "JVBERi0xLjQKJeLjz9MKMSAwIG9iago8PD4+CmVuZG9iagp0cmFpbGVyCjw8Pj4KJSVFT0YK"),
    "audio": ("audio/mpeg", "SUQzBAAAAAAAAP/7kGQ="),
    "video": ("video/mp4", "AAAAHGZ0eXBtcDQyAAAAAW1wNDJpc29t"),
}
"""Kind → (media type, base64 data)."""

_MODELS = {
    "openai_chat": "gpt-4.1",
    "openai_responses": "gpt-4.1",
    "anthropic_messages": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "bedrock_converse": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere_chat": "command-a-03-2025",
    "ollama": "qwen3",
    "replicate": "meta/meta-llama-3-70b-instruct",
}
TEXT_ONLY = frozenset({"replicate"})
"""Dialects that are a prompt and nothing more: calls and tools cannot be carried, and are refused."""


def check_request(recording: Recording) -> Iterator[Result]:
    """One result per dialect of vendors that is not the client's own."""
    door = recording.dialect
    assert recording.request is not None
    asked = READERS[door](recording.request)
    for dialect in SPEAKERS:
        if dialect == door:
            continue
        refused, problems = "", list[str]()
        notes: Notes = ()
        try:
            notes, problems = translated(recording.request, door, dialect, stream=recording.stream)
        except BadRequest as refusal:
            if recording.failed or may_refuse(asked, recording.request, dialect):
                refused = f"{dialect}: {refusal.message}"
            else:
                problems = [f"refused: {refusal.message}"]
        except Exception as fault:
            problems = [f"raised {type(fault).__name__}: {fault}"]
        yield Result(
            kind="requests",
            door=door,
            dialect=dialect,
            id=recording.id,
            problems=problems,
            refused=refused,
            notes=notes,
        )


def may_refuse(asked: Asked, request: Mapping[str, Any], dialect: str) -> bool:
    """Whether there is something in it that this target has no place for, and that nobody would want left out: a
    medium that is no picture, a file that another vendor keeps, what only one vendor stores."""
    kept_by_vendor = any(seen.kind != "image" or seen.ref.startswith(("gs://", "file")) for seen in asked.media)
    stored = bool(request.get("previous_response_id") or request.get("conversation") or request.get("background"))
    prompt_only = dialect in TEXT_ONLY and bool(asked.tools or asked.calls or asked.results)
    return kept_by_vendor or stored or prompt_only


def translated(
    request: Mapping[str, Any], door: str, dialect: str, *, stream: bool, traits: Traits | None = None
) -> tuple[Notes, list[str]]:
    """(notes, problems). Raises BadRequest."""
    body, notes = encoded(request, door, dialect, stream=stream, traits=traits)
    problems = list(model_problems(dialect, body))
    problems += rule_problems(dialect, body)
    asked, sent = READERS[door](request), READERS[dialect](body)
    if dialect in TEXT_ONLY:  # calls and results are told
        told = "\n".join(sent.user)
        names = [call.name for call in asked.calls]
        leaves = [leaf.strip() for result in asked.results for leaf in result.leaves]
        problems += [f"{cut(each)} is lost" for each in [*names, *leaves] if each not in told]
        asked = dataclasses.replace(asked, calls=[], results=[])
    tiny = {kind: data for kind, (_, data) in TINY.items()}
    problems += lost(asked, sent, tiny, notes)
    return notes, problems


def encoded(
    request: Mapping[str, Any], door: str, dialect: str, *, stream: bool, traits: Traits | None = None
) -> tuple[dict[str, Any], Notes]:
    """The body for upstream as it leaves, through JSON, and the notes of both sides."""
    talk, notes = LISTENERS[door].decode_request(request)
    talk = replace(talk, model=_MODELS.get(dialect, "m"), stream=stream, origin=door)
    if dialect in BYTES_ONLY:
        talk = inlined(talk)
    body, more = SPEAKERS[dialect].encode_request(talk, Quirks(), traits or Traits(max_output=8192))
    return json.loads(json.dumps(body)), (*notes, *more)


def inlined(talk: Conversation) -> Conversation:
    """What the gateway's fetch does, without a network."""

    def inline(part: Part) -> Part:
        if isinstance(part, ToolResult):
            return replace(part, content=tuple(inline(inner) for inner in part.content))
        if not isinstance(part, Media) or not part.url.startswith(("http://", "https://")):
            return part
        if part.url.startswith(("https://youtu.be/", "https://www.youtube.com/")):
            return part
        kind, data = TINY[part.kind]
        return replace(part, url="", data=data, media_type=kind)

    turns = tuple(replace(turn, parts=tuple(inline(part) for part in turn.parts)) for turn in talk.turns)
    return replace(talk, turns=turns)
