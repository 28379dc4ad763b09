"""`verify` finds every kind of damage: each case spoils one thing behind the ledger's back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pytest

from oneapi_cli.ledger.closing import adjust, close
from oneapi_cli.ledger.external import Charge, pre
from oneapi_cli.ledger.holding import Moment, extend, reserve
from oneapi_cli.ledger.store import open_ledger, transaction
from oneapi_cli.ledger.upkeep import touch
from oneapi_cli.ledger.verify import verify
from tests.ledger.kit import START, add_token, add_user, ask, closing, fixed, principal


@dataclass(frozen=True)
class Damage:
    statement: str
    found: str


TOKEN = "token laptop (#1): "
NO_COST = "a cost, which this state cannot have"
NO_ADJUSTMENT = "an adjustment, which this state cannot have"
ADJUST_OPEN = (
    "INSERT INTO adjustments (request, delta_nanos, reason, actor, created)"
    " SELECT id, 0, '', '', 0 FROM requests WHERE state = 'held'"
)

DAMAGES = [
    Damage("UPDATE tokens SET granted = granted + 1", TOKEN + "granted is 1001, its rows say 1000"),
    Damage("UPDATE tokens SET used = used - 1", TOKEN + "used is 54, its rows say 55"),
    Damage("UPDATE tokens SET held = held + 7", TOKEN + "held is 107, its rows say 100"),
    Damage("UPDATE tokens SET open_holds = 0", TOKEN + "open holds is 0, its rows say 1"),
    Damage("UPDATE users SET used = 0 WHERE id = 2", "user alice (#2): used is 0, its rows say 55"),
    Damage("UPDATE users SET granted = 5 WHERE id = 1", "user root (#1): granted is 5, its rows say 0"),
    Damage("DELETE FROM grants WHERE token_id = 1", TOKEN + "granted is 1000, its rows say 0"),
    Damage("DELETE FROM adjustments", TOKEN + "used is 55, its rows say 60"),
    Damage("UPDATE requests SET lines = '[]' WHERE cost_nanos > 0", "cost in picos is 60000, its rows say 0"),
    Damage("UPDATE requests SET hold_nanos = 1 WHERE state = 'held'", "hold is 1, its rows say at least 30"),
    Damage("UPDATE requests SET cost_nanos = 61 WHERE request_id = 'a'", TOKEN + "used is 55, its rows say 56"),
    Damage("UPDATE requests SET state = 'lost' WHERE request_id = 'a'", "state is lost, its rows say no such state"),
    Damage("UPDATE requests SET state = 'released' WHERE request_id = 'a'", NO_COST),
    Damage("UPDATE requests SET closed = 1 WHERE state = 'held'", "open without being held"),
    Damage("UPDATE requests SET lines = '[{' WHERE cost_nanos > 0", "its bill is unreadable"),
    Damage(ADJUST_OPEN, NO_ADJUSTMENT),
    Damage("UPDATE adjustments SET delta_nanos = -61", "adjusted to less than 0"),
    Damage("DELETE FROM requests WHERE request_id = 'a'", "missing"),
    Damage("UPDATE requests SET token_id = 77 WHERE request_id = 'a'", "missing"),
    Damage("INSERT INTO carried (token_id, used, through) VALUES (1, 9, 0)", TOKEN + "used is 55, its rows say 64"),
]


def _ledger(path: Path) -> None:
    db = open_ledger(path, create=True, sync="normal", now=START)
    add_user(db, "alice", 5_000)
    add_token(db, "laptop", 1_000, user="alice")
    with transaction(db):
        who, moment = principal(db, "laptop"), Moment(owner=None, now=START)
        db.execute("INSERT INTO owners (name, pid, started) VALUES ('x', 1, 0)")
        owned = Moment(owner=1, now=START)
        reserve(db, ask(who, fixed(80), request_id="a"), moment)
        close(db, "a", closing(60), START)
        adjust(db, "a", -5, reason="r", actor="test", now=START)
        reserve(db, ask(who, fixed(70), request_id="b"), owned)
        assert extend(db, "b", 30, START) == 100
    db.close()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.statement[:60])
def test_every_damage_is_found(tmp_path: Path, damage: Damage) -> None:
    path = tmp_path / "oneapi.db"
    _ledger(path)
    db = open_ledger(path)
    assert verify(db) == []
    for spoil in ("foreign_keys = OFF", "ignore_check_constraints = ON"):
        db.execute(f"PRAGMA {spoil}")
    db.execute("DROP TRIGGER requests_move_forward")
    db.execute(damage.statement)
    sentences = [difference.sentence for difference in verify(db)]
    assert any(damage.found in sentence for sentence in sentences), sentences
    db.close()


def test_a_damaged_file_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    _ledger(path)
    db = open_ledger(path)
    root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'requests'").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    db = open_ledger(path)
    assert any(difference.subject == "the file" for difference in verify(db))
    db.close()


def test_a_flood_of_differences_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneapi_cli.ledger.verify.MOST_SHOWN", 2)
    path = tmp_path / "oneapi.db"
    _ledger(path)
    db = open_ledger(path)
    db.execute("UPDATE tokens SET granted = 1, used = 2, held = 3, open_holds = 4")
    assert len(verify(db)) == 2
    db.close()


# --- periods and programs outside -------------------------------------------------------------------------------------

PERIOD_DAMAGES = [
    Damage("UPDATE tokens SET held_past = 0", TOKEN + "held of earlier periods is 0, its rows say 70"),
    Damage("UPDATE users SET held_past = 1 WHERE id = 2", "held of earlier periods is 1, its rows say 0"),
    Damage("DELETE FROM grants WHERE request IS NOT NULL", "request a: given back to token #1 is 0, its rows say 35"),
    Damage(
        "UPDATE grants SET delta_nanos = 34 WHERE request IS NOT NULL AND delta_nanos > 0", "is 29, its rows say 35"
    ),
    Damage("UPDATE grants SET token_id = NULL, user_id = 2 WHERE request IS NOT NULL", "given back to user #2 is 35"),
    Damage("UPDATE requests SET token_past = 39 WHERE request_id = 'a'", "is 35, its rows say 34"),
    Damage("UPDATE requests SET user_past = 71 WHERE state = 'held'", "more held in an earlier period than at all"),
    Damage("UPDATE adjustments SET token_past = 0", "is 35, its rows say 40"),
    Damage("UPDATE externals SET token_id = 2", "its request is another token's, its rows say one of its own"),
    Damage("UPDATE externals SET auto_confirmed = 1", "its request is held, confirmed 1"),
    Damage("UPDATE requests SET owner_id = 1 WHERE door = 'external'", "its request is a hold of a process"),
]


def _ledger_of_periods(path: Path) -> None:
    """Two holds of an earlier day, one closed and corrected in this one; one held by a program outside."""
    db = open_ledger(path, create=True, sync="normal", now=START)
    add_user(db, "alice", 5_000)
    add_token(db, "laptop", 1_000, user="alice", budget_period="day")
    add_token(db, "phone", None)
    touch(db, UTC, START)
    with transaction(db):
        db.execute("INSERT INTO owners (name, pid, started) VALUES ('x', 1, 0)")
        who, moment = principal(db, "laptop"), Moment(owner=None, now=START)
        reserve(db, ask(who, fixed(60), request_id="a"), moment)
        reserve(db, ask(who, fixed(70), request_id="b"), moment)
        touch(db, UTC, START + 86_400)
        close(db, "a", closing(40), START + 86_400)
        adjust(db, "a", -5, reason="r", actor="test", now=START + 86_400)
        charge = Charge(token_id=1, nanos=9, reason="scraping", request_id="c")
        pre(db, charge, zone=UTC, now=START + 86_400)
    db.close()


@pytest.mark.parametrize("damage", PERIOD_DAMAGES, ids=lambda damage: damage.statement[:60])
def test_damage_to_periods_is_found(tmp_path: Path, damage: Damage) -> None:
    path = tmp_path / "oneapi.db"
    _ledger_of_periods(path)
    db = open_ledger(path)
    assert verify(db) == []
    for spoil in ("foreign_keys = OFF", "ignore_check_constraints = ON"):
        db.execute(f"PRAGMA {spoil}")
    db.execute("DROP TRIGGER requests_move_forward")
    db.execute(damage.statement)
    sentences = [difference.sentence for difference in verify(db)]
    assert any(damage.found in sentence for sentence in sentences), sentences
    db.close()
