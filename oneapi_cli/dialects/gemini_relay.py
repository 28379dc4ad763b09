"""The request of a Gemini relay: what is read of a client's bytes, and what may change in them.

Model and streaming stand in the URL. Price-bearing members: `generationConfig.maxOutputTokens`, `candidateCount`
(outputs), `thinkingConfig.thinkingBudget`, `responseModalities`, `serviceTier`; tools that the vendor runs, cached
content, files and continuations have no bound (refused for limited budgets).

Source: https://ai.google.dev/api/generate-content (2026-11)
"""

from __future__ import annotations

import msgspec

from ..framing.members import Edit, Set, edit
from ..values.asks import NO_PARAMS, Change, Params, Wanted
from ..values.errors import BadRequest
from .gemini_fields import MOST_TOKENS, Fields
from .gemini_media import media_in
from .reading import at, fault

NAME: str = "gemini"

MODEL_LENGTH = 256
MOST_OUTPUTS = 128
MOST_NAMED = 4

_CONFIG = "generationConfig"
_LIMIT = "maxOutputTokens"
_STORED = "it refers to content that is kept at the vendor or behind a link"

_READ = frozenset({"contents", _CONFIG, "systemInstruction", "tools", "serviceTier", "cachedContent", "model"})
_READ_CONFIG = frozenset({_LIMIT, "candidateCount", "thinkingConfig", "responseModalities", "speechConfig"})
_UNPRICED = {
    "cachedContent": _STORED,
    "continuationToken": _STORED,
    "modelArmorConfig": "the vendor charges for what it screens",
}
_UNPRICED_CONFIG = {
    "routingConfig": "another model than the one named may answer",
    "modelConfig": "another model than the one named may answer",
    "modelSelectionConfig": "another model than the one named may answer",
}
KNOWN = _READ | frozenset({*_UNPRICED, "toolConfig", "safetySettings", "labels", "store"})
_KNOWN_CONFIG = _READ_CONFIG | frozenset(
    {
        *_UNPRICED_CONFIG,
        "audioTimestamp",
        "audioTranscriptionConfig",
        "enableAffectiveDialog",
        "enableEnhancedCivicAnswers",
        "frequencyPenalty",
        "imageConfig",
        "logprobs",
        "mediaResolution",
        "presencePenalty",
        "responseFormat",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseSchema",
        "seed",
        "stopSequences",
        "temperature",
        "topK",
        "topP",
        "translationConfig",
    }
)
# Tools that the client runs. All others are the vendor's, which calls the model again with what they returned.
_CLIENT_TOOLS = frozenset({"functionDeclarations", "computerUse"})


def peek(body: bytes, params: Params = NO_PARAMS) -> Wanted:
    """The members that we read. params: `model` and `stream` ("1" or "") from the URL. Raises BadRequest."""
    fields = Fields(body, _READ)
    model = model_of(params.get("model", ""))
    contents = fields.raw("contents")
    if contents is None or contents[1:-1].strip() == b"":
        raise BadRequest("`contents` is required: at least one turn of the conversation", member="contents")
    if contents[:1] not in (b"[", b"{"):
        raise fault("contents", "must be an array")
    config = fields.object(_CONFIG, _READ_CONFIG)
    unpriceable = tuple((name, why) for name, why in _UNPRICED.items() if fields.has(name)) + _hosted_tools(fields)
    unknown = fields.unknown(KNOWN) + tuple(name for name in _UNPRICED if fields.has(name))
    media = media_in(body)
    if media.loose or media.stored:
        unknown += ("contents",)
    if media.stored:
        unpriceable += (("contents", _STORED),)
    limit, outputs, thinking = None, 1, 0
    modalities: tuple[str, ...] = ()
    if config is not None:
        limit = config.count(_LIMIT, 1, MOST_TOKENS)
        outputs = config.count("candidateCount", 1, MOST_OUTPUTS) or 1
        thinking = _thinking(config)
        modalities = _modalities(config)
        unknown += config.unknown(_KNOWN_CONFIG)
        unpriceable += tuple((f"{_CONFIG}.{n}", why) for n, why in _UNPRICED_CONFIG.items() if config.has(n))
    tier = fields.text("serviceTier")
    return Wanted(
        dialect=NAME,
        model=model,
        stream=bool(params.get("stream")),
        limit=limit,
        limit_members=() if limit is None else (f"{_CONFIG}.{_LIMIT}",),
        outputs=outputs,
        tier=None if tier is None or tier.lower() == "unspecified" else tier.lower(),
        usage_asked=True,  # every event has it
        thinking=thinking,
        unknown=unknown,
        unpriceable=unpriceable,
        modalities=modalities,
    )


def model_of(name: str) -> str:
    """A model's name as the URL gives it, `models/` left out. Raises BadRequest for one that can be none."""
    model = name.removeprefix("models/")
    if len(model) > MODEL_LENGTH or (model and not model.isprintable()):
        raise BadRequest("The model in the URL must be a name of at most 256 printable characters", member="model")
    return model


def _thinking(config: Fields) -> int:
    """The budget inside the limit; 0 for none, for a level, and where the model decides (-1)."""
    thinking = config.object("thinkingConfig", frozenset({"thinkingBudget"}))
    budget = thinking.count("thinkingBudget", -1, MOST_TOKENS) if thinking is not None else None
    return max(0, budget or 0)


def _modalities(config: Fields) -> tuple[str, ...]:
    value = config.value("responseModalities")
    given = [value] if isinstance(value, str) else value
    if given is not None and not isinstance(given, list):
        raise fault(at(config.path, "responseModalities"), "must be an array")
    asked = [text.lower() for text in given or () if isinstance(text, str)]
    return tuple(dict.fromkeys((*asked, "audio") if config.has("speechConfig") else asked))


def _hosted_tools(fields: Fields) -> tuple[tuple[str, str], ...]:
    """(`tools[i].kind`, why) for the first few tools that the vendor would run."""
    found: list[tuple[str, str]] = []
    for place, raw in fields.items("tools"):
        if not raw.startswith(b"{"):
            raise fault(place, "must be an object")
        for name in Fields(raw, frozenset(), place).names():
            if name not in _CLIENT_TOOLS:
                why = f"the vendor runs `{name[:64]}` itself, as often as it likes"
                found.append((at(place, name[:64]), why))
    return tuple(found[:MOST_NAMED])


def rewrite(body: bytes, wanted: Wanted, change: Change) -> tuple[bytes, tuple[str, ...]]:
    """The bytes for upstream, and notes. The model is the URL's business; the limit keeps the client's spelling."""
    if change.limit is None and not change.system_prompt:
        return body, ()
    fields = Fields(body, _READ)
    edits: list[Edit] = []
    if change.limit is not None and change.limit != wanted.limit:
        edits.append(_limit(fields, change.limit))
    notes: tuple[str, ...] = ()
    if change.system_prompt:
        prompt = msgspec.json.encode({"parts": [{"text": change.system_prompt}]})
        edits.append(Set((fields.spelling("systemInstruction"),), prompt))
        notes = ("system_prompt",)
    return (edit(body, edits) if edits else body), notes


def _limit(fields: Fields, limit: int) -> Edit:
    holder = fields.spelling(_CONFIG)
    config = fields.object(_CONFIG, _READ_CONFIG)
    if config is None:
        return Set((holder,), msgspec.json.encode({_LIMIT: limit}))
    return Set((holder, config.spelling(_LIMIT)), msgspec.json.encode(limit))
