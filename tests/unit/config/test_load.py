"""What a sound config comes to."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import msgspec
import pytest
import yaml

from oneapi_cli.config.load import create_private, find_config, load
from oneapi_cli.config.problems import ConfigError
from oneapi_cli.config.schema import ChannelConfig, Config, LimitsConfig, TimeoutsConfig, TlsConfig, TokenConfig
from oneapi_cli.config.show import MASK, shown
from oneapi_cli.config.tokens import digest_of
from oneapi_cli.config.words import Address, Budget
from oneapi_cli.ledger import keys
from oneapi_cli.providers.table import VENDORS as TABLE
from oneapi_cli.values.vendor import PriceLine, Quirks, Timeouts

from .conftest import VENDORS, Load

EXAMPLE = Path(__file__).resolve().parents[3] / "config.example.yaml"
KEY = "sk-abcdefghijklmnopqrstuvwxyz"


def test_an_empty_file_is_all_defaults(load_text: Load, tmp_path: Path) -> None:
    loaded = load_text("")
    assert loaded.config == Config()
    assert (loaded.channels, loaded.tokens, loaded.notices) == ((), (), ())
    assert loaded.ledger == tmp_path / "oneapi.db"


def test_nothing_after_a_key_is_the_default(load_text: Load) -> None:
    assert load_text("workers:\nadmin_key: ~\nchannels:\nlimits:\nprices: null\n").config == Config()


def test_scalars(load_text: Load) -> None:
    config = load_text(
        "listen: '[::1]:8080'\nworkers: 4\nretries: 0\nretry_unknown: true\nholds: worst_case\nhold_wait: 2m\n"
        "limits: {body: 1KiB}\ntimeouts: {connect: 500ms}\nretention: 90d\nhosts: box.lan\ncors: [https://a]\n"
    ).config
    assert config.listen == Address("::1", 8080)
    assert (config.workers, config.retries, config.retry_unknown, config.holds) == (4, 0, True, "worst_case")
    assert (config.hold_wait, config.limits.body, config.limits.headers) == (120.0, 1024, 32768)
    assert (config.timeouts.connect, config.retention) == (0.5, 90 * 86400.0)
    assert (config.hosts, config.cors) == (("box.lan",), ("https://a",))


def test_a_channel_is_fully_resolved(load_text: Load) -> None:
    text = """
timeouts: {connect: 1s, idle: 2s}
unknown_output: 99
channels:
  - name: first
    type: acme
    api_key: ['${A}', two, '${NONE:-}']
    models: {gpt-4o: upstream, same: }
    priority: 10
    weight: 3
    groups: [staff]
    timeouts: {idle: 5s}
    quirks: {stream_usage: true}
    speaks: [openai_responses]
    prices: {'*': {free: true}, m: {input: 3.10, output: 12}}
    headers: {X-Team: r}
  - name: second
    type: parted
    base_url: https://h.example/{account_id}/
    options: {account_id: '42'}
    models: ['*']
"""
    first, second = load_text(text, {"A": "one"}).channels
    assert first.keys == ("one", "two")
    assert first.models == {"gpt-4o": "upstream", "same": "same"}
    assert (first.rank, first.priority, first.weight, first.groups) == (0, 10, 3, ("staff",))
    assert first.timeouts == Timeouts(connect=1.0, idle=5.0)
    assert first.quirks == Quirks(token_limit_name="max_tokens", stream_usage=True)
    assert first.speaks == {"openai_responses": "/responses"}
    assert first.prices == {"*": PriceLine(free=True), "m": PriceLine(rates={"input": "3.10", "output": "12"})}
    assert (first.base, first.unknown_output, first.headers) == ("https://api.acme.example/v1", 99, {"X-Team": "r"})
    assert (second.rank, second.base, second.keys) == (1, "https://h.example/{account_id}", ())
    assert second.options == {"account_id": "42"}
    assert second.models == {"*": "*"}


def test_anchors_and_merges(load_text: Load) -> None:
    text = """
channels:
  - &base {name: a, type: acme, api_key: k, models: &m [x, y], weight: 2}
  - <<: *base
    name: b
    weight: 5
