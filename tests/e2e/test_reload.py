"""An edited config is taken while the server runs, whole or not at all, and one that is broken changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger.accounts import list_tokens
from oneapi_cli.ledger.price_updates import update_file
from oneapi_cli.server import reload
from tests.support.gateway import Gateway, running, write_config
from tests.support.process import ServeProcess
from tests.support.upstream import Received, Upstream, Writer, answering, reply

CONFIG = """
    ledger: ledger.db
    admin_key: let-me-in
    channels:
      - name: one
        type: openai-compatible
        base_url: {url}
        api_key: {key}
        models: [{models}]
        priced_as: openai
"""
DECLARED_KEY = "sk-" + "d" * 48


async def call(gateway: Gateway, method: str, path: str, key: str = "", body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key or gateway.key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, gateway.url + path, json=body) as answer,
    ):
        return answer.status, json.loads(await answer.read())


async def served(gateway: Gateway, key: str = "") -> set[str]:
    _, found = await call(gateway, "GET", "/v1/models", key)
    return {model["id"] for model in found.get("data", [])}


async def status(gateway: Gateway) -> Any:
    return (await call(gateway, "GET", "/api/status", "let-me-in"))[1]["data"]["config"]


async def until(what: Callable[[], Any], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not await what():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.03)


def edit(gateway: Gateway, text: str) -> None:
    write_config(gateway.ledger.parent, text)


def ask(model: str = "gpt-4o-mini") -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}


async def test_an_edit_is_taken_within_a_second_of_the_file_standing_still(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = CONFIG.format(url=upstream.url, key="k-old", models="gpt-4o-mini")
        async with running(tmp_path, text) as gateway:
            before = await status(gateway)
            edit(gateway, CONFIG.format(url=upstream.url, key="k-new", models="gpt-4o-mini, gpt-4o"))
            since = time.monotonic()

            async def taken() -> bool:
                return await served(gateway) == {"gpt-4o-mini", "gpt-4o"}

            await until(taken)
            assert time.monotonic() - since < 1.5, "a second, and half of one for a busy machine"
            after = await status(gateway)
            assert after["generation"] != before["generation"] and after["refused"] == []
            await call(gateway, "POST", "/v1/chat/completions", body=ask())
            assert upstream.received[-1].headers["authorization"] == "Bearer k-new"


async def test_a_request_keeps_the_generation_it_began_with(tmp_path: Path) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow_then_down(_: Received, writer: Writer) -> None:
        asked.set()
        await go_on.wait()
        await writer.answer(503, {"error": {"message": "busy", "type": "server_error"}})

    async with Upstream([slow_then_down, answering(200, reply("from the old one"))]) as upstream:
        text = "retries: 1\n" + CONFIG.format(url=upstream.url, key="k-old", models="gpt-4o-mini").replace(
            "\n    ", "\n"
        )
        async with running(tmp_path, text) as gateway:
            running_one = asyncio.create_task(call(gateway, "POST", "/v1/chat/completions", body=ask()))
            await asked.wait()
            edit(gateway, text.replace("k-old", "k-new").replace("gpt-4o-mini", "gpt-4o"))

            async def taken() -> bool:
                return await served(gateway) == {"gpt-4o"}

            await until(taken)
            go_on.set()
            code, body = await running_one
            assert (code, body["choices"][0]["message"]["content"]) == (200, "from the old one")
            assert [r.headers["authorization"] for r in upstream.received] == ["Bearer k-old", "Bearer k-old"]
            assert (await call(gateway, "POST", "/v1/chat/completions", body=ask()))[0] == 503
            assert gateway.differences() == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("channels: [", "config.yaml:"),
        ("wrokers: 2\n", "workers"),
        ("admin_key: ${NOT_SET_ANYWHERE}\n", "NOT_SET_ANYWHERE"),
        ("channels:\n  - name: a\n    type: nowhere\n    models: [x]\n", "nowhere"),
    ],
    ids=["half written", "unknown key", "unset variable", "unknown vendor"],
)
async def test_a_broken_edit_is_refused_and_the_old_one_serves(
    broken: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = CONFIG.format(url=upstream.url, key="k", models="gpt-4o-mini")
        async with running(tmp_path, text) as gateway:
            edit(gateway, broken)

            async def refused() -> bool:
                return bool((await status(gateway))["refused"])

            await until(refused)
            assert any(said in line for line in (await status(gateway))["refused"])
            assert any("config.yaml" in record.message and said in record.message for record in caplog.records)
            assert await served(gateway) == {"gpt-4o-mini"}
            assert (await call(gateway, "POST", "/v1/chat/completions", body=ask()))[0] == 200
            edit(gateway, text)

            async def mended() -> bool:
                return not await refused()

            await until(mended)


async def test_a_config_that_is_gone_is_refused_too(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o")) as gateway:
        (tmp_path / "config.yaml").unlink()

        async def refused() -> bool:
            return "cannot be read" in " ".join((await status(gateway))["refused"])

        await until(refused)
        assert await served(gateway) == {"gpt-4o"}


async def test_a_file_that_is_empty_for_now_is_no_config(tmp_path: Path) -> None:
    """A shell's `>` empties a file before anybody writes to it."""
    text = CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o")
    async with running(tmp_path, text) as gateway:
        edit(gateway, "\n")

        async def refused() -> bool:
            return "empty" in " ".join((await status(gateway))["refused"])

        await until(refused)
        assert await served(gateway) == {"gpt-4o"}


