"""`${NAME}` in values, and the `.env` beside the file. Pure: text and mappings in, text out.

`${NAME}` is the variable's value (unset: an error); `${NAME:-default}` takes the default where it is unset or empty,
as a shell does; `$${` is a literal `${`. The environment wins over `.env`. What comes out is never read as YAML or
expanded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from .problems import Problem, WordError, show

_MARK = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")
_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*\Z")
_QUOTED = re.compile(r"""'(?P<single>[^']*)'\s*(?:#.*)?\Z|"(?P<double>(?:[^"\\]|\\.)*)"\s*(?:#.*)?\Z""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Expanded(Struct, frozen=True):
    """A value after expansion, and the variables it is made of."""

    text: str
    variables: tuple[str, ...] = ()


class Unset(Exception):
    """A variable without value or default. Public: its name is in the file."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def mentions(text: str) -> bool:
    """Whether a value needs expansion (`$${` included)."""
    return "${" in text


def expand(text: str, variables: Mapping[str, str]) -> Expanded:
    """Raises Unset for a variable that is missing, WordError for a `${` that is not one of ours."""
    names: list[str] = []

    def fill(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name, default = found["name"], found["default"]
        if name is None:
            raise WordError(
                "this `${` does not name a variable", "write ${NAME}, ${NAME:-default}, or $${ for a literal"
            )
        names.append(name)
        value = variables.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise Unset(name)
        return value

    return Expanded(_MARK.sub(fill, text), tuple(dict.fromkeys(names)))


def parse_dotenv(text: str, file: str) -> tuple[dict[str, str], list[Problem]]:
    """`NAME=value` lines; `export`, comments, single quotes (as they are) and double quotes (\\n, \\t, \\" known)."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.match(line)
        value = _unquote(found["value"]) if found else None
        if found is None or value is None:
            message = (
                "this line is not NAME=value" if found is None else f"the quotes of {show(found['name'])} do not close"
            )
            problems.append(
                Problem(file=file, line=number, key="", message=message, remedy="write NAME=value, or NAME='a value'")
            )
            continue
        values[found["name"]] = value
    return values, problems


def _unquote(value: str) -> str | None:
    if not value.startswith(("'", '"')):
        return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
    found = _QUOTED.match(value)
    if found is None:
        return None
    if found["single"] is not None:
        return found["single"]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), found["double"])
