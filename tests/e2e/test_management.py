"""`/api/token/` under the admin's key: what is edited really changes, and what cannot be is refused in a sentence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger.accounts import NewToken, add_token, list_tokens
from oneapi_cli.ledger.declared import DeclaredToken, mirror_declared
from oneapi_cli.ledger.keys import digest_of
from tests.support.control import ADMIN, CONFIG, NOWHERE, call, chat, manage
from tests.support.gateway import Gateway, running
from tests.support.upstream import Upstream, answering, reply

DOLLAR = 500_000
PAST, FUTURE = 1_000_000_000, 4_000_000_000


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, CONFIG.format(url=NOWHERE)) as gateway:
        yield gateway


async def make(gateway: Gateway, **body: Any) -> Any:
    return (await manage(gateway, "POST", "/api/token/", {"name": "phone", "remain_quota": DOLLAR, **body})).data


def state(gateway: Gateway) -> list[Any]:
    """Everything that an edit could change."""
    db = gateway.db()
    try:
        return db.execute("SELECT * FROM tokens ORDER BY id").fetchall() + db.execute("SELECT * FROM grants").fetchall()
    finally:
        db.close()


# --- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "sk-unknown", ADMIN[:-1], ADMIN + "x", "let-me-ïn", "test"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/token/"), ("POST", "/api/token/"), ("PUT", "/api/token"), ("DELETE", "/api/token/1")],
)
async def test_only_the_admins_key_opens_it(gateway: Gateway, method: str, path: str, key: str) -> None:
    before = state(gateway)
    found = await call(gateway, method, path, {"id": 1, "name": "x", "status": 2}, key=key)
    assert found.status == 401 and found.body["success"] is False
    assert "admin_key" in found.body["message"] and found.body["error"]["message"].endswith(")")
    assert state(gateway) == before


async def test_a_relay_key_is_not_the_admins(gateway: Gateway) -> None:
    assert (await call(gateway, "GET", "/api/token/")).status == 401


async def test_without_an_admin_key_it_is_off(tmp_path: Path) -> None:
    text = CONFIG.format(url=NOWHERE).replace("admin_key: let-me-in", "admin_key: ''")
    async with running(tmp_path, text) as gateway:
        for key in ("", ADMIN, gateway.key):
            found = await call(gateway, "GET", "/api/token/", key=key)
            assert found.status == 401 and "admin_key" in found.body["message"]
            assert (await call(gateway, "GET", "/metrics", key=key)).status == 401


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/api/token/", "GET, POST, PUT"),
        ("PUT", "/api/token/1", "GET, DELETE"),
        ("POST", "/api/token/search", "GET"),
        ("GET", "/api/token/consume", "POST"),
    ],
)
async def test_a_wrong_method_says_which_would_do(gateway: Gateway, method: str, path: str, allow: str) -> None:
    found = await manage(gateway, method, path)
    assert (found.status, found.headers["allow"], found.body["success"]) == (405, allow, False)


async def test_a_path_that_is_none_is_a_404_in_the_same_shape(gateway: Gateway) -> None:
    found = await manage(gateway, "GET", "/api/token/1/2")
    assert (found.status, found.body["success"]) == (404, False)


# --- make, show, list, remove ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_token_is_made_and_its_key_works_and_is_never_shown_again(tmp_path: Path, slash: str) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        body = {"name": "phone", "remain_quota": DOLLAR, "models": "gpt-4o-mini, o*", "subnet": "127.0.0.0/8"}
        made = (await manage(gateway, "POST", f"/api/token{slash}", body)).data
        assert made["key"].startswith("sk-") and len(made["key"]) == 51
        want = {"status": 1, "name": "phone", "expired_time": -1, "remain_quota": DOLLAR, "unlimited_quota": False}
        want |= {"used_quota": 0, "models": "gpt-4o-mini,o*", "subnet": "127.0.0.0/8", "user_id": 1}
        assert {name: made[name] for name in want} == want
        assert (await call(gateway, "POST", "/v1/chat/completions", chat(), key=made["key"])).status == 200
        again = (await manage(gateway, "GET", f"/api/token/{made['id']}{slash}")).data
        assert again["key"] == f"sk-…{made['key'][-4:]}" and 0 < again["used_quota"] < 10
        assert again["remain_quota"] == DOLLAR - again["used_quota"]
        listed = await manage(gateway, "GET", f"/api/token{slash}")
        assert made["key"] not in str(listed.body) and listed.body["total"] == 2
        assert (await manage(gateway, "DELETE", f"/api/token/{made['id']}{slash}")).body["success"] is True
        assert (await call(gateway, "POST", "/v1/chat/completions", chat(), key=made["key"])).status == 401
        assert gateway.differences() == []


async def test_defaults_of_a_new_token(gateway: Gateway) -> None:
    bare = (
        await manage(gateway, "POST", "/api/token/", {"name": "bare", "expired_time": 0, "id": 7, "status": 2})
    ).data
    assert (bare["status"], bare["remain_quota"], bare["expired_time"], bare["models"]) == (4, 0, -1, None)
    free = (
        await manage(gateway, "POST", "/api/token/", {"name": "free", "unlimited_quota": True, "remain_quota": -1})
    ).data
    assert (free["status"], free["unlimited_quota"]) == (1, True)
    late = (
        await manage(gateway, "POST", "/api/token/", {"name": "late", "expired_time": PAST, "remain_quota": 1})
    ).data
    assert (late["status"], late["expired_time"]) == (3, PAST)


async def test_lists_are_paged_sorted_and_searched(gateway: Gateway) -> None:
    for number in range(12):
        await make(gateway, name=f"t{number:02}", remain_quota=number * 10, unlimited_quota=number == 3)

    async def names(query: str, path: str = "") -> list[str]:
        return [token["name"] for token in (await manage(gateway, "GET", f"/api/token/{path}?{query}")).data]

    newest = [f"t{number:02}" for number in range(11, -1, -1)] + ["test"]
    assert await names("") == newest[:10] and await names("p=1") == newest[10:]
    assert await names("p=2") == [] and await names("p=999999999999") == []
    assert await names("size=500") == newest and await names("size=3&p=1") == newest[3:6]
    # Unlimited ones first, then those with most.
    assert (await names("order=remain_quota"))[:3] == ["t03", "test", "t11"]
    assert (await names("sort=name&order=asc"))[:2] == ["t00", "t01"]
    assert await names("keyword=t1", "search") == ["t11", "t10"]
    found = await manage(gateway, "GET", "/api/token/search?keyword=t0&size=4")
    assert (len(found.data), found.body["total"]) == (4, 10)
    assert await names("keyword=%25", "search") == []
    await make(gateway, name="t%30")
    assert await names("keyword=t%2530", "search") == ["t%30"], "decoded once"


@pytest.mark.parametrize(
    "query", ["p=-1", "p=x", "size=0", "size=1.5", "p=٣", "order=name'--", "sort=key_sha256", "sort=id&order=up"]
)
async def test_a_list_that_cannot_be_made_is_a_sentence(gateway: Gateway, query: str) -> None:
    said = (await manage(gateway, "GET", f"/api/token/?{query}")).refusal
    assert "must be" in said or "sorted by" in said


# --- editing --------------------------------------------------------------------------------------------------------


async def test_an_absent_member_leaves_its_field_alone(gateway: Gateway) -> None:
    made = await make(gateway, models="gpt-4o", subnet="10.0.0.0/8", expired_time=FUTURE)
    after = (await manage(gateway, "PUT", "/api/token/", {"id": made["id"], "name": "tablet"})).data
    unlike = {name for name in after if after[name] != made[name]}
    assert unlike <= {"name", "accessed_time", "key"} and after["name"] == "tablet"


async def test_a_whole_token_sent_back_changes_nothing_and_loses_nothing(gateway: Gateway) -> None:
    db = gateway.db()
    # A balance that is no whole number of quota units, as balances are after requests.
    add_token(
        db,
        NewToken(name="odd", key_sha256=digest_of("odd-key"), budget_nanos=12_345_678_901, models=("a", "b")),
        now=1.0,
    )
    db.close()
    token = (await manage(gateway, "GET", "/api/token/search?keyword=odd")).data[0]
    before = state(gateway)
    assert (await manage(gateway, "PUT", "/api/token/", token)).data["remain_quota"] == token["remain_quota"]
    after = state(gateway)
    assert len(after) == len(before), "no grant was written"
    db = gateway.db()
    assert next(t.remain for t in list_tokens(db) if t.name == "odd") == 12_345_678_901
    db.close()


async def test_remain_quota_and_status_really_change_and_bite_on_the_next_request(tmp_path: Path) -> None:
    async with (
        Upstream([answering(200, reply())]) as upstream,
        running(tmp_path, CONFIG.format(url=upstream.url)) as gateway,
    ):
        made = await make(gateway)

        async def status() -> int:
            return (await call(gateway, "POST", "/v1/chat/completions", chat(), key=made["key"])).status

        async def put(query: str = "", **body: Any) -> Any:
            return (await manage(gateway, "PUT", f"/api/token/{query}", {"id": made["id"], **body})).data

        assert await status() == 200
        assert (await put(remain_quota=0))["status"] == 4 and await status() == 401
        assert (await put(remain_quota=DOLLAR))["status"] == 1 and await status() == 200
        assert (await put("?status_only=false", status=2, remain_quota=0))["remain_quota"] > 0 and await status() == 401
        assert (await put("?status_only=1", status=1))["status"] == 1 and await status() == 200
        assert (await put(expired_time=PAST))["status"] == 3 and await status() == 401
        assert (await put(expired_time=-1))["status"] == 1 and await status() == 200
        assert (await put(models="gpt-4o"))["models"] == "gpt-4o" and await status() == 403
        assert (await put(models=None))["models"] is None and await status() == 200
        assert (await put(subnet="10.0.0.0/8"))["subnet"] == "10.0.0.0/8" and await status() == 403
        assert (await put(subnet="", unlimited_quota=True, remain_quota=-1))["unlimited_quota"] is True
        assert await status() == 200
        assert (await put(unlimited_quota=False, remain_quota=7))["remain_quota"] == 7
        assert gateway.differences() == []


STILL_EXPIRED, STILL_EXHAUSTED = "has expired and cannot be enabled", "has been used up and cannot be enabled"


@pytest.mark.parametrize(
    ("made", "edit", "ends"),
    [
        ({"expired_time": PAST}, {"status": 1}, STILL_EXPIRED),
        ({"expired_time": PAST}, {"status": 1, "expired_time": PAST + 1}, STILL_EXPIRED),
        ({"expired_time": PAST}, {"status": 1, "expired_time": -1}, 1),
        ({"expired_time": PAST}, {"status": 1, "expired_time": FUTURE}, 1),
        ({"expired_time": PAST}, {"status": 3, "expired_time": -1}, 1),
        ({"expired_time": PAST}, {"status": 3}, 3),
        ({"expired_time": PAST}, {"status": 2}, 2),
        ({"remain_quota": 0}, {"status": 1}, STILL_EXHAUSTED),
        ({"remain_quota": 0}, {"status": 1, "remain_quota": 5}, 1),
        ({"remain_quota": 0}, {"status": 1, "unlimited_quota": True}, 1),
        ({"remain_quota": 0}, {"status": 4, "remain_quota": 5}, 1),
        ({"remain_quota": 0}, {"status": 4}, 4),
        ({"remain_quota": 0}, {"name": "renamed"}, 4),
        ({}, {"status": 1, "remain_quota": 0}, 4),
        ({}, {"status": 0}, "status must be"),
        ({}, {"status": 5}, "status must be"),
    ],
)
async def test_reviving(gateway: Gateway, made: dict[str, Any], edit: dict[str, Any], ends: int | str) -> None:
    token = await make(gateway, **made)
    before = state(gateway)
    found = await manage(gateway, "PUT", "/api/token/", {"id": token["id"], **edit})
    if isinstance(ends, int):
        assert found.data["status"] == ends
    else:
        assert ends in found.refusal and state(gateway) == before


async def test_two_edits_at_once_do_not_mix(gateway: Gateway) -> None:
    token = await make(gateway)
    edits = [
        {"id": token["id"], "name": f"n{number}", "models": f"m{number}", "remain_quota": number}
        for number in range(20)
    ]
    answers = await asyncio.gather(*(manage(gateway, "PUT", "/api/token/", edit) for edit in edits))
    assert all(answer.body["success"] for answer in answers)
    end = (await manage(gateway, "GET", f"/api/token/{token['id']}")).data
    assert end["name"][1:] == end["models"][1:] == str(end["remain_quota"])
    assert gateway.differences() == []


async def test_a_declared_token_keeps_its_identity_and_says_where_it_is(gateway: Gateway) -> None:
    db = gateway.db()
    declared = DeclaredToken(name="laptop", key_sha256=digest_of("k" * 40), budget_nanos=10**9, where="/etc/c.yaml:12")
    mirror_declared(db, [declared], time.time())
    db.close()
    token = (await manage(gateway, "GET", "/api/token/search?keyword=laptop")).data[0]
    for edit in ({"name": "other"}, {"models": "x"}, {"expired_time": FUTURE}, {"unlimited_quota": True}):
        assert "/etc/c.yaml:12" in (await manage(gateway, "PUT", "/api/token/", {"id": token["id"], **edit})).refusal
    assert "/etc/c.yaml:12" in (await manage(gateway, "DELETE", f"/api/token/{token['id']}")).refusal
    # The whole of it, as a client's form sends it, with a new balance and disabled.
    changed = (await manage(gateway, "PUT", "/api/token/", {**token, "remain_quota": 77, "status": 2})).data
    assert (changed["remain_quota"], changed["status"], changed["name"]) == (77, 2, "laptop")


# --- bad input ------------------------------------------------------------------------------------------------------

_BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"remain_quota": 1.5}, "`remain_quota` must be a whole number"),
    ({"remain_quota": 1e3}, "`remain_quota` must be a whole number"),
    ({"remain_quota": "5"}, "`remain_quota` must be a whole number, not a string"),
    ({"remain_quota": True}, "`remain_quota` must be a whole number"),
    ({"remain_quota": None}, "`remain_quota` must be a whole number, not null"),
    ({"remain_quota": -1}, "remain_quota must be from 0"),
    ({"remain_quota": 10**15}, "remain_quota must be from 0"),
    ({"remain_quota": 10**40}, "remain_quota must be from 0"),
    ({"unlimited_quota": 1}, "`unlimited_quota` must be true or false"),
    ({"unlimited_quota": "yes"}, "`unlimited_quota` must be true or false"),
    ({"expired_time": -2}, "expired_time must be"),
    ({"expired_time": 10**18}, "expired_time must be"),
    ({"expired_time": "2030-01-01"}, "`expired_time` must be a whole number"),
    ({"models": ["a"]}, "`models` must be a string or null, not a list"),
    ({"models": "x" * 300}, "models must be"),
    ({"models": "a\x1b[31m"}, "models must be"),
    ({"subnet": "10.0.0.1"}, "invalid subnet"),
    ({"subnet": "10.0.0.0/8,x"}, "invalid subnet"),
    ({"subnet": "10.0.0.0/99"}, "invalid subnet"),
    ({"name": 5}, "`name` must be a string"),
    ({"name": "x" * 201}, "Token name is too long"),
    ({"name": "a\nb"}, "printable"),
    ({"name": "test"}, "unique"),
]


@pytest.mark.parametrize(("members", "said"), _BAD_VALUES, ids=lambda value: str(value)[:40])
async def test_a_bad_value_is_refused_and_changes_nothing(gateway: Gateway, members: dict[str, Any], said: str) -> None:
    token = await make(gateway)
    before = state(gateway)
    fresh = {"name": "fresh", "remain_quota": 1, **members}
    assert said in (await manage(gateway, "POST", "/api/token/", fresh)).refusal
    assert said in (await manage(gateway, "PUT", "/api/token/", {"id": token["id"], **members})).refusal
    assert state(gateway) == before


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"name": "\xff"}', "UTF-8"),
        (b'{"name": "a", "name": "b"}', "given twice"),
        (b'{"Name": "a"}', "write `name`"),
        (b'{"name": "x", "extra": ' + b"[" * 600 + b"]" * 600 + b"}", "nests"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_body_that_is_none_is_refused(gateway: Gateway, body: bytes, said: str) -> None:
    for method in ("POST", "PUT"):
        assert said in (await manage(gateway, method, "/api/token/", body)).refusal


async def test_a_huge_body_is_a_413(gateway: Gateway) -> None:
    found = await manage(gateway, "POST", "/api/token/", b'{"name": "' + b"x" * (2 << 20) + b'"}')
    assert (found.status, found.body["success"]) == (413, False)


@pytest.mark.parametrize("name", ["[red]x[/red]", "=1+1", "'; DROP TABLE tokens; --", "名前", "💸"])
async def test_an_odd_name_is_only_a_name(gateway: Gateway, name: str) -> None:
    made = await make(gateway, name=name)
    assert (await manage(gateway, "GET", f"/api/token/{made['id']}")).data["name"] == name


@pytest.mark.parametrize("id", ["0", "999999", "x", "-1", "1e3", "٣", "9" * 40])
async def test_an_unknown_id_is_a_sentence(gateway: Gateway, id: str) -> None:
    for method in ("GET", "DELETE"):
        assert id[:20] in (await manage(gateway, method, f"/api/token/{id}")).refusal
    if id.isascii() and id.isdigit():
        assert (await manage(gateway, "PUT", "/api/token/", {"id": int(id), "name": "n"})).refusal
    assert "id is required" in (await manage(gateway, "PUT", "/api/token/", {"name": "n"})).refusal
    assert "`id` must be" in (await manage(gateway, "PUT", "/api/token/", {"id": "1", "name": "n"})).refusal
    assert "status is required" in (await manage(gateway, "PUT", "/api/token/?status_only=1", {"id": 1})).refusal


async def test_a_ledger_that_is_locked_is_a_503_and_comes_back(gateway: Gateway) -> None:
    gateway.app.book._desk._writer.wait_seconds = 0.2
    db = gateway.db()
    db.execute("BEGIN IMMEDIATE")
    try:
        found = await manage(gateway, "POST", "/api/token/", {"name": "late", "remain_quota": 1})
        assert (found.status, found.body["success"]) == (503, False)
        assert "locked" in found.body["message"] and found.headers["retry-after"] == "1"
        listed = await manage(gateway, "GET", "/api/token/")
        assert listed.data[0]["name"] == "test", "what can be read is shown"
    finally:
        db.execute("ROLLBACK")
        db.close()
    assert (await make(gateway))["name"] == "phone"
