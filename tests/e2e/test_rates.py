"""Rate limits in the headers that OpenAI's clients read, and CORS, which lets a page read them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.gateway.rates import duration_text
from tests.support.control import CONFIG, NOWHERE, call, chat
from tests.support.gateway import running
from tests.support.upstream import Received, Upstream, Writer, answering, events, reply, streaming

VENDORS = {"x-ratelimit-limit-requests": "9999", "X-RateLimit-Remaining-Tokens": "7", "openai-processing-ms": "12"}


def rates(headers: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("x-ratelimit-"): value for name, value in headers.items() if "ratelimit" in name}


def seconds(text: str) -> float:
    if text.endswith("ms"):
        return int(text[:-2]) / 1000
    minutes, _, rest = text.rpartition("m")
    return int(minutes or 0) * 60 + int(rest[:-1])


async def test_a_limited_token_reads_its_own_rates_and_not_the_vendors(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply(), VENDORS)]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), rpm=3, tpm=1000) as gateway,
    ):
        first = await call(gateway, "POST", "/v1/chat/completions", chat())
        found = rates(first.headers)
        assert first.status == 200 and first.headers["openai-processing-ms"] == "12"
        assert (found["limit-requests"], found["remaining-requests"], found["limit-tokens"]) == ("3", "2", "1000")
        assert 0 < int(found["remaining-tokens"]) < 1000
        assert 58 < seconds(found["reset-requests"]) <= 60 and 58 < seconds(found["reset-tokens"]) <= 60
        assert len(found) == 6
        left = [
            rates((await call(gateway, "POST", "/v1/chat/completions", chat())).headers)["remaining-requests"]
            for _ in range(2)
        ]
        assert left == ["1", "0"]
        refused = await call(gateway, "POST", "/v1/chat/completions", chat())
        assert (refused.status, refused.body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert 55 < int(refused.headers["retry-after"]) <= 60
        assert rates(refused.headers)["remaining-requests"] == "0" and len(upstream.received) == 3


async def test_only_what_is_limited_is_said_and_streams_say_it_too(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    async with (
        Upstream([streaming(events(["a"], usage=usage))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), rpm=3) as gateway,
    ):
        found = await call(gateway, "POST", "/v1/chat/completions", {**chat(), "stream": True})
        assert set(rates(found.headers)) == {"limit-requests", "remaining-requests", "reset-requests"}


async def test_a_token_without_limits_reads_the_vendors(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply(), VENDORS)]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        found = rates((await call(gateway, "POST", "/v1/chat/completions", chat())).headers)
        assert found == {"limit-requests": "9999", "remaining-tokens": "7"}


async def test_a_vendors_refusal_comes_with_our_rates(tmp_path: Path) -> None:
    refusal = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
    async with (
        Upstream([answering(429, refusal, {**VENDORS, "Retry-After": "33"})]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), rpm=3) as gateway,
    ):
        found = await call(gateway, "POST", "/v1/chat/completions", chat())
        assert (found.status, rates(found.headers)["limit-requests"]) == (429, "3")
        assert found.headers["retry-after"] == "33"


async def test_tokens_are_counted_as_held_and_corrected_when_they_are_known(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply(prompt=5, output=5))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), tpm=1500) as gateway,
    ):
        first = await call(gateway, "POST", "/v1/chat/completions", chat(1000))
        held = int(rates(first.headers)["remaining-tokens"])
        second = await call(gateway, "POST", "/v1/chat/completions", chat(10))
        assert held < 500 < int(rates(second.headers)["remaining-tokens"]), "ten were used of a thousand"
        too_many = await call(gateway, "POST", "/v1/chat/completions", chat(2000))
        assert too_many.status == 429 and "1500 per minute" in too_many.body["error"]["message"]


async def test_the_official_client_waits_as_it_is_told(tmp_path: Path) -> None:
    async def slowly(_: Received, writer: Writer) -> None:
        await asyncio.sleep(0.3)
        await writer.answer(200, reply())

    async with (
        Upstream([slowly]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), concurrent=1) as gateway,
    ):
        both = await asyncio.gather(*(call(gateway, "POST", "/v1/chat/completions", chat()) for _ in range(2)))
        refused = next(answer for answer in both if answer.status == 429)
        assert refused.headers["retry-after"] == "1" and sorted(answer.status for answer in both) == [200, 429]


@pytest.mark.parametrize(
    ("given", "text"),
    [(0, "0s"), (-1, "0s"), (0.0001, "1ms"), (0.85, "850ms"), (0.9995, "1s"), (1, "1s"), (1.2, "2s"), (59.5, "1m0s"),
     (60, "1m0s"), (360, "6m0s"), (3600, "1h0m0s"), (3725, "1h2m5s")],
)  # fmt: skip
def test_durations_are_written_as_openai_writes_them(given: float, text: str) -> None:
    assert duration_text(given) == text


# --- CORS -----------------------------------------------------------------------------------------------------------

PAGE = "https://chat.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
}


def cors(headers: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("access-control-"): v for name, v in headers.items() if name.startswith("access-control")}


async def test_a_configured_page_may_call_the_doors(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    scripts = [answering(200, reply()), streaming(events(["a"], usage=usage))]
    async with Upstream(scripts) as upstream:
        text = CONFIG.format(url=upstream.url) + "    cors: [https://Chat.example/]\n"
        async with running(tmp_path, text, rpm=9) as gateway:
            asked = await call(gateway, "OPTIONS", "/v1/chat/completions", key="", headers=PREFLIGHT)
            assert (asked.status, asked.body) == (204, b"")
            assert cors(asked.headers) == {
                "allow-origin": PAGE,
                "allow-methods": "POST",
                "allow-headers": "authorization,content-type,x-stainless-lang",
                "max-age": "600",
            }
            bodies: list[dict[str, Any]] = [chat(), {**chat(), "stream": True}, {"model": 5}]
            for body, status in zip(bodies, (200, 200, 400), strict=True):
                found = await call(gateway, "POST", "/v1/chat/completions", body, headers={"Origin": PAGE})
                said = cors(found.headers)
                assert (found.status, said["allow-origin"], found.headers["vary"]) == (status, PAGE, "Origin")
                assert "X-RateLimit-Reset-Tokens" in said["expose-headers"] and "allow-credentials" not in said
            for path in ("/v1/models", "/v1/models/gpt-4o"):
                found = await call(gateway, "GET", path, headers={"Origin": PAGE})
                assert cors(found.headers)["allow-origin"] == PAGE


async def test_other_pages_and_other_paths_get_nothing(tmp_path: Path) -> None:
    text = CONFIG.format(url=NOWHERE) + f"    cors: ['{PAGE}']\n"
    async with running(tmp_path, text) as gateway:
        for origin in ("https://evil.example", "null", "http://chat.example", f"{PAGE}.evil.example"):
            asked = await call(gateway, "OPTIONS", "/v1/chat/completions", headers={**PREFLIGHT, "Origin": origin})
            assert asked.status == 405 and cors(asked.headers) == {}
            found = await call(gateway, "GET", "/v1/models", headers={"Origin": origin})
            assert found.status == 200 and cors(found.headers) == {} and found.headers["vary"] == "Origin"
        for path in ("/api/token/", "/api/token/consume", "/api/status", "/metrics", "/dashboard/billing/usage"):
            for method in ("GET", "OPTIONS"):
                found = await call(gateway, method, path, headers={**PREFLIGHT})
                assert cors(found.headers) == {} and found.status != 204


async def test_without_configured_pages_it_is_off(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG.format(url=NOWHERE)) as gateway:
        asked = await call(gateway, "OPTIONS", "/v1/chat/completions", headers=PREFLIGHT)
        found = await call(gateway, "GET", "/v1/models", headers={"Origin": PAGE})
        assert asked.status == 405 and cors(asked.headers) == cors(found.headers) == {} and "vary" not in found.headers


async def test_a_star_is_anybody_without_credentials(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG.format(url=NOWHERE) + "    cors: ['*']\n") as gateway:
        headers = {**PREFLIGHT, "Access-Control-Request-Headers": "x y"}
        asked = cors((await call(gateway, "OPTIONS", "/v1/chat/completions", headers=headers)).headers)
        assert asked["allow-origin"] == "*" and "allow-headers" not in asked and "allow-credentials" not in asked
