"""The one-file archive: built from the lock, started in an empty home, without network and without an environment.

`dist/oneapi.pyz` is used where it was made from the sources as they are; else one is built, for which pip needs the
registry or its cache. Where the wheels cannot be had these tests are skipped, but not under CI.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import openai
import pytest
import typer

from oneapi_cli.cli import app
from scripts import build_pyz

pytestmark = pytest.mark.seconds(300)

START_SECONDS = 60.0
NOWHERE = "http://127.0.0.1:9"
# Without what surrounds the interpreter: no variables of Python's, no site-packages but the archive's.
PYTHON = (sys.executable, "-I", "-S")
KEY = "sk-" + "archive" * 5
# Together, every option that `token add` has.
ADDS = (
    (
        *(
            "token",
            "add",
            "full",
            "--budget",
            "$1.50",
            "--user",
            "root",
            "--expires",
            "30d",
            "--models",
            "demo-*,gpt-*",
        ),
        *("--subnet", "127.0.0.0/8,10.0.0.0/8", "--rpm", "60", "--tpm", "200000", "--concurrent", "4", "--clamp"),
        *("--holds", "worst_case", "--passthrough", "--key", KEY, "--json", "--config", "config.yaml"),
    ),
    ("token", "add", "open", "--unlimited", "--no-clamp", "--no-passthrough", "--json"),
)
FULL = {
    "name": "full",
    "key": KEY,
    "budget_nanos": 1_500_000_000,
    "models": ["demo-*", "gpt-*"],
    "subnets": ["127.0.0.0/8", "10.0.0.0/8"],
    "rpm": 60,
    "tpm": 200_000,
    "concurrent": 4,
    "clamp": True,
    "holds": "worst_case",
    "passthrough": True,
    "unlimited": False,
}


@dataclass(frozen=True)
class Started:
    """A home in which the archive is started: the folder it works in, and all that its environment says."""

    archive: Path
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
        return {"HOME": str(self.home), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", **proxies}

    @property
    def command(self) -> list[str]:
        return [*PYTHON, str(self.archive)]

    def run(self, *words: str, **environ: str) -> str:
        """What a command printed; it has to end with 0."""
        done = subprocess.run(
            [*self.command, *words],
            env={**self.environ, **environ},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if build_pyz.is_fresh(build_pyz.OUTPUT):
        return build_pyz.OUTPUT
    output = tmp_path_factory.mktemp("pyz") / "oneapi.pyz"
    try:
        build_pyz.build(output)
    except build_pyz.BuildFailed as failed:
        if failed.code != build_pyz.UNAVAILABLE or os.environ.get("CI"):
            raise
        pytest.skip(f"no archive could be built: {failed}")
    return output


@pytest.fixture
def started(archive: Path, tmp_path: Path) -> Started:
    place = tmp_path / "empty home"  # the space is on purpose
    place.mkdir()
    return Started(archive, place)


@contextmanager
def serving(started: Started, *flags: str) -> Iterator[str]:
    """`oneapi serve` from the archive; its address."""
    log = started.home / "serve.log"
    with log.open("wb") as errors:
        server = subprocess.Popen(
            [*started.command, "serve", "--port", "0", *flags],
            env=started.environ,
            cwd=started.home,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    timer = threading.Timer(START_SECONDS, server.kill)
    timer.start()
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found, log.read_text()
        yield found[0]
        server.terminate()
        assert server.wait(START_SECONDS) == 0, log.read_text()
    finally:
        timer.cancel()
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def ask(url: str, key: str) -> tuple[str, str]:
    """(text, request id) of one streamed reply to the official client."""
    http = openai.DefaultHttpxClient(trust_env=False)
    with (
        openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, http_client=http) as client,
        client.chat.completions.create(
            model="demo-small", messages=[{"role": "user", "content": "[tokens=12] Hello!"}], stream=True
        ) as stream,
    ):
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        return text, stream.response.headers["x-oneapi-request-id"]


def test_the_whole_path(started: Started) -> None:
    assert KEY not in started.run("init")
    full, unlimited = (json.loads(started.run(*words)) for words in ADDS)
    assert {name: full[name] for name in FULL} == FULL
    assert (unlimited["unlimited"], unlimited["clamp"], unlimited["passthrough"]) == (True, False, False)
    with serving(started, "--demo", "--config", "config.yaml") as url:
        text, request_id = ask(url, KEY)
        assert text
        bill = json.loads(started.run("cost", request_id, "--json"))
        assert bill["request_id"] == request_id
        assert request_id in started.run("cost", request_id)
    rows = {row["name"]: row for row in json.loads(started.run("token", "list", "--json"))}
    assert rows["full"]["used_nanos"] > 0
    assert rows["full"]["held_nanos"] == rows["first"]["used_nanos"] == 0
    started.run("ledger", "verify")
    assert KEY not in (started.home / "serve.log").read_text()


def test_every_option_of_token_add_was_given() -> None:
    words = {word for line in ADDS for word in line}
    command: Any = typer.main.get_command(app)
    options = [each for each in command.commands["token"].commands["add"].params if each.opts[0].startswith("--")]
    given = {name for each in options for name in (*each.opts, *each.secondary_opts)} - {"--help"}
    assert given == {word for word in words if word.startswith("--")}


_LOADED = """
import json, sys
import aiohttp._http_parser, aiohttp._http_writer, msgspec._core, tiktoken._tiktoken, uvloop.loop, yaml._yaml
import genai_prices, oneapi_cli.server.run, typer
from oneapi_cli.dialects.vocabulary import count
tokens = [count(["Hello, world!"], name) for name in ("o200k_base", "cl100k_base")]
names = ("aiohttp", "genai_prices", "msgspec", "oneapi_cli", "tiktoken", "typer", "uvloop", "yaml")
print(json.dumps({"tokens": tokens, "files": [sys.modules[name].__file__ for name in names]}))
"""


def test_compiled_modules_and_vocabularies_are_inside(started: Started) -> None:
    """SHIV_INTERPRETER starts Python with what the archive holds, in place of the program."""
    said = json.loads(started.run("-c", _LOADED, SHIV_INTERPRETER="1"))
    assert said["tokens"] == [4, 4]
    root = started.home / ".shiv"
    assert [file for file in said["files"] if not Path(file).is_relative_to(root)] == []


def test_first_starts_at_once_unpack_once(started: Started, tmp_path: Path) -> None:
    root = tmp_path / "unpacked"
    starts = [
        subprocess.Popen(
            [*started.command, "--version"],
            env={**started.environ, "SHIV_ROOT": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    said = [start.communicate(timeout=START_SECONDS)[0] for start in starts]
    assert [(start.returncode, text) for start, text in zip(starts, said, strict=True)] == [(0, said[0])] * 4
    assert said[0].startswith("oneapi ")
    assert len([place for place in root.iterdir() if place.is_dir()]) == 1
    assert not (started.home / ".shiv").exists(), "SHIV_ROOT says where"


# Pretends to be another Python and runs the archive's first lines as that one would.
_PRETEND = """
import importlib.machinery, os, sys, zipfile
sys.argv = [{archive!r}, "--version"]
main = compile(zipfile.ZipFile(sys.argv[0]).read("__main__.py"), "__main__.py", "exec")
{pretence}
exec(main, {{"__name__": "__main__"}})
"""


@dataclass(frozen=True)
class Wrong:
    """A place where the archive cannot run, and what the refusal says of it."""

    pretence: str
    says: str


@pytest.mark.parametrize(
    "case",
    [
        Wrong("sys.version_info = (3, 8, 1, 'final', 0)", " 3.8 on "),
        Wrong("sys.version_info = (2, 7, 18, 'final', 0); del sys.implementation", "Python 2.7 on "),
        Wrong("sys.platform = 'win32'; del os.uname", " on win32:"),
        Wrong("os.uname = lambda: ('', '', '', '', 'riscv64')", " riscv64:"),
        Wrong("importlib.machinery.EXTENSION_SUFFIXES[:] = ['.pypy311-pp73.so']", "make one for here with `make pyz`"),
    ],
    ids=lambda case: case.pretence.split("=")[0].strip(),
)
def test_a_wrong_python_is_told_so_in_a_sentence(case: Wrong, started: Started) -> None:
    code = _PRETEND.format(pretence=case.pretence, archive=str(started.archive))
    done = subprocess.run(
        [*PYTHON, "-c", code], env=started.environ, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert case.says in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (started.home / ".shiv").exists(), "nothing is unpacked for it"


def test_nothing_of_the_building_machine_is_inside(archive: Path) -> None:
    """No test, cache or record of an installation; no path; no time: the same sources give the same bytes."""
    paths = [str(build_pyz.ROOT).encode(), b"oneapi-pyz-"]
    faults = []
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            inside = Path(*Path(entry.filename).parts[1:])
            if entry.filename.startswith("site-packages/") and build_pyz.is_left_out(inside):
                faults.append(f"{entry.filename} is not needed")
            if entry.date_time[:3] != (1980, 1, 1):
                faults.append(f"{entry.filename} has a time: {entry.date_time}")
            if any(path in opened.read(entry) for path in paths):
                faults.append(f"{entry.filename} names the machine it was built on")
        names = [entry.filename for entry in opened.infolist()]
    assert faults == []
    assert any(name.endswith("aiohttp/_http_parser" + EXTENSION_SUFFIXES[0]) for name in names)
    assert [name for name in names if "licen" in name.lower()], "licences are passed on"
    absent = ("pytest", "openai", "mypy", "ruff", "shiv/")
    assert [name for name in names if name.startswith(tuple(f"site-packages/{each}" for each in absent))] == []


@dataclass(frozen=True)
class Locked:
    """Requirements of a project → whether the installed environment's closure holds these."""

    dependencies: list[str]
    holds: set[str]
    lacks: set[str]


