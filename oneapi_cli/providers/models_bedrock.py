"""Models that only Bedrock serves, or serves under names of its own: how they are asked to think, and which cannot be
held to a schema there. Claude's names are in `models_claude.py`, whatever cloud they come from.

`thinking="level"` is Nova's `reasoningConfig`; levels without it are words of `reasoning_effort`.

Sources: https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html ·
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html ·
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (2026-11)
"""

from __future__ import annotations

from ..values.vendor import Traits

_PROFILE = r"(?:[a-z-]+\.)?"
_EFFORTS = ("low", "medium", "high")

# Left-out figures are the service's to say: a limit above its own would be refused.
BEDROCK: tuple[tuple[str, Traits], ...] = (
    (
        _PROFILE + r"amazon\.nova-2-(?:lite|pro)",
        Traits(thinking="level", levels=_EFFORTS, structured=False, hidden=True),
    ),
    (_PROFILE + r"amazon\.nova-(?:micro|lite|pro)-v1", Traits(max_output=10_000, structured=False)),
    (_PROFILE + r"amazon\.(?:nova|titan)-", Traits(structured=False)),
    (_PROFILE + r"openai\.gpt-oss-", Traits(levels=_EFFORTS)),
    (_PROFILE + r"(?:meta\.llama|ai21\.|cohere\.command|writer\.palmyra|deepseek\.r1)", Traits(structured=False)),
    (_PROFILE + r"mistral\.(?:mistral-7b|mixtral-8x7b|mistral-(?:large|small)-24)", Traits(structured=False)),
)
