"""Embeddings in the canon, which is OpenAI's: what a request asks for, and vectors put into its answer again."""

from __future__ import annotations

import array
import base64
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ...values.errors import BadRequest, Malformed
from ...values.usage import Usage
from ..dialect import TaskAsk, TaskReply
from ..vocabulary import encoding

VOCABULARY = "cl100k_base"
"""What clients cut texts with before they send token numbers: that of OpenAI's own embedding models."""

MOST_INPUTS = 2_048
_CANON = frozenset({"model", "input", "dimensions", "encoding_format", "user"})


class Embedding(Struct, frozen=True, kw_only=True):
    """texts: never empty. dimensions: None for the model's own. extras: members that are not OpenAI's."""

    texts: tuple[str, ...]
    dimensions: int | None
    wants_base64: bool
    extras: Mapping[str, Any]

    def word(self, name: str, default: str) -> str:
        """An extra that is a word. Raises BadRequest for anything else."""
        value = self.extras.get(name, default)
        if not isinstance(value, str):
            raise BadRequest(f"`{name}` must be a string", member=name)
        return value


def embedding_of(task: TaskAsk, *, resizes: bool = True) -> Embedding:
    """resizes: whether this model can be told how many dimensions to use. Raises BadRequest naming the member."""
    asked = task.asked
    kind = asked.get("encoding_format") or "float"
    if kind not in ("float", "base64"):
        raise BadRequest("`encoding_format` must be float or base64", member="encoding_format")
    dimensions = asked.get("dimensions")
    if dimensions is not None and (isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1):
        raise BadRequest("`dimensions` must be a whole number from 1 up", member="dimensions")
    if dimensions is not None and not resizes:
        raise BadRequest(f"`dimensions` cannot be chosen for {task.name}: leave it out", member="dimensions")
    return Embedding(
        texts=texts_of(asked.get("input")),
        dimensions=dimensions,
        wants_base64=kind == "base64",
        extras={name: value for name, value in asked.items() if name not in _CANON},
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

    Raises Malformed where they are not as many as the texts.
    """
    if len(vectors) != len(asked.texts):
        raise Malformed(f"The upstream answered with {len(vectors)} vectors for {len(asked.texts)} texts")
    data = [
        {"object": "embedding", "index": index, "embedding": _as_asked(vector, asked.wants_base64)}
        for index, vector in enumerate(vectors)
    ]
    tokens = int(usage.get("input_tokens")) if usage is not None else 0
    said = {"prompt_tokens": tokens, "total_tokens": tokens}
    return TaskReply(body={"object": "list", "data": data, "model": task.name, "usage": said}, usage=usage)


def vector_of(value: object) -> Sequence[float]:
    """A vector as a vendor sends it. Raises Malformed for what is none."""
    if not isinstance(value, list) or not value or isinstance(value[0], bool) or not isinstance(value[0], int | float):
        raise Malformed("The upstream answered with something that is not a vector")
    return value


def batches(texts: Sequence[str], most: int) -> list[Sequence[str]]:
    return [texts[at : at + most] for at in range(0, len(texts), most)]


def counted(tokens: Sequence[int | None]) -> Usage | None:
    """The usage of several replies together; None where one did not say."""
    if not tokens or any(count is None for count in tokens):
        return None
    return Usage(counts={"input_tokens": sum(count for count in tokens if count is not None)})


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
    if isinstance(vector, str):
        return vector if wants_base64 else list(_floats(base64.b64decode(vector)))
    if not wants_base64:
        return vector
    packed = array.array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()


def _floats(data: bytes) -> array.array[float]:
    found = array.array("f")
    found.frombytes(data[: len(data) // 4 * 4])
    if sys.byteorder == "big":
        found.byteswap()
    return found
