"""Typed reads of what a client sent: the value, None where it is absent or null, else a 400 that names the place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi_cli.dialects import reading
from oneapi_cli.values.errors import BadRequest

Reader = Callable[..., Any]


@dataclass(frozen=True)
class Read:
    """A reader and a value that it is given: what it makes of it, or what the complaint says after the place."""

    name: str
    read: Reader
    value: Any
    found: Any = None
    fault: str = ""


NUMBER = "must be a number"
READS = (
    Read("a text", reading.get_text, "a", "a"),
    Read("an empty text", reading.get_text, "", ""),
    Read("a number for a text", reading.get_text, 1, fault="must be a string"),
    Read("a needed text", reading.need_text, "a", "a"),
    Read("an empty needed text", reading.need_text, "", fault="is required"),
    Read("a flag", reading.get_flag, False, False),
    Read("a number for a flag", reading.get_flag, 0, fault="must be true or false"),
    Read("a whole number", reading.get_int, 3, 3),
    Read("a whole number as a float", reading.get_int, 3.0, 3),
    Read("half a number", reading.get_int, 3.5, fault="must be a whole number from 0 up"),
    Read("a negative one", reading.get_int, -1, fault="must be a whole number from 0 up"),
    Read("a flag for a whole number", reading.get_int, True, fault="must be a whole number from 0 up"),
    Read("a text for a whole number", reading.get_int, "3", fault="must be a whole number from 0 up"),
    Read("an endless one", reading.get_int, float("inf"), fault="must be a whole number from 0 up"),
    Read("a number", reading.get_number, 0.5, 0.5),
    Read("a whole number for a number", reading.get_number, 2, 2),
    Read("a flag for a number", reading.get_number, True, fault=NUMBER),
    Read("a text for a number", reading.get_number, "0.5", fault=NUMBER),
    Read("no number", reading.get_number, float("nan"), fault=NUMBER),
    Read("an endless number", reading.get_number, float("-inf"), fault=NUMBER),
    Read("more digits than a float has room for", reading.get_number, 10**400, fault=NUMBER),
    Read("an object", reading.get_object, {"a": 1}, {"a": 1}),
    Read("an array for an object", reading.get_object, [1], fault="must be an object"),
    Read("an array", reading.get_list, [1, "a"], [1, "a"]),
    Read("an object for an array", reading.get_list, {"a": 1}, fault="must be an array"),
    Read("a text for an array", reading.get_list, "ab", fault="must be an array"),
    Read("strings", reading.texts_in, ["a", "b"], ("a", "b")),
    Read("one string alone", reading.texts_in, "ab", ("ab",)),
    Read("a number among strings", reading.texts_in, ["a", 1], fault="must be an array of strings"),
    Read("a number for strings", reading.texts_in, 1, fault="must be an array"),
)
READERS = tuple(dict.fromkeys(case.read for case in READS))


@pytest.mark.parametrize("case", READS, ids=lambda case: case.name)
def test_reads(case: Read) -> None:
    if not case.fault:
        assert case.read({"x": case.value}, "x") == case.found
        return
    for place, where in (("", "x"), ("messages[2]", "messages[2].x")):
        with pytest.raises(BadRequest) as refusal:
            case.read({"x": case.value}, "x", place)
        assert refusal.value.message == f"`{where}` {case.fault}"
        assert (refusal.value.member, refusal.value.status) == (where, 400)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("holder", ({}, {"x": None}), ids=("absent", "null"))
def test_null_is_absent(read: Reader, holder: Mapping[str, Any]) -> None:
    if read is reading.need_text:
        with pytest.raises(BadRequest, match="`x` is required"):
            read(holder, "x")
    else:
        assert read(holder, "x") in (None, ())


def test_an_empty_text_may_be_enough() -> None:
    assert reading.need_text({"x": ""}, "x", empty=True) == ""
    with pytest.raises(BadRequest, match="is required"):
        reading.need_text({}, "x", empty=True)


def test_the_least_may_be_another() -> None:
    assert reading.get_int({"x": -1}, "x", least=-1) == -1
    with pytest.raises(BadRequest, match="from 1 up"):
        reading.get_int({"x": 0}, "x", least=1)


def test_objects_in_an_array() -> None:
    holder = {"parts": [{"a": 1}, {}]}
    assert list(reading.objects_in(holder, "parts", "messages[0]")) == [
        ("messages[0].parts[0]", {"a": 1}),
        ("messages[0].parts[1]", {}),
    ]
    assert list(reading.objects_in({}, "parts")) == []
    with pytest.raises(BadRequest, match=r"`parts\[1\]` must be an object"):
        list(reading.objects_in({"parts": [{}, "a"]}, "parts"))
    with pytest.raises(BadRequest, match="`parts` must be an array"):
        list(reading.objects_in({"parts": {"a": 1}}, "parts"))


def test_places() -> None:
    assert reading.at("", "a") == "a"
    assert reading.at("a", "b") == "a.b"
    assert reading.at(reading.at("a", 0), "b") == "a[0].b"


def test_a_fault_of_the_whole() -> None:
    fault = reading.fault("", "must be a JSON object")
    assert (fault.message, fault.member) == ("The request must be a JSON object", None)


def test_known_words() -> None:
    assert reading.need_choice("low", ("low", "high"), "effort") == "low"
    with pytest.raises(BadRequest) as refusal:
        reading.need_choice("x" * 500, ("low", "high"), "effort")
    assert refusal.value.message == f"`effort` must be one of low, high, not {'x' * 40!r}"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from((*READERS, lambda *args: list(reading.objects_in(*args)))), anything)
def test_whatever_comes_is_read_or_refused(read: Reader, value: Any) -> None:
    try:
        read({"x": value}, "x", "here")
    except BadRequest as refusal:
        assert refusal.member is not None and refusal.member.startswith("here.x")
