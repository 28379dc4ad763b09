"""`oneapi serve` up to the point where the server takes over; a real one is started once, as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oneapi_cli.cli.demo import demo_channel, temporary_demo, with_demo
from oneapi_cli.config.load import load
from oneapi_cli.ledger.accounts import list_tokens
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.providers.table import VENDORS

from .conftest import Place, Run

READY_SECONDS = 30


@contextmanager
def serving(*words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A server process and the first lines of its stdout, up to its address (and its key, with --demo alone)."""
    command = [sys.executable, "-m", "oneapi_cli", "serve", "--port", "0", *words]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            wanted = 2 if "--config" not in words else 1
            lines = [process.stdout.readline().strip() for _ in range(wanted)]
            yield process, lines
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=READY_SECONDS)
            assert process.returncode == 0, errors


@pytest.mark.seconds(60)
@pytest.mark.parametrize("log_format", ["rich", "json"])
def test_a_demo_needs_nothing_and_leaves_nothing(home: Path, log_format: str) -> None:
    with serving("--demo", "--log-format", log_format) as (process, lines):
        url = lines[0].rsplit(" ", 1)[1]
        key = lines[1].rsplit(" ", 1)[1]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url) and re.fullmatch(r"sk-[0-9A-Za-z]{48}", key)
        body = {"model": "demo-small", "messages": [{"role": "user", "content": "[tokens=3] hi"}]}
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Authorization": f"Bearer {key}"}
        )
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:
            request_id = answer.headers["X-Oneapi-Request-Id"]
        assert process.stderr is not None
        hint = next(line for line in process.stderr if "--config" in line and "REQUEST_ID" in line)
        config = Path(hint.split("--config ")[1].strip())
        done = subprocess.run(
            [sys.executable, "-m", "oneapi_cli", "cost", request_id, "--config", str(config)],
            capture_output=True, text=True, timeout=READY_SECONDS, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        assert done.returncode == 0 and "output_tokens" in done.stdout, done.stderr
    assert not config.parent.exists()
    assert list(home.iterdir()) == []


@pytest.mark.seconds(60)
def test_a_config_with_the_demo_keeps_its_ledger(home: Path) -> None:
    config = home / "config.yaml"
    config.write_text("ledger: kept.db\ntokens: [{name: laptop, key: sk-abcdefghijklmnopqrstuvwxyz, budget: 2}]\n")
    with serving("--demo", "--config", str(config)) as (_, lines):
        request = urllib.request.Request(
            f"{lines[0].rsplit(' ', 1)[1]}/v1/models", headers={"Authorization": "Bearer abcdefghijklmnopqrstuvwxyz"}
        )
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:
            served = {model["id"] for model in json.load(answer)["data"]}
    assert served == set(VENDORS["demo"].example_models)
    db = open_ledger(home / "kept.db")
    assert [(row.name, row.source, row.remain) for row in list_tokens(db)] == [("laptop", "declared", 2 * 10**9)]
    db.close()


def test_the_demo_channel_is_added_once(place: Place) -> None:
    loaded = load(place.folder / "config.yaml", VENDORS, resolve=False, environ={})
    assert with_demo(loaded) == loaded
    (place.folder / "config.yaml").write_text(
        "channels: [{name: Demo, type: openai-compatible, base_url: 'http://h', models: [m], priced_as: openai}]\n"
    )
    both = with_demo(load(place.folder / "config.yaml", VENDORS, resolve=False, environ={})).channels
    assert [channel.name for channel in both] == ["Demo", "demo2"]
    assert both[1].rank == 1 and set(both[1].models) == set(demo_channel().models)


def test_a_temporary_demo_is_gone_afterwards() -> None:
    with temporary_demo(1.0) as (loaded, key):
        assert loaded.path is not None and loaded.path.exists() and key.startswith("sk-")
        assert load(loaded.path, VENDORS, resolve=True, environ={}).ledger == loaded.ledger
    assert not loaded.ledger.parent.exists()


def test_a_broken_config_is_not_served(run: Run, home: Path) -> None:
    (home / "config.yaml").write_text("wrokers: 2\n")
    done = run("serve", "--port", "0")
    assert (done.code, done.out) == (1, "") and "mean workers?" in done.err
    assert not (home / "oneapi.db").exists()


def test_an_address_in_use_is_a_sentence(run: Run, home: Path) -> None:
    (home / "config.yaml").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "--port", str(taken.getsockname()[1]))
    assert done.code == 1 and "in use" in done.err and "--port" in done.err


@pytest.mark.parametrize("words", [("--port", "70000"), ("--workers", "0"), ("--log-format", "xml")], ids=" ".join)
def test_wrong_usage(words: tuple[str, ...], run: Run) -> None:
    assert run("serve", *words).code == 2


@pytest.mark.seconds(60)
def test_ctrl_c_is_a_clean_end(home: Path) -> None:
    with serving("--demo") as (process, _):
        assert process.stderr is not None
        assert any("ready: " in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(READY_SECONDS) == 0
