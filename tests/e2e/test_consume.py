"""`/api/token/consume` and what stands beside it: money that a program outside the gateway spends really goes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts
from oneapi_cli.ledger.accounts import NewUser
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.server import upkeep
from tests.support.control import CONFIG, NOWHERE, Answer, call, chat, manage
from tests.support.gateway import Gateway, make_token, running
from tests.support.upstream import Upstream, answering, reply

DOLLAR = 500_000


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """The token has exactly a dollar."""
    async with running(tmp_path, CONFIG.format(url=NOWHERE), budget_nanos=10**9) as gateway:
        yield gateway


async def consume(gateway: Gateway, key: str | None = None, **body: Any) -> Answer:
    return await call(gateway, "POST", "/api/token/consume", {"add_reason": "ocr", **body}, key=key)


async def balance(gateway: Gateway, key: str | None = None) -> tuple[int, int, bool]:
    data = (await call(gateway, "GET", "/api/token/balance", key=key)).data
    return data["remain_quota"], data["used_quota"], data["unlimited_quota"]


def columns(gateway: Gateway, sql: str) -> list[Any]:
    db = gateway.db()
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def let_it_expire(gateway: Gateway) -> None:
    """As if its time had passed."""
    db = gateway.db()
    db.execute("UPDATE externals SET expires = 1.0")
    db.close()


async def test_single_is_what_happens_unless_something_is_said(gateway: Gateway) -> None:
    found = await consume(gateway, add_used_quota=1000, elapsed_time_ms=250)
    assert (found.data["remain_quota"], found.data["used_quota"], found.data["name"]) == (DOLLAR - 1000, 1000, "test")
    done = found.body["transaction"]
    assert len(done["transaction_id"]) == 32 and int(done["transaction_id"], 16) > 0
    want = {"status_code": 2, "status": "confirmed", "pre_quota": 1000, "final_quota": 1000, "reason": "ocr"}
    want |= {"auto_confirmed": False, "elapsed_time_ms": 250, "token_id": 1, "user_id": 1}
    assert {name: done[name] for name in want} == want and "canceled_at" not in done
    assert done["request_id"] == found.headers["x-oneapi-request-id"]
    assert await balance(gateway) == (DOLLAR - 1000, 1000, False)
    cost = await call(gateway, "GET", f"/api/cost/request/{done['request_id']}", key="")
    assert (cost.body["quota"], cost.body["cost_usd"]) == (1000, 0.002)
    assert gateway.differences() == []


async def test_pre_holds_and_post_charges_what_it_came_to(gateway: Gateway) -> None:
    held = await consume(gateway, phase="PRE", add_used_quota=400_000, transaction_id="mine", timeout_seconds=99_999)
    pending = held.body["transaction"]
    assert (pending["status"], pending["status_code"], pending["final_quota"]) == ("pending", 1, None)
    assert pending["transaction_id"] != "mine" and pending["expires_at"] - pending["created_at"] == 3600
    assert await balance(gateway) == (100_000, 0, False)
    said = (await consume(gateway, add_used_quota=100_001)).refusal
    assert said == (
        "pre-consume phase of immediate consume: pre-consume token quota: insufficient token quota: "
        "required=100001, available=100000, tokenId=1"
    )
    id = pending["transaction_id"]
    done = (await consume(gateway, phase="post", transaction_id=id, final_used_quota=250_000)).body["transaction"]
    assert (done["status"], done["pre_quota"], done["final_quota"]) == ("confirmed", 400_000, 250_000)
    assert await balance(gateway) == (250_000, 250_000, False)
    again = await consume(gateway, phase="post", transaction_id=id, final_used_quota=1)
    assert again.refusal == f"transaction {id} is already confirmed"
    late = await consume(gateway, phase="cancel", transaction_id=id)
    assert late.refusal == f"transaction {id} cannot be canceled because it is confirmed"
    assert await balance(gateway) == (250_000, 250_000, False) and gateway.differences() == []


async def test_post_and_cancel_pass_with_nothing_left(gateway: Gateway) -> None:
    one = (await consume(gateway, phase="pre", add_used_quota=DOLLAR // 2)).body["transaction"]["transaction_id"]
    two = (await consume(gateway, phase="pre", add_used_quota=DOLLAR // 2)).body["transaction"]["transaction_id"]
    assert (await balance(gateway))[0] == 0
    assert (await consume(gateway, phase="post", transaction_id=one, add_used_quota=1)).data["remain_quota"] == 249_999
    assert (await consume(gateway, phase="cancel", transaction_id=two)).body["transaction"]["status"] == "canceled"
    assert await balance(gateway) == (DOLLAR - 1, 1, False)
    assert columns(gateway, "SELECT held FROM tokens") == [(0,)] and gateway.differences() == []


async def test_a_post_above_its_hold_needs_the_rest_free(gateway: Gateway) -> None:
    id = (await consume(gateway, phase="pre", add_used_quota=400_000)).body["transaction"]["transaction_id"]
    said = (await consume(gateway, phase="post", transaction_id=id, final_used_quota=DOLLAR + 1)).refusal
    assert "insufficient token quota" in said and await balance(gateway) == (100_000, 0, False)
    assert (await consume(gateway, phase="post", transaction_id=id, final_used_quota=DOLLAR)).data["remain_quota"] == 0


async def test_what_nobody_closes_is_confirmed_when_its_time_is_over(gateway: Gateway) -> None:
    held = (await consume(gateway, phase="pre", add_used_quota=1000, timeout_seconds=-5)).body["transaction"]
    assert held["expires_at"] - held["created_at"] == 600
    let_it_expire(gateway)
    assert await balance(gateway) == (DOLLAR - 1000, 1000, False)
    row = (await call(gateway, "GET", "/api/token/transactions")).data[0]
    assert (row["status"], row["auto_confirmed"], row["final_quota"]) == (3, True, 1000)
    late = await consume(gateway, phase="post", transaction_id=held["transaction_id"], final_used_quota=1)
    assert late.refusal == f"transaction {held['transaction_id']} is already auto_confirmed"


async def test_the_owner_pays_too_and_is_a_bound_of_its_own(gateway: Gateway) -> None:
    db = open_ledger(gateway.ledger)
    accounts.add_user(db, NewUser(name="lab", budget_nanos=1_000_000), now=1.0)
    key = make_token(db, "rich", 10**9, user="lab")
    free = make_token(db, "free", None, user="root")
    db.close()
    assert (await consume(gateway, key, add_used_quota=300)).data["used_quota"] == 300
    assert columns(gateway, "SELECT used FROM users WHERE name = 'lab'") == [(600_000,)]
    said = (await consume(gateway, key, add_used_quota=201)).refusal
    assert said.endswith("insufficient user quota: required=201, available=200, userId=2")
    assert (await consume(gateway, free, add_used_quota=10**9)).data["used_quota"] == 10**9
    assert await balance(gateway, free) == (0, 10**9, True)
    assert columns(gateway, "SELECT used FROM users WHERE id = 1") == [(10**9 * 2000,)]
    assert gateway.differences() == []


async def test_a_race_never_goes_below_zero(gateway: Gateway) -> None:
    phases: list[dict[str, Any]] = [
        {"add_used_quota": 60_000, "phase": ("single", "pre")[number % 2]} for number in range(20)
    ]
    answers = await asyncio.gather(*(consume(gateway, **phase) for phase in phases))
    assert sum(answer.body["success"] for answer in answers) == 8
    assert (await balance(gateway))[0] == DOLLAR - 8 * 60_000
    assert gateway.differences() == []


async def test_a_post_is_done_once_however_often_it_is_sent(gateway: Gateway) -> None:
    id = (await consume(gateway, phase="pre", add_used_quota=1000)).body["transaction"]["transaction_id"]
    answers = await asyncio.gather(
        *(consume(gateway, phase="post", transaction_id=id, final_used_quota=900) for _ in range(8)),
        *(consume(gateway, phase="cancel", transaction_id=id) for _ in range(8)),
    )
    assert sum(answer.body["success"] for answer in answers) == 1
    assert gateway.differences() == []


async def test_an_audit_row_costs_nothing(gateway: Gateway) -> None:
    done = (await consume(gateway, transaction_id="job-7")).body["transaction"]
    assert (done["transaction_id"], done["status"], done["final_quota"]) == ("job-7", "confirmed", 0)
    assert (await consume(gateway, transaction_id="job-7")).refusal.endswith("transaction job-7 is already confirmed")
    assert await balance(gateway) == (DOLLAR, 0, False)


async def test_another_keys_transaction_is_not_there(gateway: Gateway) -> None:
    db = open_ledger(gateway.ledger)
    key = make_token(db, "other", 10**9)
    db.close()
    id = (await consume(gateway, phase="pre", add_used_quota=1000)).body["transaction"]["transaction_id"]
    for phase in ("post", "cancel"):
        said = (await consume(gateway, key, phase=phase, transaction_id=id, final_used_quota=1)).refusal
        assert said.endswith(f"token_id=2, transaction_id={id}: record not found")
    assert (await call(gateway, "GET", "/api/token/transactions", key=key)).data == []


async def test_transactions_are_paged_newest_first(gateway: Gateway) -> None:
    for number in range(12):
        await consume(gateway, add_used_quota=1, add_reason=f"r{number}")

    async def reasons(query: str) -> list[str]:
        found = await call(gateway, "GET", f"/api/token/transactions?{query}")
        assert found.body["total"] == 12
        return [row["reason"] for row in found.data]

    assert await reasons("") == [f"r{number}" for number in range(11, 1, -1)]
    assert await reasons("p=1") == ["r1", "r0"] and await reasons("p=2") == [] and await reasons("p=99999") == []
    assert await reasons("p=2&size=3") == ["r5", "r4", "r3"] and len(await reasons("size=1000")) == 12
    assert "`p` must be" in (await call(gateway, "GET", "/api/token/transactions?p=-1")).refusal


@pytest.mark.parametrize("key", ["", "sk-nobody"])
@pytest.mark.parametrize("path", ["consume", "balance", "transactions", "logs"])
async def test_it_takes_a_key(gateway: Gateway, path: str, key: str) -> None:
    found = await call(gateway, "POST" if path == "consume" else "GET", f"/api/token/{path}", {}, key=key)
    assert (found.status, found.body["success"]) == (401, False) and found.body["error"]["type"] == "one_api_error"


async def test_a_disabled_key_may_not(gateway: Gateway) -> None:
    await manage(gateway, "PUT", "/api/token/?status_only=1", {"id": 1, "status": 2})
    assert (await consume(gateway, add_used_quota=1)).status == 401


_BAD: list[tuple[dict[str, Any] | bytes, str]] = [
    ({"add_reason": ""}, "add_reason cannot be empty"),
    ({"add_reason": " \t"}, "add_reason cannot be empty"),
    ({"add_reason": None}, "add_reason cannot be empty"),
    ({"add_reason": 5}, "`add_reason` must be a string"),
    ({"add_reason": "x" * 256}, "at most 255"),
    ({"add_reason": "a\x1b[2Jb"}, "printable"),
    ({"phase": "charge"}, "unsupported phase: charge"),
    ({"phase": 1}, "`phase` must be a string"),
    ({"phase": "pre"}, "add_used_quota must be greater than 0 for pre phase"),
    ({"phase": "pre", "add_used_quota": 0}, "add_used_quota must be greater than 0 for pre phase"),
    ({"phase": "post"}, "transaction_id is required for post phase"),
    ({"phase": "cancel"}, "transaction_id is required for cancel phase"),
    (
        {"phase": "post", "transaction_id": "a" * 32},
        "final_used_quota or add_used_quota must be provided for post phase",
    ),
    (
        {"phase": "post", "transaction_id": "nope", "final_used_quota": 1},
        "get token transaction for post-consume: failed to fetch token transaction: token_id=1, transaction_id=nope: "
        "record not found",
    ),
    ({"phase": "cancel", "transaction_id": "\ud800"}, "not valid JSON"),
    ({"add_used_quota": -1}, "add_used_quota exceeds supported quota range"),
    ({"add_used_quota": 2**64}, "add_used_quota exceeds supported quota range"),
    ({"add_used_quota": 10**60}, "add_used_quota exceeds supported quota range"),
    ({"add_used_quota": 1.5}, "`add_used_quota` must be a whole number"),
    ({"add_used_quota": "1"}, "`add_used_quota` must be a whole number"),
    ({"phase": "post", "transaction_id": "x", "final_used_quota": 10**30}, "final_used_quota exceeds supported"),
    ({"timeout_seconds": "soon"}, "`timeout_seconds` must be a whole number"),
    ({"transaction_id": "x" * 300}, "at most 128"),
    (b"", "not valid JSON"),
    (b"[1]", "must be a JSON object"),
    (b'{"add_reason": "a", "add_used_quota": 1, "add_used_quota": 2}', "given twice"),
    (b'{"add_reason": "a", "ADD_USED_QUOTA": 2}', "write `add_used_quota`"),
]


@pytest.mark.parametrize(("body", "said"), _BAD, ids=lambda value: str(value)[:50])
async def test_a_bad_request_is_a_sentence_and_moves_nothing(
    gateway: Gateway, body: dict[str, Any] | bytes, said: str
) -> None:
    sent = body if isinstance(body, bytes) else {"add_reason": "ocr", **body}
    assert said in (await call(gateway, "POST", "/api/token/consume", sent)).refusal
    assert await balance(gateway) == (DOLLAR, 0, False)
    assert columns(gateway, "SELECT count(*) FROM externals") == [(0,)]


async def test_huge_times_are_only_capped(gateway: Gateway) -> None:
    done = await consume(gateway, phase="pre", add_used_quota=1, timeout_seconds=10**30, elapsed_time_ms=10**30)
    row = done.body["transaction"]
    assert row["expires_at"] - row["created_at"] == 3600 and "elapsed_time_ms" not in row


async def test_a_ledger_that_cannot_be_written_is_a_503_and_nothing_happened(gateway: Gateway) -> None:
    gateway.app.book._desk._writer.wait_seconds = 0.2
    db = gateway.db()
    db.execute("BEGIN IMMEDIATE")
    try:
        found = await consume(gateway, add_used_quota=1)
        assert (found.status, found.body["success"], found.headers["retry-after"]) == (503, False, "1")
        assert await balance(gateway) == (DOLLAR, 0, False), "as last written"
    finally:
        db.execute("ROLLBACK")
        db.close()
    assert (await consume(gateway, add_used_quota=1)).data["used_quota"] == 1


async def test_a_ledger_that_became_read_only_is_a_503(gateway: Gateway) -> None:
    """As with a disk that was mounted anew: SQLite says so at the next write."""
    gateway.app.book._db.execute("PRAGMA query_only = ON")
    found = await consume(gateway, add_used_quota=1)
    assert found.status == 503 and found.body["success"] is False and "read-only" in found.body["message"]
    managed = await manage(gateway, "POST", "/api/token/", {"name": "x", "remain_quota": 1})
    assert managed.status == 503 and "read-only" in managed.body["message"]
    gateway.app.book._db.execute("PRAGMA query_only = OFF")
    assert (await consume(gateway, add_used_quota=1)).data["used_quota"] == 1


async def test_a_minute_confirms_what_expired_and_folds_what_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nobody asking. A minute is shorter here."""
    monkeypatch.setattr(upkeep, "TOUCH_SECONDS", 0.05)
    text = CONFIG.format(url=NOWHERE) + "    retention: 1d\n"
    async with running(tmp_path, text, budget_nanos=10**9) as gateway:
        await consume(gateway, add_used_quota=7)
        await consume(gateway, add_used_quota=1000, phase="pre")

        def expire_one_and_age_the_other(db: sqlite3.Connection) -> None:
            db.execute("UPDATE externals SET expires = 1.0")
            db.execute("UPDATE requests SET created = 5.0, closed = 6.0 WHERE state = 'settled'")

        await gateway.app.book._run(expire_one_and_age_the_other)
        monkeypatch.setattr(upkeep, "PRUNE_SECONDS", 0.0)
        end = asyncio.get_running_loop().time() + 10
        rows = "SELECT state, hold_nanos FROM requests"
        while columns(gateway, rows) != [("settled", 2_000_000)]:
            assert asyncio.get_running_loop().time() < end, columns(gateway, rows)
            await asyncio.sleep(0.05)
        assert columns(gateway, "SELECT used, requests FROM carried WHERE token_id = 1") == [(14_000, 1)]
        assert await balance(gateway) == (DOLLAR - 1007, 1007, False) and gateway.differences() == []


