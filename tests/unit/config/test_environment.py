"""`${NAME}` and `.env`."""

from __future__ import annotations

import pytest

from oneapi_cli.config.environment import Unset, expand, parse_dotenv
from oneapi_cli.config.problems import WordError

VARIABLES = {"A": "one", "EMPTY": "", "NESTED": "${A}"}


@pytest.mark.parametrize(
    ("text", "expected", "names"),
    [
        ("plain", "plain", ()),
        ("${A}", "one", ("A",)),
        ("x${A}y${A}z", "xoneyonez", ("A",)),
        ("${NONE:-two}", "two", ("NONE",)),
        ("${EMPTY:-two}", "two", ("EMPTY",)),
        ("${EMPTY}", "", ("EMPTY",)),
        ("${NONE:-}", "", ("NONE",)),
        ("$${A}", "${A}", ()),
        ("$$${A}", "$${A}", ()),
        ("${NESTED}", "${A}", ("NESTED",)),
        ("$A costs $5", "$A costs $5", ()),
        ("${NONE:-http://h:1/a-b}", "http://h:1/a-b", ("NONE",)),
    ],
)
def test_expand(text: str, expected: str, names: tuple[str, ...]) -> None:
    expanded = expand(text, VARIABLES)
    assert (expanded.text, expanded.variables) == (expected, names)


def test_unset_is_said() -> None:
    with pytest.raises(Unset) as caught:
        expand("${NONE}", VARIABLES)
    assert caught.value.name == "NONE"


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A:?no}", "${A-b}", "${A B}"])
def test_a_mark_that_names_nothing_is_an_error(text: str) -> None:
    with pytest.raises(WordError, match="does not name a variable"):
        expand(text, VARIABLES)


def test_dotenv() -> None:
    text = (
        "\ufeff# comment\n\nA=1\nexport B = two words # said\nC='a # $x'\n"
        'D="l1\\nl2\\"q" # c\nE=\nF=a#b\nG= # nothing\n'
    )
    values, problems = parse_dotenv(text, ".env")
    assert problems == []
    assert values == {"A": "1", "B": "two words", "C": "a # $x", "D": 'l1\nl2"q', "E": "", "F": "a#b", "G": ""}


def test_dotenv_problems_name_their_lines_and_no_values() -> None:
    values, problems = parse_dotenv("A=1\ncanary\nB='canary\n", ".env")
    assert values == {"A": "1"}
    assert [problem.line for problem in problems] == [2, 3]
    assert all(problem.remedy and "canary" not in str(problem) for problem in problems)