"""
    first, second = load_text(text).channels
    assert (first.weight, second.weight, second.name) == (2, 5, "b")
    assert first.models == second.models


@pytest.mark.parametrize(
    ("rest", "environ", "why"),
    [
        ("api_key: ${NOPE}", {}, "${NOPE} is not set"),
        ("api_key: ${EMPTY}", {"EMPTY": ""}, "needs an API key"),
        ("api_key: ${NOPE:-}", {}, "needs an API key"),
        ("weight: 1", {}, "needs an API key"),
        ("{api_key: k, base_url: '${NOPE}'}", {}, "${NOPE} is not set"),
    ],
)
def test_an_optional_channel_is_skipped_with_a_notice(
    rest: str, environ: dict[str, str], why: str, load_text: Load
) -> None:
    inner = rest.strip("{}") if rest.startswith("{") else rest
    if "{" in inner and not inner.startswith("api_key: k"):
        inner = inner.replace("${", "'${", 1) + "'"
    text = f"channels:\n- {{name: a, type: acme, models: [m], optional: true, {inner}}}\n"
    loaded = load_text(text, environ)
    assert loaded.channels == ()
    assert [notice.line for notice in loaded.notices] == [2]
    assert why in loaded.notices[0].message


def test_an_optional_channel_is_not_excused_from_the_rest(load_text: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text("channels:\n- {name: a, type: acme, modles: [m], optional: true}\n")
    assert caught.value.problems[0].key == "channels[0].modles"


def test_the_environment_wins_over_dotenv(load_text: Load) -> None:
    text = "admin_key: ${A}\nledger: ${B}.db\n"
    loaded = load_text(text, {"A": "from-environment"}, dotenv="A=from-file\nB=here\n")
    assert loaded.config.admin_key == "from-environment"
    assert loaded.ledger.name == "here.db"


def test_an_empty_admin_key_is_off(load_text: Load) -> None:
    assert load_text("admin_key: ${A:-}\n").config.admin_key == ""
    assert load_text("admin_key: ${A}\n", {"A": "  "}).config.admin_key == ""


def test_without_resolving_no_environment_is_needed(load_text: Load) -> None:
    text = (
        "workers: ${W}\nchannels:\n- {name: a, type: acme, api_key: '${NOPE}', models: [m]}\n"
        "tokens:\n- {name: t, key: '${K}', budget: '${B}'}\n"
    )
    loaded = load_text(text, resolve=False, dotenv="W=broken'\nnonsense\n")
    assert loaded.config.workers == 1
    assert [channel.name for channel in loaded.channels] == ["a"]
    assert loaded.channels[0].keys == ()
    assert loaded.tokens == ()


def test_declared_tokens(load_text: Load) -> None:
    text = f"""
holds: worst_case
tokens:
  - {{name: laptop, key: '${{K}}', budget: $20/month, models: gpt-*, subnet: 10.1.2.3/8, rpm: 6, clamp: false}}
  - {{name: server, key_sha256: {"AB" * 32}, unlimited: true, expires: 1970-01-02, holds: auto, user: bob}}
  - {{name: nobody, key: '${{NONE:-}}', budget: 1}}
"""
    loaded = load_text(text, {"K": KEY})
    laptop, server = loaded.tokens
    assert (laptop.digest, laptop.hint, laptop.budget) == (digest_of(KEY), "wxyz", Budget(20 * 10**9, "month"))
    assert (laptop.models, laptop.subnets, laptop.rpm, laptop.clamp) == (("gpt-*",), ("10.0.0.0/8",), 6, False)
    assert (laptop.holds, laptop.user, laptop.line) == ("worst_case", "root", 4)
    assert (server.digest, server.hint, server.budget) == (bytes.fromhex("ab" * 32), "", None)
    assert (server.expires, server.holds, server.user, server.clamp) == (86400.0, "auto", "bob", None)
    said = [(notice.line, notice.message) for notice in loaded.notices]
    assert (6, "the token nobody is skipped: it has no key") in said
    assert [line for line, _ in said] == [6], "a budget that recurs is nothing to be told of"


def test_the_digest_is_the_ledgers() -> None:
    for text in (KEY, KEY[3:], "sk-sk-x", "", "ünï"):
        assert digest_of(text) == keys.digest_of(text)
    assert digest_of("sk-abc") == hashlib.sha256(b"abc").digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen: 0.0.0.0:80\n", "can be reached from other machines"),
        ("holds: rolling\n", "Rolling holds come later"),
        ("channels:\n- {name: a, type: open-compatible, base_url: 'http://h', models: [m]}\n", "no prices of its own"),
        (
            "channels:\n- {name: eu, type: demo, models: [m]}\n- {name: my-eu, type: demo, models: [m]}\n",
            "could be pinned to my-eu or to eu",
        ),
        ("tokens:\n- {name: t, key: short, budget: 1}\n", "short enough to be guessed"),
    ],
)
def test_notices(text: str, message: str, load_text: Load) -> None:
    assert message in "\n".join(str(notice) for notice in load_text(text).notices)


@pytest.mark.parametrize(
    "text",
    [
        "listen: localhost:80\n",
        "channels:\n- {name: a, type: open-compatible, base_url: 'http://h', models: [m], priced_as: acme}\n",
        "channels:\n- {name: a, type: open-compatible, base_url: 'http://h', models: [m], priced_as: acme-list}\n",
        "channels:\n- {name: demo, type: demo, models: [m]}\n",
    ],
)
def test_nothing_to_notice(text: str, load_text: Load) -> None:
    assert load_text(text).notices == ()


def test_secrets_others_can_read_are_noticed(load_text: Load, tmp_path: Path) -> None:
    assert load_text("admin_key: secret\n").notices == ()
    (tmp_path / "config.yaml").chmod(0o644)
    opened = load(tmp_path / "config.yaml", VENDORS, resolve=True, environ={})
    assert "chmod 600" in str(opened.notices[0])


def test_the_generation_follows_the_file_and_its_dotenv(load_text: Load) -> None:
    first = load_text("workers: 1\n").generation
    assert load_text("workers: 1\n").generation == first
    assert load_text("workers: 2\n").generation != first
    assert load_text("workers: 1\n", dotenv="A=1\n").generation != first


def test_no_repr_shows_a_secret(load_text: Load) -> None:
    text = (
        "admin_key: canary-1\nchannels:\n- {name: a, type: acme, api_key: canary-2, models: [m]}\n"
        f"tokens:\n- {{name: t, key: {KEY}, budget: 1}}\n"
    )
    said = repr(load_text(text))
    assert "canary" not in said and KEY not in said


def test_shown_masks_by_provenance(load_text: Load) -> None:
    text = f"""
