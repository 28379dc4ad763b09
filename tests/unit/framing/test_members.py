"""Edits in raw JSON: the value changes as a parser sees it, and no other byte does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.framing.members import (
    MAX_DEPTH,
    Edit,
    Remove,
    Rename,
    Set,
    check_members,
    edit,
    elements,
    find,
    members,
    nests_deeper,
)
from oneapi_cli.values.errors import BadRequest


@dataclass(frozen=True)
class Case:
    name: str
    before: bytes
    edits: list[Edit]
    after: bytes


CASES = [
    Case("in place", b'{"model": "a", "n": 1.0}', [Set(("model",), b'"b"')], b'{"model": "b", "n": 1.0}'),
    Case("at the end", b'{\n "a": 1\n}', [Set(("b",), b"2")], b'{\n "a": 1,"b":2\n}'),
    Case("into nothing", b"{ }", [Set(("b",), b"2")], b'{"b":2 }'),
    Case("two at the end", b'{"a":1}', [Set(("b",), b"2"), Set(("c",), b"3")], b'{"a":1,"b":2,"c":3}'),
    Case("escaped name", b'{"mod\\u0065l":1}', [Set(("model",), b"2")], b'{"mod\\u0065l":2}'),
    Case("nested", b'{"o": {"k" : [1, 2]}, "x":0}', [Set(("o", "k"), b"3")], b'{"o": {"k" : 3}, "x":0}'),
    Case("nested, new", b'{"o":{}}', [Set(("o", "k"), b"3")], b'{"o":{"k":3}}'),
    Case("in an array", b"[0]{}"[3:], [Set(("a",), b"1")], b'{"a":1}'),
    Case(
        "elements",
        b'{"m":[ {"role":"system"} ,{"role":"user"},7,{"role":"system"}]}',
        [Set(("m", 0, "role"), b'"x"'), Set(("m", 3, "role"), b'"y"')],
        b'{"m":[ {"role":"x"} ,{"role":"user"},7,{"role":"y"}]}',
    ),
    Case("an element itself", b'{"m":[1,2,3]}', [Set(("m", 1), b"[]")], b'{"m":[1,[],3]}'),
    Case("remove first", b'{"a":1 , "b":2}', [Remove(("a",))], b'{ "b":2}'),
    Case("remove last", b'{"a":1 , "b":2}', [Remove(("b",))], b'{"a":1 }'),
    Case("remove only", b'{"a":1}', [Remove(("a",))], b"{}"),
    Case("remove missing", b'{"a":1}', [Remove(("b",))], b'{"a":1}'),
    Case("rename", b'{ "a" : 1}', [Rename(("a",), "b\u00e9")], '{ "b\u00e9" : 1}'.encode()),
    Case("rename, then set", b'{"a":1,"z":0}', [Rename(("a",), "b"), Set(("b",), b"2")], b'{"b":2,"z":0}'),
    Case("remove and add", b'{"a":1}', [Remove(("a",)), Set(("b",), b"2")], b'{"b":2}'),
    Case("given twice", b'{"a":1,"b":0,"a":"}"}', [Set(("a",), b"2")], b'{"a":2,"b":0,"a":2}'),
    Case("braces in strings", b'{"a":"{\\"b\\":1}","b":"]\\\\"}', [Set(("b",), b"2")], b'{"a":"{\\"b\\":1}","b":2}'),
    Case("numbers keep their spelling", b'{"a":1.50e+01,"b":-0}', [Set(("c",), b"1")], b'{"a":1.50e+01,"b":-0,"c":1}'),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_edit(case: Case) -> None:
    assert edit(case.before, case.edits) == case.after


def test_no_edit_is_the_same_object() -> None:
    body = b'{"a":1}'
    assert edit(body, []) is body


@pytest.mark.parametrize(
    "change", [Set(("a", "b"), b"1"), Set(("missing", "b"), b"1"), Set(("l", 5), b"1"), Set(("l", "x"), b"1")]
)
def test_a_path_that_leads_nowhere(change: Edit) -> None:
    with pytest.raises(LookupError):
        edit(b'{"a":1,"l":[1]}', [change])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(st.text(max_size=4), values, max_size=5)


@given(documents, st.text(max_size=4), values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_edit_is_a_dict_edit(document: dict[str, Any], name: str, value: Any, ascii_: bool, indent: Any) -> None:
    body = json.dumps(document, ensure_ascii=ascii_, indent=indent).encode("utf-8", "surrogatepass")
    new = json.dumps(value, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    changed = edit(body, [Set((name,), new)])
    assert json.loads(changed) == {**document, name: value}
    assert json.loads(edit(body, [Remove((name,))])) == {k: v for k, v in document.items() if k != name}
    where = find(body, {name})
    if name in where:  # every byte around the value is the client's own
        start, end = where[name]
        assert changed == body[:start] + new + body[end:]


@given(documents, st.sampled_from([None, 1]))
def test_spans_are_the_values(document: dict[str, Any], indent: Any) -> None:
    body = json.dumps(document, indent=indent).encode()
    listed = members(body)
    assert [(m.name, json.loads(body[m.start : m.end])) for m in listed] == list(document.items())
    assert all(body[m.at : m.at + 1] == b'"' for m in listed)


@given(st.lists(values, max_size=6), st.sampled_from([None, 1]))
def test_elements_are_the_items(items: list[Any], indent: Any) -> None:
    array = json.dumps(items, indent=indent).encode()
    assert [json.loads(array[start:end]) for start, end in elements(array)] == items


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "\u00e9", 'q"']), values), max_size=6))
def test_repetitions_are_all_found(pairs: list[tuple[str, Any]]) -> None:
    body = b"{" + b" , ".join(json.dumps(k).encode() + b": " + json.dumps(v).encode() for k, v in pairs) + b"}"
    assert [(m.name, json.loads(body[m.start : m.end])) for m in members(body)] == pairs


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a":1}{}', "not valid JSON"),
        (b'{"a":1} x', "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":01}', "not valid JSON"),
        (b'{"a":"\x01"}', "not valid JSON"),
        (b"{'a':1}", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"a":"\xff"}', "not valid UTF-8"),
        (b'{"a":{"b":"\xed\xa0\x80"}}', "not valid UTF-8"),
        (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "levels deep"),
        (b'{"a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "levels deep"),
    ],
)
def test_what_is_no_object(body: bytes, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        members(body)
    assert caught.value.code == "invalid_json"


def test_the_deepest_that_passes() -> None:
    inner = MAX_DEPTH - 1
    assert len(members(b'{"a":' + b"[" * inner + b"]" * inner + b"}")) == 1


@pytest.mark.parametrize(
    ("text", "deeper"),
    [
        (b"[" * 600 + b"]" * 600, True),
        (b"[" + b"[]," * 2000 + b"[]]", False),
        (b'["' + b"[" * 2000 + b'"]', False),
        (b'["\\\\",' + b"[" * 600 + b"]" * 600 + b"]", True),
        (b'["\\"' + b"[" * 2000 + b'"]', False),
        (b'{"a":' * 520 + b"0" + b"}" * 520, True),
    ],
)
def test_depth(text: bytes, deeper: bool) -> None:
    json.loads(text)
    assert nests_deeper(text, MAX_DEPTH) is deeper


KNOWN = frozenset({"model", "stream"})


@pytest.mark.parametrize(
    ("body", "member", "code"),
    [
        (b'{"model":"a","model":"b"}', "model", "duplicate_member"),
        (b'{"model":"a","x":1,"mod\\u0065l":"a"}', "model", "duplicate_member"),
        (b'{"Model":"a"}', "Model", "unknown_member"),
        (b'{"model":"a","STREAM":true}', "STREAM", "unknown_member"),
        (b'{"\\u004dodel":"a"}', "Model", "unknown_member"),
    ],
)
def test_a_member_that_we_read_has_one_spelling(body: bytes, member: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_members(members(body), KNOWN)
    assert (caught.value.member, caught.value.code) == (member, code)
    assert f"`{member}`" in caught.value.message


def test_members_that_we_do_not_read_may_be_anything() -> None:
    check_members(members(b'{"other":1,"other":2,"Other":3,"model":"a"}'), KNOWN)


def test_a_nested_member_is_named_with_its_path() -> None:
    with pytest.raises(BadRequest, match=r"`options\.Model`"):
        check_members(members(b'{"Model":1}'), KNOWN, inside="options")


def test_many_edits_in_one_array_take_linear_time() -> None:
    body = b'{"m":[' + b",".join([b'{"role":"system"}'] * 20_000) + b"]}"
    changed = edit(body, [Set(("m", place, "role"), b'"user"') for place in range(20_000)])
    assert changed == body.replace(b"system", b"user")
