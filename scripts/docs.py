"""The command reference, from the commands themselves: README's list and docs/commands.md, every option of each.

`make docs` writes both; with --check nothing is written, and the exit code says whether they are current.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "commands.md"
BEGIN, END = "<!-- commands: written by `make docs` -->", "<!-- end of commands -->"
WIDTH = 100
WIDEST_EXAMPLE = 66
LONGEST_LINE = 130
LONGEST_ABOUT = 56


def main(words: list[str]) -> int:
    """Write the reference, or with --check compare it."""
    wanted = {README: readme(README.read_text(encoding="utf-8")), REFERENCE: reference()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in words:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not current; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)} is written")
    return 0


def readme(text: str) -> str:
    """README with its list of commands made anew. Raises ValueError where the marks are missing."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has lost its marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n```sh\n{_list()}\n```\n\n{END}{tail}"


def reference() -> str:
    """docs/commands.md: what `--help` says of each command."""
    parts = [
        "# Commands\n\nWhat `--help` says, of every command. This page is written by `make docs`.\n",
    ]
    for path, command in commands():
        parts.append(f"## {' '.join(path)}\n\n```text\n{_help(path, command)}\n```\n")
    return "\n".join(parts)


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words, command) of everything that does something, in the order of the help."""
    import typer

    from oneapi_cli.cli import app

    yield from _walk(typer.main.get_command(app), ("oneapi",))


def examples(command: Any) -> list[str]:
    """The lines after `Example:` in a command's help."""
    _, _, lines = (command.epilog or "").partition("Example:\n")
    return [line.strip() for line in lines.splitlines() if line.strip()]


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, each in inner.items():
        if not each.hidden:
            yield from _walk(each, (*words, name))


def _list() -> str:
    """One line a command: its example, and how its help begins; nouns of several commands are set apart."""
    rows = []
    for words, command in commands():
        own = " ".join(words)
        fitting = [line for line in examples(command) if re.match(rf"{re.escape(own)}\b", line)]
        rows.append((words[1], fitting[0] if fitting else own, _beginning(command.help or "")))
    rows.append(("--version", "oneapi --version", "the version"))
    names = [noun for noun, _, _ in rows]
    wide = max(len(example) for _, example, _ in rows if len(example) <= WIDEST_EXAMPLE)
    lines: list[str] = []
    for index, (noun, example, about) in enumerate(rows):
        if index and noun != names[index - 1] and max(names.count(noun), names.count(names[index - 1])) > 1:
            lines.append("")
        lines.append(f"{example.ljust(wide)}  # {about}"[:LONGEST_LINE])
    return "\n".join(lines)


def _beginning(text: str) -> str:
    """How a help begins, up to its first stop, as the comment behind an example."""
    whole = " ".join(text.split())
    first = re.split(r"[.:;?](?:\s|\Z)", whole, maxsplit=1)[0]
    said = first if len(first) <= LONGEST_ABOUT else first.split(", ", 1)[0]
    return said if said.startswith("OpenAPI") else said[0].lower() + said[1:]


def _help(words: tuple[str, ...], command: Any) -> str:
    """The help as a terminal of a fixed width shows it."""
    import typer

    context = typer.Context(command, info_name=" ".join(words), terminal_width=WIDTH, max_content_width=WIDTH)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines()).strip()


if __name__ == "__main__":
    os.environ["COLUMNS"] = str(WIDTH)
    os.environ["NO_COLOR"] = "1"
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main(sys.argv[1:]))
