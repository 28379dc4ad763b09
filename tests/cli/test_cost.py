"""`oneapi cost`: the bill."""

from __future__ import annotations

import re

import pytest

from oneapi_cli.values.holds import Closing

from .conftest import Place, kept, settled


@pytest.fixture
def key(place: Place) -> str:
    return place.add("phone", "--budget", "$5").out.strip()


def test_the_bill_line_by_line(place: Place, key: str) -> None:
    request_id = place.hold("1", key, nanos=20_000)
    place.close(request_id, settled())
    done = place.run("cost", request_id)
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    for expected in (
        f"request {request_id}",
        "state settled",
        "when 2026-09-21 14:13:20 UTC, 1.000 s to the first byte, 2.500 s in all",
        "who token phone (#2), user root (#1)",
        "asked demo-small at /v1/chat/completions, streamed, sent as up",
        "channel demo",
        "hold $0.00002, a proven bound; input at most $0.00002; output limit 100",
        "note temperature was left out",
        "prices a list",
        "input_tokens 7 × $0.15/M = $0.00000105",
        "list, input",
        "output_tokens 20 × $0.600000001/M = $0.000012",
        "rounding $0.00000095",
        "total $0.000014",
        "attempt 1: first (acme), up: unreachable, no answer, 0.500 s, charged $0.00",
        "connection refused",
        "attempt 2: demo (demo), up: served, 200, 1.500 s, charged $0.000014",
        "vendor's id chatcmpl-1",
        "usage (reported by the vendor): input_tokens 7, output_tokens 20",
        "of the output, 3 were reasoning",
        '{"prompt_tokens":7,"completion_tokens":20}',
    ):
        assert expected in lines, f"{expected!r} is not in\n{done.out}"
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_bill_of_external_consumption_speaks_of_no_tokens(place: Place, key: str) -> None:
    charged = place.run("consume", "phone", "--amount", "$0.30", "--reason", "a night of the GPU box", "--json")
    assert charged.code == 0, charged.err
    number = place.run("logs", "--json").json[-1]["id"]
    lines = [" ".join(line.split()) for line in place.run("cost", str(number)).out.splitlines()]
    assert "asked external consumption: a night of the GPU box" in lines and "hold $0.30" in lines
    assert "total $0.30" in lines and not any("usage" in line or "streamed" in line for line in lines)


def test_the_bill_as_json(place: Place, key: str) -> None:
    request_id = place.hold("1", key)
    place.close(request_id, settled())
    bill = place.run("cost", request_id, "--json").json
    assert (bill["request_id"], bill["cost_nanos"], bill["quota"], bill["cost_usd"]) == (request_id, 14_000, 7, 14e-6)
    assert sum(line["picos"] for line in bill["lines"]) == bill["cost_nanos"] * 1000


def test_a_bill_with_adjustments(place: Place, key: str) -> None:
    request_id = place.hold("1", key)
    place.close(request_id, kept())
    assert place.run("ledger", "orphans", "--release", request_id).code == 0
    out = place.run("cost", request_id).out
    assert "kept: charged without evidence" in out
    assert "released by hand" in out and "-$0.00001" in out
    assert re.search(r"cost with these +\$0\.00$", out, re.MULTILINE)
    assert "usage: none known" in out


def test_open_and_released_requests(place: Place, key: str) -> None:
    request_id = place.hold("1", key)
    assert "still open" in place.run("cost", request_id).out
    place.close(request_id, Closing(state="released", cost_nanos=0, status=502, reason="nobody answered"))
    out = place.run("cost", request_id).out
    assert "nothing was charged" in out and "502, nobody answered" in out


def test_an_unknown_request(place: Place) -> None:
    done = place.run("cost", "\x1b[2J")
    assert (done.code, done.out) == (1, "")
    assert "X-Oneapi-Request-Id" in done.err and "\x1b" not in done.err


def test_what_vendors_say_cannot_drive_the_terminal(place: Place, key: str) -> None:
    evil = "\x1b]0;owned\x07\u202e\r[red]"
    request_id = place.hold("1", key, model=f"m{evil}")
    place.close(request_id, settled(raw=f'{{"a":"{evil}"}}', rule=evil))
    out = place.run("cost", request_id).out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", out)
    assert r"\x1b]0;owned" in out and "[red]" in out
    assert "\x1b" not in place.run("cost", request_id, "--json").out
