"""What changes in a request for one attempt: what must, in the client's own bytes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from oneapi_cli.dialects import DIALECTS
from oneapi_cli.values.asks import Change

CHAT = "openai_chat"
HI = b'"messages":[{"role":"user","content":"hi"}]'


@dataclass(frozen=True)
class Case:
    name: str
    before: bytes
    change: Change
    after: bytes
    notes: tuple[str, ...] = ()
    dialect: str = CHAT


SAME = Change(model="m")
REASONING = Change(model="m", reasoning=True, system_role="developer", dropped=("temperature", "top_p"))
SYSTEM = b'"messages": [ {"role": "system", "content":"s"}, {"content":"u","role":"user"} ]'

CASES = [
    Case("model", b'{"model" : "x", ' + HI + b"}", SAME, b'{"model" : "m", ' + HI + b"}"),
    Case(
        "limit in place",
        b'{"model":"m","max_tokens": 100,' + HI + b"}",
        Change(model="m", limit=50),
        b'{"model":"m","max_tokens": 50,' + HI + b"}",
    ),
    Case(
        "both limits",
        b'{"model":"m","max_tokens":100,"max_completion_tokens":80,' + HI + b"}",
        Change(model="m", limit=50),
        b'{"model":"m","max_tokens":50,"max_completion_tokens":50,' + HI + b"}",
    ),
    Case(
        "limit inserted",
        b'{"model":"m",' + HI + b"}",
        Change(model="m", limit=50),
        b'{"model":"m",' + HI + b',"max_tokens":50}',
    ),
    Case(
        "limit over null",
        b'{"model":"m","max_completion_tokens":null,' + HI + b"}",
        Change(model="m", limit=50),
        b'{"model":"m","max_completion_tokens":50,' + HI + b"}",
    ),
    Case(
        "limit as the vendor knows it",
        b'{"model":"m","max_completion_tokens":100,' + HI + b"}",
        Change(model="m", limit_name="max_tokens"),
        b'{"model":"m","max_tokens":100,' + HI + b"}",
        ("renamed:max_completion_tokens",),
    ),
    Case(
        "the smaller of two under one name",
        b'{"model":"m","max_tokens":100,"max_completion_tokens":80,' + HI + b"}",
        Change(model="m", limit_name="max_tokens"),
        b'{"model":"m","max_tokens":80,' + HI + b"}",
        ("renamed:max_completion_tokens",),
    ),
    Case(
        "inserted under the vendor's name",
        b'{"model":"m",' + HI + b"}",
        Change(model="m", limit=7, limit_name="num_predict"),
        b'{"model":"m",' + HI + b',"num_predict":7}',
    ),
    Case(
        "no limit, none inserted",
        b'{"model":"m",' + HI + b"}",
        Change(model="m", limit_name="max_tokens"),
        b'{"model":"m",' + HI + b"}",
    ),
    Case(
        "reasoning: limit renamed",
        b'{"model":"m","max_tokens":100,' + HI + b"}",
        REASONING,
        b'{"model":"m","max_completion_tokens":100,' + HI + b"}",
        ("renamed:max_tokens",),
    ),
    Case(
        "reasoning: limit renamed and lowered",
        b'{"model":"m","max_tokens":100,' + HI + b"}",
        Change(model="m", limit=9, reasoning=True),
        b'{"model":"m","max_completion_tokens":9,' + HI + b"}",
        ("renamed:max_tokens",),
    ),
    Case(
        "reasoning: members dropped",
        b'{"model":"m","temperature":0.5,"top_p":null,' + HI + b"}",
        REASONING,
        b'{"model":"m","top_p":null,' + HI + b"}",
        ("dropped:temperature",),
    ),
    Case(
        "reasoning: role in place",
        b'{"model":"m",' + SYSTEM + b"}",
        REASONING,
        b'{"model":"m",' + SYSTEM.replace(b'"system"', b'"developer"') + b"}",
        ("role:developer",),
    ),
    Case(
        "reasoning: no system role at all",
        b'{"model":"m",' + SYSTEM + b"}",
        Change(model="m", reasoning=True, system_role="user"),
        b'{"model":"m",' + SYSTEM.replace(b'"system"', b'"user"') + b"}",
        ("role:user",),
    ),
    Case(
        "role stays for others",
        b'{"model":"m",' + SYSTEM + b"}",
        Change(model="m", system_role="developer"),
        b'{"model":"m",' + SYSTEM + b"}",
    ),
    Case(
        "usage asked for",
        b'{"model":"m","stream":true,' + HI + b"}",
        Change(model="m", add_usage=True),
        b'{"model":"m","stream":true,' + HI + b',"stream_options":{"include_usage":true}}',
    ),
    Case(
        "usage merged",
        b'{"model":"m","stream":true,"stream_options":{"x": 1},' + HI + b"}",
        Change(model="m", add_usage=True),
        b'{"model":"m","stream":true,"stream_options":{"x": 1,"include_usage":true},' + HI + b"}",
    ),
    Case(
        "usage: false becomes true",
        b'{"model":"m","stream":true,"stream_options":{"include_usage":false},' + HI + b"}",
        Change(model="m", add_usage=True),
        b'{"model":"m","stream":true,"stream_options":{"include_usage":true},' + HI + b"}",
    ),
    Case(
        "usage over null",
        b'{"model":"m","stream":true,"stream_options":null,' + HI + b"}",
        Change(model="m", add_usage=True),
        b'{"model":"m","stream":true,"stream_options":{"include_usage":true},' + HI + b"}",
    ),
    Case(
        "no usage without a stream",
        b'{"model":"m",' + HI + b"}",
        Change(model="m", add_usage=True),
        b'{"model":"m",' + HI + b"}",
    ),
    Case(
        "system prompt put first",
        b'{"model":"m",' + HI + b"}",
        Change(model="m", system_prompt='Be "kind"'),
        b'{"model":"m","messages":[{"role":"system","content":"Be \\"kind\\""},{"role":"user","content":"hi"}]}',
        ("system_prompt",),
    ),
    Case(
        "system prompt replaces",
        b'{"model":"m",' + SYSTEM + b"}",
        Change(model="m", system_prompt="Be kind"),
        b'{"model":"m",' + SYSTEM.replace(b'"s"', b'"Be kind"') + b"}",
        ("system_prompt",),
    ),
    Case(
        "system prompt for a reasoner",
        b'{"model":"m",' + SYSTEM + b"}",
        Change(model="m", system_prompt="Be kind", reasoning=True, system_role="user"),
        b'{"model":"m",' + SYSTEM.replace(b'"s"', b'"Be kind"').replace(b'"system"', b'"user"') + b"}",
        ("role:user", "system_prompt"),
    ),
    Case(
        "completions",
        b'{"model":"x","prompt":"p","stream":true}',
        Change(model="m", limit=5, add_usage=True, system_prompt="s"),
        b'{"model":"m","prompt":"p","stream":true,"max_tokens":5,"stream_options":{"include_usage":true}}',
        ("ignored:system_prompt",),
        "openai_completions",
    ),
    Case(
        "embeddings",
        b'{"model":"x","input":"p"}',
        Change(model="m", limit=5, add_usage=True),
        b'{"model":"m","input":"p"}',
        (),
        "openai_embeddings",
    ),
    Case(
        "moderations without a model",
        b'{"input":"p"}',
        Change(model="m"),
        b'{"input":"p","model":"m"}',
        (),
        "openai_moderations",
    ),
    Case(
        "responses",
        b'{"model":"x","input":"p","temperature":1}',
        Change(model="m", limit=5, limit_name="max_tokens", dropped=("temperature",), add_usage=True),
        b'{"model":"m","input":"p","max_output_tokens":5}',
        ("dropped:temperature",),
        "openai_responses",
    ),
    Case(
        "responses: instructions",
        b'{"model":"m","input":"p","instructions":"x"}',
        Change(model="m", system_prompt="s"),
        b'{"model":"m","input":"p","instructions":"s"}',
        ("system_prompt",),
        "openai_responses",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rewrite(case: Case) -> None:
    dialect = DIALECTS[case.dialect]
    assert dialect.rewrite(case.before, dialect.peek(case.before), case.change) == (case.after, case.notes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_to_change_is_the_same_object(case: Case) -> None:
    dialect = DIALECTS[case.dialect]
    wanted = dialect.peek(case.after)
    body, notes = dialect.rewrite(case.after, wanted, Change(model="m", add_usage=wanted.usage_asked))
    assert body is case.after
    assert notes == ()
