"""What is wrong with a config, said so that it can be mended: file, line, key path, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct


class Problem(Struct, frozen=True, kw_only=True):
    """One thing to mend, or (as a notice) to know. line counts from 1, 0 for the file as a whole; key is a path such as
    `channels[0].api_key`, "" for the file as a whole. Neither text ever holds a value that came from the environment or
    stands where a secret belongs."""

    file: str
    line: int
    key: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        said = " ".join(_sentence(part) for part in (self.message, self.remedy) if part)
        return f"{place}: {self.key}: {said}" if self.key else f"{place}: {said}"


class ConfigError(Exception):
    """A config that cannot be used, with everything that is wrong with it, in the file's order; never empty. notices:
    what else is worth knowing."""

    def __init__(self, problems: Iterable[Problem], notices: Iterable[Problem] = ()) -> None:
        self.notices = tuple(notices)
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class WordError(ValueError):
    """A value that does not say what its key needs. message and remedy become a `Problem`'s."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name that `name` was probably meant to be, "" if none is close. Capitals and `-` for `_` do not
    count."""
    import difflib

    folded = {entry.lower().replace("-", "_"): entry for entry in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def unknown(name: str, known: Sequence[str], *, what: str) -> tuple[str, str]:
    """(message, remedy) for a name that is not one of `known`: the nearest one, or the whole choice where that is
    short."""
    message = f"{show(name)} is not {what}"
    if close := nearest(name, known):
        return message, f"did you mean {close}?"
    return message, f"known: {', '.join(known)}"


def show(text: str) -> str:
    """A user's text inside a sentence: quoted, control characters escaped, at most 60 characters."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _sentence(text: str) -> str:
    capital = text if text.split(" ", 1)[0].isidentifier() is False or len(text) < 2 else text[0].upper() + text[1:]
    return capital if capital.endswith((".", "?", "!", "…")) else capital + "."