@pytest.mark.parametrize("asked", [False, True])
async def test_what_is_written_while_it_is_read_is_read_again(
    asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o")
    async with running(tmp_path, text) as gateway:
        watcher = gateway.app.watcher
        assert watcher is not None
        load, take, taken = watcher._load, watcher._take, list[str]()

        def read_half() -> Any:
            """Somebody saves once more at this very moment, and is not done yet."""
            monkeypatch.setattr(watcher, "_load", load)
            edit(gateway, text.replace("[gpt-4o]", "[half]"))
            try:
                return load()
            finally:
                edit(gateway, text.replace("[gpt-4o]", "[whole]"))

        async def note(loaded: Any) -> None:
            taken.extend(loaded.channels[0].models)
            await take(loaded)

        monkeypatch.setattr(watcher, "_load", read_half)
        monkeypatch.setattr(watcher, "_take", note)
        edit(gateway, text.replace("[gpt-4o]", "[first]"))
        if asked:
            watcher.ask()

        async def whole() -> bool:
            return await served(gateway) == {"whole"}

        await until(whole)
        assert set(taken) == {"whole"}


async def test_a_dotenv_counts_as_the_config(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        (tmp_path / ".env").write_text("VENDOR_KEY=k-first\n")
        text = CONFIG.format(url=upstream.url, key="'${VENDOR_KEY}'", models="gpt-4o-mini")
        async with running(tmp_path, text) as gateway:
            before = (await status(gateway))["generation"]
            (tmp_path / ".env").write_text("VENDOR_KEY=k-second\n")

            async def taken() -> bool:
                return bool((await status(gateway))["generation"] != before)

            await until(taken)
            await call(gateway, "POST", "/v1/chat/completions", body=ask())
            assert upstream.received[-1].headers["authorization"] == "Bearer k-second"


async def test_declared_tokens_follow_the_file(tmp_path: Path) -> None:
    text = CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o")
    tokens = f"tokens: [{{name: laptop, key: {DECLARED_KEY}, budget: $3}}]\n"
    plain = text.replace("\n    ", "\n")
    async with running(tmp_path, plain) as gateway:
        edit(gateway, plain + tokens)

        async def welcome() -> bool:
            return await served(gateway, DECLARED_KEY) == {"gpt-4o"}

        await until(welcome)
        edit(gateway, plain)

        async def gone() -> bool:
            return (await call(gateway, "GET", "/v1/models", DECLARED_KEY))[0] == 401

        await until(gone)
        db = gateway.db()
        laptop = next(token for token in list_tokens(db) if token.name == "laptop")
        db.close()
        assert (laptop.remain, laptop.absent) == (3 * 10**9, True)


async def test_a_price_update_is_taken_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tmp_path, CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o")) as gateway:
        caplog.set_level("INFO", "oneapi.server")
        update = update_file(gateway.ledger)
        update.write_text("not a price list")

        async def read() -> bool:
            return any("installed prices are used" in record.message for record in caplog.records)

        await until(read)
        before = (await status(gateway))["taken_time"]
        update.unlink()

        async def taken() -> bool:
            return sum("the config was reloaded" in record.message for record in caplog.records) >= 2

        await until(taken)
        assert (await status(gateway))["taken_time"] >= before and await served(gateway) == {"gpt-4o"}


async def test_what_takes_a_restart_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o").replace("\n    ", "\n")
    async with running(tmp_path, text) as gateway:
        edit(gateway, text.replace("ledger.db", "other.db") + "listen: 127.0.0.1:9\nworkers: 3\nretries: 5\n")

        async def said() -> bool:
            return any("listen, workers, ledger" in record.message for record in caplog.records)

        await until(said)
        assert await served(gateway) == {"gpt-4o"} and not (tmp_path / "other.db").exists()


async def test_a_mended_channel_rests_no_longer(tmp_path: Path) -> None:
    bad = answering(401, {"error": {"message": "bad key", "type": "invalid_request_error"}})
    async with Upstream([bad, answering(200, reply())]) as upstream:
        text = CONFIG.format(url=upstream.url, key="k-bad", models="gpt-4o-mini").replace("\n    ", "\n")
        other = (
            text.split("channels:\n")[1]
            .replace("name: one", "name: other\n    priority: -5")
            .replace("k-bad", "k-other")
        )
        async with running(tmp_path, text + other) as gateway:
            assert (await call(gateway, "POST", "/v1/chat/completions", body=ask()))[0] == 200
            assert upstream.received[-1].headers["authorization"] == "Bearer k-other"
            before = (await status(gateway))["generation"]
            edit(gateway, (text + other).replace("k-bad", "k-good"))

            async def taken() -> bool:
                return bool((await status(gateway))["generation"] != before)

            await until(taken)
            await call(gateway, "POST", "/v1/chat/completions", body=ask())
            assert upstream.received[-1].headers["authorization"] == "Bearer k-good"


def models_of(url: str, key: str) -> set[str]:
    request = urllib.request.Request(
        f"{url}/v1/models", headers={"Authorization": f"Bearer {key}", "Connection": "close"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return {model["id"] for model in json.load(answer)["data"]}
    except urllib.error.HTTPError as error:
        return {f"status {error.code}"}


def eventually(what: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


@pytest.mark.seconds(90)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_worker_follows_also_on_sighup_and_when_it_is_a_new_one(workers: str, tmp_path: Path) -> None:
    text = CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o").replace("\n    ", "\n")
    text += f"tokens: [{{name: laptop, key: {DECLARED_KEY}, unlimited: true}}]\n"
    config = write_config(tmp_path, text)
    with ServeProcess(config, "--workers", workers) as process:

        def all_serve(*models: str) -> bool:
            return all(models_of(process.url, DECLARED_KEY) == set(models) for _ in range(12))

        eventually(lambda: all_serve("gpt-4o"))
        write_config(tmp_path, text.replace("[gpt-4o]", "[gpt-4o, o1]"))
        eventually(lambda: all_serve("gpt-4o", "o1"))
        for _ in range(3):
            process.process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        eventually(lambda: process.log.read_text().count("the config was reloaded") >= 2 * int(workers))
        if workers == "2":
            write_config(tmp_path, "channels: [")
            eventually(lambda: process.log.read_text().count("is refused and the one before") >= 2)
            write_config(tmp_path, text.replace("[gpt-4o]", "[o1]"))
            children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children")
            if children.exists():
                os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
            eventually(lambda: all_serve("o1"))
        assert process.stop() == 0


async def test_a_bug_while_reloading_is_said_and_watching_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o")
    async with running(tmp_path, text) as gateway:
        watcher = gateway.app.watcher
        assert watcher is not None

        async def stumble(_: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(watcher, "_take", stumble)
            edit(gateway, text.replace("[gpt-4o]", "[o1]"))

            async def said() -> bool:
                return "a reason of our own" in " ".join((await status(gateway))["refused"])

            await until(said)
        assert await served(gateway) == {"gpt-4o"} and any(record.exc_info for record in caplog.records)
        edit(gateway, text.replace("[gpt-4o]", "[o1, gpt-4o]"))

        async def taken() -> bool:
            return await served(gateway) == {"o1", "gpt-4o"}

        await until(taken)


async def test_a_ledger_that_is_locked_makes_an_edit_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "AGAIN_SECONDS", 0.1)
    text = CONFIG.format(url="http://127.0.0.1:1/v1", key="k", models="gpt-4o")
    async with running(tmp_path, text) as gateway:
        gateway.app.book._desk._writer.wait_seconds = 0.1
        db = gateway.db()
        db.execute("BEGIN IMMEDIATE")
        edit(gateway, text.replace("[gpt-4o]", "[o1]"))
        await asyncio.sleep(1.2)
        assert await served(gateway) == {"gpt-4o"}
        db.execute("ROLLBACK")
        db.close()

        async def taken() -> bool:
            return await served(gateway) == {"o1"}

        await until(taken)
