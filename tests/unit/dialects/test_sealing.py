"""What is wrapped comes back as it was, and nothing else is taken for it."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.dialects.sealing import seal, unseal
from oneapi_cli.values.conversation import Opaque

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.builds(Opaque, dialect=st.text(), data=data))
def test_there_and_back(opaque: Opaque) -> None:
    text = seal(opaque)
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", text) and len(text) % 4 == 0
    assert unseal(text) == opaque


@given(st.text())
def test_other_texts_are_not_ours(text: str) -> None:
    assert unseal(text) is None


def _wrapped(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


FOREIGN = {
    "empty": "",
    "a signature": "EqQBCkYIARgCIkDzJ2Zm9vYmFy",
    "the mark alone": _wrapped(b"oneapi1:"),
    "words after the mark": _wrapped(b"oneapi1:hello"),
    "half of it": _wrapped(b'oneapi1:["gemini"]'),
    "too much": _wrapped(b'oneapi1:["gemini",1,2]')[:-3] + "!!!",
    "an object": _wrapped(b'oneapi1:{"dialect":"gemini"}'),
    "a number for a dialect": _wrapped(b"oneapi1:[1,2]"),
    "another version": _wrapped(b'oneapi2:["gemini",1]'),
    "nearly the mark": _wrapped(b'oneapi1;["gemini",1]'),
    "not UTF-8": _wrapped(b'oneapi1:["\xff",1]'),
    "deep": _wrapped(b'oneapi1:["gemini",' + b"[" * 100_000 + b"]" * 100_000 + b"]"),
    "without its padding": seal(Opaque(dialect="some", data="1")).rstrip("="),
    "beyond ASCII": seal(Opaque(dialect="some", data="x")) + "é",
    "with a line end": seal(Opaque(dialect="some", data="x")) + "\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_not_ours(name: str) -> None:
    assert unseal(FOREIGN[name]) is None


def test_it_is_short() -> None:
    """A signature of some kilobytes grows by a third and little more: clients send it back in every turn."""
    signature = "s" * 3000
    assert len(seal(Opaque(dialect="anthropic_messages", data={"signature": signature}))) < 4 * 3100 / 3
