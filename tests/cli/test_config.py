"""`oneapi config schema|openapi`, and half-written configs."""

from __future__ import annotations

import pytest

from .conftest import Place


def test_schema_needs_no_config(place: Place) -> None:
    (place.folder / "config.yaml").unlink()
    document = place.run("config", "schema").json
    assert document["properties"]["channels"]["items"]["properties"]["type"]["anyOf"][0]["enum"][0] == "openai"


def test_openapi_names_the_address_of_the_config(place: Place) -> None:
    (place.folder / "config.yaml").write_text("listen: 127.0.0.1:4321\n")
    assert place.run("config", "openapi").json["servers"] == [{"url": "http://127.0.0.1:4321"}]


def test_show_masks_by_where_a_value_came_from(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "canary")
    (place.folder / "config.yaml").write_text(
        "channels:\n- {name: a, type: demo, models: [x], system_prompt: 'be ${CANARY}', groups: ['${CANARY}']}\n"
        "- {name: b, type: openai, models: [y], api_key: canary-in-the-file}\n"
    )
    done = place.run("config", "show")
    assert done.code == 0, done.err
    assert "canary" not in done.out and "system_prompt: …" in done.out


def test_check_tells_of_models_without_a_price_as_serve_does(place: Place) -> None:
    (place.folder / "config.yaml").write_text(
        "channels:\n- {name: a, type: openai-compatible, base_url: 'http://127.0.0.1:9', models: [own, other, '*'],"
        " prices: {own: {free: true}}}\n"
    )
    done = place.run("config", "check")
    assert done.code == 0 and "sound: 1 channel, 0 tokens." in done.out
    assert "other has no price" in done.err and "own has" not in done.err and "* has" not in done.err
    (notice,) = place.run("config", "check", "--json").json["notices"]
    assert notice["key"] == "prices" and "other: {input:" in notice["remedy"]


HALF = (
    "channels:\n- {name: a, type: de",
    "channels: [{",
    "listen: 127.0.0.1:3000\nchann",
    "a: b: c\n",
    "\x00\x01",
    "- 1\n",
)


@pytest.mark.parametrize(
    "words", [("config", "check"), ("config", "show"), ("channel", "list"), ("model", "list")], ids=str
)
@pytest.mark.parametrize("text", HALF, ids=range(len(HALF)))
def test_a_half_written_config_is_a_sentence(text: str, words: tuple[str, ...], place: Place) -> None:
    (place.folder / "config.yaml").write_text(text)
    done = place.run(*words)
    assert (done.code, done.out) == (1, "") and "config.yaml" in done.err
    assert (place.folder / "config.yaml").read_text() == text


def test_a_budget_zone_that_is_none_is_refused(place: Place) -> None:
    (place.folder / "config.yaml").write_text("budget_zone: Moon/Crater\n")
    done = place.run("token", "list")
    assert done.code == 1 and "budget_zone" in done.err and "Europe/Berlin" in done.err
    (place.folder / "config.yaml").write_text("budget_zone: ${ZONE:-Europe/Berlin}\n")
    assert place.run("token", "list").code == 0
