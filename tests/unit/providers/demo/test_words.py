"""Directives, counting and the minimal JSON instance."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.providers.demo.instances import instance_of
from oneapi_cli.providers.demo.orders import HELP, Orders, read_orders, without_orders
from oneapi_cli.providers.demo.words import pieces_of, prompt_tokens, seed_of, sentences, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", Orders()),
        ("a [tokens=5] b", Orders(tokens=5)),
        ("[tokens=5][tokens=7]", Orders(tokens=7)),
        ("[tokens=99999999]", Orders(tokens=1_000_000)),
        ("[pause=99] [first=0.5]", Orders(pause=10.0, first=0.5)),
        ("[slow]", Orders(pause=0.25)),
        ("[hang]", Orders(hang=600.0)),
        ("[hang=5]", Orders(hang=5.0)),
        ("[status=99]", Orders(status=400)),
        ("[status=429] [retry_after=2]", Orders(status=429, retry_after=2.0)),
        ("[error=html]", Orders(error="html")),
        ("[error=200]", Orders(error="200")),
        ("[reset=before]", Orders(reset_before=True)),
        ("[reset=5]", Orders(reset_after=5)),
        ("[eof=0] [stall=1]", Orders(eof_after=0, stall_after=1)),
        ("[error_event=2] [bad_sse=3]", Orders(error_after=2, bad_sse_after=3)),
        ("[gzip] [length=wrong]", Orders(gzip=True, wrong_length=True)),
        ("[usage=none] [prompt=9] [completion=8] [cached=7]", Orders(usage=False, prompt=9, completion=8, cached=7)),
        ("[tool]", Orders(tools=())),
        ("[tool=a, b]", Orders(tools=("a", "b"))),
        ("[tokens] [tokens=x] [tokens=-1] [tokens=1e9] [error=other] [unknown=1] [1]", Orders()),
    ],
)  # fmt: skip
def test_directives(text: str, expected: Orders) -> None:
    assert read_orders(text) == expected


def test_only_directives_are_taken_out() -> None:
    assert without_orders("see [1] and [tokens=5] here [tokens=x]") == "see [1] and  here [tokens=x]"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_orders(text)
    without_orders(text)


def test_help_lists_every_directive() -> None:
    named = set(itertools.chain.from_iterable(line.split("[")[1:] for line in HELP.splitlines()))
    names = {part.split("]")[0].split("=")[0] for part in named}
    assert names - {"DONE"} == {
        "tokens", "pause", "slow", "first", "reasoning", "prompt", "completion", "cached", "usage", "tool", "status",
        "retry_after", "error", "reset", "hang", "stall", "eof", "error_event", "bad_sse", "gzip", "length",
    }  # fmt: skip


@given(st.lists(st.text(), max_size=5))
def test_a_prompt_never_costs_more_than_its_bytes(texts: list[str]) -> None:
    """The bound that a hold is made of: UTF-8 bytes of the texts, and never less than one token."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    assert 1 <= prompt_tokens(texts) <= max(1, size)


def test_counting_by_hand() -> None:
    assert prompt_tokens(["twelve chars"]) == 3 + 3
    assert prompt_tokens(["twelve chars", "x"]) == 3 + 3 + 1
    assert prompt_tokens(["twelve chars"], images=2) == 6 + 170
    assert prompt_tokens([]) == 1


def test_prose_is_readable_and_its_own_every_time() -> None:
    first = list(itertools.islice(sentences("the prompt", seed_of("a")), 4))
    assert first == list(itertools.islice(sentences("the prompt", seed_of("a")), 4))
    assert first != list(itertools.islice(sentences("the prompt", seed_of("b")), 4))
    assert first[0] == "You said: the prompt."
    assert all(line[0].isupper() and line.endswith(".") for line in first)
    assert "".join(words(first)) == " ".join(first)


def test_parts_of_a_seed_do_not_run_together() -> None:
    assert seed_of("ab", "c") != seed_of("a", "bc")


@given(st.text())
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces_of(text)) == text


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, None),
        ("nonsense", None),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}, {"a": "demo"}),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({"type": "array"}, []),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"type": ["integer", "null"], "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "number", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 2, "maximum": 9}, 2),
        ({"type": "string", "minLength": 6}, "demo.."),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}], "$defs": {"x": {"type": "object"}}}, None),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}}, False),
    ],
)  # fmt: skip
def test_minimal_instances(schema: object, expected: object) -> None:
    assert instance_of(schema) == expected


def test_a_schema_that_never_ends_ends() -> None:
    loop = {
        "$ref": "#/$defs/x",
        "$defs": {"x": {"type": "object", "properties": {"x": {"$ref": "#/$defs/x"}}, "required": ["x"]}},
    }
    assert isinstance(instance_of(loop), dict)
