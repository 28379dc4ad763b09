"""Our own prices: what the catalogue lacks, and the demo vendor's. Rows of data, and the two functions that look them
up.

A row stands in one or more books (a vendor's name or its id in the catalogue) and prices models by glob, in the same
words as a config's `prices:`. Where the catalogue has the model already, a row only adds the units it does not price.
`checked` is the month in which the amounts were compared with a published list; a price that its vendor has taken down
with the model says so.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from oneapi_cli.values.units import RATE_NAMES

from .price_card import Base, Card, Rate, Variant, make_rate


class Row(Struct, frozen=True, kw_only=True):
    """rates: config's names → dollars as text. variants: (context, rates) that replace them, most specific first."""

    books: tuple[str, ...]
    models: tuple[str, ...]
    rates: Mapping[str, str] = {}
    variants: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...] = ()
    free: bool = False
    source: str
    checked: str


_OPENAI = ("openai", "azure")
_OPENAI_MODELS = "https://developers.openai.com/api/docs/models"
_REPLICATE = "https://replicate.com/pricing"
_FLUX = "https://replicate.com/black-forest-labs"
_VERTEX = "https://cloud.google.com/vertex-ai/generative-ai/pricing"
_GEMINI = "https://ai.google.dev/gemini-api/docs/pricing"
_DEMO = "what small, large and other models of this kind cost; nobody is ever billed"


def _per_image(usd: str, *models: str, checked: str, book: str = "replicate", source: str = _REPLICATE) -> Row:
    return Row(books=(book,), models=models, rates={"image": usd}, source=source, checked=checked)


def _demo(model: str, rates: Mapping[str, str]) -> Row:
    return Row(books=("demo",), models=(model,), rates=rates, source=_DEMO, checked="2026-11")


OPENAI_ROWS = (
    # The catalogue has their text tokens alone, and would charge audio as text.
    Row(
        books=_OPENAI,
        models=("gpt-4o-mini-audio-preview*",),
        rates={"input_audio": "10", "output_audio": "20"},
        source=f"{_OPENAI_MODELS}/gpt-4o-mini-audio-preview",
        checked="2026-11",
    ),
    Row(
        books=_OPENAI,
        models=("gpt-4o-audio-preview*",),
        rates={"input_audio": "40", "output_audio": "80"},
        source=f"{_OPENAI_MODELS}/gpt-4o-audio-preview",
        checked="2026-11",
    ),
    # They search before every answer, and each search is charged beside the tokens that the catalogue has.
    Row(
        books=("openai",),
        models=("gpt-4o-search-preview*", "gpt-4o-mini-search-preview*"),
        rates={"request": "0.025"},
        source="https://developers.openai.com/api/docs/pricing (web search preview, non-reasoning models)",
        checked="2026-11",
    ),
    Row(
        books=("openai",),
        models=("gpt-5-search-api*",),
        rates={"request": "0.01"},
        source="https://developers.openai.com/api/docs/pricing (web search)",
        checked="2026-11",
    ),
    # OpenAI calls its moderation models free; the catalogue lists them without an amount.
    Row(
        books=("openai",),
        models=("omni-moderation-*", "text-moderation-*"),
        free=True,
        source=f"{_OPENAI_MODELS}/omni-moderation-latest",
        checked="2026-11",
    ),
    # OpenAI has shut both DALL·E down and took their prices off; Azure deployments of them keep the last list price.
    Row(
        books=_OPENAI,
        models=("dall-e-3*", "dalle3*"),
        rates={"image": "0.04"},
        variants=(
            ({"quality": "hd", "size": "1024x1792"}, {"image": "0.12"}),
            ({"quality": "hd", "size": "1792x1024"}, {"image": "0.12"}),
            ({"quality": "hd"}, {"image": "0.08"}),
            ({"size": "1024x1792"}, {"image": "0.08"}),
            ({"size": "1792x1024"}, {"image": "0.08"}),
        ),
        source="https://openai.com/api/pricing (the last list before shutdown)",
        checked="2026-11",
    ),
    Row(
        books=_OPENAI,
        models=("dall-e-2*",),
        rates={"image": "0.02"},
        variants=(({"size": "256x256"}, {"image": "0.016"}), ({"size": "512x512"}, {"image": "0.018"})),
        source="https://openai.com/api/pricing (the last list before shutdown)",
        checked="2026-11",
    ),
)

GOOGLE_ROWS = (
    _per_image("0.02", "imagen-4.0-fast-*", book="google", source=_GEMINI, checked="2026-03"),
    _per_image("0.06", "imagen-4.0-ultra-*", book="google", source=_GEMINI, checked="2026-03"),
    _per_image("0.04", "imagen-4.0-generate-*", book="google", source=_GEMINI, checked="2026-03"),
    _per_image("0.02", "imagen-3.0-fast-*", "imagegeneration@*", book="google", source=_VERTEX, checked="2025-11"),
    _per_image(
        "0.04", "imagen-3.0-generate-*", "imagen-3.0-capability-*", book="google", source=_VERTEX, checked="2025-11"
    ),
)

