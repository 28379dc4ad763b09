"""YAML text → a tree of our own, in which every value knows its line.

Read from the parser's events, so that what YAML can do and a config must not is refused where it stands: tags, a second
document, a key given twice, an alias within itself, nesting or aliases that unfold into more than a config needs.
Scalars stay text: what `yes`, `012` or `3.00` means is decided by the key they stand for, and money never meets a
float. Aliases share their anchor's nodes; `<<` takes the members of the mappings named there, the mapping's own ones
winning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import yaml
from msgspec import Struct

from .problems import Problem, show

MAX_NODES = 200_000
MAX_DEPTH = 32
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_*-]+\Z")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NodeEvent = yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent
_NODES = (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)
# libyaml's parser where the wheel has it: twenty times faster on a config with a thousand channels.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Scalar(Struct, frozen=True):
    """Text as it stands, unquoted. null: nothing was written, or `null`."""

    text: str
    line: int
    null: bool = False

    @property
    def size(self) -> int:
        return 1


class Listing(Struct, frozen=True):
    items: tuple[Node, ...]
    line: int
    size: int


class Mapping(Struct, frozen=True):
    """members: key → (the key's line, value), in the file's order."""

    members: dict[str, tuple[int, Node]]
    line: int
    size: int


Node = Scalar | Listing | Mapping


class TreeError(Exception):
    """The text is not a tree that we take. Problems name file and line."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def parse_tree(text: str, file: str) -> tuple[Mapping, list[Problem]]:
    """The file's top mapping, and what is wrong with single keys (given twice, not text).

    Raises TreeError where nothing can be read: broken YAML, tags, unfolding without bounds.
    """
    grower = _Grower(file)
    try:
        events = list(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise TreeError(_syntax(file, text, error)) from None
    except yaml.YAMLError:
        raise TreeError(_fault(file, _odd_line(text), "there is a control character here", "remove it")) from None
    root = grower.grow(iter(events))
    if isinstance(root, Scalar) and root.null:
        root = Mapping({}, 1, 1)
    if not isinstance(root, Mapping):
        raise TreeError(_fault(file, root.line, "a config is a mapping", "write keys such as `channels:` at the top"))
    return root, grower.problems


class _Grower:
    """Events → nodes. One per file. `path` is where the node now being read stands."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.path: list[str] = []
        self.anchors: dict[str, Node | None] = {}  # None while the anchor's own node is still being read

    def grow(self, events: Iterator[yaml.Event]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise TreeError(self.fault(event, "a second document starts here", "keep one document in the file"))
                root = self.node(next(events), events)
        return root if root is not None else Scalar("", 1, null=True)

    def node(self, event: yaml.Event, events: Iterator[yaml.Event]) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if len(self.path) > MAX_DEPTH:
            raise TreeError(self.fault(event, "this is nested too deeply", f"{MAX_DEPTH} levels are the most"))
        if not isinstance(event, _NODES):
            raise TreeError(self.fault(event, "this is not YAML", "look at this line and the one before"))
        if event.tag is not None:
            raise TreeError(self.fault(event, f"the tag {show(event.tag)} is not taken", "remove it"))
        if event.anchor:
            self.anchors[event.anchor] = None
        node = self.build(event, events)
        if node.size > MAX_NODES:
            raise TreeError(self.fault(event, "this unfolds into too many values", "write less, or fewer aliases"))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def build(self, event: _NodeEvent, events: Iterator[yaml.Event]) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "")
            return Scalar(event.value, _line(event), null=plain and event.value in _NULLS)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(event, events)
        found = _until(events, yaml.SequenceEndEvent)
        items = tuple(self.below(f"[{index}]", one, events) for index, one in enumerate(found))
        return Listing(items, _line(event), 1 + sum(item.size for item in items))

    def below(self, step: str, event: yaml.Event, events: Iterator[yaml.Event]) -> Node:
        self.path.append(step)
        node = self.node(event, events)
        self.path.pop()
        return node

    def mapping(self, event: yaml.Event, events: Iterator[yaml.Event]) -> Mapping:
        own: dict[str, tuple[int, Node]] = {}
        merged: dict[str, tuple[int, Node]] = {}
        for first in _until(events, yaml.MappingEndEvent):
            key = self.below("", first, events)
            name = key.text if isinstance(key, Scalar) else ""
            value = self.below(step_to(name), next(events), events)
            if not isinstance(key, Scalar):
                self.problems.append(self.fault(first, "a key must be text", "quote it, or write it as one word"))
            elif key.text == "<<" and isinstance(first, yaml.ScalarEvent) and not first.style:
                merged = {**self.merge(first, value), **merged}
            elif key.text in own:
                message = f"the key {show(key.text)} stands here twice, first in line {own[key.text][0]}"
                self.problems.append(self.fault(first, message, "keep one of them", step_to(key.text)))
            else:
                own[key.text] = (_line(first), value)
        members = {**merged, **own}
        return Mapping(members, _line(event), 1 + sum(1 + value.size for _, value in members.values()))

    def merge(self, event: yaml.Event, value: Node) -> dict[str, tuple[int, Node]]:
        sources: Iterable[Node] = value.items if isinstance(value, Listing) else (value,)
        taken: dict[str, tuple[int, Node]] = {}
        for source in sources:
            if not isinstance(source, Mapping):
                self.problems.append(
                    self.fault(event, "`<<` takes a mapping, or a list of them", "write `<<: *anchor`")
                )
                continue
            taken = {**source.members, **taken}
        return taken

    def alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self.anchors:
            message = f"the alias *{event.anchor} has no anchor before it"
            raise TreeError(self.fault(event, message, f"write &{event.anchor} first"))
        node = self.anchors[event.anchor]
        if node is None:
            message = f"the alias *{event.anchor} stands within its own anchor"
            raise TreeError(self.fault(event, message, "write it out"))
        return node

    def fault(self, event: yaml.Event, message: str, remedy: str, step: str = "") -> Problem:
        key = "".join((*self.path, step)).removeprefix(".")
        return Problem(file=self.file, line=_line(event), key=key, message=message, remedy=remedy)


def step_to(name: str) -> str:
    """How a key path goes on from a mapping to its member; names that are not plain words are quoted."""
    return f".{name}" if _PLAIN_KEY.match(name) else f"[{show(name)}]"


def _until(events: Iterator[yaml.Event], end: type[yaml.Event]) -> Iterator[yaml.Event]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return int(mark.line) + 1 if mark else 0


def _fault(file: str, line: int, message: str, remedy: str) -> Problem:
    return Problem(file=file, line=line, key="", message=message, remedy=remedy)


def _syntax(file: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = text.split("\n")[mark.line] if mark and mark.line <= text.count("\n") else ""
    said = " ".join(part for part in (error.context, error.problem) if part)
    remedy = "look at the indentation, at quotes and at `: ` in this line and the one before"
    if "${" in line and ("[" in line or "{" in line.replace("${", "")):
        remedy = "within [ ] and { }, put quotes around it: '${NAME}'"
    return _fault(file, mark.line + 1 if mark else 0, f"this is not YAML ({said})", remedy)


def _odd_line(text: str) -> int:
    for number, line in enumerate(text.split("\n"), 1):
        if any((ord(letter) < 32 and letter not in "\t\r") or letter == "\x7f" for letter in line):
            return number
    return 0
