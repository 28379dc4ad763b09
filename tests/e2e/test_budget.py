"""Money under concurrency: nobody overspends, and nobody is refused whom the balance covered."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oneapi_cli.ledger import accounts
from tests.support.gateway import Gateway, running
from tests.support.upstream import Received, Upstream, Writer, answering, reply

CONFIG = """
    ledger: ledger.db
    hold_wait: {wait}
    min_output: 16
    channels:
      - name: one
        type: openai-compatible
        base_url: {url}
        api_key: k-vendor
        models: [gpt-4o-mini, o1]
        priced_as: openai
"""
OUTPUT_RATE = 600


def ask(limit: int | None = 1000, model: str = "gpt-4o-mini", text: str = "hi") -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if limit is not None:
        body["max_tokens"] = limit
    return body


async def post(gateway: Gateway, body: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.base}/chat/completions", json=body) as answer,
    ):
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, json.loads(await answer.read())


def account(gateway: Gateway) -> tuple[int, int, int]:
    """granted, used, held of the token."""
    db = gateway.db()
    try:
        found = db.execute("SELECT granted, used, held FROM tokens WHERE name = 'test'").fetchone()
        return found[0], found[1], found[2]
    finally:
        db.close()


async def slowly(received: Received, writer: Writer) -> None:
    """Uses exactly as much output as it was allowed."""
    await asyncio.sleep(0.02)
    limit = received.json.get("max_tokens") or received.json["max_completion_tokens"]
    await writer.answer(200, reply(prompt=5, output=limit))


@pytest.mark.seconds(90)
async def test_a_race_for_one_small_balance_never_overspends_and_refuses_nobody_it_covered(tmp_path: Path) -> None:
    each = 5 * 150 + 1000 * OUTPUT_RATE
    # 40 requests that each really use their whole limit, and a balance for exactly 40 of them and one worst-case
    # input.
    budget = 40 * each + 200 * 150
    async with (
        Upstream([slowly]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="30s"), budget_nanos=budget, clamp=False) as gateway,
    ):
        answers = await asyncio.gather(*(post(gateway, ask()) for _ in range(40)))
        assert [status for status, _, _ in answers] == [200] * 40
        assert account(gateway)[1:] == (40 * each, 0)
        status, _, body = await post(gateway, ask())
        assert status == 403 and body["error"]["code"] == "insufficient_user_quota"
        assert gateway.differences() == []


@pytest.mark.seconds(90)
async def test_more_requests_than_money_end_at_zero_or_above(tmp_path: Path) -> None:
    async with (
        Upstream([slowly]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="1s"), budget_nanos=5_000_000) as gateway,
    ):
        answers = await asyncio.gather(*(post(gateway, ask()) for _ in range(60)))
        granted, used, held = account(gateway)
        assert held == 0 and used <= granted
        assert {status for status, _, _ in answers} <= {200, 401, 403, 429}
        assert sum(status == 200 for status, _, _ in answers) >= 7
        for status, headers, body in answers:
            if status == 429:
                assert body["error"]["code"] == "balance_held" and int(headers["retry-after"]) >= 1
        assert gateway.differences() == []


async def test_a_limited_budget_always_sends_the_limit_it_holds(tmp_path: Path) -> None:
    async with Upstream([slowly]) as upstream, running(tmp_path, CONFIG.format(url=upstream.url, wait="1s")) as gateway:
        status, headers, _ = await post(gateway, ask(None))
        assert status == 200 and "x-oneapi-max-tokens" not in headers
        assert upstream.received[0].json["max_tokens"] == 16384


async def test_an_unlimited_key_sends_no_limit_of_ours(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="1s"), budget_nanos=None) as gateway,
    ):
        await post(gateway, ask(None))
        assert "max_tokens" not in upstream.received[0].json
        assert account(gateway)[1] > 0, "what an unlimited key uses is counted"


async def test_a_limit_is_lowered_to_what_is_free_and_the_client_is_told(tmp_path: Path) -> None:
    async with (
        Upstream([slowly]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="1s"), budget_nanos=700 * OUTPUT_RATE) as gateway,
    ):
        status, headers, _ = await post(gateway, ask(1000))
        assert status == 200
        lowered = int(headers["x-oneapi-max-tokens"])
        assert 500 <= lowered < 700 and upstream.received[0].json["max_tokens"] == lowered
        granted, used, held = account(gateway)
        assert held == 0 and granted - used >= 0


async def test_a_reasoning_model_is_not_lowered_unless_the_token_says_so(tmp_path: Path) -> None:
    price = 60_000
    async with (
        Upstream([slowly]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="1s"), budget_nanos=700 * price) as gateway,
    ):
        status, _, body = await post(gateway, ask(1000, "o1"))
        assert status == 403 and body["error"]["code"] == "insufficient_user_quota"
        db = gateway.db()
        accounts.edit_token(db, "test", accounts.TokenEdit(clamp=True), now=time.time())
        db.close()
        status, headers, _ = await post(gateway, ask(1000, "o1"))
        assert status == 200
        assert upstream.received[0].json["max_completion_tokens"] == int(headers["x-oneapi-max-tokens"])


async def test_an_exhausted_key_still_uses_what_is_free(tmp_path: Path) -> None:
    text = CONFIG + "        prices: {{o1: {{free: true}}}}\n"
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, text.format(url=upstream.url, wait="1s"), budget_nanos=0) as gateway,
    ):
        assert (await post(gateway, ask(10)))[0] == 401
        status, _, _ = await post(gateway, ask(10, "o1"))
        assert status == 200
        assert account(gateway) == (0, 0, 0)


async def test_an_edit_bites_on_the_very_next_request(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="1s")) as gateway,
    ):
        db = gateway.db()
        edits: list[tuple[Any, int]] = [
            (accounts.TokenEdit(enabled=False), 401),
            (accounts.TokenEdit(enabled=True), 200),
            (accounts.TokenEdit(models=("o*",)), 403),
            (accounts.TokenEdit(models=()), 200),
            (accounts.TokenEdit(remain_nanos=0), 401),
            (accounts.TokenEdit(remain_nanos=5_000_000_000), 200),
            (accounts.TokenEdit(expires=5.0), 401),
            (accounts.TokenEdit(expires=None), 200),
            (accounts.TokenEdit(subnets=("10.0.0.0/8",)), 403),
            (accounts.TokenEdit(subnets=()), 200),
            (accounts.TokenEdit(rpm=1), 429),
            (accounts.TokenEdit(rpm=None), 200),
        ]
        assert (await post(gateway, ask(10)))[0] == 200
        for edit, status in edits:
            accounts.edit_token(db, "test", edit, now=time.time())
            got, _, body = await post(gateway, ask(10))
            assert got == status, (edit, body)
        db.close()
        assert gateway.differences() == []


async def test_concurrent_is_a_limit_on_requests_at_once(tmp_path: Path) -> None:
    async with (
        Upstream([slowly]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="1s"), concurrent=3) as gateway,
    ):
        answers = await asyncio.gather(*(post(gateway, ask(10)) for _ in range(12)))
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {200, 429} and statuses.count(200) >= 3
        assert (await post(gateway, ask(10)))[0] == 200


async def test_a_cost_above_the_hold_is_booked_and_said_to_be_unbounded(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply(prompt=9000, output=5000))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url, wait="1s"), budget_nanos=1_000_000) as gateway,
    ):
        _, headers, _ = await post(gateway, ask(100))
        assert account(gateway)[1] == 9000 * 150 + 5000 * OUTPUT_RATE
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {gateway.key}"}) as session,
            session.get(f"{gateway.url}/api/cost/request/{headers['x-oneapi-request-id']}?explain=1") as answer,
        ):
            assert (await answer.json())["bounded"] is False
        assert (await post(gateway, ask(100)))[0] == 401
        assert gateway.differences() == []


async def test_a_client_that_leaves_while_it_waits_holds_nothing(tmp_path: Path) -> None:
    async def very_slow(_: Received, writer: Writer) -> None:
        await asyncio.sleep(1.0)
        await writer.answer(200, reply(prompt=5, output=5))

    async with (
        Upstream([very_slow]) as upstream,
        running(
            tmp_path, CONFIG.format(url=upstream.url, wait="30s"), budget_nanos=1100 * OUTPUT_RATE, clamp=False
        ) as gateway,
    ):
        first = asyncio.create_task(post(gateway, ask(1000)))
        await asyncio.sleep(0.2)
        waiting = asyncio.create_task(post(gateway, ask(1000)))
        await asyncio.sleep(0.2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await first)[0] == 200
        await asyncio.sleep(0.3)
        assert len(upstream.received) == 1
        assert account(gateway)[2] == 0
        assert gateway.differences() == []
