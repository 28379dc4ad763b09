"""The one conversation that every wire format is translated through.

A dialect that clients speak decodes its request into a `Conversation`; the channel's dialect encodes that. Replies go
the other way: decoded into a `Reply` (or into the events of `events.py`), encoded for the client. Nothing here knows a
wire format. Invariants:

* **None is not zero.** A member that the client did not give is None (or empty), and is left out upstream.
* **Order is meaning.** Parts stand in the order in which they were said: thoughts, text and calls may alternate.
* **Arguments stay text.** A call's arguments are the JSON text as it was written; whoever needs an object parses it.
* **What belongs to one vendor is sealed.** Signatures, encrypted reasoning and the like travel as `Opaque` and return
  to the dialect that made them; other dialects leave them out and say so in a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from .usage import Usage

Notes = tuple[str, ...]
"""Codes of what a dialect could not carry: `dropped:top_k`, `dropped:citations`, `changed:temperature`… Each once."""

Role = Literal["system", "developer", "user", "assistant"]
"""Tool results stand in turns of the user, as `ToolResult` parts. `developer` is a system turn that says so."""

MediaKind = Literal["image", "document", "audio", "video"]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

FinishReason = Literal[
    "stop",  # the model was done
    "stop_sequence",  # one of the client's stop sequences came up
    "length",  # the output limit
    "tool_calls",  # calls that the client is to make
    "content_filter",  # a filter or safety system stopped or withheld it
    "refusal",  # the model itself declined
    "pause",  # the vendor paused a long turn; sending it back continues it
    "context",  # the context window is full
    "error",  # the vendor could not finish (malformed call, language, recitation without filter…)
    "unknown",  # none was given, or one that nobody knows
]


class CacheMark(Struct, frozen=True, kw_only=True):
    """A prompt-cache breakpoint after the part that carries it. ttl: `5m` or `1h`, "" for the vendor's default."""

    ttl: str = ""


class Opaque(Struct, frozen=True, kw_only=True):
    """Something that only `dialect` understands, as plain JSON data. It returns intact to its own dialect."""

    dialect: str
    data: Any


class Citation(Struct, frozen=True, kw_only=True):
    """Where a piece of text comes from. start, end: characters of the text of the part that carries it, None where the
    vendor does not say. raw: the vendor's own citation, for a door of the same dialect.
    """

    url: str = ""
    title: str = ""
    quoted: str = ""
    start: int | None = None
    end: int | None = None
    raw: Opaque | None = None


class Text(Struct, frozen=True, kw_only=True, tag="text"):
    text: str
    citations: tuple[Citation, ...] = ()
    cache: CacheMark | None = None


class Media(Struct, frozen=True, kw_only=True, tag="media"):
    """A picture, document, sound or film. Exactly one of data (base64, no data URL), url, file_id, or text is given.

    media_type: "" where it is not known. text: a plain-text document's content. detail: OpenAI's `low`, `high`,
    `auto`. name: a file's name or a document's title. transcript: what a sound says. origin: the
    dialect that a file_id belongs to.
    """

    kind: MediaKind
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    text: str = ""
    detail: str = ""
    name: str = ""
    transcript: str = ""
    origin: str = ""
    cites: bool = False
    """The client asked for citations of this document."""
    cache: CacheMark | None = None


class Thinking(Struct, frozen=True, kw_only=True, tag="thinking"):
    """A passage of reasoning. text may be "" where only `sealed` came (redacted, encrypted, a bare signature).

    sealed: signature or encrypted form, in the words of its dialect. A Gemini signature that belongs to the part after
    it stands here too, with text "".
    """

    text: str = ""
    sealed: Opaque | None = None


class ToolCall(Struct, frozen=True, kw_only=True, tag="call"):
    """A call that the client is to make, or made. arguments: JSON text, or free text where `custom`."""

    id: str
    name: str
    arguments: str = "{}"
    custom: bool = False
    cache: CacheMark | None = None


class ToolResult(Struct, frozen=True, kw_only=True, tag="result"):
    """What a call came to. name: of the tool, "" where the client did not say. content: Text and Media."""

    id: str
    name: str = ""
    content: tuple[Text | Media, ...] = ()
    is_error: bool = False
    custom: bool = False
    cache: CacheMark | None = None


