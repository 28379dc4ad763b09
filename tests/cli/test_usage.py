"""`oneapi usage`, `logs` and `consume`: what was spent, on what, and what comes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from oneapi_cli.ledger.closing import refuse
from oneapi_cli.ledger.keys import digest_of
from oneapi_cli.ledger.rows import find_principal
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.values.holds import Refusal

from .conftest import SENT, Place, kept, settled

USD = 10**9


@pytest.fixture
def key(place: Place) -> str:
    key = place.add("phone", "--budget", "$5").out.strip()
    place.close(place.hold("1", key, nanos=20_000), settled())
    place.close(place.hold("2", key, nanos=20_000, model="other"), kept(channel="far"))
    place.hold("3", key, nanos=5_000)
    return key


def test_sums_agree_with_the_balance(place: Place, key: str) -> None:
    for by in ("day", "model", "token", "user", "channel"):
        rows = place.run("usage", "--since", "all", "--by", by, "--json").json
        assert sum(row["cost_nanos"] for row in rows) == place.token("phone").used == 24_000, by
        assert sum(row["requests"] for row in rows) == 3
        assert all(by in row for row in rows)
    models = place.run("usage", "--since", "all", "--by", "model", "--json").json
    assert {row["model"]: row["input_tokens"] for row in models} == {"demo-small": 7, "other": 0}


def test_the_table_has_a_total(place: Place, key: str) -> None:
    lines = place.run("usage", "--since", "all", "--by", "channel").out.splitlines()
    assert lines[0].split() == ["CHANNEL", "REQUESTS", "INPUT", "OUTPUT", "COST"]
    assert lines[-1].split() == ["total", "3", "7", "20", "$0.000024"]
    assert {line.split()[0] for line in lines[1:-1]} == {"demo", "far", "none"}


@pytest.mark.parametrize("by", ["day", "model"])
def test_plot_draws_bars_and_a_line(by: str, place: Place, key: str) -> None:
    place.run("consume", "phone", "--amount", "$0.000002", "--reason", "x")
    lines = place.run("usage", "--since", "all", "--by", by, "--plot").out.splitlines()
    assert max(map(len, lines)) <= 80
    bars, line = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert any("█" in bar for bar in bars) and any("█" in row or "▁" in row for row in line)
    assert line[-1].strip().startswith("2026-09-21 to ")


def test_a_since_after_everything_is_nothing(place: Place, key: str) -> None:
    done = place.run("usage", "--since", "2999-01-01")
    assert (done.code, done.out) == (0, "") and "Nothing was used" in done.err
    assert place.run("usage", "--since", "2999-01-01", "--json").json == []


def test_logs_are_newest_last_and_filtered(place: Place, key: str) -> None:
    def ids(*words: str) -> list[str]:
        return [row["request_id"][-1] for row in place.run("logs", "--json", *words).json]

    assert ids() == ["1", "2", "3"] and ids("-n", "1") == ["3"] and ids("-n", "0") == []
    assert ids("--model", "other") == ["2"] and ids("--channel", "demo") == ["1"]
    assert ids("--errors") == ["2"] and ids("--token", "phone") == ["1", "2", "3"] and ids("--token", "first") == []
    out = place.run("logs").out
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[1] == "2026-09-21 UTC" and " held " in out.splitlines()[-1]
    assert "no answer came in time" in place.run("logs", "--errors").out


def test_logs_of_a_token_that_never_was_say_so(place: Place, key: str) -> None:
    done = place.run("logs", "--token", "fone", "--json")
    assert (done.code, done.out) == (1, "") and "There is no token fone" in done.err
    for living in ("first", "1", "#1"):
        done = place.run("logs", "--token", living)
        assert (done.code, done.out) == (0, "") and "There is no such request" in done.err


@pytest.mark.parametrize(("columns", "said"), [("80", "quota_spent"), ("160", "quota_spent: nothing is left")])
def test_a_reason_begins_with_its_code(
    columns: str, said: str, place: Place, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with place.db() as db:
        who = find_principal(db, digest_of(key))
        assert who is not None
        refusal = Refusal(
            request_id="4", principal=who, door="chat", status=403, code="quota_spent", message="nothing is left"
        )
        refuse(db, refusal, SENT)
    (line,) = [line for line in place.run("logs", "--errors").out.splitlines() if "quota_spent" in line]
    assert line.endswith(f"403{' ' * 7}{said}")


def test_a_number_of_the_log_is_enough_for_the_bill(place: Place, key: str) -> None:
    number = place.run("logs", "--json").json[0]["id"]
    assert place.run("cost", str(number)).out == place.run("cost", f"{1:0>32}").out


def test_logs_of_a_removed_token_are_found(place: Place, key: str) -> None:
    place.run("token", "remove", "phone")
    assert len(place.run("logs", "--json", "--token", "phone").json) == 3


def test_what_clients_say_cannot_drive_the_terminal(place: Place, key: str) -> None:
    evil = "\x1b]0;x\x07\u202e[red]"
    place.close(place.hold("4", key, model=evil), settled())
    for words in (("logs",), ("logs", "--errors"), ("usage", "--since", "all", "--by", "model", "--plot")):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", place.run(*words).out)


def test_follow_tells_of_what_comes_and_ends_with_ctrl_c(place: Place, key: str) -> None:
    words = [sys.executable, "-m", "oneapi_cli", "logs", "--follow", "--json", "-n", "0"]
    follower = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})
    try:
        time.sleep(1.5)
        place.close(f"{3:0>32}", settled())  # it was open before: whoever follows sees only what begins from now on
        place.close(place.hold("5", key, nanos=20_000, model="new"), settled())
        assert follower.stdout is not None
        told = json.loads(follower.stdout.readline())
        assert (told["model_asked"], told["state"], told["cost_nanos"]) == ("new", "settled", 14_000)
    finally:
        follower.send_signal(signal.SIGINT)
        _, err = follower.communicate(timeout=20)
    assert follower.returncode == 0 and err == ""


def test_consume_sees_the_period_that_has_begun(place: Place) -> None:
    assert place.run("token", "add", "watch", "--budget", "$5/day").code == 0
    assert place.run("consume", "watch", "--amount", "5", "--reason", "yesterday").code == 0
    with place.db() as db:
        db.execute("UPDATE tokens SET budget_reset = 1.0 WHERE name = 'watch'")
    done = place.run("consume", "watch", "--amount", "2", "--reason", "today")
    assert (done.code, "$3.00 remain" in done.err) == (0, True), done.err


def test_consume_really_charges_token_and_owner(place: Place) -> None:
    place.run("user", "add", "ada", "--budget", "$2")
    place.add("phone", "--budget", "$1", "--user", "ada")
    done = place.run("consume", "phone", "--amount", "$0.30", "--reason", "=GPU [red]", "--json")
    assert done.code == 0, done.err
    assert done.json["cost_nanos"] == 300_000_000 and done.json["remain_nanos"] == 700_000_000
    assert place.run("user", "show", "ada", "--json").json["remain_nanos"] == 1_700_000_000
    assert "=GPU [red]" in place.run("cost", done.json["request_id"]).out
    assert place.run("usage", "--by", "model", "--json").json[0]["model"] == "=GPU [red]"
    assert place.run("ledger", "verify").code == 0


@dataclass(frozen=True)
class Wrong:
    words: tuple[str, ...]
    code: int
    said: str


@pytest.mark.parametrize(
    "case",
    [
        Wrong(("usage", "--since", "tomorrow"), 2, "write 7d"),
        Wrong(("usage", "--since", "never"), 2, "write 7d"),
        Wrong(("usage", "--by", "moon"), 2, "--by"),
        Wrong(("logs", "-n", "-1"), 2, "range"),
        Wrong(("logs", "-n", "100000"), 2, "range"),
        Wrong(("consume", "phone"), 2, "--amount"),
        Wrong(("consume", "nobody", "--amount", "1", "--reason", "x"), 1, "token list"),
        Wrong(("consume", "phone", "--amount", "lots", "--reason", "x"), 2, "not an amount of money"),
        Wrong(("consume", "phone", "--amount", "0", "--reason", "x"), 2, "more than nothing"),
        Wrong(("consume", "phone", "--amount=-1", "--reason", "x"), 2, "more than nothing"),
        Wrong(("consume", "phone", "--amount", "0.000001", "--reason", "x"), 2, "smallest unit"),
        Wrong(("consume", "phone", "--amount", "$999", "--reason", "x"), 1, "does not cover $999.00"),
        Wrong(("consume", "phone", "--amount", "1", "--reason", ""), 2, "a reason is"),
        Wrong(("consume", "phone", "--amount", "1", "--reason", "a\x1bb"), 2, "a reason is"),
        Wrong(("consume", "phone", "--amount", "1", "--reason", "x" * 999), 2, "a reason is"),
    ],
    ids=lambda case: " ".join(case.words)[:50].replace("\x1b", "ESC"),
)
def test_refused(case: Wrong, place: Place, key: str) -> None:
    before = place.run("token", "list", "--json").out
    done = place.run(*case.words)
    assert (done.code, done.out) == (case.code, ""), done.err
    assert case.said in " ".join(done.err.split()), done.err
    assert place.run("token", "list", "--json").out == before


# --- copies ---------------------------------------------------------------------------------------------------------


def test_backup_is_a_ledger_of_its_own(place: Place, key: str) -> None:
    target = place.folder / "copy.db"
    assert place.run("ledger", "backup", str(target)).code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    (place.folder / "other.yaml").write_text("ledger: copy.db\n")
    assert place.run("ledger", "verify", "--config", str(place.folder / "other.yaml")).code == 0
    again = place.run("ledger", "backup", str(target))
    assert again.code == 1 and "never written over" in again.err


def test_export_is_safe_for_a_spreadsheet(place: Place, key: str) -> None:
    place.close(place.hold("4", key, model="=HYPERLINK(1)"), settled())
    target = place.folder / "rows.csv"
    done = place.run("ledger", "export", "--csv", str(target))
    assert done.code == 0 and "4 requests" in done.err
    assert target.read_text() == place.run("ledger", "export", "--csv", "-").out.replace("\r\n", "\n")
    assert "'=HYPERLINK(1)" in target.read_text()
    assert place.run("ledger", "export", "--csv", str(target)).code == 1
    assert place.run("ledger", "export", "--csv", "-", "--since", "2999-01-01").out.count("\n") == 1


def test_prune_keeps_balances_open_holds_and_orphans(place: Place, key: str) -> None:
    before = place.token("phone")
    done = place.run("ledger", "prune", "--older-than", "1d", "--json")
    assert done.code == 0 and (done.json["requests"], done.json["nanos"]) == (1, 14_000)
    after = place.token("phone")
    assert (after.granted, after.used, after.held) == (before.granted, before.used, before.held)
    assert len(place.run("logs", "--json").json) == 2
    assert place.run("ledger", "prune").code == 2
    assert place.run("ledger", "prune", "--older-than", "soon").code == 2


@pytest.mark.parametrize(
    "words", [("usage",), ("logs",), ("user", "list"), ("consume", "first", "--amount", "1", "--reason", "x")], ids=str
)
def test_a_file_that_is_no_ledger_or_a_newer_one(words: tuple[str, ...], place: Place) -> None:
    db = open_ledger(place.ledger)
    db.execute("PRAGMA user_version = 999")
    db.close()
    newer = place.run(*words)
    assert newer.code == 1 and newer.out == "" and "newer oneapi" in newer.err
    for file in place.folder.glob("oneapi.db*"):
        file.unlink()
    place.ledger.write_bytes(b"not a database " * 100)
    other = place.run(*words)
    assert other.code == 1 and other.out == "" and "not a ledger" in other.err
    assert place.ledger.read_bytes() == b"not a database " * 100
