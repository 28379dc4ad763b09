"""The command reference is made from the commands, and is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts import docs

ROOT = Path(__file__).resolve().parent.parent


def test_the_reference_is_current() -> None:
    words = [sys.executable, "scripts/docs.py", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_and_option_is_in_it() -> None:
    text = docs.REFERENCE.read_text(encoding="utf-8")
    for words, command in docs.commands():
        assert f"## {' '.join(words)}\n" in text
        section = text.partition(f"## {' '.join(words)}\n")[2].partition("\n## ")[0]
        for option in (name for parameter in command.params for name in parameter.opts if name.startswith("--")):
            assert option in section, f"{' '.join(words)} {option}"
        assert docs.examples(command)


def test_a_readme_without_its_marks_is_not_overwritten() -> None:
    try:
        docs.readme("# oneapi\n")
    except ValueError as error:
        assert "marks" in str(error)
    else:
        raise AssertionError("it must say what is missing")
