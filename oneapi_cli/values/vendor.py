"""A vendor is a row, a channel is a vendor plus keys and models. Both are plain frozen values.

`providers/table.py` fills `Vendor` rows; `config/` fills `Channel`s from the user's YAML. Nobody asks a row for its
name: behaviour is a field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

Auth = Literal["none", "bearer", "api_key", "azure", "x_api_key", "x_goog_api_key", "sigv4", "google", "demo"]


class Quirks(Struct, frozen=True, kw_only=True):
    """How a vendor departs from the dialect it speaks. Each field is read in one place and tested on both sides."""

    token_limit_name: str = "auto"
    """chat: the member that limits output: `auto` keeps the client's and inserts `max_completion_tokens` for reasoning
    models and `max_tokens` for others; a name forces it (Mistral, for one, knows only `max_tokens`)."""
    stream_usage: bool = True
    """chat: understands `stream_options.include_usage` (OpenAI, 2024-05). False: sends usage unasked, or not at all."""
    usage_member: str = "usage"
    """Where the usage object stands in a reply, dotted (Groq's streams: `x_groq.usage` beside `usage`)."""
    cached_in_prompt: bool = True
    """Cached tokens are counted inside `prompt_tokens` (OpenAI's way)."""
    reasoning_traits: bool = True
    """Apply the request traits of OpenAI's reasoning models (DESIGN section 6) to models whose row has them."""
    body_version: str = ""
    """messages: the model stands in the URL, and the body says this `anthropic_version` instead of model and stream
    (Bedrock: `bedrock-2023-05-31`, Vertex: `vertex-2023-10-16`)."""
    server_tool_parts: bool = True
    """gemini: tools of the vendor beside the client's own are asked for with `includeServerSideToolInvocations` (AI
    Studio demands it, Vertex does not know it)."""
    takes: tuple[str, ...] = ()
    """chat, translated requests: members beyond OpenAI's own that this vendor takes. Known are `top_k`, `cache_control`
    (marks on text parts and tools), `reasoning_content` or `reasoning` (an assistant's thoughts sent back), `thinking`
    (`{"type": "enabled"}` or `disabled`), `reasoning_effort` (for all its models), `random_seed` (Mistral's name for
    `seed`), and of parts `video_url`, `document_url` and `file_url` (links to documents in `file_data`)."""
    refuses: tuple[str, ...] = ()
    """chat, translated requests: members of OpenAI's that this vendor answers with an error; they are left out and
    noted. `name`: of messages; `json_schema`: knows only `json_object`, and the schema is put in words;
    `reasoning_details`, `extra_content`: what another vendor of this format sealed."""
    call_id_length: int = 0
    """chat, translated requests: call ids must be just so many letters and digits (Mistral: 9); 0: OpenAI's rule, at
    most 40 characters."""
    answers_tools: bool = False
    """chat, translated requests: an assistant's message must stand between a tool's result and the next user's
    (Mistral's error 3230)."""
    betas_in_body: bool = False
    """messages: betas are read from the body's `anthropic_beta` (Bedrock's InvokeModel), not from a header."""
    image_max_tokens: int = 0
    """Most tokens that one image may cost where the model's own row does not say; 0: use the dialect's own table."""


class PredictionInputs(Struct, frozen=True, kw_only=True):
    """What a model behind Replicate's predictions calls its inputs; "" and absent where it has no such input. The
    defaults are for models that nobody has looked up: names most of them share, the system prompt inside the prompt.

    limits: each is given the output limit (a model ignores names that it does not know). media: kind → name, with
    `[]` behind it where it takes several. messages: takes the conversation as messages. thinks: a switch; budget:
    tokens of thinking; effort: a word, one of `efforts`. stop: takes the sequences joined by commas.
    """

    system: str = ""
    limits: tuple[str, ...] = ("max_tokens", "max_new_tokens")
    sampling: tuple[str, ...] = (
        "temperature",
        "top_p",
        "top_k",
        "presence_penalty",
        "frequency_penalty",
        "seed",
    )
    media: Mapping[str, str] = field(default_factory=lambda: {"image": "image"})
    messages: str = ""
    stop: str = "stop_sequences"
    thinks: str = ""
    budget: str = ""
    effort: str = ""
    efforts: tuple[str, ...] = ()
    verbosity: str = ""


class Traits(Struct, frozen=True, kw_only=True):
    """What is peculiar to a model, whatever channel serves it.

    max_output: the most output tokens it can produce, 0 where we do not know. vocabulary: tiktoken's encoding, ""
    where it is the vendor's own (the byte bound then stands). reasoning: DESIGN section 6's rewriting applies
    (`max_tokens` → `max_completion_tokens`, `system` → `system_role`, `dropped` members left out and noted) and
    admission lowers the limit only when the token says so. image_tokens: most input tokens that one image may cost, 0
    unknown.
    """

    reasoning: bool = False
    system_role: str = "system"
    dropped: tuple[str, ...] = ()
    max_output: int = 0
    vocabulary: str = ""
    image_tokens: int = 0
    agent: bool = False
    """Searches, or asks other models, by itself: what it reads and bills is not bounded by what it was sent."""
    thinking: Literal["", "budget", "adaptive", "level"] = ""
    """How thinking is asked for: by a budget of tokens (Claude up to 4.5, Gemini 2.5), adaptively with an effort
    (Claude from 4.6 on), by a level (Gemini 3); "" where it cannot be, or where OpenAI's `reasoning_effort` does."""
    structured: bool = True
    """Takes a JSON schema for its output; where not, a forced tool stands in (older Claude models)."""
    sampling: bool = True
    """Takes temperature, top_p and top_k (Claude refuses them from Opus 4.7 on)."""
    budgets: tuple[int, int] = (0, 0)
    """Least and most tokens of a thinking budget (Gemini 2.5); (0, 0) where we do not know."""
    levels: tuple[str, ...] = ()
    """The levels of thinking that it knows, least first (Gemini 3)."""
    always_thinks: bool = False
    """Cannot be told not to think."""
    thinks: Literal["asked", "default", "between", "always"] = "asked"
    """When a model with adaptive thinking thinks: when asked to; unless told not to; unless told to do so `between`
    calls alone; always. The last two refuse a forced call (Claude Sonnet 5.5; Opus 5.5, Fable and Mythos)."""
    hidden: bool = False
    """Thinks where a stream does not show it, and bills that: what was seen of a stream says little of its cost."""
    inputs: PredictionInputs = PredictionInputs()
    """replicate: what the model calls its inputs."""


class Vendor(Struct, frozen=True, kw_only=True):
    """One row of the vendor table.

    base: what that vendor's official SDK takes as base URL. speaks: dialect → path below base, first preferred;
    `{model}`, `{api_version}` are filled in. prices: the vendor's id at genai-prices, or "" where it has no prices of
    its own. key_env: the environment variable its SDK reads. url: name of the URL builder in `providers/urls.py` (""
    joins base and path). by_model: name of the function in `providers/spoken.py` that says which of its dialects a
    model is spoken to in ("" for all of them). fills: marks of its URLs that a config need not give.
    """

    name: str
    base: str
    speaks: Mapping[str, str]
    auth: Auth = "bearer"
    key_env: str = ""
    prices: str = ""
    url: str = ""
    by_model: str = ""
    fills: tuple[str, ...] = ()
    quirks: Quirks = Quirks()
    example_models: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    source: str = ""
    checked: str = ""


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds. `connect` to a socket; `first_byte` from sent to the reply's head; `idle` between chunks; `drain`
    after the client left; `stream` for a whole reply.
    """

    connect: float = 10.0
    first_byte: float = 300.0
    idle: float = 120.0
    drain: float = 120.0
    stream: float = 3600.0


class Channel(Struct, frozen=True, kw_only=True):
    """A vendor with keys and models, as the config says: everything resolved, nothing optional left open.

    models: name clients use → name upstream; the key `*` takes anything not served elsewhere, under its own name.
    keys are secrets: this struct never goes to a log, and its repr leaves them out. prices: model name → price line,
    the channel's own, over the global ones. rank is the channel's place in the file.
    """

    name: str
    vendor: Vendor
    base: str
    keys: tuple[str, ...]
    models: Mapping[str, str]
    rank: int = 0
    priority: int = 0
    weight: int = 1
    enabled: bool = True
    groups: tuple[str, ...] = ()
    priced_as: str = ""
    prices: Mapping[str, PriceLine] = {}
    speaks: Mapping[str, str] = {}
    quirks: Quirks = Quirks()
    headers: Mapping[str, str] = {}
    proxy: str = ""
    system_prompt: str = ""
    timeouts: Timeouts = Timeouts()
    passthrough: bool = False
    duration_fallback: bool = False
    unknown_output: int = 0
    api_version: str = ""
    options: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, vendor={self.vendor.name!r}, models={len(self.models)})"


class PriceLine(Struct, frozen=True, kw_only=True):
    """A price as the user wrote it: `{input: 3.00, output: 12}`. rates: our unit name → decimal text in that unit's own
    scale; free: said outright, the only way to cost nothing."""

    rates: Mapping[str, str] = {}
    free: bool = False
