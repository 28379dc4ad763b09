"""`oneapi ledger`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from oneapi_cli.ledger.accounts import get_token
from oneapi_cli.ledger.store import open_ledger

from .conftest import Place, kept

IN, OUT = 1_000_000, 500_000


@pytest.fixture
def key(place: Place) -> str:
    return place.add("phone", "--budget", "$5").out.strip()


def test_path(place: Place) -> None:
    assert place.run("ledger", "path").out == f"{place.ledger}\n"


def test_a_ledger_that_balances(place: Place) -> None:
    done = place.run("ledger", "verify")
    assert (done.code, done.out) == (0, "The ledger balances.\n")
    assert place.run("ledger", "verify", "--json").json["balances"] is True


def test_a_ledger_that_does_not(place: Place) -> None:
    db = open_ledger(place.ledger)
    db.execute("UPDATE tokens SET used = used + 1")
    db.close()
    done = place.run("ledger", "verify")
    assert done.code == 3 and "used is 1, its rows say 0" in done.out and "1 difference" in done.err
    document = place.run("ledger", "verify", "--json")
    assert document.code == 3 and document.json["differences"][0]["figure"] == "used"


def test_orphans_are_listed_and_released(place: Place, key: str) -> None:
    assert place.run("ledger", "orphans").out == "There are no orphans.\n"
    ids = [place.hold(str(number), key) for number in range(3)]
    for request_id in ids[:2]:
        place.close(request_id, kept())
    listed = place.run("ledger", "orphans")
    assert ids[0] in listed.out and "no answer came in time" in listed.out and "2 in all, $0.00002." in listed.out
    assert max(map(len, listed.out.splitlines())) <= 80
    assert [one["request_id"] for one in place.run("ledger", "orphans", "--json").json] == ids[:2]
    assert "$0.00001 given back" in place.run("ledger", "orphans", "--release", ids[0]).out
    assert place.run("ledger", "orphans", "--release", ids[0]).code == 1
    assert place.run("ledger", "orphans", "--release", "--all", "--json").json == {"released": 1, "nanos": 10_000}
    row = place.token("phone")
    assert (row.used, row.held) == (0, 10_000)


def test_an_orphan_is_settled_at_the_configs_prices(place: Place, key: str) -> None:
    request_id = place.hold("1", key, model="own")
    place.close(request_id, kept(channel="local"))
    words = ("ledger", "orphans", "--settle", request_id, "--input", str(IN), "--output", str(OUT))
    done = place.run(*words, "--json")
    assert done.code == 0, done.err
    assert done.json["cost_nanos"] == 2 * 10**9
    assert done.json["change_nanos"] == 2 * 10**9 - 10_000
    with place.db() as db:
        assert get_token(db, "phone").used == 2 * 10**9
    assert place.run(*words).code == 1


def test_an_orphan_of_an_unknown_channel_takes_one_that_serves_its_model(place: Place, key: str) -> None:
    request_id = place.hold("1", key, model="own")
    place.close(request_id, kept(channel=""))
    done = place.run("ledger", "orphans", "--settle", request_id, "--input", str(IN), "--output", "0")
    assert done.code == 0, done.err
    assert "$1.00" in done.out and "prices of channel local" in done.out


def test_an_orphan_without_a_price_stays(place: Place, key: str) -> None:
    request_id = place.hold("1", key, model="nothing-like-it")
    place.close(request_id, kept(channel=""))
    done = place.run("ledger", "orphans", "--settle", request_id, "--input", "1", "--output", "1")
    assert done.code == 1 and "prices:" in done.err
    assert [one["request_id"] for one in place.run("ledger", "orphans", "--json").json] == [request_id]


@dataclass(frozen=True)
class Wrong:
    words: tuple[str, ...]
    code: int
    said: str


@pytest.mark.parametrize(
    "case",
    [
        Wrong(("--release",), 2, "one id, or --all"),
        Wrong(("--release", "x", "--all"), 2, "one id, or --all"),
        Wrong(("--release", "--settle", "x"), 2, "contradict"),
        Wrong(("--settle", "x"), 2, "--input"),
        Wrong(("--settle", "--input", "1", "--output", "1"), 2, "takes an id"),
        Wrong(("--settle", "x", "--input", "-1", "--output", "1"), 2, "--input"),
        Wrong(("--all",), 2, "--release"),
        Wrong(("--input", "1"), 2, "--settle"),
        Wrong(("x",), 2, "what to do"),
        Wrong(("--release", "x"), 1, "no request x"),
        Wrong(("--settle", "x", "--input", "1", "--output", "1"), 1, "no request x"),
    ],
    ids=lambda case: " ".join(case.words),
)
def test_refused(case: Wrong, place: Place) -> None:
    done = place.run("ledger", "orphans", *case.words)
    assert (done.code, done.out) == (case.code, "")
    assert case.said in " ".join(done.err.split())
