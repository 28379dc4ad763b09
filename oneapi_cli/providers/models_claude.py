"""Claude's generations: how each is asked to think, and what it refuses.

Names come as the vendor's own (`claude-sonnet-4-5-20250929`), as a cloud's (`us.anthropic.claude-sonnet-4-5-…-v1:0`,
`claude-sonnet-4-5@20250929`) and in the older order (`claude-4.5-sonnet`).

Sources: https://platform.claude.com/docs/en/about-claude/models/overview ·
https://platform.claude.com/docs/en/build-with-claude/thinking ·
https://platform.claude.com/docs/en/build-with-claude/structured-outputs ·
https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5 ·
https://platform.claude.com/docs/en/models/sonnet-5-5/whats-new-sonnet-5-5 ·
https://platform.claude.com/docs/en/models/haiku-5-5/whats-new-haiku-5-5 (2026-11)
"""

from __future__ import annotations

from typing import Literal

from ..values.vendor import Traits

# A picture is counted in patches of 28 px: 1 600 tokens at most, from 4.7 on 4 784.
# Source: https://platform.claude.com/docs/en/build-with-claude/vision (2026-11)
IMAGE_TOKENS = 1_600
IMAGE_TOKENS_HIGH_RESOLUTION = 4_784

_ANY = "opus|sonnet|haiku"


def _named(families: str, version: str) -> str:
    number = version.replace(".", "[-.]")
    end = r"(?!\d)" if "." in version else ""
    return rf"(?:[a-z0-9-]+\.)*claude-(?:(?:{families})-{number}{end}|{number}-(?:{families}))"


def _before_thoughts(max_output: int) -> Traits:
    return Traits(max_output=max_output, image_tokens=IMAGE_TOKENS, structured=False)


def _budget(max_output: int, *, structured: bool = False) -> Traits:
    return Traits(max_output=max_output, image_tokens=IMAGE_TOKENS, thinking="budget", structured=structured)


def _adaptive(thinks: Literal["asked", "default", "between", "always"]) -> Traits:
    """From 4.7 on: no sampling members, and thoughts that a reply does not show unless it is asked to."""
    return Traits(
        max_output=128_000,
        image_tokens=IMAGE_TOKENS_HIGH_RESOLUTION,
        thinking="adaptive",
        thinks=thinks,
        sampling=False,
        hidden=True,
    )


def _first_adaptive(max_output: int) -> Traits:
    """4.6 takes sampling members, and a budget too, which it is better asked without."""
    return Traits(max_output=max_output, image_tokens=IMAGE_TOKENS, thinking="adaptive")


CLAUDE: tuple[tuple[str, Traits], ...] = (
    (_named("haiku", "5.5"), _adaptive("default")),
    (_named("sonnet", "5.5"), _adaptive("between")),
    (_named("opus", "5.5"), _adaptive("always")),
    (_named(_ANY, "5.[1-9]"), _adaptive("always")),
    (_named(_ANY, "5"), _adaptive("default")),
    (r"(?:[a-z0-9-]+\.)*claude-(?:fable|mythos)-", _adaptive("always")),
    (_named(_ANY, "[6-9]"), _adaptive("always")),
    (_named("opus", "4.[78]"), _adaptive("asked")),
    (_named("opus", "4.6"), _first_adaptive(128_000)),
    (_named("sonnet|haiku", "4.6"), _first_adaptive(64_000)),
    (_named(_ANY, "4.5"), _budget(64_000, structured=True)),
    (_named("opus", "4"), _budget(32_000)),
    (_named("sonnet|haiku", "4"), _budget(64_000)),
    (_named("sonnet", "3.7"), _budget(64_000)),
    (r"(?:[a-z0-9-]+\.)*claude-3[-.]7", _budget(64_000)),
    (r"(?:[a-z0-9-]+\.)*claude-3[-.]5", _before_thoughts(8_192)),
    (r"(?:[a-z0-9-]+\.)*claude-(?:3|2|v2|instant|v1)", _before_thoughts(4_096)),
)