_BEDROCK = "https://aws.amazon.com/bedrock/pricing/"
_VOYAGE = "https://docs.voyageai.com/docs/pricing"


def _vectors(book: str, model: str, rates: Mapping[str, str], source: str, checked: str = "2025-11") -> Row:
    return Row(books=(book,), models=(model,), rates=rates, source=source, checked=checked)


_JINA = "https://jina.ai/embeddings (tokens are bought in advance, and cost the same for every model)"
_OPENROUTER = "https://openrouter.ai/cohere"

VECTOR_ROWS = (
    _vectors("cohere", "embed-english-*", {"input": "0.10"}, "https://cohere.com/pricing"),
    _vectors("cohere", "embed-multilingual-*", {"input": "0.10"}, "https://cohere.com/pricing"),
    _vectors("cohere", "rerank-v3.5", {"rerank_search": "0.002"}, "https://cohere.com/pricing"),
    _vectors("cohere", "rerank-*-v3.0", {"rerank_search": "0.002"}, "https://cohere.com/pricing"),
    _vectors("cohere", "rerank-v4.0-pro", {"rerank_search": "0.0025"}, f"{_OPENROUTER}/rerank-4-pro", "2026-11"),
    _vectors("cohere", "rerank-v4.0-fast", {"rerank_search": "0.002"}, f"{_OPENROUTER}/rerank-4-fast", "2026-11"),
    _vectors("aws", "*cohere.embed-*-v3*", {"input": "0.10"}, _BEDROCK),
    _vectors("aws", "*cohere.embed-v4*", {"input": "0.12"}, _BEDROCK),
    _vectors("aws", "*amazon.nova-2-multimodal-embeddings-v1*", {"input": "0.135"}, _BEDROCK),
    _vectors("aws", "*amazon.titan-embed-g1-text-02*", {"input": "0.10"}, _BEDROCK),
    _vectors("aws", "*cohere.rerank-v3-5*", {"rerank_search": "0.002"}, _BEDROCK),
    _vectors("aws", "*amazon.rerank-v1*", {"rerank_search": "0.001"}, _BEDROCK),
    _vectors("jina", "jina-*", {"input": "0.05"}, _JINA),
    _vectors("mistral", "mistral-moderation-*", {"input": "0.10"}, "https://mistral.ai/pricing"),
    _vectors("voyageai", "rerank-2.5", {"input": "0.05"}, _VOYAGE),
    _vectors("voyageai", "rerank-2.5-lite", {"input": "0.02"}, _VOYAGE),
    _vectors("voyageai", "rerank-2", {"input": "0.05"}, _VOYAGE),
    _vectors("voyageai", "rerank-2-lite", {"input": "0.02"}, _VOYAGE),
    _vectors("google", "text-embedding-00*", {"million_characters": "0.025"}, _VERTEX),
    _vectors("google", "text-multilingual-embedding-*", {"million_characters": "0.025"}, _VERTEX),
)

XAI_ROWS = (
    _per_image("0.07", "grok-2-image*", book="x-ai", source="https://docs.x.ai/docs/models", checked="2025-11"),
)

