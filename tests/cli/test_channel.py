"""`oneapi channel`, `what-if` and `env`: what a request would meet, and how clients are pointed here."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from .conftest import KEY, Place

CONFIG = """\
channels:
- {name: demo, type: demo, models: [demo-small, demo-embedding], groups: [team]}
- {name: dead, type: openai-compatible, base_url: 'http://127.0.0.1:9', models: [own], prices: {own: {free: true}}}
- {name: asleep, type: openai, api_key: '${OPENAI_API_KEY:-}', optional: true, models: [gpt-4o], priority: 5}
- {name: off, type: demo, models: [x], enabled: false}
- {name: wants, type: groq, api_key: '${NOPE}', models: [y]}
"""


@pytest.fixture
def ways(place: Place) -> Place:
    (place.folder / "config.yaml").write_text(CONFIG)
    return place


def mend(place: Place) -> None:
    """Without the channel that keeps a server from starting."""
    (place.folder / "config.yaml").write_text(CONFIG.rsplit("\n", 2)[0] + "\n")


def test_list_says_what_serve_would_use(ways: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def states() -> dict[str, str]:
        return {one["name"]: one["state"] for one in ways.run("channel", "list", "--json").json}

    assert states() == {"demo": "ready", "dead": "ready", "asleep": "skipped", "off": "disabled", "wants": "broken"}
    done = ways.run("channel", "list")
    assert "wants: ${NOPE} is not set" in done.err and max(map(len, done.out.splitlines())) <= 80
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    monkeypatch.setenv("NOPE", "gsk-canary-0123456789")
    assert states() == {"demo": "ready", "dead": "ready", "asleep": "ready", "off": "disabled", "wants": "ready"}
    done = ways.run("channel", "list")
    assert "canary" not in done.out + done.err


def test_types_is_the_vendor_table(ways: Place) -> None:
    out = ways.run("channel", "types").out
    assert "OPENAI_API_KEY" in out and max(map(len, out.splitlines())) <= 80
    assert {"openai", "azure", "demo"} <= {one["type"] for one in ways.run("channel", "types", "--json").json}


def test_test_is_a_real_request_with_a_bill(ways: Place) -> None:
    mend(ways)
    done = ways.run("channel", "test", "demo", "--json")
    assert done.code == 0, done.err
    (found,) = done.json
    assert (found["status"], found["ok"], found["model"]) == (200, True, "demo-small") and found["cost_nanos"] > 0
    bill = ways.run("cost", found["request_id"], "--json").json
    assert bill["cost_nanos"] == found["cost_nanos"] and bill["token"]["name"] == "channel-test"
    assert ways.token("channel-test").used == found["cost_nanos"]
    assert ways.run("channel", "test", "demo", "--model", "demo-embedding").code == 0
    assert ways.run("ledger", "verify").code == 0


def test_a_trial_rolls_budgets_over_in_the_configs_zone(ways: Place) -> None:
    mend(ways)
    with (ways.folder / "config.yaml").open("a") as file:
        file.write("budget_zone: Asia/Kathmandu\n")  # a quarter to the hour: no other midnight looks like it
    assert ways.run("channel", "test", "demo").code == 0
    assert ways.run("token", "edit", "channel-test", "--budget", "$5/day").code == 0
    with ways.db() as db:
        db.execute("UPDATE tokens SET budget_reset = 1.0")
    assert ways.run("channel", "test", "demo").code == 0
    with ways.db() as db:
        (reset,) = db.execute("SELECT budget_reset FROM tokens WHERE budget_period = 'day'").fetchone()
    assert reset % 86_400 == 86_400 - (5 * 60 + 45) * 60


def test_a_channel_that_fails_is_exit_code_1(ways: Place) -> None:
    mend(ways)
    done = ways.run("channel", "test")
    assert done.code == 1 and "works" in done.out and "fails" in done.out and "do_request_failed" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


WILD = """\
- {name: wild, type: openai-compatible, base_url: 'http://127.0.0.1:9', models: ['*'], prices: {'*': {free: true}}}
"""


def test_a_channel_of_any_model_does_not_keep_the_others_from_being_tried(place: Place) -> None:
    demo = "- {name: demo, type: demo, models: [demo-small]}"
    (place.folder / "config.yaml").write_text(f"channels:\n{demo}\n{WILD}")
    done = place.run("channel", "test", "--json")
    assert done.code == 0 and [found["channel"] for found in done.json] == ["demo"]
    assert "wild is not tried" in done.err and "--model" in done.err
    taken = place.run("channel", "test", "wild", "--model", "demo-small")
    assert (taken.code, taken.out) == (1, "") and "channel demo names demo-small" in " ".join(taken.err.split())
    assert [found["channel"] for found in place.run("channel", "test", "--model", "demo-small", "--json").json] == [
        "demo"
    ]
    (place.folder / "config.yaml").write_text(f"channels:\n{WILD}")
    assert "names no model" in place.run("channel", "test").err


@dataclass(frozen=True)
class Wrong:
    words: tuple[str, ...]
    code: int
    said: str


@pytest.mark.parametrize(
    "case",
    [
        Wrong(("channel", "test", "nope"), 1, "There is no channel nope"),
        Wrong(("channel", "test", "asleep"), 1, "not usable here"),
        Wrong(("channel", "test", "demo", "--model", "gpt-4o"), 1, "does not serve gpt-4o"),
        Wrong(("channel", "test", "--model", "nope"), 1, "No usable channel"),
        Wrong(("channel", "test", "off"), 1, "not enabled"),
        Wrong(("what-if",), 2, "--token"),
        Wrong(("what-if", "--token", "nope", "--model", "own"), 1, "token list"),
        Wrong(("what-if", "--token", "first", "--model", "own", "--max-tokens", "0"), 2, "--max-tokens"),
        Wrong(("what-if", "--token", "first", "--model", "own", "nowhere.json"), 1, "cannot be read"),
        Wrong(("env", "nope"), 1, "token list"),
        Wrong(("env", "first", "--for", "moon"), 2, "--for"),
        Wrong(("env", "first", "--key", KEY), 1, "not the key of token first"),
        Wrong(("env", "first", "--key", "a b"), 2, "spaces"),
    ],
    ids=lambda case: " ".join(case.words)[:50],
)
def test_refused(case: Wrong, ways: Place) -> None:
    mend(ways)
    before = ways.run("token", "list", "--json").out
    done = ways.run(*case.words)
    assert (done.code, done.out) == (case.code, "")
    assert case.said in " ".join(done.err.split()), done.err
    assert KEY not in done.err
    assert ways.run("token", "list", "--json").out == before


# --- what-if --------------------------------------------------------------------------------------------------------


def ask(place: Place, *words: str, stdin: str = "") -> dict[str, object]:
    done = place.run("what-if", "--token", "phone", "--model", "demo-small", "--json", *words, stdin=stdin)
    assert done.code == 0, done.err
    document: dict[str, object] = done.json
    return document


@pytest.fixture
def asker(place: Place) -> str:
    return place.add("phone", "--budget", "$0.01").out.strip()


def test_what_would_be_held_is_what_is_then_held(place: Place, asker: str) -> None:
    found = ask(place, "--max-tokens", "1000")
    assert found["verdict"] == "hold" and found["output_limit"] == 1000
    # 1 000 tokens at $0.60 a million, besides the input
    assert found["hold_nanos"] == 600_000 + int(str(found["input_bound_nanos"]))
    assert place.run("logs", "--json").json == [] and place.token("phone").held == 0


def test_lowered_waiting_and_refused(place: Place, asker: str) -> None:
    lowered = ask(place, "--max-tokens", "30000")
    assert lowered["verdict"] == "lower" and 15_000 <= int(str(lowered["output_limit"])) < 30_000
    place.hold("1", asker, nanos=9_900_000)
    waiting = ask(place, "--max-tokens", "2000")
    assert waiting["verdict"] == "wait" and "phone" in str(waiting["because"])
    place.run("token", "edit", "phone", "--remain", "$0.0001")
    refused = ask(place, "--max-tokens", "2000")
    assert (refused["verdict"], refused["status"], refused["code"]) == ("refuse", 403, "insufficient_user_quota")
    out = place.run("what-if", "--token", "phone", "--model", "demo-small").out
    assert "would be refused: 403" in out and max(map(len, out.splitlines())) <= 80


def test_a_request_is_read_from_a_file_or_stdin(place: Place, asker: str) -> None:
    body = {"model": "other", "messages": [{"role": "user", "content": "x" * 4000}], "max_tokens": 100, "n": 3}
    (place.folder / "r.json").write_text(json.dumps(body))
    found = ask(place, str(place.folder / "r.json"))
    assert found["outputs"] == 3 and found["asked_output"] == 100
    assert ask(place, "-", stdin=json.dumps(body)) == found
    assert int(str(ask(place, "-", stdin="y" * 4000)["input_bound_nanos"])) >= 600_000
    (place.folder / "bin").write_bytes(b"\xff\xfe")
    assert place.run("what-if", "--token", "phone", "--model", "m", str(place.folder / "bin")).code == 1


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        ("nothing", {"messages": [{"role": "user", "content": "x"}]}, "no_channel"),
        ("demo-small", {"messages": "x", "max_tokens": -5}, "messages"),
        ("a\x1b[2J", {"messages": []}, "printable"),
    ],
)
def test_what_the_gateway_would_refuse(
    model: str, body: dict[str, object], said: str, place: Place, asker: str
) -> None:
    done = place.run("what-if", "--token", "phone", "--model", model, "-", stdin=json.dumps(body))
    assert done.code == 0 and "would be refused" in done.out and said in done.out
    assert "\x1b" not in done.out


def test_a_disabled_token_would_be_refused(place: Place, asker: str) -> None:
    place.run("token", "edit", "phone", "--disable")
    assert ask(place)["status"] == 401


# --- env ------------------------------------------------------------------------------------------------------------


def test_env_without_the_key_is_harmless_to_evaluate(place: Place) -> None:
    done = place.run("env", "first")
    lines = done.out.splitlines()
    assert lines[0] == "export OPENAI_BASE_URL=http://127.0.0.1:3000/v1" and lines[1].startswith(
        "# export OPENAI_API_KEY"
    )
    assert "token rotate" in done.err


@pytest.mark.parametrize(
    ("client", "base", "key"),
    [
        ("openai", "OPENAI_BASE_URL=http://127.0.0.1:3000/v1", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_BASE_URL=http://127.0.0.1:3000", "ANTHROPIC_API_KEY"),
        ("gemini", "GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:3000", "GEMINI_API_KEY"),
    ],
)
def test_env_with_the_key(client: str, base: str, key: str, place: Place) -> None:
    secret = place.add("phone", "--unlimited").out.strip()
    done = place.run("env", "phone", "--for", client, "--key", "-", stdin=f"{secret}\n")
    assert done.code == 0, done.err
    assert f"export {base}" in done.out.splitlines() and f"export {key}={secret}" in done.out.splitlines()


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("0.0.0.0:8080", "http://127.0.0.1:8080/v1"),
        ("'[::]:80'", "'http://[::1]:80/v1'"),
        ("${WHERE:-localhost:1}", "http://localhost:1/v1"),
    ],
)
def test_env_knows_where_it_listens(listen: str, said: str, place: Place) -> None:
    (place.folder / "config.yaml").write_text(f"listen: {listen}\n")
    assert place.run("env", "first").out.splitlines()[0] == f"export OPENAI_BASE_URL={said}"


def test_env_repeats_no_value_of_a_variable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "canary")
    (place.folder / "config.yaml").write_text("listen: ${WHERE}\n")
    done = place.run("env", "first")
    assert done.code == 1 and "canary" not in done.err and "not an address" in done.err
