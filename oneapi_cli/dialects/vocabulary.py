"""Counting tokens as OpenAI's models do, with vocabularies that are data in this package: nothing is fetched, nothing
written.

A file of `vocabularies/` is the merges alone (see its README). tiktoken makes the encoding, with the pattern and the
special tokens of its own `tiktoken_ext`. Importing tiktoken and loading a vocabulary takes 0.3–0.5 s once (o200k_base,
measured 2026-11), so it happens on first use, which belongs in a thread; counting 256 KiB takes at most 0.1–0.2 s
whatever the text.
"""

from __future__ import annotations

import lzma
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

VOCABULARIES = ("o200k_base", "cl100k_base")

MOST_BYTES = 256 * 1024
"""More text than this is not tokenized: each further byte counts as one token, which no text exceeds."""

PIECE = 4096
"""Characters handed to the tokenizer at once. It splits text by words and then works through each of them in a time
that, in some of its versions, grows with the square of the word: a megabyte without a space must not hold a thread for
minutes."""

SLACK = 8
"""Tokens added where a piece had to end within a word. Merging starts anew there, and what it finds nearly always
costs more tokens than the whole would, but may cost a few less: on random and repetitive text the difference never
came above 3."""

_encodings: dict[str, Encoding] = {}
_loading = threading.Lock()


def count(texts: Sequence[str], vocabulary: str) -> int:
    """Tokens of all texts together, each by itself; special tokens in them are ordinary text.

    Exact for text with words; text that has to be cut elsewhere is counted with a little slack, never below what it is
    in practice. The bound, UTF-8 bytes, for an unknown vocabulary and for all that comes after the first 256 KiB.
    """
    if vocabulary not in VOCABULARIES:
        return sum(map(_size, texts))
    coded = encoding(vocabulary)
    total, left = 0, MOST_BYTES
    for text in texts:
        size = _size(text)
        head = text if size <= left else _first_bytes(text, left)
        used = size if size <= left else _size(head)
        total += sum(min(_size(piece), len(coded.encode_ordinary(piece)) + slack) for piece, slack in pieces(head))
        total += size - used
        left -= used
    return total


def encoding(vocabulary: str) -> Encoding:
    """tiktoken's encoding of that name from our data; loaded once per process. Raises KeyError for names not in
    VOCABULARIES."""
    found = _encodings.get(vocabulary)
    if found is not None:
        return found
    if vocabulary not in VOCABULARIES:
        raise KeyError(vocabulary)
    with _loading:
        if vocabulary not in _encodings:
            _encodings[vocabulary] = _load(vocabulary)
    return _encodings[vocabulary]


def pieces(text: str) -> Iterator[tuple[str, int]]:
    """A text in pieces of at most PIECE characters, each with the slack for the cut at its end.

    A cut between two ASCII words parted by one space is where the tokenizer cuts too, so it costs nothing.
    """
    start = 0
    while len(text) - start > PIECE:
        cut = _word_boundary(text, start + PIECE // 2, start + PIECE)
        yield text[start : cut or start + PIECE], 0 if cut else SLACK
        start = cut or start + PIECE
    yield text[start:], 0


def pack(tokens: Sequence[bytes]) -> bytes:
    """Tokens in the order of their ranks → the container of `vocabularies/`, smaller than the list of tokens by two
    thirds.

    256 single bytes come first; every later token is two earlier ones joined, which byte-pair encoding guarantees, so
    two ranks say it. Their bytes are kept in planes (all low ones, all middle ones, all high ones) because those
    compress well. Raises ValueError where the tokens are not such a list.
    """
    rank = {token: index for index, token in enumerate(tokens)}
    singles = tokens[:256]
    if sorted(singles) != [bytes((value,)) for value in range(256)]:
        raise ValueError("the first 256 tokens are not the 256 bytes")
    pairs = [_halves(token, rank) for token in tokens[256:]]
    planes = (bytes(p[side] >> shift & 0xFF for p in pairs) for side in (0, 1) for shift in (0, 8, 16))
    packed = b"".join((*singles, *planes))
    best = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}
    return lzma.compress(packed, lzma.FORMAT_XZ, lzma.CHECK_SHA256, filters=[best])


def unpack(packed: bytes) -> dict[bytes, int]:
    """The container → token: rank. Raises lzma.LZMAError where it is damaged (it carries a SHA-256 of its contents)."""
    raw = lzma.decompress(packed, lzma.FORMAT_XZ)
    tokens = [bytes((value,)) for value in raw[:256]]
    size = (len(raw) - 256) // 6
    planes = [raw[256 + i * size : 256 + (i + 1) * size] for i in range(6)]
    for low, middle, high, low2, middle2, high2 in zip(*planes, strict=True):
        tokens.append(tokens[low | middle << 8 | high << 16] + tokens[low2 | middle2 << 8 | high2 << 16])
    return {token: rank for rank, token in enumerate(tokens)}


def _load(vocabulary: str) -> Encoding:
    from tiktoken import Encoding
    from tiktoken_ext import openai_public  # type: ignore[import-untyped]

    def ours(*_: object, **__: object) -> dict[bytes, int]:
        return unpack(files("oneapi_cli.dialects").joinpath("vocabularies", f"{vocabulary}.xz").read_bytes())

    # tiktoken's constructor of this encoding, with our loader in the place of the one that downloads. The names it sees
    # are a copy: the library itself stays as it is.
    constructor: FunctionType = openai_public.ENCODING_CONSTRUCTORS[vocabulary]
    parts = FunctionType(constructor.__code__, {**vars(openai_public), "load_tiktoken_bpe": ours})()
    return Encoding(**parts)


def _size(text: str) -> int:
    """UTF-8 bytes. A lone surrogate, which JSON can spell, counts as the three bytes of what replaces it."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _first_bytes(text: str, limit: int) -> str:
    """As much of a text as fits in `limit` bytes, whole characters."""
    return text.encode("utf-8", "surrogatepass")[: max(0, limit)].decode("utf-8", "ignore")


def _word_boundary(text: str, start: int, end: int) -> int:
    """The last place in [start, end) where a single space parts two ASCII letters, or 0."""
    at = text.rfind(" ", start, end)
    while at > 0:
        around = text[at - 1 : at] + text[at + 1 : at + 2]
        if len(around) == 2 and around.isascii() and around.isalpha():
            return at
        at = text.rfind(" ", start, at)
    return 0


def _halves(token: bytes, rank: Mapping[bytes, int]) -> tuple[int, int]:
    """The ranks of the two tokens whose joining makes this one: its own encoding, one step before the end."""
    parts = [token[i : i + 1] for i in range(len(token))]
    own = rank[token]
    while len(parts) > 2:
        joined = (rank.get(parts[i] + parts[i + 1], own) for i in range(len(parts) - 1))
        best, at = min(zip(joined, range(len(parts)), strict=False))
        if best >= own:
            raise ValueError(f"{token!r} does not come from two earlier tokens")
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    if len(parts) != 2 or any(rank.get(part, own) >= own for part in parts):
        raise ValueError(f"{token!r} does not come from two earlier tokens")
    return rank[parts[0]], rank[parts[1]]
