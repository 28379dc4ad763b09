"""Embeddings in the canon, which is OpenAI's: what a request asks for, and vectors put into its answer again."""

from __future__ import annotations

import array
import base64
import binascii
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ...values.conversation import Notes
from ...values.errors import BadRequest, Malformed
from ...values.usage import Usage
from ..dialect import TaskAsk, TaskReply
from ..openai_embeddings import MOST_DIMENSIONS, MOST_INPUTS
from ..vocabulary import count, encoding

VOCABULARY = "cl100k_base"
"""What clients cut texts with before they send token numbers: that of OpenAI's own embedding models."""

ESTIMATOR = "o200k_base"
"""What texts are counted with where no reply says how many tokens it read."""

_CANON = frozenset({"model", "input", "dimensions", "encoding_format"})


class Limits(Struct, frozen=True, kw_only=True):
    """What one model takes. sizes: the dimensions that can be chosen, () for none, None where nobody knows. longest:
    of one text, in characters; 0 for no such limit. takes: members beside OpenAI's that go to the vendor.
    """

    sizes: Sequence[int] | None = None
    longest: int = 0
    takes: frozenset[str] = frozenset()


class Embedding(Struct, frozen=True, kw_only=True):
    """texts: never empty. dimensions: None for the model's own. extras: members that only this vendor knows."""

    texts: tuple[str, ...]
    dimensions: int | None
    wants_base64: bool
    extras: Mapping[str, Any]
    notes: Notes

    def word(self, name: str, default: str) -> str:
        """An extra that is a word. Raises BadRequest for anything else."""
        value = self.extras.get(name, default)
        if not isinstance(value, str):
            raise BadRequest(f"`{name}` must be a string", member=name)
        return value


def embedding_of(task: TaskAsk, limits: Limits) -> Embedding:
    """Raises BadRequest naming the member. What neither OpenAI nor this vendor knows is left out, with a note: it
    could be input that nobody has counted.
    """
    asked = task.asked
    kind = asked.get("encoding_format") or "float"
    if kind not in ("float", "base64"):
        raise BadRequest("`encoding_format` must be float or base64", member="encoding_format")
    texts = texts_of(asked.get("input"))
    for index, text in enumerate(texts):
        if limits.longest and len(text) > limits.longest:
            place = f"input[{index}]" if isinstance(asked.get("input"), list) else "input"
            raise BadRequest(
                f"`{place}` has {len(text)} characters; {task.name} takes {limits.longest} at most", member=place
            )
    others = {name: value for name, value in asked.items() if name not in _CANON and value is not None}
    return Embedding(
        texts=texts,
        dimensions=_dimensions(asked.get("dimensions"), task, limits.sizes),
        wants_base64=kind == "base64",
        extras={name: value for name, value in others.items() if name in limits.takes},
        notes=tuple(f"dropped:{name}" for name in others if name not in limits.takes),
    )


def texts_of(given: object) -> tuple[str, ...]:
    """`input` as texts: a string, strings, token numbers, arrays of those. Raises BadRequest."""
    if isinstance(given, str):
        each: list[object] = [given]
    elif isinstance(given, list) and given and all(_is_number(item) for item in given):
        each = [given]
    elif isinstance(given, list) and given:
        each = given
    else:
        raise BadRequest("`input` must be a string or an array that is not empty", member="input")
    if len(each) > MOST_INPUTS:
        raise BadRequest(f"`input` may have {MOST_INPUTS} elements at most", member="input")
    return tuple(_text(item, f"input[{i}]" if isinstance(given, list) else "input") for i, item in enumerate(each))


def reply_with_vectors(
    vectors: Sequence[Sequence[float] | str], task: TaskAsk, asked: Embedding, usage: Usage | None
) -> TaskReply:
    """The answer in OpenAI's shape, in the order of the texts. vectors: numbers, or base64 of little-endian float32.
    usage: None where no reply said it; then it is counted here.

    Raises Malformed where they are not as many as the texts.
    """
    if len(vectors) != len(asked.texts):
        raise Malformed(f"The upstream answered with {len(vectors)} vectors for {len(asked.texts)} texts")
    data = [
        {"object": "embedding", "index": index, "embedding": _as_asked(vector, asked.wants_base64)}
        for index, vector in enumerate(vectors)
    ]
    if usage is None:
        usage = Usage(counts={"input_tokens": count(asked.texts, ESTIMATOR)}, estimated=True)
    tokens = int(usage.get("input_tokens"))
    said = {"prompt_tokens": tokens, "total_tokens": tokens}
    return TaskReply(body={"object": "list", "data": data, "model": task.name, "usage": said}, usage=usage)


def vector_of(value: object) -> Sequence[float]:
    """A vector as a vendor sends it. Raises Malformed for what is none."""
    if not isinstance(value, list) or not value or isinstance(value[0], bool) or not isinstance(value[0], int | float):
        raise Malformed("The upstream answered with something that is not a vector")
    return value


def batches(texts: Sequence[str], most: int, most_bytes: int = 0) -> list[Sequence[str]]:
    """The texts as the vendor takes them: so many a call, and together no more than so many bytes (0: no such limit),
    which no tokenizer makes more tokens of. A text that is longer goes alone.
    """
    found: list[Sequence[str]] = []
    start, size = 0, 0
    for at, text in enumerate(texts):
        own = len(text.encode("utf-8", "surrogatepass")) if most_bytes else 0
        if at > start and (at - start == most or size + own > most_bytes):
            found.append(texts[start:at])
            start, size = at, 0
        size += own
    found.append(texts[start:])
    return found


def counted(tokens: Sequence[int | None]) -> Usage | None:
    """The usage of several replies together; None where one did not say."""
    said = [each for each in tokens if each is not None]
    return Usage(counts={"input_tokens": sum(said)}) if said and len(said) == len(tokens) else None


def _dimensions(value: object, task: TaskAsk, sizes: Sequence[int] | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_DIMENSIONS:
        raise BadRequest(f"`dimensions` must be a whole number from 1 to {MOST_DIMENSIONS}", member="dimensions")
    if sizes is None or value in sizes:
        return value
    if not sizes:
        raise BadRequest(f"`dimensions` cannot be chosen for {task.name}: leave it out", member="dimensions")
    span = f"from {sizes[0]} to {sizes[-1]}" if isinstance(sizes, range) else f"one of {', '.join(map(str, sizes))}"
    raise BadRequest(f"`dimensions` of {task.name} must be {span}", member="dimensions")


def _text(item: object, place: str) -> str:
    if isinstance(item, str):
        if not item:
            raise BadRequest(f"`{place}` must not be empty", member=place)
        return item
    if isinstance(item, list) and item and all(_is_number(number) for number in item):
        try:
            return encoding(VOCABULARY).decode(item)
        except (KeyError, OverflowError):
            raise BadRequest(f"`{place}` has token numbers that {VOCABULARY} does not know", member=place) from None
    raise BadRequest(f"`{place}` must be a string or an array of token numbers", member=place)


def _is_number(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and item >= 0


def _as_asked(vector: Sequence[float] | str, wants_base64: bool) -> Sequence[float] | str:
    try:
        if isinstance(vector, str):
            return vector if wants_base64 else list(_floats(base64.b64decode(vector)))
        if not wants_base64:
            return vector
        packed = array.array("f", vector)
    except (TypeError, OverflowError, binascii.Error):
        raise Malformed("The upstream answered with something that is not a vector") from None
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()


def _floats(data: bytes) -> array.array[float]:
    found = array.array("f")
    found.frombytes(data[: len(data) // 4 * 4])
    if sys.byteorder == "big":
        found.byteswap()
    return found
