"""Words, counts and ids, all derived from the prompt: the same prompt gets the same reply, on every machine.

The demo vendor's rule for tokens, simple enough to check by hand:

* a produced token is one word together with the blank before it; of JSON and tool arguments, four characters;
* a prompt message is ceil(characters / 4) + 3 tokens, but never more than its text has UTF-8 bytes, and an image is 85.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

IMAGE_TOKENS = 85
_PER_MESSAGE = 3
_CHARS_PER_TOKEN = 4

_SUBJECTS = (
    "A patient clerk",
    "The harbour master",
    "An old lighthouse keeper",
    "The night train",
    "A careful gardener",
    "The village baker",
    "A travelling astronomer",
    "The youngest librarian",
    "A quiet river",
    "The clockmaker's daughter",
    "An honest merchant",
    "The second violin",
)
_DEEDS = (
    "counts every coin",
    "writes the numbers down",
    "checks the map twice",
    "waits for a clear sky",
    "mends the broken gate",
    "keeps the small promises",
    "opens the window",
    "follows the northern road",
    "sorts the letters by hand",
    "remembers the long summer",
    "measures the tide",
    "puts the kettle on",
)
_WHENS = (
    "before the shop opens",
    "while the others sleep",
    "as soon as the rain stops",
    "on the first day of the month",
    "when nobody is looking",
    "after the last ship has gone",
    "long before the bell rings",
    "until the ledger balances",
    "because somebody has to",
    "without a word of complaint",
    "and then does it again",
    "whatever the weather brings",
)
_QUOTED_WORDS = 8
_QUOTED_CHARS = 24


def seed_of(*parts: str | bytes | int) -> bytes:
    """32 bytes that depend on every part and on their order."""
    state = hashlib.blake2b(digest_size=32)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(8, "big") + raw)
    return state.digest()


def make_id(prefix: str, seed: bytes) -> str:
    """`chatcmpl-demo3f…`: looks like a vendor's id and is the same for the same request at the same second."""
    return f"{prefix}demo{seed.hex()[:24]}"


def sentences(quoted: str, seed: bytes) -> Iterator[str]:
    """Endless English, one sentence at a time; the first says what was asked."""
    topic = " ".join(word[:_QUOTED_CHARS] for word in quoted.split()[:_QUOTED_WORDS])
    yield f"You said: {topic}." if topic else "You said nothing in particular."
    number = 0
    while True:
        dice = seed_of(seed, number)
        subject, deed, when = (
            table[dice[place] % len(table)] for place, table in enumerate((_SUBJECTS, _DEEDS, _WHENS))
        )
        yield f"{subject} {deed} {when}."
        number += 1


def words(lines: Iterable[str]) -> Iterator[str]:
    """Lines → words, each but the first with the blank before it. Joined they are the text."""
    blank = ""
    for line in lines:
        for word in line.split():
            yield blank + word
            blank = " "


def usual_length(seed: bytes) -> int:
    """How many sentences a reply has when the prompt does not say: three to five."""
    return 3 + seed[31] % 3


def pieces_of(text: str) -> list[str]:
    """Text that is not prose (JSON, tool arguments, the help page) → four characters a token. Joined they are the
    text."""
    return [text[start : start + _CHARS_PER_TOKEN] for start in range(0, len(text), _CHARS_PER_TOKEN)]


def prompt_tokens(texts: Iterable[str], images: int = 0) -> int:
    """Tokens of a prompt, one text per message; at least 1."""
    return max(1, sum(_message_tokens(text) for text in texts) + images * IMAGE_TOKENS)


def _message_tokens(text: str) -> int:
    by_chars = -(-len(text) // _CHARS_PER_TOKEN) + _PER_MESSAGE
    return min(by_chars, len(text.encode("utf-8", "surrogatepass")))
