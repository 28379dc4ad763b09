"""A tree → the schema's values, every problem collected, none raised.

What a key's text means is decided by its field's type in `schema.py`, compiled once per class into a table of `Shape`s.
`${}` is expanded here, value by value. Without variables (`variables=None`) a value that mentions one keeps its
default, and is its own text where the field has none: commands that only look at the file need no environment.
A value made of variables never reaches a message: whatever is wrong with it may be a secret in the wrong place.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from oneapi_cli.values.units import RATE_NAMES, parse_line, price_line_faults
from oneapi_cli.values.vendor import PriceLine

from . import words
from .environment import Expanded, Unset, expand, mentions
from .loaded import Source
from .problems import Problem, WordError, show, unknown
from .schema import Members, Word
from .tree import Listing, Node, Scalar, step_to
from .tree import Mapping as Members_

S = TypeVar("S", bound=Struct)
Form = Literal["scalar", "list", "texts", "models", "prices", "struct", "members", "entries"]

_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


class Shape(Struct, frozen=True):
    """How one field is read. cls: the Struct of a nested mapping."""

    form: Form
    read: Callable[[str], Any] = str
    cls: type[Struct] | None = None
    required: bool = False
    secret: bool = False


class Entry(Struct, frozen=True):
    """One item of a list of mappings: its key path, its line, the lines of its keys and what was read."""

    path: str
    line: int
    lines: Mapping[str, int]
    value: Any


class Reader:
    """One pass over one file. problems are errors, and so are unset ones, but for those of an optional channel."""

    def __init__(self, file: str, variables: Mapping[str, str] | None) -> None:
        self.file = file
        self.variables = variables
        self.problems: list[Problem] = []
        self.unset: list[Problem] = []
        self.sources: dict[str, Source] = {}

    def struct(self, node: Node, cls: type[S], path: str) -> S | None:
        """None where a required field is missing or cannot be read; lists of mappings are left to `entries`."""
        given = self.members(node, cls, path)
        if given is None:
            return None
        absent = [name for name, shape in shapes(cls).items() if shape.required and name not in given]
        stated = node.members if isinstance(node, Members_) else {}
        for name in absent:
            if name not in stated or _null(stated[name][1]):
                self.fault(node.line, path, f"`{name}` is missing", f"add `{name}:`")
        return None if absent else cls(**given)

    def entries(self, root: Members_, key: str, cls: type[Struct]) -> list[Entry]:
        """The readable items of a top-level list of mappings."""
        node = root.members.get(key, (0, None))[1]
        if node is None or _null(node):
            return []
        if not isinstance(node, Listing):
            self.fault(node.line, key, "this is a list", f"write each of them after a `-`, below `{key}:`")
            return []
        found = [(f"{key}[{index}]", item) for index, item in enumerate(node.items)]
        read = [Entry(path, item.line, _lines(item), self.struct(item, cls, path)) for path, item in found]
        return [entry for entry in read if entry.value is not None]

    def members(self, node: Node, cls: type[Struct], path: str) -> dict[str, Any] | None:
        """Field → value for what was written and could be read."""
        if not isinstance(node, Members_):
            remedy = f"write keys below it, such as `{next(iter(shapes(cls)))}:`"
            self.fault(node.line, path, "this is a mapping", remedy)
            return None
        known = shapes(cls)
        given: dict[str, Any] = {}
        for name, (line, value) in node.members.items():
            where = _below(path, name)
            if name not in known:
                self.fault(line, where, *unknown(name, tuple(known), what=f"a key of {path or 'the config'}"))
            elif not _null(value) and known[name].form != "entries":
                read = self.value(value, known[name], where)
                if read is not None:
                    given[name] = read
        return given

    def value(self, node: Node, shape: Shape, path: str) -> Any | None:
        """The field's value; None where it cannot be read or counts as not given."""
        match shape.form:
            case "scalar":
                return self.scalar(node, shape, path)
            case "list":
                return self.list(node, shape, path)
            case "texts":
                return self.texts(node, path)
            case "models":
                return self.models(node, path)
            case "prices":
                return self.prices(node, path)
            case "members" if shape.cls:
                return self.members(node, shape.cls, path)
            case "struct" if shape.cls:
                return self.struct(node, shape.cls, path)
        raise AssertionError(f"no reader for {shape.form}")

    def scalar(self, node: Node, shape: Shape, path: str) -> Any | None:
        if not isinstance(node, Scalar):
            self.fault(node.line, path, "this is a single value", "write it on the line of its key")
            return None
        expanded = self.expanded(node, path)
        if expanded is None:
            return node.text if shape.required and self.variables is None else None
        if expanded.variables and not expanded.text.strip():
            return None  # a variable that is set to nothing says nothing
        try:
            return shape.read(expanded.text)
        except WordError as error:
            if expanded.variables and not shape.secret:
                from_ = " and ".join(f"${{{name}}}" for name in expanded.variables)
                self.fault(node.line, path, f"the value of {from_} does not fit here", error.remedy)
            else:
                self.fault(node.line, path, error.message, error.remedy)
            return None

    def expanded(self, node: Scalar, path: str) -> Expanded | None:
        """The text after `${}`, remembered by its key path; None where that cannot be, or is not wanted now."""
        if not mentions(node.text):
            self.sources[path] = Source(node.line)
            return Expanded(node.text)
        self.sources[path] = Source(node.line, tuple(dict.fromkeys(_NAMED.findall(node.text))))
        if self.variables is None:
            return None
        try:
            return expand(node.text, self.variables)
        except WordError as error:
            self.fault(node.line, path, error.message, error.remedy)
        except Unset as error:
            remedy = f"set it in the environment or in .env, or write ${{{error.name}:-default}}"
            self.unset.append(
                Problem(
                    file=self.file, line=node.line, key=path, message=f"${{{error.name}}} is not set", remedy=remedy
                )
            )
        return None

    def list(self, node: Node, shape: Shape, path: str) -> tuple[Any, ...] | None:
        """A list, or its only item."""
        if not isinstance(node, Listing):
            only = self.scalar(node, shape, path)
            return None if only is None else (only,)
        read = [self.scalar(item, shape, f"{path}[{index}]") for index, item in enumerate(node.items)]
        return tuple(item for item in read if item is not None)

    def texts(self, node: Node, path: str) -> dict[str, str] | None:
        """A mapping of text to text."""
        if not isinstance(node, Members_):
            self.fault(node.line, path, "this is a mapping", "write `name: value` pairs below it")
            return None
        plain = Shape("scalar")
        read = {name: self.scalar(value, plain, _below(path, name)) for name, (_, value) in node.members.items()}
        return {name: text for name, text in read.items() if text is not None}

    def models(self, node: Node, path: str) -> dict[str, str] | None:
        """`[gpt-4o, '*']` or `{name: upstream}` → name → upstream."""
        if isinstance(node, Members_):
            named = {name: name for name, (_, value) in node.members.items() if _null(value)}
            return {**(self.texts(node, path) or {}), **named}
        names = self.list(node, Shape("scalar"), path)
        for name in sorted({name for name in names or () if (names or ()).count(name) > 1}):
            self.fault(node.line, path, f"the model {show(name)} stands here twice", "keep one of them")
        return None if names is None else {name: name for name in names}

    def prices(self, node: Node, path: str) -> dict[str, PriceLine] | None:
        if not isinstance(node, Members_):
            self.fault(node.line, path, "this is a mapping", "write `model: {input: 3.00, output: 12.00}`")
            return None
        read = {model: self.price(value, _below(path, model)) for model, (_, value) in node.members.items()}
        return {model: line for model, line in read.items() if line is not None}

    def price(self, node: Node, path: str) -> PriceLine | None:
        """One model's line. Amounts stay the decimal text that was written."""
        if not isinstance(node, Members_) or not node.members:
            self.fault(node.line, path, "a price is a mapping", "write {input: 3.00, output: 12.00} or {free: true}")
            return None
        stated: dict[str, object] = {}
        for name, (_, value) in node.members.items():
            shape = Shape("scalar", words.parse_flag if name == "free" else str)
            if (read := self.scalar(value, shape, _below(path, name))) is not None:
                stated[name] = read
        if len(stated) < len(node.members):
            return None  # a value that cannot be read is its own problem, or waits for its variable
        if faults := price_line_faults(stated):
            self.price_faults(node, path, faults)
            return None
        return parse_line(path, stated)

    def price_faults(self, node: Members_, path: str, faults: Sequence[tuple[str, str]]) -> None:
        for name, sentence in faults:
            where = _below(path, name) if name else path
            message, _, remedy = sentence.rpartition(": ")
            line = node.members[name][0] if name in node.members else node.line
            if name in RATE_NAMES and self.sources[where].variables:
                message, remedy = "the value of its variable is not a price", "write dollars, such as 2.50"
            self.fault(line, where, message or remedy, remedy if message else "")

    def fault(self, line: int, key: str, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(file=self.file, line=line, key=key, message=message, remedy=remedy))


