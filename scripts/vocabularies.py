"""Makes `oneapi_cli/dialects/vocabularies/` from the wheel of `bpe-openai`, which carries tiktoken's files.

    python scripts/vocabularies.py           write the files
    python scripts/vocabularies.py --check   compare only: exit 1 where they differ

Every file is checked against the SHA-256 that tiktoken publishes in `tiktoken_ext/openai_public.py`, before it is
packed and after it was read back.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path
from types import FunctionType

from tiktoken_ext import openai_public  # type: ignore[import-untyped]

from oneapi_cli.dialects.vocabulary import VOCABULARIES, pack, unpack

FOLDER = Path(__file__).resolve().parent.parent / "oneapi_cli" / "dialects" / "vocabularies"


def published_sha256(vocabulary: str) -> str:
    """The hash that tiktoken expects of the file it would download for this encoding."""
    seen: list[str] = []

    def note(_url: str, expected_hash: str) -> dict[bytes, int]:
        seen.append(expected_hash)
        return {}

    constructor: FunctionType = openai_public.ENCODING_CONSTRUCTORS[vocabulary]
    FunctionType(constructor.__code__, {**vars(openai_public), "load_tiktoken_bpe": note})()
    return seen[0]


def tiktoken_file(tokens: Iterable[bytes]) -> bytes:
    """Tokens in the order of their ranks, as tiktoken's own file has them: base64, a space, the rank."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def source_tokens(vocabulary: str) -> list[bytes]:
    """The tokens in the wheel, in order. Raises SystemExit where their file is not the one that tiktoken publishes."""
    # By its place, not by importing the package: that loads 70 MB of native code.
    place = distribution("bpe-openai").locate_file(f"bpe_openai/data/{vocabulary}.tiktoken.gz")
    raw = gzip.decompress(Path(str(place)).read_bytes())
    found, expected = hashlib.sha256(raw).hexdigest(), published_sha256(vocabulary)
    if found != expected:
        raise SystemExit(f"{vocabulary}: SHA-256 is {found}, tiktoken publishes {expected}")
    return [base64.b64decode(line.split()[0]) for line in raw.splitlines()]


def build(vocabulary: str) -> bytes:
    """The container, read back and found to be the published file again."""
    packed = pack(source_tokens(vocabulary))
    again = hashlib.sha256(tiktoken_file(unpack(packed))).hexdigest()
    if again != published_sha256(vocabulary):
        raise SystemExit(f"{vocabulary}: what was packed does not unpack to the same ranks")
    return packed


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    if arguments and not check:
        print(__doc__)
        return 2
    wrong = 0
    for vocabulary in VOCABULARIES:
        path = FOLDER / f"{vocabulary}.xz"
        if not check:
            path.write_bytes(build(vocabulary))
        elif not path.exists() or list(unpack(path.read_bytes())) != source_tokens(vocabulary):
            print(f"{path.name} differs: run python scripts/vocabularies.py")
            wrong = 1
            continue
        print(f"{path.name}: {path.stat().st_size:,} bytes, SHA-256 of tiktoken's file {published_sha256(vocabulary)}")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
