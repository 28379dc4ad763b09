"""Distinctive secrets are planted wherever a secret can stand, every path is driven that might repeat one, and then
every byte the program wrote is searched: logs, headers, bodies, the ledger's files, what the commands print.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import urllib.parse
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.keys import digest_of
from oneapi_cli.ledger.store import open_ledger
from tests.support.gateway import write_config
from tests.support.process import ServeProcess
from tests.support.upstream import Received, Upstream, Writer, reply

VENDOR_KEY = "sk-vendor-canary-4f1c9d7be2"
SECOND_KEY = "vendorcanary-second-88ab31"
HEADER_SECRET = "header-canary-1d22e7"
ADMIN_KEY = "admin-canary-77aa19c3d5"
DECLARED_KEY = "sk-declared-canary-0b9e8d7c6a"
CLIENT_KEY = "sk-client-canary-5e6f7a8b9c0d1e2f"
WRONG_KEY = "sk-wrong-canary-31415926535"
IDEMPOTENCY = "idempotency-canary-27182818"
TEXT = "message-canary-kumquat"
ANSWER = "answer-canary-persimmon"
QUERY = "query-canary-16180339"
COOKIE = "cookie-canary-66260701"

# What an owner of a key may still see of it.
SECRETS: Mapping[str, str] = {
    "vendor key": VENDOR_KEY,
    "second vendor key": SECOND_KEY,
    "channel header": HEADER_SECRET,
    "admin key": ADMIN_KEY,
    "declared key": DECLARED_KEY.removeprefix("sk-"),
    "client key": CLIENT_KEY.removeprefix("sk-"),
    "wrong key": WRONG_KEY.removeprefix("sk-"),
    "Idempotency-Key": IDEMPOTENCY,
    "message": TEXT,
    "answer": ANSWER,
    "query string": QUERY,
    "cookie": COOKIE,
}

CONFIG = f"""
    ledger: books/ledger.db
    admin_key: ${{{{ADMIN}}}}
    retries: 1
    timeouts: {{{{connect: 500ms, first_byte: 500ms, idle: 500ms}}}}
    channels:
      - name: one
        type: openai-compatible
        base_url: {{url}}
        api_key: [{VENDOR_KEY}]
        headers: {{{{X-Mine: {HEADER_SECRET}, X-Again: '{{{{key}}}}'}}}}
        models: [gpt-4o-mini]
        priced_as: openai
        priority: 1
      - {{{{name: two, type: openai, base_url: '{{url}}', api_key: '{SECOND_KEY}', models: [gpt-4o-mini, gpt-4o]}}}}
      - {{{{name: dead, type: openai, base_url: 'http://127.0.0.1:9/v1', api_key: '{VENDOR_KEY}', models: [o1]}}}}
      - name: az
        type: azure
        base_url: {{url}}
        api_version: 2024-10-21
        api_key: {VENDOR_KEY}
        models: [o3]
    tokens:
      - {{{{name: declared, key: {DECLARED_KEY}, unlimited: true}}}}
"""


def quoting(status: int, *keys: str) -> dict[str, Any]:
    """A vendor's error that repeats what it was sent, as some do."""
    said = f"Incorrect API key provided: {' and '.join(keys)}. You can find your key at example.com."
    return {"error": {"message": said, "type": "invalid_request_error", "param": None, "code": f"said_{status}"}}


@dataclass
class Vendor:
    """Does as the message's last word says, and repeats secrets wherever it can."""

    seen: list[str] = field(default_factory=list)

    async def __call__(self, received: Received, writer: Writer) -> None:
        key = received.headers.get("authorization", received.headers.get("api-key", "")).removeprefix("Bearer ")
        self.seen.append(key)
        word = json.loads(received.body)["messages"][-1]["content"].split()[-1]
        quoted = [key, received.headers.get("x-mine", "")] if word.endswith("header") else [key]
        match word.removesuffix("header"):
            case "401" | "403" | "400" | "429" | "500" as status:
                await writer.answer(
                    int(status), quoting(int(status), *quoted), {"X-Echo": key, "WWW-Authenticate": key}
                )
            case "html":
                await writer.answer(502, f"<html>{key} {received.target}</html>".encode())
            case "200":
                await writer.answer(200, quoting(200, key))
            case "garbage":
                await writer.answer(200, f"{key} is no JSON".encode())
            case "hang":
                await asyncio.sleep(2)
            case "reset":
                writer.reset()
            case "redirect":
                await writer.answer(302, b"", {"Location": f"http://127.0.0.1:9/?key={key}"})
            case "early":
                await self.events(writer, b"data: " + json.dumps(quoting(0, key)).encode() + b"\n\n")
            case "badsse":
                await self.events(writer, f"data: {{{key}\n\n".encode())
            case _:
                await writer.answer(200, reply(), {"Set-Cookie": COOKIE, "X-Echo": key})

    async def events(self, writer: Writer, *events: bytes) -> None:
        await writer.stream(events, done=False)


