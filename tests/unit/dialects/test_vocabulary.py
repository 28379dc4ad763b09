"""Token counts: the published vocabularies, exact where text has words, bounded whatever it is."""

from __future__ import annotations

import hashlib
import lzma
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi_cli.dialects import vocabulary as module
from oneapi_cli.dialects.vocabulary import MOST_BYTES, PIECE, SLACK, VOCABULARIES, count, encoding, pack, pieces, unpack
from scripts import vocabularies as script
from scripts.vocabularies import main, published_sha256, tiktoken_file

FOLDER = files("oneapi_cli.dialects").joinpath("vocabularies")
PROSE = "The ledger is exact, and a request costs what its tokens cost: nothing more, nothing less. "


def size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_our_file_is_the_published_vocabulary(name: str) -> None:
    tokens = unpack(FOLDER.joinpath(f"{name}.xz").read_bytes())
    digest = hashlib.sha256(tiktoken_file(tokens)).hexdigest()
    assert digest == published_sha256(name)
    assert digest in FOLDER.joinpath("README.md").read_text()


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_file_stays_small_enough_for_a_repository(name: str) -> None:
    assert len(FOLDER.joinpath(f"{name}.xz").read_bytes()) < 800 * 1024


def test_a_damaged_file_is_not_read() -> None:
    damaged = bytearray(FOLDER.joinpath("cl100k_base.xz").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(lzma.LZMAError):
        unpack(bytes(damaged))


def test_packing_needs_tokens_that_come_from_earlier_ones() -> None:
    singles = [bytes((value,)) for value in reversed(range(256))]
    tokens = [*singles, b"ab", b"abc", b"zabc"]
    assert list(unpack(pack(tokens))) == tokens
    with pytest.raises(ValueError, match="two earlier tokens"):
        pack([*singles, b"abc"])
    with pytest.raises(ValueError, match="256 bytes"):
        pack(singles[1:])


def test_the_script_finds_the_files_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert published_sha256("o200k_base") in capsys.readouterr().out
    assert main(["--no-such"]) == 2


def test_the_script_finds_a_file_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    tmp_path.joinpath("cl100k_base.xz").write_bytes(FOLDER.joinpath("o200k_base.xz").read_bytes())
    assert main(["--check"]) == 1


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("o200k_base", "hello world", 2),
        ("cl100k_base", "hello world", 2),
        ("o200k_base", "", 0),
        ("o200k_base", "antidisestablishmentarianism", 6),
        ("cl100k_base", "antidisestablishmentarianism", 6),
        ("o200k_base", "你好世界", 2),
        ("cl100k_base", "你好世界", 5),
        ("no_such_base", "你好", 6),
        ("", "hello", 5),
    ],
)
def test_counts(name: str, text: str, tokens: int) -> None:
    assert count([text], name) == tokens


def test_texts_are_counted_each_by_itself() -> None:
    assert count(["hello", " world", ""], "o200k_base") == 2
    assert count(["hel", "lo"], "o200k_base") == 2
    assert count([], "o200k_base") == 0


@pytest.mark.parametrize("name", VOCABULARIES)
def test_special_tokens_in_text_are_ordinary_text(name: str) -> None:
    assert count(["<|endoftext|>"], name) > 1


def test_a_lone_surrogate_is_counted() -> None:
    assert 0 < count(["a\ud800b"], "o200k_base") <= 5
    assert count(["\ud800"], "none") == 3


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize(
    "text", [PROSE * 400, (PROSE + "\n\n  * item 12,345.67\n") * 300, "def f(x):\n    return x + 1\n" * 900]
)
def test_long_text_with_words_is_counted_exactly(name: str, text: str) -> None:
    assert len(text) > 4 * PIECE
    assert count([text], name) == len(encoding(name).encode_ordinary(text))


def test_text_beyond_the_limit_counts_by_its_bytes() -> None:
    text = PROSE * (MOST_BYTES // len(PROSE) + 1)
    whole = count([text], "o200k_base")
    assert count([text, "ä" * 1000, PROSE], "o200k_base") == whole + 2000 + len(PROSE)
    assert whole < MOST_BYTES / 4
    assert count(["é" * MOST_BYTES], "o200k_base") > MOST_BYTES


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize(
    "unit", ["A", "a", " ", "\n", "-", "漢", "🎉", "\u200d", "ab", " \u00a0", "'", "1", "aA", "é", "="]
)
def test_a_run_without_words_is_bounded_in_time_and_not_undercounted(name: str, unit: str) -> None:
    text = unit * (MOST_BYTES // size(unit))
    count([""], name)
    start = time.perf_counter()
    counted = count([text], name)
    assert time.perf_counter() - start < 5
    exact = len(encoding(name).encode_ordinary(text))
    assert exact <= counted <= min(size(text), exact + SLACK * (len(text) // PIECE + 1) + len(text) // PIECE * 8)


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize("unit", ["aA \u00a0", "12 \u00a0"])
def test_a_cut_that_saves_tokens_is_made_up_for(name: str, unit: str) -> None:
    """Cut here, the two halves take fewer tokens than the whole: merging is greedy, not optimal."""
    text = (unit * PIECE)[: PIECE + 300]
    coded = encoding(name)
    exact = len(coded.encode_ordinary(text))
    assert sum(len(coded.encode_ordinary(piece)) for piece, _ in pieces(text)) < exact
    assert count([text], name) >= exact


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["a", "aA", "x1", "漢字", "é", "🎉", " ", " \u00a0", "word ", "\n", "-", "ACGT"]),
        st.integers(1, 900),
    ),
    max_size=12,
).map(lambda runs: "".join(unit * times for unit, times in runs))


@settings(max_examples=60)
@given(st.one_of(RUNS, st.text(max_size=2000)), st.sampled_from(VOCABULARIES))
def test_a_count_is_between_the_exact_one_and_the_bytes(text: str, name: str) -> None:
    exact = len(encoding(name).encode_ordinary(text))
    assert exact <= count([text], name) <= size(text)
    if len(text) <= PIECE:
        assert count([text], name) == exact


@given(RUNS)
def test_pieces_are_the_whole_text(text: str) -> None:
    cut = list(pieces(text))
    assert "".join(piece for piece, _ in cut) == text
    assert all(len(piece) <= PIECE for piece, _ in cut)
    assert cut[-1][1] == 0


def test_loading_happens_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    real, gate = module._load, threading.Barrier(8)

    def load(name: str) -> object:
        loaded.append(name)
        time.sleep(0.05)
        return real(name)

    def ask(_: int) -> int:
        gate.wait()
        return count(["hello world"], "cl100k_base")

    monkeypatch.setattr(module, "_encodings", {})
    monkeypatch.setattr(module, "_load", load)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {2}
    assert loaded == ["cl100k_base"]


def test_an_unknown_encoding_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        encoding("p50k_base")


def test_nothing_is_downloaded_or_written_and_tiktoken_waits(tmp_path: Path) -> None:
    """In a fresh process, with tiktoken's cache pointed at an empty folder and every connection refused."""
    code = (
        "import sys, socket\n"
        "import oneapi_cli.dialects.vocabulary as v\n"
        "assert 'tiktoken' not in sys.modules\n"
        "socket.socket.connect = socket.getaddrinfo = None\n"
        "assert v.count(['hello world'], 'o200k_base') == 2\n"
        "assert 'requests' not in sys.modules\n"
    )
    environment = {"TIKTOKEN_CACHE_DIR": str(tmp_path), "TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    root = str(Path(module.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=environment)
    assert list(tmp_path.iterdir()) == []
