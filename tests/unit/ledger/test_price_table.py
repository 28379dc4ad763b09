"""Our own rows: they stand where the catalogue has nothing, and say where their amounts come from."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from oneapi_cli.ledger.cost import cost_of, exact_of
from oneapi_cli.ledger.price_catalogue import catalogue_card, catalogue_ids
from oneapi_cli.ledger.price_table import ROWS, Row, own_card, with_own
from oneapi_cli.values.units import parse_line
from oneapi_cli.values.usage import Usage

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def _name(row: Row) -> str:
    return row.models[0]


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_a_row_is_a_price_with_a_source_and_a_month(row: Row) -> None:
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.checked)
    assert row.source
    assert row.free != bool(row.rates)
    for rates in (row.rates, *(rates for _, rates in row.variants)):
        if not rates or {"input_audio", "output_audio"} & set(rates):
            continue  # free, or an addition to a listing that has the totals
        parse_line("row", rates)


@pytest.mark.parametrize("row", [row for row in ROWS if row.rates and "image" in row.rates], ids=_name)
def test_the_catalogue_does_not_know_what_we_price_ourselves(row: Row) -> None:
    model = row.models[0].rstrip("*")
    assert [book for book in row.books if book in catalogue_ids() and catalogue_card(book, model) is not None] == []


@pytest.mark.parametrize(
    ("context", "usd"),
    [
        ({}, 0.04),
        ({"quality": "standard", "size": "1024x1024"}, 0.04),
        ({"quality": "hd"}, 0.08),
        ({"quality": "hd", "size": "1024x1024"}, 0.08),
        ({"size": "1792x1024"}, 0.08),
        ({"size": "1024x1792", "quality": "standard"}, 0.08),
        ({"size": "1024x1792", "quality": "hd"}, 0.12),
        ({"size": "1792x1024", "quality": "hd"}, 0.12),
    ],
)
def test_dall_e_3_by_size_and_quality(context: dict[str, str], usd: float) -> None:
    card = own_card(("azure",), "dall-e-3")
    assert card is not None
    assert cost_of(Usage(counts={"images": 1}), card.sheet(NOW, context)).nanos == round(usd * 10**9)


@pytest.mark.parametrize(("size", "nanos"), [("256x256", 16), ("512x512", 18), ("1024x1024", 20)])
def test_dall_e_2_by_size(size: str, nanos: int) -> None:
    card = own_card(("openai",), "dall-e-2")
    assert card is not None
    assert cost_of(Usage(counts={"images": 10}), card.sheet(NOW, {"size": size})).nanos == nanos * 10_000_000


@pytest.mark.parametrize(
    ("model", "audio_in", "audio_out"),
    [("gpt-4o-audio-preview-2025-06-03", 40_000, 80_000), ("gpt-4o-mini-audio-preview", 10_000, 20_000)],
)
def test_audio_tokens_are_added_to_the_listing(model: str, audio_in: int, audio_out: int) -> None:
    listed = catalogue_card("openai", model)
    assert listed is not None
    card = with_own(listed, ("openai",), model)
    text = Usage(counts={"input_tokens": 100, "output_tokens": 10})
    audio = Usage(counts=dict(text.counts) | {"input_audio_tokens": 100, "output_audio_tokens": 10})
    assert exact_of(text, card.sheet(NOW, {})) == exact_of(text, listed.sheet(NOW, {}))
    assert exact_of(audio, card.sheet(NOW, {})) == 100 * audio_in + 10 * audio_out
    assert card.origin.startswith(f"{listed.origin}; oneapi table, checked 2026-")


def test_nothing_is_added_where_the_catalogue_is_complete() -> None:
    listed = catalogue_card("openai", "gpt-audio")
    assert listed is not None
    assert with_own(listed, ("openai",), "gpt-audio") is listed
    assert with_own(listed, ("openai",), "dall-e-3") is not listed


def test_moderation_is_free_and_says_so() -> None:
    card = own_card(("openai",), "omni-moderation-latest")
    assert card is not None and card.free
    cost = cost_of(Usage(counts={"input_tokens": 30}), card.sheet(NOW, {}))
    assert (cost.nanos, cost.lines[0].amount, cost.uncovered) == (0, "30", ())
    assert "omni-moderation" in cost.lines[0].rule


@pytest.mark.parametrize(
    ("books", "model"),
    [
        (("anthropic",), "dall-e-3"),
        (("replicate",), "black-forest-labs/flux-2-dev"),
        (("demo",), "demo"),
        ((), "demo-small"),
    ],
)
def test_other_books_and_models_have_none(books: tuple[str, ...], model: str) -> None:
    assert own_card(books, model) is None


def test_capitals_do_not_matter() -> None:
    assert own_card(("openai",), "DALL-E-3") is not None


@pytest.mark.parametrize(
    ("model", "nanos"),
    [
        ("gpt-4o-search-preview", 25_000_000),
        ("gpt-4o-mini-search-preview-2025-03-11", 25_000_000),
        ("gpt-5-search-api", 10_000_000),
    ],
)
def test_models_that_always_search_charge_for_it(model: str, nanos: int) -> None:
    listed = catalogue_card("openai", model)
    assert listed is not None
    card = with_own(listed, ("openai",), model)
    tokens = Usage(counts={"input_tokens": 10, "output_tokens": 10})
    assert cost_of(tokens, card.sheet(NOW, {})).nanos == cost_of(tokens, listed.sheet(NOW, {})).nanos + nanos