PATHS = [
    "ok",
    *("401", "403", "400", "429", "500", "400header"),
    *("html", "200", "garbage", "hang", "reset", "redirect"),
]


@dataclass
class Client:
    """Everything that comes back is kept."""

    url: str
    got: list[bytes] = field(default_factory=list)

    async def send(self, path: str, *, key: str = CLIENT_KEY, body: object = None, method: str = "POST") -> int:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": IDEMPOTENCY, "Cookie": f"session={COOKIE}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(
                method, f"{self.url}{path}", data=body if isinstance(body, bytes) else json.dumps(body)
            ) as answer,
        ):
            lines = [f"{name}: {value}" for name, value in answer.headers.items()]
            self.got.append("\n".join(lines).encode() + b"\n\n" + await answer.read())
            return answer.status

    async def chat(self, word: str, model: str = "gpt-4o-mini", **more: Any) -> int:
        messages = [{"role": "user", "content": f"{TEXT} {word}"}]
        return await self.send(
            f"/v1/chat/completions?trace={QUERY}", body={"model": model, "messages": messages, **more}
        )


async def drive(client: Client) -> None:
    """Success, every refusal of a vendor, every fault of a request."""
    for word in PATHS:
        for model in ("gpt-4o-mini", "o3"):
            status = await client.chat(word, model)
            assert (status == 200) == (word == "ok"), (word, model, status)
    for word in ("early", "badsse"):
        assert await client.chat(word, stream=True) != 200
    assert await client.chat("ok", model="o1") == 502, "nobody listens there"
    assert await client.chat("ok", model=f"{TEXT[:7]}-unknown") == 503
    assert await client.send(f"/v1/models?key={QUERY}", method="GET") == 200
    assert await client.send(f"/v1/nothing?key={QUERY}", method="GET") == 404
    assert await client.send("/v1/models", key=WRONG_KEY, method="GET") == 401
    assert await client.send("/v1/models", key=f"{WRONG_KEY}-one", method="GET") == 401
    assert await client.send("/v1/models", key=f"{CLIENT_KEY}-one", method="GET") == 200
    assert await client.send("/v1/models", key=DECLARED_KEY, method="GET") == 200
    assert await client.send("/v1/models", key=ADMIN_KEY, method="GET") == 401
    assert await client.send(f"/api/cost/request/{'0' * 32}?explain=1&x={QUERY}", key=ADMIN_KEY, method="GET") == 200
    for body in (f'{{"model": "{TEXT}'.encode(), f'{{"model": ["{TEXT}"]}}'.encode(), f'"{TEXT}"'.encode()):
        assert await client.send("/v1/chat/completions", body=body) == 400
    await malformed(client)


async def crash(client: Client, ledger: Path) -> None:
    """Take the ledger's table away and give it back: whatever breaks then is logged whole, with its traceback."""
    await asyncio.to_thread(rename, ledger, "requests", "elsewhere")
    try:
        for stream in (False, True):
            assert await client.chat("ok", stream=stream) >= 500
    finally:
        await asyncio.to_thread(rename, ledger, "elsewhere", "requests")
    assert await client.chat("ok") == 200, "and it goes on when the table is back"


def rename(ledger: Path, before: str, after: str) -> None:
    db = sqlite3.connect(ledger, timeout=10)
    try:
        db.execute("PRAGMA legacy_alter_table = ON")
        db.execute(f"ALTER TABLE {before} RENAME TO {after}")
        db.commit()
    finally:
        db.close()


async def malformed(client: Client) -> None:
    """What is not HTTP, with secrets where a parser's complaint would quote them."""
    for data in (
        f"GET /{QUERY}?{QUERY} HTTP/9.9\r\nAuthorization: Bearer {CLIENT_KEY}\r\n\r\n",
        f"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization {CLIENT_KEY}\r\n\r\n",
        f"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nX: {IDEMPOTENCY}\x00\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {CLIENT_KEY * 2000}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rsplit(":", 1)[1]))
        writer.write(data.encode())
        client.got.append(await asyncio.wait_for(reader.read(65_536), 5))
        writer.close()


def oneapi(folder: Path, *words: str) -> bytes:
    """What a command prints, wherever it prints it."""
    done = subprocess.run(
        [sys.executable, "-m", "oneapi_cli", *words, "--config", str(folder / "config.yaml")],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "ADMIN": ADMIN_KEY},
    )
    return done.stdout + b"\n" + done.stderr


def spellings(secret: str) -> list[bytes]:
    """A secret as it may hide: as it is, reversed in base64's three phases, percent-encoded, in hexadecimal."""
    raw = secret.encode()
    packed = [b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3)]
    return [raw, raw.hex().encode(), urllib.parse.quote(secret, safe="").encode(), *packed]


def search(where: str, data: bytes) -> list[str]:
    return [
        f"{name} in {where}" for name, secret in SECRETS.items() if any(found in data for found in spellings(secret))
    ]


