"""What is peculiar to a model, whatever channel serves it: reasoning rules, largest output, vocabulary, dearest image.

A table of patterns, the most specific first; the last path segment of a name is matched (`openai/gpt-4o`,
`@cf/openai/gpt-oss-20b`), a fine-tune by its base (`ft:gpt-4o-mini:…`). What a vendor does not publish, or what differs
between the hosts of an open model, is 0 or "": the caller then has its own bound. Pure; results are cached.

`max_output` is also what is sent upstream for a limited budget whose client gave no limit, and vendors refuse a limit
above their own. So it is never more than the published one, and where prompt and output share a small window it is
half of that window.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from ..values.vendor import Traits
from .models_bedrock import BEDROCK
from .models_claude import CLAUDE
from .replicate_models import prediction_inputs

_O200K = "o200k_base"
_CL100K = "cl100k_base"

# Refused by reasoning models at any effort but `none`.
# Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning (2026-11)
_SAMPLING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
)

# Most input tokens of one image, by OpenAI's ways of counting: tiles of 512 px (8 at most, after scaling to 2048 and
# 768 px), or patches of 32 px, within 2048 px (4096 at most) or within a budget, times a multiplier. Where the guide
# has changed a multiplier, the dearer one stands.
# Source: https://developers.openai.com/api/docs/guides/images-vision (2026-11)
_TILES_GPT_4O = 85 + 8 * 170
_TILES_GPT_4O_MINI = 2_833 + 8 * 5_667
_TILES_GPT_5 = 70 + 8 * 140
_TILES_O_SERIES = 75 + 8 * 150
_PATCHES_2048 = 4_096
_PATCHES_GPT_4_1 = 1_536
_PATCHES_GPT_5_MINI = 6_636  # 4096 × 1.62
_PATCHES_NANO = 10_077  # 4096 × 2.46
_PATCHES_O4_MINI = 7_046  # 4096 × 1.72
_PATCHES_GPT_5_2 = 4_916  # 4096 × 1.2
_ORIGINAL_GPT_5_4 = 12_000  # 10 000 × 1.2
_ORIGINAL_GPT_5_6 = 36_000  # 30 000, beyond which the image is refused, × 1.2


def _plain(max_output: int, image: int = 0, vocabulary: str = _O200K) -> Traits:
    return Traits(max_output=max_output, vocabulary=vocabulary, image_tokens=image)


def _reasoner(max_output: int, image: int = 0, role: str = "developer", dropped: tuple[str, ...] = _SAMPLING) -> Traits:
    return Traits(
        reasoning=True,
        system_role=role,
        dropped=dropped,
        max_output=max_output,
        vocabulary=_O200K,
        image_tokens=image,
        hidden=True,
    )


def _unspelt(known: Traits) -> Traits:
    """The same without a vocabulary."""
    return msgspec.structs.replace(known, vocabulary="")


def _foreign(max_output: int, image: int = 0, *, hidden: bool = False) -> Traits:
    return Traits(max_output=max_output, image_tokens=image, hidden=hidden)


# Budgets of 2.5: https://ai.google.dev/gemini-api/docs/thinking; levels and the tokens of one image at the highest
# resolution from 3 on: https://ai.google.dev/gemini-api/docs/gemini-3 (2026-11)
_GEMINI_IMAGE = 2_240


def _gemini_budget(least: int, most: int, *, always: bool = False) -> Traits:
    return Traits(max_output=65_536, hidden=True, thinking="budget", budgets=(least, most), always_thinks=always)


def _gemini_level(*levels: str) -> Traits:
    return Traits(
        max_output=65_536,
        image_tokens=_GEMINI_IMAGE,
        hidden=True,
        thinking="level",
        levels=levels,
        always_thinks="minimal" not in levels,
    )


# Windows and largest outputs: https://developers.openai.com/api/docs/models (2026-11), one page per model.
_OPENAI: tuple[tuple[str, Traits], ...] = (
    (r"o1-mini", _reasoner(65_536, role="user")),
    (r"o1-preview", _reasoner(32_768, role="user")),
    (r"o4-mini", _reasoner(100_000, _PATCHES_O4_MINI)),
    (r"o[134](?:-|\Z)", _reasoner(100_000, _TILES_O_SERIES)),
    (r"codex-mini", _reasoner(100_000)),
    (r"gpt-5\.3-codex-spark", _reasoner(32_000, _ORIGINAL_GPT_5_4)),
    # Chat variants answer at once and take every sampling member.
    (r"gpt-5(?:\.1)?-chat", _plain(16_384, _TILES_GPT_5)),
    (r"gpt-5\.2-chat", _plain(16_384, _PATCHES_GPT_5_2)),
    (r"gpt-5\.3-chat", _plain(8_192, _PATCHES_GPT_5_2)),
    (r"gpt-[5-9].*chat", _plain(16_384, _ORIGINAL_GPT_5_6)),
    (r"gpt-5-search", _plain(0, _TILES_GPT_5)),
    (r"gpt-5-image", Traits()),
    # An input image in high fidelity: 65 + 129 a tile of 512 px, and up to 6 240 more. Newer ones do not say.
    # Source: https://developers.openai.com/api/docs/guides/image-generation (2026-11)
    (r"gpt-image-1|chatgpt-image", Traits(image_tokens=8_000)),
    (r"gpt-5-mini", _reasoner(128_000, _PATCHES_GPT_5_MINI)),
    (r"gpt-5-nano", _reasoner(128_000, _PATCHES_NANO)),
    (r"gpt-5-pro", _reasoner(272_000, _TILES_GPT_5)),
    (r"gpt-5(?:-|\Z)", _reasoner(128_000, _TILES_GPT_5)),
    # 5.1, 5.2 and 5.4 do not reason unless asked to, and then take sampling members: those stay the client's business.
    # Source: https://developers.openai.com/api/docs/guides/latest-model (2026-11)
    (r"gpt-5\.1-codex", _reasoner(128_000, _PATCHES_GPT_5_MINI)),
    (r"gpt-5\.1", _reasoner(128_000, _TILES_GPT_5, dropped=())),
    (r"gpt-5\.2-(?:pro|codex)", _reasoner(128_000, _PATCHES_GPT_5_2)),
    (r"gpt-5\.2", _reasoner(128_000, _PATCHES_GPT_5_2, dropped=())),
    (r"gpt-5\.4-image", Traits()),
    (r"gpt-5\.4-pro", _reasoner(128_000, _ORIGINAL_GPT_5_4)),
    (r"gpt-5\.4", _reasoner(128_000, _ORIGINAL_GPT_5_4, dropped=())),
    (r"gpt-5\.[35]", _reasoner(128_000, _ORIGINAL_GPT_5_4)),
    # 5.6 and every generation after it reason by default. Some take `none` as effort; sampling is dropped even then.
    (r"gpt-5\.\d", _reasoner(128_000, _ORIGINAL_GPT_5_6)),
    # tiktoken does not say which vocabulary is theirs (0.14, 2026-11), so bytes bound their input.
    (r"gpt-(?:[6-9]|[12]\d)(?:[.-]|\Z)", _unspelt(_reasoner(128_000, _ORIGINAL_GPT_5_6))),
    (r"gpt-4\.5", _plain(16_384, _TILES_GPT_4O)),
    (r"gpt-4\.1-nano", _plain(32_768, _PATCHES_NANO)),
    (r"gpt-4\.1-mini", _plain(32_768, _PATCHES_GPT_5_MINI)),
    (r"gpt-4\.1", _plain(32_768, _PATCHES_GPT_4_1)),
    (r"gpt-4o-2024-05-13", _plain(4_096, _TILES_GPT_4O)),
    (r"gpt-4o-(?:mini-)?(?:realtime|tts|transcribe)", Traits()),
    (r"gpt-4o-mini", _plain(16_384, _TILES_GPT_4O_MINI)),
    (r"(?:chat)?gpt-4o", _plain(16_384, _TILES_GPT_4O)),
    (r"gpt-audio", _plain(16_384)),
    (r"gpt-4-(?:turbo|vision|1106|0125)", _plain(4_096, _TILES_GPT_4O, _CL100K)),
    (r"gpt-4-32k", _plain(16_384, vocabulary=_CL100K)),
    (r"gpt-4(?:-0314|-0613|\Z)", _plain(4_096, vocabulary=_CL100K)),
    (r"gpt-3(?:\.5|5)-turbo-instruct", _plain(2_048, vocabulary=_CL100K)),
    (r"gpt-3(?:\.5|5)", _plain(4_096, vocabulary=_CL100K)),
    (r"(?:davinci|babbage)-002", _plain(8_192, vocabulary=_CL100K)),
    (r"text-embedding-", _plain(0, vocabulary=_CL100K)),
    (r"gpt-oss-", _plain(32_768)),
)

# Sources: each vendor's page of models, by way of the public models.dev catalogue (2026-11).
_OTHERS: tuple[tuple[str, Traits], ...] = (
    *CLAUDE,
    *BEDROCK,
    (r"gemini-.*(?:image|tts|live|embedding|audio|robotics|omni|banana)", Traits()),
    # Their thoughts are billed as output and stand in no stream of OpenAI's format, nor in its `completion_tokens`.
    # Neither a system instruction nor a schema: https://ai.google.dev/gemma/docs/core/prompt-structure (2026-11)
    (r"gemma-(?:[23]|3n)-", Traits(system_role="user", structured=False)),
    (r"gemini-2\.5-pro", _gemini_budget(128, 32_768, always=True)),
    (r"gemini-2\.5-flash-lite", _gemini_budget(512, 24_576)),
    (r"gemini-2\.5-", _gemini_budget(1, 24_576)),
    (r"gemini-3-pro", _gemini_level("low", "high")),
    (r"gemini-3(?:\.\d)?-pro", _gemini_level("low", "medium", "high")),
    (r"gemini-3(?:\.\d)?-flash", _gemini_level("minimal", "low", "medium", "high")),
    (r"gemini-(?:flash|flash-lite)-latest", _gemini_level("minimal", "low", "medium", "high")),
    (r"gemini-(?:pro-latest|[3-9])", _gemini_level("low", "medium", "high")),
    (r"grok-(?:[4-9]|build|code)(?!.*non-reasoning)", _foreign(0, hidden=True)),
    (r"gemini-(?:1\.5|2\.0)-", _foreign(8_192)),
    (r"deepseek-(?:v4|flash)", _foreign(384_000)),
    (r"kimi-k3(?:-|\Z)", _foreign(262_144)),
    (r"glm-5(?:\.\d)?(?:-|\Z)", _foreign(131_072)),
    (r"glm-4\.[67](?:-|\Z)", _foreign(131_072)),
    (r"glm-4\.5(?:-|\Z)", _foreign(98_304)),
    (r"minimax-m3(?:-|\Z)", _foreign(128_000)),
    (r"llama-3\.3-70b-versatile", _foreign(32_768)),
)

# The demo vendor obeys these figures itself: an output without a limit ends here.
_DEMO: tuple[tuple[str, Traits], ...] = (
    (r"demo-reasoner", _unspelt(_reasoner(32_768, 85))),
    (r"demo-(?:small|large)", _foreign(16_384, 85)),
)

# A recording of Groq's compound-beta reported 25 times the input that was sent. Search models read what they find, as
# does any model with OpenRouter's suffix.
_AGENTS = re.compile(r"compound|sonar|.*-search(?:-|\Z)|.*deep-research|.*:online\Z")

_TABLE = tuple((re.compile(pattern), found) for pattern, found in (*_DEMO, *_OPENAI, *_OTHERS))
_NOTHING = Traits()


@lru_cache(maxsize=4096)
def traits(model: str) -> Traits:
    """Traits of a model by the name sent upstream; all-default where no row matches."""
    name = model.rsplit("/", 1)[-1].lower().removeprefix("ft:")
    found = next((found for pattern, found in _TABLE if pattern.match(name)), _NOTHING)
    if (inputs := prediction_inputs(model)) is not None:
        found = msgspec.structs.replace(found, inputs=inputs)
    return msgspec.structs.replace(found, agent=True, hidden=True) if _AGENTS.match(name) else found
