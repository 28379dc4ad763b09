"""`/metrics`: what is counted is what happened, whoever of the workers is asked, and no key or name is in it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.config.load import load
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.providers.table import VENDORS
from oneapi_cli.server.app import App
from oneapi_cli.server.metrics import MOST_MODELS
from tests.support.control import CONFIG, NOWHERE, call, chat, manage
from tests.support.gateway import Gateway, make_token, running, write_config
from tests.support.process import ServeProcess
from tests.support.upstream import Received, Upstream, Writer, answering, reply

_LINE = re.compile(r"(oneapi_\w+)(?:\{(.*)\})? (\S+)\Z")


def read(text: bytes) -> dict[tuple[str, str], float]:
    """(name, labels) → value."""
    found = (_LINE.match(line) for line in text.decode().splitlines() if not line.startswith("#"))
    return {(match[1], match[2] or ""): float(match[3]) for match in found if match}


async def metrics(gateway: Gateway) -> dict[tuple[str, str], float]:
    found = await manage(gateway, "GET", "/metrics")
    assert found.status == 200 and found.headers["content-type"].startswith("text/plain; version=")
    return read(found.body)


async def test_what_happened_is_counted(tmp_path: Path) -> None:
    busy = answering(503, {"error": {"message": "busy", "type": "server_error"}})
    async with (
        Upstream([busy, answering(200, reply(prompt=20, output=7))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        assert (await call(gateway, "POST", "/v1/chat/completions", chat())).status == 200
        assert (await call(gateway, "POST", "/v1/chat/completions", chat(model="never-heard-of"))).status == 503
        assert (await call(gateway, "GET", "/v1/models", key="sk-nobody")).status == 401
        assert (await call(gateway, "GET", "/v1/what/ever")).status == 404
        found = await metrics(gateway)
        door = 'door="openai_chat"'
        labels = f'channel="one",{door},model="gpt-4o-mini",state="settled",status="200"'
        assert found["oneapi_requests_total", labels] == 1
        labels = f'channel="",{door},model="other",state="refused",status="503"'
        assert found["oneapi_requests_total", labels] == 1
        assert found["oneapi_upstream_attempts_total", 'channel="one",outcome="refused"'] == 1
        assert found["oneapi_upstream_attempts_total", 'channel="one",outcome="served"'] == 1
        assert found["oneapi_cost_nanodollars_total", 'channel="one",model="gpt-4o-mini"'] == 20 * 150 + 7 * 600
        assert found["oneapi_request_seconds_count", door] == 2
        assert found["oneapi_http_responses_total", 'door="/v1/chat/completions",status="200"'] == 1
        assert found["oneapi_http_responses_total", 'door="models",status="401"'] == 1
        assert found["oneapi_http_responses_total", 'door="unknown",status="404"'] == 1
        assert found["oneapi_holds_open", ""] == found["oneapi_config_refused", ""] == 0
        assert not any("never-heard-of" in labels or "what" in labels for _, labels in found)


async def test_levels_stand_where_they_stand(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def wait(_: Received, writer: Writer) -> None:
        await go_on.wait()
        await writer.answer(200, reply())

    async with Upstream([wait]) as upstream, running(tmp_path, CONFIG.format(url=upstream.url)) as gateway:
        task = asyncio.create_task(call(gateway, "POST", "/v1/chat/completions", chat()))
        end = time.monotonic() + 10
        while (found := await metrics(gateway))["oneapi_holds_open", ""] != 1 or found[
            "oneapi_requests_running", ""
        ] < 1:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        go_on.set()
        assert (await task).status == 200
        write_config(tmp_path, "channels: [")
        while (found := await metrics(gateway))["oneapi_config_refused", ""] != 1 or not found[
            "oneapi_ledger_commits_total", ""
        ]:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        assert found["oneapi_holds_open", ""] == 0
        assert found["oneapi_config_reloads_total", 'result="refused"'] == 1


async def test_neither_keys_nor_names_are_in_it_and_models_are_bounded(tmp_path: Path) -> None:
    text = (
        CONFIG.format(url="{url}")
        .replace("[gpt-4o-mini, gpt-4o]", "['*']")
        .replace("priced_as: openai", "prices: {{'*': {{free: true}}}}")
    )
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, text.format(url=upstream.url)) as gateway,
    ):
        db = gateway.db()
        key = make_token(db, "somebodys-laptop", 10**9)
        db.close()
        for number in range(MOST_MODELS + 20):
            await call(gateway, "POST", "/v1/chat/completions", chat(model=f"made-up-{number}"), key=key)
        body = (await manage(gateway, "GET", "/metrics")).body.decode()
        assert "somebodys-laptop" not in body and key[3:] not in body and "k-vendor" not in body and "root" not in body
        counted = [labels for name, labels in read(body.encode()) if name == "oneapi_requests_total"]
        assert len(counted) == MOST_MODELS + 1
        assert read(body.encode())["oneapi_requests_total", next(c for c in counted if 'model="other"' in c)] == 20


@pytest.mark.parametrize(("key", "status"), [("", 401), ("sk-nobody", 401), (None, 401), ("let-me-in", 200)])
async def test_it_takes_the_admins_key(tmp_path: Path, key: str | None, status: int) -> None:
    async with running(tmp_path, CONFIG.format(url=NOWHERE)) as gateway:
        assert (await call(gateway, "GET", "/metrics", key=key)).status == status
        assert (await call(gateway, "POST", "/metrics", key="let-me-in")).status == 405


async def test_a_listener_of_its_own_asks_for_no_key_and_knows_nothing_else(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.format(url=NOWHERE))
    loaded = load(path, VENDORS, resolve=True, environ={})
    open_ledger(loaded.ledger, create=True).close()
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    for sock in socks:
        sock.setblocking(False)
    app = App(loaded, socks[0], "127.0.0.1", metrics_sock=socks[1])
    await app.start()
    try:
        for port, path_, status in [
            (1, "/metrics", 200),
            (1, "/v1/models", 404),
            (1, "/api/token/", 404),
            (0, "/metrics", 401),
        ]:
            url = f"http://127.0.0.1:{socks[port].getsockname()[1]}"
            found = await call(Gateway(app, url, loaded.ledger, ""), "GET", path_, key="")
            assert found.status == status, path_
        url = f"http://127.0.0.1:{socks[1].getsockname()[1]}"
        page = await call(
            Gateway(app, url, loaded.ledger, ""), "GET", "/metrics", key="", headers={"Host": "evil.example"}
        )
        assert page.status == 421, "a page whose name leads here reads nothing"
    finally:
        await app.stop()


@pytest.mark.seconds(60)
def test_any_worker_answers_for_all(tmp_path: Path) -> None:
    text = (
        "admin_key: let-me-in\nmetrics_listen: 127.0.0.1:0\ntokens: [{name: t, key: sk-"
        + "m" * 40
        + ", unlimited: true}]\n"
    )
    config = write_config(tmp_path, text)

    def get(url: str, key: str) -> bytes:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}", "Connection": "close"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    with ServeProcess(config, "--workers", "2") as process:
        for _ in range(40):
            json.loads(get(f"{process.url}/v1/models", "sk-" + "m" * 40))
        own = re.search(r"metrics on (http://\S+)", process.log.read_text())
        assert own is not None
        labels = ("oneapi_http_responses_total", 'door="models",status="200"')
        seen: list[Any] = [read(get(f"{process.url}/metrics", "let-me-in")).get(labels) for _ in range(6)]
        seen += [read(get(own[1], "")).get(labels) for _ in range(6)]
        assert seen == [40.0] * 12
        assert process.stop() == 0