class Refusal(Struct, frozen=True, kw_only=True, tag="refusal"):
    """The model's own words for no."""

    text: str


class Hosted(Struct, frozen=True, kw_only=True, tag="hosted"):
    """A tool that the vendor ran itself, call or result: never a call for the client to make. kind: `web_search`,
    `code_execution`, `file_search`…; sealed: the vendor's own block, for a door of the same dialect.
    """

    kind: str
    sealed: Opaque


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Hosted


class Turn(Struct, frozen=True, kw_only=True):
    role: Role
    parts: tuple[Part, ...]
    name: str = ""


class Tool(Struct, frozen=True, kw_only=True):
    """A tool that the client runs. schema: JSON Schema of its arguments, None where none was given. custom: takes free
    text; grammar: what it must look like, as OpenAI's `format`.
    """

    name: str
    description: str = ""
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None
    custom: bool = False
    grammar: Mapping[str, Any] | None = None
    cache: CacheMark | None = None


class HostedTool(Struct, frozen=True, kw_only=True):
    """A tool that the vendor runs. kind: `web_search`, `code_execution`, `url_context`, `file_search`,
    `image_generation`, `computer`, `mcp`, … in our words; own: the tool as the client wrote it. A dialect with a tool
    of this kind may encode one; others refuse or note it.
    """

    kind: str
    own: Opaque


class ToolChoice(Struct, frozen=True, kw_only=True):
    """mode: auto, none, required (any of them), named. names: the one of `named`, else those allowed, () for all."""

    mode: Literal["auto", "none", "required", "named"]
    names: tuple[str, ...] = ()


class OutputFormat(Struct, frozen=True, kw_only=True):
    """kind text: no constraint, said outright."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str = ""
    description: str = ""
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None


class Reasoning(Struct, frozen=True, kw_only=True):
    """What the client said of thinking. enabled: False outright off, True on, None not said. effort: a word. budget:
    tokens (-1: the model decides). show: whether thoughts or their summary are wanted in the reply, None not said;
    summary: OpenAI's `auto`, `concise`, `detailed`. adaptive: Anthropic's `adaptive`: on, the model decides how much.
    """

    enabled: bool | None = None
    effort: Effort | None = None
    budget: int | None = None
    show: bool | None = None
    summary: str = ""
    adaptive: bool = False


class AudioFormat(Struct, frozen=True, kw_only=True):
    """How spoken output is wanted."""

    voice: str = ""
    format: str = ""


class Conversation(Struct, frozen=True, kw_only=True):
    """One request. turns: system and developer turns stand where the client put them. limit: output tokens.

    logit_bias: token id → bias. tier: service tier in the client's word. user: an end user's id. extras: members of the
    client's dialect that only it knows, by name, for a target that shares them (`safety_settings`, `cachedContent`…);
    what a target does not know becomes a note. stream: whether a stream is wanted.
    """

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    hosted: tuple[HostedTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    limit: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    outputs: int = 1
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Mapping[str, float] | None = None
    reasoning: Reasoning | None = None
    format: OutputFormat | None = None
    verbosity: str = ""
    modalities: tuple[str, ...] = ()
    audio: AudioFormat | None = None
    tier: str = ""
    user: str = ""
    metadata: Mapping[str, str] | None = None
    cache_key: str = ""
    store: bool | None = None
    origin: str = ""
    extras: Mapping[str, Any] = {}


class Choice(Struct, frozen=True, kw_only=True):
    """One alternative of a reply. stop_sequence: the one that came up. raw_finish: the vendor's own word. logprobs: in
    OpenAI chat's shape (`{"content": […], "refusal": …}`), None where none came. explanation: why a filter or refusal
    stopped it, in the vendor's words.
    """

    parts: tuple[Part, ...]
    finish: FinishReason = "unknown"
    stop_sequence: str = ""
    raw_finish: str = ""
    explanation: str = ""
    logprobs: Any = None


class Reply(Struct, frozen=True, kw_only=True):
    """A whole reply. id: the vendor's, "" where it has none. model: as the vendor names it. created: unix seconds, 0
    unknown. fingerprint: OpenAI's `system_fingerprint`. choices: never empty.
    """

    id: str = ""
    model: str = ""
    created: int = 0
    choices: Sequence[Choice]
    usage: Usage | None = None
    fingerprint: str = ""
    notes: Notes = ()
