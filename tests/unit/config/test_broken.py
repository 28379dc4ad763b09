"""Broken configs: each problem with its line, its key path and what to do. All of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from oneapi_cli.config.load import load, locate
from oneapi_cli.config.problems import ConfigError

from .conftest import VENDORS, Load

CHANNEL = "channels:\n  - name: a\n    type: acme\n    api_key: k\n    models: [m]\n"


@dataclass(frozen=True)
class Broken:
    name: str
    text: str
    line: int
    key: str
    message: str
    remedy: str


CASES = (
    Broken("unknown key", "worker: 1\n", 1, "worker", "not a key of the config", "workers"),
    Broken("unknown key, other spelling", "Admin-Key: x\n", 1, "Admin-Key", "not a key", "admin_key"),
    Broken("nothing near", "zzzz: 1\n", 1, "zzzz", "not a key", "known: listen"),
    Broken("unknown nested", "\nlimits:\n  boddy: 1\n", 3, "limits.boddy", "not a key of limits", "body"),
    Broken("key twice", "workers: 1\nworkers: 2\n", 2, "workers", "twice, first in line 1", "keep one"),
    Broken("nested key twice", CHANNEL + "    type: acme\n", 6, "channels[0].type", "twice", "keep one"),
    Broken("number", "workers: many\n", 1, "workers", "'many' is not a whole number", "without a unit"),
    Broken("number, bounds", "retries: 21\n", 1, "retries", "from 0 to 20", "without a unit"),
    Broken("float for whole", "workers: 1.5\n", 1, "workers", "not a whole number", ""),
    Broken("flag", "log_bodies: yes\n", 1, "log_bodies", "neither true nor false", "true or false"),
    Broken("choice", "holds: worst\n", 1, "holds", "none of the choices", "worst_case"),
    Broken("duration", "grace: 30\n", 1, "grace", "not a duration", "10s"),
    Broken("size", "limits: {body: 3 parsecs}\n", 1, "limits.body", "not a size", "32MiB"),
    Broken("address", "listen: 3000\n", 1, "listen", "not an address", "host:port"),
    Broken("mapping for scalar", "grace: {a: 1}\n", 1, "grace", "single value", "line of its key"),
    Broken("list for mapping", "limits: [1]\n", 1, "limits", "mapping", "body"),
    Broken("scalar for channels", "channels: x\n", 1, "channels", "list", "`-`"),
    Broken("scalar channel", "channels: [x]\n", 1, "channels[0]", "mapping", "name"),
    Broken("top is a list", "- a\n", 1, "", "a config is a mapping", "channels:"),
    Broken("top is text", "hello\n", 1, "", "a config is a mapping", "channels:"),
    Broken("syntax", "a: [1\nb: 2\n", 2, "", "not YAML", "indentation"),
    Broken("tab", "limits:\n\tbody: 1\n", 2, "", "not YAML", "indentation"),
    Broken("mark in flow", "cors: [${A}]\n", 1, "", "not YAML", "quotes around it"),
    Broken("tag", "workers: !!python/object:os.system 1\n", 1, "workers", "tag", "remove it"),
    Broken("plain tag", "workers: !!int 1\n", 1, "workers", "tag", "remove it"),
    Broken("unknown alias", "cors: *here\n", 1, "cors", "no anchor", "&here"),
    Broken("alias in itself", "cors: &x [a, *x]\n", 1, "cors[1]", "within its own anchor", "write it out"),
    Broken("second document", "workers: 1\n---\nworkers: 2\n", 2, "", "second document", "one document"),
    Broken("control character", "a: 1\nb: \x01\n", 2, "", "control character", "remove it"),
    Broken("key that is a list", "? [a]\n: 1\n", 1, "", "must be text", "quote"),
    Broken("merge of text", "limits:\n  <<: x\n", 2, "limits", "mapping", "<<: *anchor"),
    Broken("bad mark", "admin_key: ${A\n", 1, "admin_key", "does not name a variable", "${NAME}"),
    Broken("unset", "admin_key: ${NOPE}\n", 1, "admin_key", "${NOPE} is not set", "${NOPE:-default}"),
    Broken("no name", "channels:\n  - type: acme\n", 2, "channels[0]", "`name` is missing", "add `name:`"),
    Broken("bad name", "channels:\n  - name: a b\n", 2, "channels[0].name", "cannot be a name", "A-Z"),
    Broken("vendor", CHANNEL.replace("acme", "acmee"), 3, "channels[0].type", "not a vendor", "mean acme?"),
    Broken(
        "no models", CHANNEL.replace("    models: [m]\n", ""), 2, "channels[0].models", "serves no model", "[a1, a2]"
    ),
    Broken("model twice", CHANNEL.replace("[m]", "[m, m]"), 5, "channels[0].models", "twice", "keep one"),
    Broken(
        "no key", CHANNEL.replace("    api_key: k\n", ""), 2, "channels[0].api_key", "needs an API key", "ACME_API_KEY"
    ),
    Broken("empty key", CHANNEL.replace("k\n", "${K:-}\n"), 4, "channels[0].api_key", "needs an API key", "optional"),
    Broken("no base", CHANNEL.replace("acme", "open-compatible"), 2, "channels[0].base_url", "base URL", "base_url"),
    Broken("bad base", CHANNEL + "    base_url: localhost\n", 6, "channels[0].base_url", "usable URL", "http://"),
    Broken("option", CHANNEL.replace("acme", "parted"), 2, "channels[0].options", "`account_id`", "{account_id: …}"),
    Broken("dialect", CHANNEL + "    speaks: [openai]\n", 6, "channels[0].speaks", "not a dialect", "openai_"),
    Broken("priced_as", CHANNEL + "    priced_as: amce\n", 6, "channels[0].priced_as", "list of prices", "acme"),
    Broken("header", CHANNEL + "    headers: {'X Y': z}\n", 6, "channels[0].headers", "header", "letters"),
    Broken("header break", CHANNEL + '    headers: {X: "a\\nb"}\n', 6, "channels[0].headers", "header", "one line"),
    Broken(
        "quirk",
        CHANNEL + "    quirks: {stream_use: true}\n",
        6,
        "channels[0].quirks.stream_use",
        "not a key",
        "stream_usage",
    ),
    Broken(
        "same name", CHANNEL + CHANNEL[10:].replace("a\n", "A\n", 1), 6, "channels[1].name", "first in line 2", "rename"
    ),
    Broken(
        "token twice",
        "tokens:\n- {name: t, budget: 1}\n- {name: t, budget: 1}\n",
        3,
        "tokens[1].name",
        "twice",
        "rename",
    ),
    Broken("token budget", "tokens:\n- name: t\n", 2, "tokens[0].budget", "no budget", "unlimited: true"),
    Broken(
        "token budget of an empty variable",
        "tokens:\n- {name: t, budget: '${B:-}', key: abcdefghijklmnopqrst}\n",
        2,
        "tokens[0].budget",
        "no budget",
        "$5",
    ),
    Broken(
        "both budgets",
        "tokens:\n- {name: t, budget: 1, unlimited: true}\n",
        2,
        "tokens[0].unlimited",
        "has a budget",
        "one",
    ),
    Broken(
        "same key",
        "tokens:\n- {name: t, budget: 1, key: sk-k}\n- {name: u, budget: 1, key: k}\n",
        3,
        "tokens[1].key",
        "same key",
        "own",
    ),
    Broken(
        "relative expiry",
        "tokens:\n- {name: t, budget: 1, expires: 30d}\n",
        2,
        "tokens[0].expires",
        "not a date",
        "2027-01-01",
    ),
    Broken("subnet", "tokens:\n- {name: t, budget: 1, subnet: 10}\n", 2, "tokens[0].subnet", "not a subnet", "CIDR"),
    Broken("rate", "prices:\n  m: {inptu: 1}\n", 2, "prices.m.inptu", "not a rate", "input"),
    Broken("amount", "prices:\n  m: {input: 1,output: x}\n", 2, "prices.m.output", "not a price", "dollars"),
    Broken(
        "free and priced", "prices:\n  m-4.5: {free: true, input: 1}\n", 2, "prices['m-4.5'].free", "contradict", "one"
    ),
    Broken("no price", "prices:\n  m: {}\n", 2, "prices.m", "a price is a mapping", "free: true"),
    Broken("postgres", "ledger: postgresql://h/d\n", 1, "ledger", "SQLite", "oneapi.db"),
    Broken("tls file", "tls: {cert: nope.pem, key: nope.pem}\n", 1, "tls.cert", "does not exist", "PEM"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken(case: Broken, load_text: Load, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(case.text)
    found = [problem for problem in caught.value.problems if problem.key == case.key and problem.line == case.line]
    assert found, str(caught.value)
    assert case.message in found[0].message and case.remedy in found[0].remedy, str(found[0])
    assert found[0].file == str(tmp_path / "config.yaml")


def test_every_problem_is_said_at_once_in_order(load_text: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text("workers: x\ngrace: y\nchannels:\n- {name: a, type: nope, models: [m]}\nprices: {m: {x: 1}}\n")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 4, 5]
    assert len(str(caught.value).splitlines()) == 4


def test_laughter_is_bounded(load_text: Load) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="too many values"):
        load_text("\n".join(lines))


def test_depth_is_bounded(load_text: Load) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_text("cors: " + "[" * 2000 + "]" * 2000)


def test_a_value_from_a_variable_is_never_repeated(load_text: Load) -> None:
    environ = dict.fromkeys(("A", "B", "C", "D", "E"), "sk-canary")
    text = (
        "workers: ${A}\nlisten: '${B}'\nprices: {m: {input: '${C}'}}\nholds: ${D}\n"
        "channels:\n- {name: '${E}!', type: '${A}', base_url: '${A}', api_key: '${A} x', models: [m]}\n"
        "tokens:\n- {name: t, budget: '${A}', subnet: '${B}', key: '${C}\u00e9'}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ)
    assert "canary" not in str(caught.value)
    assert len(caught.value.problems) >= 8


@pytest.mark.parametrize("dotenv", ["nonsense\n", "A='x\n"])
def test_a_broken_dotenv_is_named(dotenv: str, load_text: Load, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text("workers: 1\n", dotenv=dotenv)
    assert caught.value.problems[0].file == str(tmp_path / ".env")
    assert caught.value.problems[0].line == 1


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"workers: 1\nledger: \xff\n")
    with pytest.raises(ConfigError, match=r":2: .*UTF-8"):
        load(file, VENDORS, resolve=True, environ={})


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml", VENDORS, resolve=True, environ={})


def test_the_ledger_is_found_in_a_config_that_is_broken_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("worker: 1\nledger: ${WHERE}/l.db\nadmin_key: ${NOPE}\ntokens:\n- name: laptop\n- {nmae: x}\n- 5\n")
    found = locate(file, {"WHERE": "data"})
    assert found.ledger == tmp_path / "data" / "l.db"
    assert found.declared == {"laptop": 5}
    with pytest.raises(ConfigError, match="WHERE"):
        locate(file, {})
