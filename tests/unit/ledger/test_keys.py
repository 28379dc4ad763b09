from __future__ import annotations

import hashlib
import re

from oneapi_cli.ledger.keys import digest_of, hint_of, new_key


def test_a_new_key_is_48_characters_of_chance() -> None:
    made = [new_key() for _ in range(50)]
    assert len({text for text, _ in made}) == 50
    for text, digest in made:
        assert re.fullmatch(r"sk-[0-9a-zA-Z]{48}", text)
        assert digest == hashlib.sha256(text[3:].encode()).digest()
    assert len({character for text, _ in made for character in text[3:]}) > 55, "the whole alphabet"


def test_one_leading_sk_does_not_count() -> None:
    assert digest_of("sk-abc") == digest_of("abc")
    assert digest_of("sk-sk-abc") == digest_of("sk-sk-abc") != digest_of("abc")
    assert digest_of("SK-abc") != digest_of("abc")


def test_every_text_has_a_digest() -> None:
    assert len({digest_of(text) for text in ("", "ключ", "\ud800", "a\udcff")}) == 4


def test_the_hint_is_the_end_of_a_key_that_is_long_enough() -> None:
    assert hint_of("sk-" + "x" * 44 + "1234") == "1234"
    assert hint_of("sk-short") == ""
