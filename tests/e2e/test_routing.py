"""Which channel serves a request: token's models, groups, priority, weight, names, `*`, pins, cool-downs and keys.

Every channel has a key of its own, and by it the vendor says which one asked.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger import accounts
from tests.support.gateway import Gateway, make_token, running
from tests.support.upstream import Received, Script, Upstream, Writer, answering, reply

HEAD = """
    ledger: ledger.db
    channels:
"""
BUSY = {"error": {"message": "busy", "type": "server_error", "code": "busy"}}


def channel(name: str, url: str, *, models: str = "[gpt-4o-mini]", **more: object) -> str:
    """One channel of a config, its key named after it. (The test file's indentation is the config's.)"""
    members: dict[str, object] = {
        "name": name,
        "type": "openai-compatible",
        "base_url": url,
        "api_key": f"key-of-{name}",
        "models": models,
        "priced_as": "openai",
        **more,
    }
    lines = [f"{key}: {value}" for key, value in members.items()]
    return "      - " + "\n        ".join(lines) + "\n"


def config(*channels: str) -> str:
    return HEAD + "".join(channels)


async def post(gateway: Gateway, model: str = "gpt-4o-mini", key: str = "", **headers: str) -> tuple[int, Any, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    given = {"Authorization": f"Bearer {key or gateway.key}", **headers}
    async with (
        aiohttp.ClientSession(headers=given) as session,
        session.post(f"{gateway.base}/chat/completions", json=body) as answer,
    ):
        return answer.status, answer.headers, json.loads(await answer.read())


def who(received: Received) -> str:
    """The channel that sent this."""
    return received.headers["authorization"].removeprefix("Bearer key-of-")


def by_channel(answers: dict[str, Script]) -> Script:
    """Answers as the channel that asks is told to; the others are served."""

    async def script(received: Received, writer: Writer) -> None:
        await answers.get(who(received), answering(200, reply()))(received, writer)

    return script


async def listed(gateway: Gateway, key: str = "") -> list[str]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key or gateway.key}"}) as session,
        session.get(f"{gateway.base}/models") as answer,
    ):
        return [model["id"] for model in (await answer.json())["data"]]


async def test_a_token_s_models_are_globs(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = config(channel("one", upstream.url, models="[gpt-4o-mini, gpt-4o, o1, o3, GPT-4o-mini]"))
        async with running(tmp_path, text, models=("gpt-4o*", "o[13]")) as gateway:
            assert [(await post(gateway, m))[0] for m in ("gpt-4o-mini", "gpt-4o", "o1", "o3")] == [200] * 4
            status, _, body = await post(gateway, "GPT-4o-mini")
            assert (status, body["error"]["code"]) == (403, "model_not_allowed"), "names have capitals"
            assert await listed(gateway) == ["gpt-4o", "gpt-4o-mini", "o1", "o3"]


async def test_the_owner_s_models_bind_as_well(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = config(channel("one", upstream.url, models="[gpt-4o-mini, o1]"))
        async with running(tmp_path, text) as gateway:
            db = gateway.db()
            accounts.add_user(db, accounts.NewUser(name="ann", unlimited=True, models=("gpt-*",)), now=1.0)
            key = make_token(db, "anns", None, user="ann")
            db.close()
            assert (await post(gateway, "gpt-4o-mini", key))[0] == 200
            assert (await post(gateway, "o1", key))[0] == 403
            assert await listed(gateway, key) == ["gpt-4o-mini"]


async def test_groups_open_channels(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = config(
            channel("open", upstream.url),
            channel("club", upstream.url, models="[gpt-4o-mini, gpt-4o]", groups="[gold, silver]", priority=9),
        )
        async with running(tmp_path, text) as gateway:
            db = gateway.db()
            accounts.add_user(db, accounts.NewUser(name="ann", unlimited=True, groups=("silver",)), now=1.0)
            key = make_token(db, "anns", None, user="ann")
            db.close()
            assert (await post(gateway, "gpt-4o-mini", key))[0] == 200
            assert (await post(gateway, "gpt-4o-mini"))[0] == 200
            assert [who(received) for received in upstream.received] == ["club", "open"]
            assert (await post(gateway, "gpt-4o"))[0] == 503
            assert (await post(gateway, "gpt-4o", key))[0] == 200
            assert await listed(gateway) == ["gpt-4o-mini"]
            assert await listed(gateway, key) == ["gpt-4o", "gpt-4o-mini"]


async def test_priority_comes_first_and_weight_shares_within_it(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = config(
            channel("low", upstream.url, priority=-1, weight=1000),
            channel("large", upstream.url, weight=4),
            channel("small", upstream.url, weight=1),
            channel("spare", upstream.url, weight=0),
            channel("off", upstream.url, priority=10, enabled="false"),
        )
        async with running(tmp_path, text) as gateway:
            for _ in range(150):
                assert (await post(gateway))[0] == 200
            shares = Counter(who(received) for received in upstream.received)
            # Binomial: 120 of 150 expected, 4.9 standard deviation; six of them on either side.
            assert set(shares) == {"large", "small"} and 90 <= shares["large"] < 150


async def test_a_retry_goes_down_the_order_and_a_weight_of_0_comes_last(tmp_path: Path) -> None:
    busy = answering(503, BUSY)
    async with Upstream([by_channel({"first": busy, "second": busy})]) as upstream:
        text = config(
            channel("spare", upstream.url, weight=0),
            channel("second", upstream.url),
            channel("first", upstream.url, priority=1),
        )
        async with running(tmp_path, text) as gateway:
            assert (await post(gateway))[0] == 200
            assert [who(received) for received in upstream.received] == ["first", "second", "spare"]


async def test_names_upstream_and_what_nobody_names(tmp_path: Path) -> None:
    said = {**reply(), "model": "what-the-vendor-says"}
    async with Upstream([answering(200, said)]) as upstream:
        text = config(
            channel("named", upstream.url, models="{fast: gpt-4o-mini, gpt-4o: gpt-4o}"),
            channel("rest", upstream.url, models="['*']", priority=5),
        )
        async with running(tmp_path, text) as gateway:
            for model in ("fast", "gpt-4o", "gpt-4.1"):
                status, _, body = await post(gateway, model)
                assert (status, body["model"]) == (200, "what-the-vendor-says")
            assert [(who(r), r.json["model"]) for r in upstream.received] == [
                ("named", "gpt-4o-mini"),
                ("named", "gpt-4o"),
                ("rest", "gpt-4.1"),
            ]
            assert await listed(gateway) == ["fast", "gpt-4o"]


async def test_a_pin_is_for_admins(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = config(
            channel("one", upstream.url, priority=1),
            channel("two", upstream.url),
            channel("sub-two", upstream.url),
            channel("three", upstream.url, models="[gpt-4o]"),
        )
        async with running(tmp_path, text) as gateway:
            db = gateway.db()
            accounts.add_user(db, accounts.NewUser(name="ann", unlimited=True), now=1.0)
            ordinary = make_token(db, "anns", None, user="ann")
            db.close()
            for pin in ("two", "sub-two", "two"):
                assert (await post(gateway, key=f"{gateway.key}-{pin}"))[0] == 200
            assert [who(received) for received in upstream.received] == ["two", "sub-two", "two"]
            status, _, body = await post(gateway, key=f"{ordinary}-two")
            assert status == 403 and "Ordinary users" in body["error"]["message"]
            assert (await post(gateway, key=f"{gateway.key}-three"))[0] == 400
            assert (await post(gateway, key=f"{gateway.key}-four"))[0] == 401
            assert (await post(gateway, key=ordinary))[0] == 200
            assert len(upstream.received) == 4


async def test_a_pinned_request_is_not_retried_elsewhere(tmp_path: Path) -> None:
    async with Upstream([by_channel({"two": answering(401, BUSY)})]) as upstream:
        text = config(channel("one", upstream.url), channel("two", upstream.url))
        async with running(tmp_path, text) as gateway:
            status, _, body = await post(gateway, key=f"{gateway.key}-two")
            assert (status, body["error"]["code"]) == (502, "upstream_auth")
            assert [who(received) for received in upstream.received] == ["two"]


async def test_a_channel_rests_as_long_as_it_asks(tmp_path: Path) -> None:
    answers = {"first": answering(429, BUSY, {"Retry-After": "1"})}
    async with Upstream([by_channel(answers)]) as upstream:
        text = config(
            channel("first", upstream.url, models="[gpt-4o-mini, gpt-4o]", priority=1),
            channel("second", upstream.url, models="[gpt-4o-mini, gpt-4o]"),
        )
        async with running(tmp_path, text) as gateway:
            assert (await post(gateway))[0] == 200
            assert (await post(gateway))[0] == 200
            assert [who(r) for r in upstream.received] == ["first", "second", "second"]
            assert (await post(gateway, "gpt-4o"))[0] == 200
            assert [who(r) for r in upstream.received[3:]] == ["first", "second"], "it rests for that model alone"
            answers.clear()
            await asyncio.sleep(1.1)
            assert (await post(gateway))[0] == 200
            assert who(upstream.received[-1]) == "first", "and is asked again when its time is over"


async def test_a_refused_key_rests_the_whole_channel(tmp_path: Path) -> None:
    async with Upstream([by_channel({"first": answering(401, BUSY)})]) as upstream:
        text = config(
            channel("first", upstream.url, models="[gpt-4o-mini, gpt-4o]", priority=1),
            channel("second", upstream.url, models="[gpt-4o-mini, gpt-4o]"),
        )
        async with running(tmp_path, text) as gateway:
            for model in ("gpt-4o-mini", "gpt-4o", "gpt-4o-mini"):
                assert (await post(gateway, model))[0] == 200
            assert [who(r) for r in upstream.received] == ["first", "second", "second", "second"]


async def test_a_channel_that_rests_serves_when_nobody_else_does(tmp_path: Path) -> None:
    async with (
        Upstream([answering(429, BUSY, {"Retry-After": "60"}), answering(200, reply())]) as upstream,
        running(tmp_path, config(channel("only", upstream.url))) as gateway,
    ):
        status, headers, _ = await post(gateway)
        assert (status, headers["Retry-After"]) == (429, "60")
        assert (await post(gateway))[0] == 200


async def test_keys_take_turns(tmp_path: Path) -> None:
    async with Upstream([answering(200, reply())]) as upstream:
        text = config(channel("one", upstream.url, api_key="[key-of-a, key-of-b, key-of-c]"))
        async with running(tmp_path, text) as gateway:
            for _ in range(7):
                assert (await post(gateway))[0] == 200
            assert "".join(who(received) for received in upstream.received) == "abcabca"


@pytest.mark.parametrize(("asked", "told"), [({}, set()), ({"Idempotency-Key": "mine", "OpenAI-Beta": "b1"}, {"b1"})])
async def test_only_listed_headers_travel(asked: dict[str, str], told: set[str], tmp_path: Path) -> None:
    odd = {
        "X-Odd": "1",
        "Cookie": "c=1",
        "OpenAI-Organization": "org",
        "User-Agent": "curl/8",
        "X-Forwarded-For": "9.9.9.9",
    }
    said = {"X-RateLimit-Remaining-Requests": "5", "OpenAI-Processing-Ms": "12", "Set-Cookie": "c=2", "X-Secret": "1"}
    async with (
        Upstream([answering(200, reply(), said)]) as upstream,
        running(tmp_path, config(channel("one", upstream.url, headers="{X-Mine: 'yes'}"))) as gateway,
    ):
        _, headers, _ = await post(gateway, **odd, **asked)
        sent = upstream.received[0].headers
        assert set(sent) - {"host", "content-length"} == {
            "content-type",
            "accept",
            "accept-encoding",
            "authorization",
            "user-agent",
            "x-mine",
            *(name.lower() for name in asked),
        }
        assert {sent["openai-beta"]} == told if told else "openai-beta" not in sent
        assert sent.get("idempotency-key") != "mine" and sent["user-agent"].startswith("oneapi/")
        assert headers["x-ratelimit-remaining-requests"] == "5" and headers["openai-processing-ms"] == "12"
        assert "Set-Cookie" not in headers and "X-Secret" not in headers


async def test_an_idempotency_key_is_the_same_to_the_vendor_for_one_token_alone(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, config(channel("one", upstream.url))) as gateway,
    ):
        db = gateway.db()
        other = make_token(db, "other", None)
        db.close()
        for key in (gateway.key, gateway.key, other):
            await post(gateway, key=key, **{"Idempotency-Key": "order-66"})
        first, again, theirs = (received.headers["idempotency-key"] for received in upstream.received)
        assert first == again != theirs and "order-66" not in (first, theirs)
