"""Sums and logs: what is counted where, in which order, and that nothing but integers is added up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oneapi_cli.ledger import accounts, external, reports
from oneapi_cli.ledger.closing import adjust, close, refuse
from oneapi_cli.ledger.holding import Moment, reserve
from oneapi_cli.ledger.periods import zone_of
from oneapi_cli.ledger.reports import By, LogFilter, LogWindow, UsageRow, logs, models_used, token_logs, usage
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.values.holds import Attempt, HoldAsk, Refusal
from oneapi_cli.values.usage import Usage
from tests.ledger.kit import add_token, add_user, ask, closing, fixed, new_id, principal

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
HOUR = 3_600.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_ledger(tmp_path / "oneapi.db", create=True, sync="normal", now=NOON)
    add_user(connection, "alice", 10**12)
    add_token(connection, "laptop", 10**12, user="alice")
    add_token(connection, "phone", None)
    yield connection
    connection.close()


def asked(db: sqlite3.Connection, token: str, nanos: int, model: str) -> HoldAsk:
    wanted = ask(principal(db, token), fixed(nanos))
    return HoldAsk(**{**{name: getattr(wanted, name) for name in wanted.__struct_fields__}, "model_asked": model})


def spend(db: sqlite3.Connection, token: str, cost: int, now: float, model: str = "gpt-4o", **more: Any) -> str:
    counts = {"input_tokens": cost * 2, "output_tokens": cost, "cache_read_tokens": 1}
    fields = {"channel": "openai", "model_sent": model, "usage": Usage(counts=counts), **more}
    state = fields.pop("state", "settled")
    with transaction(db):
        wanted = asked(db, token, cost, model)
        reserve(db, wanted, Moment(owner=None, now=now))
        close(db, wanted.request_id, closing(0 if state == "released" else cost, state, **fields), now + 1)
    return wanted.request_id


def refused(db: sqlite3.Connection, now: float, model: str = "gpt-9") -> None:
    who = principal(db, "laptop")
    with transaction(db):
        refuse(
            db,
            Refusal(
                request_id=new_id(), principal=who, door="openai_chat", status=403, code="model_not_priced",
                message="no", model_asked=model,
            ),
            now,
        )  # fmt: skip


def consume(db: sqlite3.Connection, nanos: int, now: float) -> None:
    charge = external.Charge(token_id=1, nanos=nanos, reason="scraping", request_id=new_id())
    external.single(db, charge, zone=UTC, now=now)


@pytest.fixture
def busy(db: sqlite3.Connection) -> sqlite3.Connection:
    """Two days of two tokens."""
    spend(db, "laptop", 10, NOON - 24 * HOUR)
    spend(db, "laptop", 20, NOON, "o1")
    with transaction(db):
        adjust(db, spend(db, "phone", 40, NOON + 11.5 * HOUR), -5, reason="r", actor="a", now=NOON + 99 * HOUR)
    spend(db, "phone", 3, NOON, state="released", usage=None, channel="")
    consume(db, 7, NOON)
    refused(db, NOON)
    with transaction(db):
        reserve(db, asked(db, "laptop", 1, "o1"), Moment(owner=None, now=NOON))
    return db


def row(key: str, requests: int, into: int, out: int, cost: int) -> UsageRow:
    return UsageRow(key=key, requests=requests, input_tokens=into, output_tokens=out, cost_nanos=cost)


@dataclass(frozen=True)
class Sum:
    by: By
    rows: list[UsageRow]
    zone: str = "UTC"


SUMS = [
    Sum("day", [row("2026-11-21", 1, 20, 10, 10), row("2026-11-22", 5, 120, 60, 62)]),
    Sum("day", [row("2026-11-21", 1, 20, 10, 10), row("2026-11-22", 4, 40, 20, 27), row("2026-11-23", 1, 80, 40, 35)],
        zone="Europe/Berlin"),
    Sum("model", [row("gpt-4o", 3, 100, 50, 45), row("o1", 2, 40, 20, 20), row("scraping", 1, 0, 0, 7)]),
    Sum("token", [row("laptop", 4, 60, 30, 37), row("phone", 2, 80, 40, 35)]),
    Sum("user", [row("alice", 4, 60, 30, 37), row("root", 2, 80, 40, 35)]),
    Sum("channel", [row("openai", 3, 140, 70, 65), row("", 3, 0, 0, 7)]),
]  # fmt: skip


@pytest.mark.parametrize("case", SUMS, ids=lambda case: f"{case.by} {case.zone}")
def test_sums(busy: sqlite3.Connection, case: Sum) -> None:
    assert usage(busy, None, case.by, zone_of(case.zone)) == case.rows


def test_sums_since_a_moment(busy: sqlite3.Connection) -> None:
    assert usage(busy, NOON + 1, "token", UTC) == [row("phone", 1, 80, 40, 35)]
    assert usage(busy, NOON + 99 * HOUR, "token", UTC) == []


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Pacific/Chatham", "Australia/Lord_Howe"])
def test_days_of_odd_zones_end_at_their_midnight(db: sqlite3.Connection, zone: str) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=zone_of(zone)).timestamp()
    spend(db, "laptop", 1, midnight - 0.01)
    spend(db, "laptop", 2, midnight)
    assert [(one.key, one.cost_nanos) for one in usage(db, None, "day", zone_of(zone))] == [
        ("2026-11-22", 1),
        ("2026-11-23", 2),
    ]


def test_sums_of_removed_tokens_and_absurd_counts(db: sqlite3.Connection) -> None:
    absurd = Usage(counts={"input_tokens": 2**70, "output_tokens": -5})
    for _ in range(3):
        spend(db, "laptop", 1, NOON, usage=absurd)
    accounts.remove_token(db, "laptop", now=NOON)
    add_token(db, "laptop", None)
    spend(db, "laptop", 2, NOON)
    (one,) = usage(db, None, "token", UTC)
    assert (one.key, one.requests, one.cost_nanos) == ("laptop", 4, 5)
    assert one.input_tokens == 3 * 10**12 + 4
    assert one.output_tokens == 2


def test_models_used(busy: sqlite3.Connection) -> None:
    assert models_used(busy) == ["gpt-4o", "o1"]
    assert models_used(busy, NOON + 1) == ["gpt-4o"]


# --- logs ------------------------------------------------------------------------------------------------------------


def shown(rows: list[reports.LogRow]) -> list[tuple[str, str, int]]:
    return [(one.token, one.model_asked, one.cost_nanos) for one in rows]


def test_the_newest_come_last(busy: sqlite3.Connection) -> None:
    assert shown(logs(busy, LogFilter(limit=3))) == [
        ("laptop", "scraping", 7),
        ("laptop", "gpt-9", 0),
        ("laptop", "o1", 0),
    ]
    assert len(logs(busy, LogFilter())) == 7


def test_a_row_tells_what_it_was(busy: sqlite3.Connection) -> None:
    first = logs(busy, LogFilter())[0]
    assert (first.state, first.status, first.channel, first.user, first.door) == (
        "settled", 200, "openai", "alice", "openai_chat",
    )  # fmt: skip
    assert (first.input_tokens, first.output_tokens, first.cached_tokens, first.estimated) == (20, 10, 1, False)
    assert (first.created, first.closed, first.stream, first.bounded) == (
        NOON - 24 * HOUR,
        NOON - 24 * HOUR + 1,
        False,
        True,
    )
    refusal = logs(busy, LogFilter(errors=True))[0]
    assert (refusal.state, refusal.status, refusal.code, refusal.reason) == ("refused", 403, "model_not_priced", "no")
    assert (refusal.input_tokens, refusal.hold_nanos) == (None, 0)
    opened = logs(busy, LogFilter())[-1]
    assert (opened.state, opened.closed, opened.status, opened.hold_nanos) == ("held", None, None, 1)


def test_a_stream_that_broke_off_is_an_error_whatever_its_status(busy: sqlite3.Connection) -> None:
    before = len(logs(busy, LogFilter(errors=True)))
    died = Attempt(
        channel="openai", vendor="openai", model_sent="gpt-4o", started=1.0, ended=2.0, status=200, outcome="died"
    )
    broken = spend(busy, "phone", 5, NOON, attempts=(died,))
    found = logs(busy, LogFilter(errors=True))
    assert len(found) == before + 1 and found[-1].request_id == broken


@pytest.mark.parametrize(
    ("wanted", "costs"),
    [
        (LogFilter(token="phone"), [35, 0]),
        (LogFilter(token="#2"), [35, 0]),
        (LogFilter(token="2"), [35, 0]),
        (LogFilter(token="nobody"), []),
        (LogFilter(token="²"), []),
        (LogFilter(token="9" * 30), []),
        (LogFilter(model="o1"), [20, 0]),
        (LogFilter(model="x' OR 1 = 1 --"), []),
        (LogFilter(channel="openai"), [10, 20, 35]),
        (LogFilter(channel="openai", token="phone"), [35]),
        (LogFilter(errors=True), [0]),
        (LogFilter(limit=0), []),
        (LogFilter(limit=-1), []),
        (LogFilter(ids=(1, 2)), [10, 20]),
        (LogFilter(after_id=1, limit=2), [20, 35]),
        (LogFilter(after_id=7), []),
    ],
    ids=str,
)
def test_filters(busy: sqlite3.Connection, wanted: LogFilter, costs: list[int]) -> None:
    assert [one.cost_nanos for one in logs(busy, wanted)] == costs


def test_following(db: sqlite3.Connection) -> None:
    """What is printed once: closed rows as they come, open ones when they have closed."""
    with transaction(db):
        slow = asked(db, "laptop", 5, "o1")
        reserve(db, slow, Moment(owner=None, now=NOON))
    spend(db, "laptop", 7, NOON)
    new = logs(db, LogFilter(after_id=0))
    assert [(one.state, one.cost_nanos) for one in new] == [("held", 0), ("settled", 7)]
    with transaction(db):
        close(db, slow.request_id, closing(4), NOON)
    assert logs(db, LogFilter(after_id=new[-1].id)) == []
    assert shown(logs(db, LogFilter(ids=(new[0].id,)))) == [("laptop", "o1", 4)]


def test_one_tokens_own_log(busy: sqlite3.Connection) -> None:
    page = token_logs(busy, 1, 0, 2)
    assert (len(page.rows), page.total) == (2, 5)
    assert token_logs(busy, 1, 4, 10).rows[0].cost_nanos == 10
    assert token_logs(busy, 1, 10**30, 10).rows == []
    assert token_logs(busy, 1, -5, -5).rows == []
    assert token_logs(busy, 99, 0, 10).total == 0
    assert token_logs(busy, 1, 0, 10, LogWindow(end=NOON - 1)).total == 1
    assert token_logs(busy, 1, 0, 10, LogWindow(start=NOON)).total == 4
    assert token_logs(busy, 1, 0, 10, LogWindow(start=NOON, model="o1")).total == 2


@pytest.mark.parametrize(
    "sql",
    [
        reports._USED.format(key="r.channel"),
        reports._MODELS,
        "SELECT count(*) FROM requests r WHERE r.token_id = 1 AND r.created BETWEEN ? AND 2e9",
    ],
)
def test_reports_of_a_time_walk_an_index(db: sqlite3.Connection, sql: str) -> None:
    plan = " | ".join(str(step[3]) for step in db.execute(f"EXPLAIN QUERY PLAN {sql}", (0,)))
    assert "created_of_token (token_id=? AND created>" in plan, plan


def test_the_newest_of_one_token_are_found_without_sorting(busy: sqlite3.Connection) -> None:
    terms, values, order = reports._conditions(busy, LogFilter(token="laptop"))
    sql = f"EXPLAIN QUERY PLAN SELECT r.id FROM requests r WHERE {' AND '.join(terms)} ORDER BY {order} LIMIT 20"
    plan = " | ".join(str(step[3]) for step in busy.execute(sql, values))
    assert "created_of_token (token_id=?)" in plan, plan
    assert "TEMP B-TREE" not in plan, plan


def test_a_name_that_two_tokens_have_had(busy: sqlite3.Connection) -> None:
    accounts.remove_token(busy, "phone", now=NOON)
    add_token(busy, "phone", None)
    spend(busy, "phone", 4, NOON + 1)
    assert [one.cost_nanos for one in logs(busy, LogFilter(token="phone"))] == [35, 0, 4]
    assert [one.cost_nanos for one in logs(busy, LogFilter(token="phone", after_id=3))] == [0, 4]
