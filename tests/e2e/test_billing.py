"""The billing endpoints that clients of One API and of OpenAI's old dashboard read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.control import ADMIN, CONFIG, NOWHERE, call, manage
from tests.support.gateway import running

TWINS = pytest.mark.parametrize("prefix", ["", "/v1"])


@TWINS
async def test_a_limited_token_shows_its_budget_and_its_use(tmp_path: Path, prefix: str) -> None:
    async with running(tmp_path, CONFIG.format(url=NOWHERE), budget_nanos=10**10, expires=4e9) as gateway:
        await call(gateway, "POST", "/api/token/consume", {"add_reason": "ocr", "add_used_quota": 617_283})
        await call(gateway, "POST", "/api/token/consume", {"add_reason": "x", "add_used_quota": 10, "phase": "pre"})
        found = await call(gateway, "GET", f"{prefix}/dashboard/billing/subscription")
        assert found.status == 200 and found.body == {
            "object": "billing_subscription",
            "has_payment_method": True,
            "soft_limit_usd": 10.0,
            "hard_limit_usd": 10.0,
            "system_hard_limit_usd": 10.0,
            "access_until": 4_000_000_000,
        }
        path = f"{prefix}/dashboard/billing/usage?start_date=2026-11-01&end_date=2026-11-30"
        used = await call(gateway, "GET", path)
        assert used.body == {"object": "list", "total_usage": 123.4566}


@TWINS
async def test_an_unlimited_token_shows_a_large_one(tmp_path: Path, prefix: str) -> None:
    async with running(tmp_path, CONFIG.format(url=NOWHERE), budget_nanos=None) as gateway:
        found = (await call(gateway, "GET", f"{prefix}/dashboard/billing/subscription/")).body
        assert (found["hard_limit_usd"], found["access_until"]) == (100_000_000, 0)
        assert (await call(gateway, "GET", f"{prefix}/dashboard/billing/usage")).body["total_usage"] == 0


async def test_it_works_with_nothing_left_and_not_without_a_key(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG.format(url=NOWHERE), budget_nanos=0) as gateway:
        for name in ("subscription", "usage"):
            path = f"/v1/dashboard/billing/{name}"
            assert (await call(gateway, "GET", path)).status == 200
            refused = await call(gateway, "GET", path, key="sk-nobody")
            assert refused.status == 401 and "success" not in refused.body and refused.body["error"]["message"]
            assert (await call(gateway, "POST", path, {})).headers["allow"] == "GET"


async def test_status_is_open_and_tells_the_admin_which_config_serves(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG.format(url=NOWHERE)) as gateway:
        for path in ("/api/status", "/api/status/"):
            data: dict[str, Any] = (await call(gateway, "GET", path, key="")).data
            assert data["quota_per_unit"] == 500_000 and data["display_in_currency"] is True
            assert data["version"] and data["start_time"] > 0 and "config" not in data
        assert "config" not in (await call(gateway, "GET", "/api/status")).data
        told = (await manage(gateway, "GET", "/api/status")).data["config"]
        assert len(told["generation"]) == 16 and told["refused"] == [] and told["taken_time"] > 0
        assert ADMIN not in str(told)