REPLICATE_ROWS = (
    _per_image("0.003", "black-forest-labs/flux-schnell", checked="2026-10"),
    _per_image("0.025", "black-forest-labs/flux-dev", checked="2026-10"),
    _per_image("0.04", "black-forest-labs/flux-1.1-pro", checked="2026-10"),
    _per_image("0.09", "ideogram-ai/ideogram-v3-quality", checked="2026-10"),
    _per_image("0.06", "black-forest-labs/flux-1.1-pro-ultra", checked="2025-11"),
    _per_image("0.04", "black-forest-labs/flux-kontext-pro", checked="2025-11"),
    _per_image("0.08", "black-forest-labs/flux-kontext-max", checked="2025-11"),
    _per_image("0.025", "black-forest-labs/flux-kontext-dev", checked="2025-11"),
    # What the models' own pages said; the list of prices names the best known ones only.
    _per_image("0.055", "black-forest-labs/flux-pro", checked="2025-11", source=f"{_FLUX}/flux-pro"),
    _per_image("0.032", "black-forest-labs/flux-dev-lora", checked="2025-01", source=f"{_FLUX}/flux-dev-lora"),
    _per_image("0.02", "black-forest-labs/flux-schnell-lora", checked="2025-01", source=f"{_FLUX}/flux-schnell-lora"),
    _per_image("0.05", "black-forest-labs/flux-fill-pro", checked="2025-01", source=f"{_FLUX}/flux-fill-pro"),
    _per_image("0.04", "black-forest-labs/flux-fill-dev", checked="2025-01", source=f"{_FLUX}/flux-fill-dev"),
    _per_image("0.05", "black-forest-labs/flux-canny-pro", checked="2025-01", source=f"{_FLUX}/flux-canny-pro"),
    _per_image("0.025", "black-forest-labs/flux-canny-dev", checked="2025-01", source=f"{_FLUX}/flux-canny-dev"),
    _per_image("0.05", "black-forest-labs/flux-depth-pro", checked="2025-01", source=f"{_FLUX}/flux-depth-pro"),
    _per_image("0.025", "black-forest-labs/flux-depth-dev", checked="2025-01", source=f"{_FLUX}/flux-depth-dev"),
    _per_image("0.025", "black-forest-labs/flux-redux-dev", checked="2025-01", source=f"{_FLUX}/flux-redux-dev"),
    _per_image(
        "0.003", "black-forest-labs/flux-redux-schnell", checked="2025-01", source=f"{_FLUX}/flux-redux-schnell"
    ),
    _per_image("0.06", "ideogram-ai/ideogram-v3-balanced", checked="2025-11"),
    _per_image("0.03", "ideogram-ai/ideogram-v3-turbo", checked="2025-11"),
    _per_image("0.04", "recraft-ai/recraft-v3", checked="2025-11"),
    _per_image("0.08", "recraft-ai/recraft-v3-svg", checked="2025-11"),
    _per_image("0.04", "google/imagen-4", checked="2025-11"),
    _per_image("0.02", "google/imagen-4-fast", checked="2025-11"),
    _per_image("0.06", "google/imagen-4-ultra", checked="2025-11"),
)

DEMO_ROWS = (
    _demo("demo-small", {"input": "0.15", "cache_read": "0.075", "output": "0.60"}),
    _demo("demo-large", {"input": "2.50", "cache_read": "1.25", "output": "10"}),
    _demo("demo-reasoner", {"input": "1.10", "cache_read": "0.55", "output": "4.40"}),
    _demo("demo-embedding", {"input": "0.02"}),
    _demo("demo-image", {"image": "0.04"}),
    _demo("demo-speech", {"million_characters": "15"}),
    _demo("demo-transcribe", {"audio_minute": "0.006"}),
)

ROWS = (*OPENAI_ROWS, *GOOGLE_ROWS, *VECTOR_ROWS, *XAI_ROWS, *REPLICATE_ROWS, *DEMO_ROWS)


def own_card(books: Iterable[str], model: str) -> Card | None:
    """Our price of a model in the first of `books` that has one, or None."""
    row = next(_rows(books, model), None)
    if row is None:
        return None
    origin = _origin(row)
    rates = free_rates(origin) if row.free else tuple(_rates(row.rates, origin))
    variants = tuple(
        Variant(when, tuple(_rates(instead, f"{origin}, {' '.join(when.values())}"))) for when, instead in row.variants
    )
    return Card(model=model, origin=origin, bases=(Base(rates),), variants=variants, free=row.free)


def with_own(card: Card, books: Iterable[str], model: str) -> Card:
    """The catalogue's card, with rates of ours for units that it does not price."""
    row = next(_rows(books, model), None)
    if row is None or row.free:
        return card
    origin = _origin(row)
    ours = tuple(_rates(row.rates, origin))
    bases = tuple(Base((*base.rates, *_missing(ours, base.rates)), base.condition) for base in card.bases)
    if all(len(new.rates) == len(old.rates) for new, old in zip(bases, card.bases, strict=True)):
        return card
    return replace(card, origin=f"{card.origin}; {origin}", bases=bases, _made={})


def free_rates(rule: str) -> tuple[Rate, ...]:
    """Rates of 0 for what every bill shows."""
    return tuple(make_rate(unit, 1_000_000, [Decimal(0)], rule=rule) for unit in ("input_tokens", "output_tokens"))


def _rows(books: Iterable[str], model: str) -> Iterator[Row]:
    """The rows for a model, whatever its capitals, in the order of the books and then of the table."""
    name = model.lower()
    for book in books:
        for row in ROWS:
            if book in row.books and any(fnmatch.fnmatchcase(name, pattern) for pattern in row.models):
                yield row


def _rates(named: Mapping[str, str], rule: str) -> Iterator[Rate]:
    for name, usd in named.items():
        known = RATE_NAMES[name]
        yield make_rate(known.unit, known.per, [Decimal(usd)], rule=f"{rule}, {name}")


def _missing(ours: Sequence[Rate], theirs: Sequence[Rate]) -> list[Rate]:
    priced = {rate.unit for rate in theirs}
    return [rate for rate in ours if rate.unit not in priced]


def _origin(row: Row) -> str:
    return f"oneapi table, checked {row.checked}: {row.source}"