async def test_a_budget_that_recurs_is_new_when_it_is_asked_for(tmp_path: Path) -> None:
    more: dict[str, Any] = {"budget_period": "day"}
    async with running(tmp_path, CONFIG.format(url=NOWHERE), budget_nanos=10**9, **more) as gateway:
        await consume(gateway, add_used_quota=DOLLAR)
        assert (await balance(gateway))[0] == 0
        db = gateway.db()
        db.execute("UPDATE tokens SET budget_reset = 1.0")
        db.close()
        assert await balance(gateway) == (DOLLAR, DOLLAR, False)
        assert (await consume(gateway, add_used_quota=DOLLAR)).data["remain_quota"] == 0
        assert gateway.differences() == []


async def test_consumption_and_requests_share_one_balance(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url), budget_nanos=10**7) as gateway,
    ):
        id = (await consume(gateway, phase="pre", add_used_quota=5000)).body["transaction"]["transaction_id"]
        refused = await call(gateway, "POST", "/v1/chat/completions", chat())
        assert refused.status == 429 and refused.body["error"]["code"] == "balance_held"
        await consume(gateway, phase="cancel", transaction_id=id)
        assert (await call(gateway, "POST", "/v1/chat/completions", chat())).status == 200
        assert gateway.differences() == []


async def test_logs_are_this_keys_own_newest_first(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply(prompt=20, output=7))]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        db = open_ledger(gateway.ledger)
        other = make_token(db, "other", 10**9)
        db.close()
        asked = await call(gateway, "POST", "/v1/chat/completions", chat())
        await call(gateway, "POST", "/v1/chat/completions", chat(), key=other)
        await call(gateway, "POST", "/v1/chat/completions", chat(model="nowhere"))
        await consume(gateway, add_used_quota=5)
        found = await call(gateway, "GET", "/api/token/logs")
        assert found.body["total"] == 3
        assert [(row["model_name"], row["quota"], row["state"]) for row in found.data] == [
            ("ocr", 5, "settled"),
            ("nowhere", 0, "refused"),
            ("gpt-4o-mini", 4, "settled"),
        ]
        first = found.data[-1]
        want = {"prompt_tokens": 20, "completion_tokens": 7, "token_name": "test", "username": "root", "type": 2}
        want |= {"request_id": asked.headers["x-oneapi-request-id"], "channel_name": "one", "is_stream": False}
        assert {name: first[name] for name in want} == want

        async def names(query: str) -> list[str]:
            return [row["model_name"] for row in (await call(gateway, "GET", f"/api/token/logs?{query}")).data]

        assert await names("model_name=ocr") == ["ocr"] and await names("p=1&size=1") == ["nowhere"]
        assert await names("type=2") == ["ocr", "nowhere", "gpt-4o-mini"] and await names("type=1") == []
        assert await names("end_timestamp=5") == [] and len(await names("start_timestamp=5")) == 3
        for query in ("p=x", "size=-1", "start_timestamp=yesterday", "end_timestamp=1e9"):
            assert "must be a whole number" in (await call(gateway, "GET", f"/api/token/logs?{query}")).refusal