@pytest.mark.parametrize(
    "case",
    [
        Locked(["aiohttp>=3"], {"aiohttp", "yarl", "multidict"}, {"aiodns", "pytest"}),
        Locked(["uvloop; sys_platform == 'none'"], set(), {"uvloop"}),
        Locked(["coverage[toml]"], {"coverage"}, {"pytest"}),
    ],
    ids=lambda case: case.dependencies[0].split(";")[0],
)
def test_what_is_needed_to_run(case: Locked) -> None:
    found = build_pyz.runtime_names({"dependencies": case.dependencies})
    assert case.holds <= found
    assert not case.lacks & found


def test_the_lock_is_cut_to_what_is_needed() -> None:
    lock = "# head\na-b==1 \\\n    --hash=sha256:00\nc==2 ; python_version > '3' \\\n    --hash=sha256:11\n"
    assert build_pyz.locked(lock, ["c"]) == "c==2 ; python_version > '3' \\\n    --hash=sha256:11\n"
    with pytest.raises(build_pyz.BuildFailed, match="lacks missing; run `make lock`"):
        build_pyz.locked(lock, ["missing", "a-b"])


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("botocore/data/s3/2006-03-01/service-2.json.gz", True),
        ("botocore/data/bedrock-runtime/2023-09-30/service-2.json.gz", True),
        ("botocore/data/sts/2011-06-15/service-2.json.gz", False),
        ("botocore/data/sso-oidc/2019-06-10/endpoint-rule-set-1.json.gz", False),
        ("botocore/data/partitions.json", False),
        ("botocore/cacert.pem", False),
        ("aiohttp/_http_parser.pyx", True),
    ],
)
def test_what_is_left_out(path: str, left_out: bool) -> None:
    assert build_pyz.is_left_out(Path(path)) is left_out
