"""`oneapi init`, `oneapi config`, and the program itself."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import yaml

from oneapi_cli import __version__
from oneapi_cli.cli.init import config_text
from oneapi_cli.config.load import load
from oneapi_cli.ledger.keys import digest_of
from oneapi_cli.ledger.rows import find_principal
from oneapi_cli.ledger.store import open_ledger
from oneapi_cli.providers.table import VENDORS

from .conftest import Place, Run

ROWS = [name for name, row in VENDORS.items() if row.key_env and row.base and "{" not in row.base]


def test_init_makes_three_things_and_says_what_is_next(run: Run, home: Path) -> None:
    done = run("init")
    assert done.code == 0
    assert re.fullmatch(r"sk-[0-9A-Za-z]{48}\n", done.out)
    assert "oneapi serve" in done.err and "shown this once" in done.err
    for name in ("config.yaml", "oneapi.db"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    db = open_ledger(home / "oneapi.db")
    found = find_principal(db, digest_of(done.out.strip()))
    db.close()
    assert found is not None and found.token.name == "first"
    assert run("config", "check").code == 0


def test_init_overwrites_nothing(run: Run, home: Path) -> None:
    run("init")
    before = {file.name: file.read_bytes() for file in home.iterdir()}
    done = run("init")
    assert (done.code, done.out) == (1, "") and "nothing was changed" in done.err
    assert {file.name: file.read_bytes() for file in home.iterdir()} == before


def test_init_keeps_a_config_and_makes_its_ledger(run: Run, home: Path) -> None:
    (home / "config.yaml").write_text("ledger: deep/mine.db\n")
    done = run("init")
    assert done.code == 0 and "left as it is" in done.err
    assert (home / "config.yaml").read_text() == "ledger: deep/mine.db\n"
    assert (home / "deep" / "mine.db").exists()


def test_init_keeps_a_ledger_and_makes_a_config(run: Run, home: Path) -> None:
    run("init")
    before = (home / "oneapi.db").read_bytes()
    (home / "config.yaml").unlink()
    done = run("init")
    assert done.code == 1 and "stays" in done.err
    assert (home / "config.yaml").exists() and (home / "oneapi.db").read_bytes() == before


def test_init_elsewhere(run: Run, home: Path) -> None:
    done = run("init", "--config", "~/.config/oneapi/config.yaml")
    assert done.code == 0
    assert (home / ".config" / "oneapi" / "oneapi.db").exists()
    assert run("token", "show", "first").code == 0


def test_init_where_nothing_can_be_written(run: Run, home: Path) -> None:
    (home / "file").touch()
    done = run("init", "--config", "file/config.yaml")
    assert done.code == 1 and "cannot be written" in done.err


def test_keys_in_the_environment_wake_their_vendors(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    environ = {VENDORS[name].key_env: "k" for name in ROWS[:2]}
    text = config_text(VENDORS, environ)
    assert "api_key: k" not in text
    file.write_text(text)
    awake = {channel.name for channel in load(file, VENDORS, resolve=True, environ=environ).channels}
    assert awake == {*ROWS[:2], "demo"}
    # The same file without its keys still serves.
    assert {channel.name for channel in load(file, VENDORS, resolve=True, environ={}).channels} == {"demo"}


def test_every_comment_is_a_channel_once_it_wakes_up(tmp_path: Path) -> None:
    asleep = config_text(VENDORS, {})
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"^  # (- \{|   \w)", r"  \1", asleep, flags=re.MULTILINE))
    environ = {row.key_env: "k" for row in VENDORS.values() if row.key_env}
    served = {channel.name for channel in load(file, VENDORS, resolve=True, environ=environ).channels}
    assert served == {*ROWS, "demo", "azure", "bedrock", "vertex", "ollama", "local"}


# --- config ---------------------------------------------------------------------------------------------------------


def test_check_says_everything_at_once(run: Run, home: Path) -> None:
    (home / "config.yaml").write_text("workers: x\ngrace: y\n")
    done = run("config", "check")
    assert (done.code, done.out) == (1, "")
    assert "config.yaml:1: workers:" in done.err and "config.yaml:2: grace:" in done.err and "2 problems." in done.err
    document = run("config", "check", "--json")
    assert document.code == 1 and document.json["ok"] is False
    assert [problem["line"] for problem in document.json["problems"]] == [1, 2]


def test_check_tells_notices(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "NOPE" in place.run("config", "check").err
    monkeypatch.setenv("NOPE", "canary")
    done = place.run("config", "check")
    assert (done.code, "is sound: 2 channels, 1 token." in done.out) == (0, True)
    assert "short enough to be guessed" in done.err and "canary" not in done.err
    assert place.run("config", "check", "--json").json["ok"] is True


def test_check_says_nothing_a_terminal_acts_on(run: Run, home: Path) -> None:
    (home / "config.yaml").write_text('workers: "\\e[2J"\n"\\e]0;x": 1\n')
    done = run("config", "check")
    assert done.code == 1 and "\x1b" not in done.err


def test_show_masks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOPE", "canary-canary-canary")
    done = place.run("config", "show")
    assert done.code == 0 and "canary" not in done.out
    assert yaml.safe_load(done.out)["tokens"][0]["name"] == "laptop"
    assert place.run("config", "show", "--json").json["grace"] == "30s"


# --- the program ----------------------------------------------------------------------------------------------------


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"oneapi {__version__}\n"
    bare = run()
    assert bare.code == 0 and "oneapi serve --demo" in bare.out
    assert run("nonsense").code == 2