@pytest.mark.seconds(90)
@pytest.mark.parametrize("log_format", ["json", "rich"])
async def test_no_secret_is_written_anywhere(log_format: str, tmp_path: Path) -> None:
    vendor = Vendor()
    (tmp_path / "books").mkdir()
    db = open_ledger(tmp_path / "books" / "ledger.db", create=True)
    new = accounts.NewToken(name="canary", key_sha256=digest_of(CLIENT_KEY), hint=CLIENT_KEY[-4:], unlimited=True)
    accounts.add_token(db, new, now=1.0)
    db.close()
    async with Upstream([vendor]) as upstream:
        config = write_config(tmp_path, CONFIG.format(url=upstream.url))
        with ServeProcess(config, "--log-format", log_format, environ={"ADMIN": ADMIN_KEY}) as server:
            client = Client(server.url)
            try:
                await drive(client)
                await crash(client, tmp_path / "books" / "ledger.db")
            except BaseException:
                print(server.log.read_text())
                raise
            printed = await asyncio.to_thread(commands, tmp_path, client)
            live = files(tmp_path / "books")
            assert await asyncio.to_thread(server.stop) == 0
            assert server.process.stdout is not None
            rest = server.process.stdout.read().encode()
            log = server.log.read_bytes()
    assert {VENDOR_KEY, SECOND_KEY} <= set(vendor.seen), "the canaries did not travel"
    assert log.count(b"\n") > 20 and len(client.got) > 30
    found = [
        *(line for number, got in enumerate(client.got) for line in search(f"answer {number}: {got[:200]!r}", got)),
        *(line for command, output in printed.items() for line in search(f"`oneapi {command}`", output)),
        *(line for name, data in live.items() for line in search(f"{name}, while serving", data)),
        *(line for name, data in files(tmp_path / "books").items() for line in search(name, data)),
        *search("stdout", rest),
        *search("the log", log),
    ]
    assert not found, "\n".join(found)
    assert digest_of(CLIENT_KEY) in b"".join(live.values()), "the search finds what is there"


def files(folder: Path) -> dict[str, bytes]:
    """Every file of the ledger's folder: database, write-ahead log, locks."""
    return {entry.name: entry.read_bytes() for entry in folder.rglob("*") if entry.is_file()}


def commands(folder: Path, client: Client) -> dict[str, bytes]:
    ids = [
        got.split(b"X-Oneapi-Request-Id: ")[1][:32].decode() for got in client.got if b"X-Oneapi-Request-Id: " in got
    ]
    wanted = [f"cost {ids[0]}", f"cost {ids[0]} --json", f"cost {ids[2]} --json", f"cost {ids[5]}", "token list"]
    wanted += ["token list --json", "token show canary", "token show declared --json", "config check", "ledger verify"]
    wanted += ["ledger orphans", "ledger orphans --json"]
    printed = {words: oneapi(folder, *words.split()) for words in wanted}
    assert b"canary" in printed["token list"], "the commands did work"
    assert b'"lines"' in printed[f"cost {ids[0]} --json"]
    return printed


BROKEN = {
    "an unknown key": ("retries: 1", f"retries: 1\n    admin_kee: {ADMIN_KEY}"),
    "a list where a key belongs": (f"api_key: [{VENDOR_KEY}]", f"api_key: {{a: {VENDOR_KEY}}}"),
    "a key with a space": (f"api_key: '{SECOND_KEY}'", f"api_key: '{SECOND_KEY} {HEADER_SECRET}'"),
    "a header with a line end": (f"X-Mine: {HEADER_SECRET}", f'X-Mine: "{HEADER_SECRET}\\n"'),
    "not YAML": (f"api_key: [{VENDOR_KEY}]", f"api_key: [{VENDOR_KEY}"),
    "a URL with a password": ("base_url: 'http://127.0.0.1:9/v1'", f"base_url: 'ftp://me:{VENDOR_KEY}@h/v1'"),
    "a declared key that is not one": (f"key: {DECLARED_KEY}", f"key: '{DECLARED_KEY} x'"),
    "two tokens with one key": (
        "tokens:\n",
        f"tokens:\n      - {{name: twin, key: {DECLARED_KEY}, unlimited: true}}\n",
    ),
    "a budget that is none": ("unlimited: true", "budget: lots"),
    "a variable that is not set": ("${ADMIN}", "${ADMIN_NOT_SET}"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_is_refused_without_its_secrets(name: str, tmp_path: Path) -> None:
    text = CONFIG.format(url="http://127.0.0.1:9/v1")
    before, after = BROKEN[name]
    assert before in text
    write_config(tmp_path, text.replace(before, after))
    (tmp_path / "books").mkdir()
    for words in (("config", "check"), ("serve", "--port", "0"), ("token", "list")):
        said = oneapi(tmp_path, *words)
        assert b"config.yaml" in said or words[0] == "token"
        assert b"Traceback" not in said
        assert search(" ".join(words), said) == []