@cache
def shapes(cls: type[Struct]) -> dict[str, Shape]:
    """Field name → how it is read, for every field of a Struct of the schema."""
    return {field.name: _shape(field.type, field.required) for field in msgspec.structs.fields(cls)}


def _shape(hint: Any, required: bool) -> Shape:
    mark: Any = None
    while (origin := typing.get_origin(hint)) in (typing.Annotated, typing.Union, types.UnionType):
        if origin is typing.Annotated:
            hint, mark = typing.get_args(hint)[:2]
        else:
            hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if isinstance(mark, Members):
        return Shape("members", cls=mark.of)
    if mark == "models":
        return Shape("models")
    read = mark.read if isinstance(mark, Word) else None
    secret = isinstance(mark, Word) and mark.secret
    if origin is tuple:
        item = typing.get_args(hint)[0]
        if read is None and isinstance(item, type) and issubclass(item, Struct):
            return Shape("entries", cls=item)
        return Shape("list", read or _plain(item), secret=secret)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Shape("prices" if typing.get_args(hint)[1] is PriceLine else "texts")
    if read is None and isinstance(hint, type) and issubclass(hint, Struct):
        return Shape("struct", cls=hint, required=required)
    return Shape("scalar", read or _plain(hint), required=required, secret=secret)


def _plain(hint: Any) -> Callable[[str], Any]:
    """The reader of a type that needs no word of its own."""
    if typing.get_origin(hint) is Literal:
        return _choice(typing.get_args(hint))
    if hint is bool:
        return words.parse_flag
    if hint is int:
        return words.whole(0, 10**12)
    assert hint is str, f"no reader for {hint}"
    return str


def _choice(options: Sequence[str]) -> Callable[[str], str]:
    def choose(text: str) -> str:
        if text not in options:
            raise WordError(f"{show(text)} is none of the choices", f"write {' or '.join(options)}")
        return text

    return choose


def _lines(node: Node) -> dict[str, int]:
    return {name: line for name, (line, _) in node.members.items()} if isinstance(node, Members_) else {}


def _null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.null


def _below(path: str, name: str) -> str:
    """The key path of a member."""
    return (path + step_to(name)).removeprefix(".")