admin_key: canary-literal
hosts: ['${{A}}', open.example]
cors: https://${{A}}
workers: ${{W}}
ledger: ${{A}}.db
channels:
  - name: a
    type: acme
    api_key: [canary-x, '${{A}}']
    models: {{m: '${{A}}', n: plain}}
    base_url: ${{U}}
    headers: {{X: canary-y}}
    proxy: http://canary:canary@h
    options: {{region: '${{A}}'}}
    prices: {{m: {{input: '${{P}}', output: 2}}}}
tokens:
  - {{name: t, key: {KEY}, budget: 1}}
"""
    loaded = load_text(text, {"A": "canary-a", "W": "77", "U": "https://canary.example", "P": "3.33"})
    seen = shown(loaded)
    flat = yaml.safe_dump(seen)
    assert not any(secret in flat for secret in ("canary", KEY, "77", "3.33"))
    assert (seen["admin_key"], seen["workers"], seen["ledger"]) == (MASK, MASK, MASK)
    assert seen["hosts"] == [MASK, "open.example"] and seen["cors"] == [MASK]
    assert seen["limits"]["body"] == "64MiB" and seen["grace"] == "30s" and seen["listen"] == "127.0.0.1:3000"
    channel = seen["channels"][0]
    assert channel["models"] == {"m": MASK, "n": "plain"} and channel["prices"]["m"] == {"input": MASK, "output": "2"}


def test_the_example_loads_and_shows_every_key() -> None:
    loaded = load(EXAMPLE, TABLE, resolve=True, environ={})
    assert [channel.name for channel in loaded.channels] == ["local"]
    full = load(
        EXAMPLE,
        TABLE,
        resolve=True,
        environ={"OPENAI_API_KEY": "a", "AZURE_KEY_1": "b", "LAPTOP_KEY": KEY, "ONEAPI_ADMIN_KEY": "c"},
    )
    assert [channel.name for channel in full.channels] == ["openai", "office", "local"]
    assert [token.name for token in full.tokens] == ["laptop"]


@pytest.mark.parametrize("struct", [Config, LimitsConfig, TimeoutsConfig, TlsConfig, ChannelConfig, TokenConfig])
def test_the_example_mentions_every_field(struct: type[msgspec.Struct]) -> None:
    text = EXAMPLE.read_text()
    missing = [
        field.name
        for field in msgspec.structs.fields(struct)
        if f"{field.name}:" not in text and f"{field.name}," not in text and f"{field.name} or" not in text
    ]
    assert [name for name in missing if f" {name} " not in text.replace(".", " ").replace(";", " ")] == []


def test_finding_the_config(home: Path) -> None:
    with pytest.raises(ConfigError, match="oneapi init"):
        find_config(None, {"HOME": str(home)})
    usual = home / ".config" / "oneapi" / "config.yaml"
    usual.parent.mkdir(parents=True)
    usual.touch()
    assert find_config(None, {"HOME": str(home)}) == usual
    (home / "config.yaml").touch()
    assert find_config(None, {"HOME": str(home)}) == home / "config.yaml"
    other = home / "other.yaml"
    with pytest.raises(ConfigError, match=r"\$ONEAPI_CONFIG"):
        find_config(None, {"ONEAPI_CONFIG": str(other)})
    other.touch()
    assert find_config(None, {"ONEAPI_CONFIG": str(other)}) == other
    with pytest.raises(ConfigError, match="--config"):
        find_config("nope.yaml", {"ONEAPI_CONFIG": str(other)})


def test_private_files_are_new_and_private(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.yaml"
    create_private(file, "a: 1\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        create_private(file, "b: 2\n")
    assert file.read_text() == "a: 1\n"
