"""Finding and reading config.yaml and the `.env` beside it, and making private files: what touches the world in this
room.

`locate` is all of the config that a command on the ledger needs. It imports neither the schema nor the reader, because
those commands answer in a quarter of a second, and it looks at nothing else in the file: what is wrong elsewhere, or an
unset vendor key, must not keep anybody from taking a token back.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from .environment import Unset, expand, mentions, parse_dotenv
from .problems import ConfigError, Problem, WordError
from .tree import Mapping as Members
from .tree import Scalar, TreeError, parse_tree

MAX_BYTES = 8 << 20
ENVIRONMENT_VARIABLE = "ONEAPI_CONFIG"
DEFAULT_LEDGER = "oneapi.db"
_PRIVATE = 0o600


class Whereabouts(Struct, frozen=True, kw_only=True):
    """The little that a command on the ledger needs of a config. sync: full or normal. zone: in which budgets roll
    over. declared: token name → its line."""

    path: Path
    ledger: Path
    sync: str = "full"
    zone: str = "UTC"
    declared: Mapping[str, int] = {}


def find_config(stated: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """The config to use: `--config`, else `$ONEAPI_CONFIG`, `./config.yaml`, `~/.config/oneapi/config.yaml`.

    Raises ConfigError where none of them is a file.
    """
    if stated or environ.get(ENVIRONMENT_VARIABLE):
        named = Path(stated or environ[ENVIRONMENT_VARIABLE]).expanduser()
        if not named.is_file():
            whose = "--config" if stated else f"${ENVIRONMENT_VARIABLE}"
            raise _nowhere(f"there is no config at {named}, which {whose} names", "mend the path, or run `oneapi init`")
        return named.absolute()
    places = (Path("config.yaml"), default_config(environ))
    for place in places:
        if place.is_file():
            return place.absolute()
    message = f"there is no config: looked for {places[0]} and {places[1]}"
    raise _nowhere(message, "run `oneapi init`, or name one with --config")


def default_config(environ: Mapping[str, str]) -> Path:
    """Where a user's config stands unless said otherwise."""
    home = environ.get("HOME") or str(Path.home())
    return Path(home) / ".config" / "oneapi" / "config.yaml"


def locate(path: str | os.PathLike[str], environ: Mapping[str, str]) -> Whereabouts:
    """The ledger that a config names. Raises ConfigError where the file or its `ledger:` cannot be read."""
    file = Path(path).absolute()
    text, _ = read_config(file)
    root, _ = read_tree(text, file, [])
    named = _text(root, "ledger", DEFAULT_LEDGER)
    if mentions(named):
        variables, problems, _ = read_variables(file, environ)
        if problems:
            raise ConfigError(problems)
        named = _expanded(file, root, named, variables)
    ledger, faults = ledger_path(named, root, file)
    if faults:
        raise ConfigError(faults)
    sync = _text(root, "ledger_sync", "full")
    return Whereabouts(
        path=file,
        ledger=ledger,
        sync="normal" if sync == "normal" else "full",
        zone=_zone(file, root, environ),
        declared=_declared_lines(root),
    )


def plain_values(path: str | os.PathLike[str], environ: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Top-level values by name, `${}` expanded, each with the default that `names` gives it; nothing else is looked at.

    A mapping under such a key counts as "…": that it is there. Raises ConfigError.
    """
    file = Path(path).absolute()
    text, _ = read_config(file)
    root, _ = read_tree(text, file, [])
    found: dict[str, str] = {}
    for name, default in names.items():
        node = root.members.get(name, (0, None))[1]
        stated = _text(root, name, default) if node is None or isinstance(node, Scalar) else "…"
        if mentions(stated):
            variables, problems, _ = read_variables(file, environ)
            if problems:
                raise ConfigError(problems)
            stated = _expanded(file, root, stated, variables, name).strip() or default
        found[name] = stated
    return found


def create_private(path: Path, text: str) -> None:
    """A new file that only its owner can read. Raises FileExistsError rather than touch one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def read_config(file: Path) -> tuple[str, bytes]:
    """The file as text and as bytes. Raises ConfigError: missing, unreadable, too large, not UTF-8."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the config cannot be read ({(error.strerror or 'unknown error').lower()})"
        raise ConfigError([_problem(file, 0, message, "mend the path or the permissions")]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            [_problem(file, 0, "this file is larger than any config", f"{MAX_BYTES >> 20} MiB are the most")]
        )
    return _decode(file, raw), raw


def _decode(file: Path, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([_problem(file, line, "this is not UTF-8 text", "save the file as UTF-8")]) from None


def read_tree(text: str, file: Path, problems: list[Problem]) -> tuple[Members, list[Problem]]:
    """The file's tree, and what is wrong with single keys. Raises ConfigError, with `problems` besides, if there is
    none."""
    try:
        return parse_tree(text, str(file))
    except TreeError as error:
        raise ConfigError([*problems, error.problem]) from None


def read_variables(file: Path, environ: Mapping[str, str]) -> tuple[dict[str, str], list[Problem], bytes]:
    """The environment over the `.env` beside the file, what is wrong with that, and its bytes."""
    dotenv = file.parent / ".env"
    try:
        raw = dotenv.read_bytes()
    except FileNotFoundError:
        return dict(environ), [], b""
    except OSError as error:
        message = f"this file cannot be read ({(error.strerror or 'unknown error').lower()})"
        return dict(environ), [_problem(dotenv, 0, message, "mend its permissions, or remove it")], b""
    values, problems = parse_dotenv(_decode(dotenv, raw), str(dotenv))
    return {**values, **environ}, problems, raw


def ledger_path(stated: str, root: Members, file: Path) -> tuple[Path, list[Problem]]:
    """Where the ledger is: `ledger:`, from the config's folder, `~` being home; and what is wrong with that."""
    problems: list[Problem] = []
    if "://" in stated or not stated.strip():
        message = "the ledger is a SQLite file for now" if stated.strip() else "the ledger has no name"
        problems.append(_at(file, root, "ledger", message, "write a file name, such as oneapi.db"))
    return file.parent / Path(stated).expanduser(), problems


def _text(root: Members, key: str, default: str) -> str:
    node = root.members.get(key, (0, None))[1]
    return node.text if isinstance(node, Scalar) and not node.null else default


def _expanded(file: Path, root: Members, text: str, variables: Mapping[str, str], key: str = "ledger") -> str:
    try:
        return expand(text, variables).text
    except Unset as error:
        remedy = f"set it in the environment or in .env, or write ${{{error.name}:-default}}"
        raise ConfigError([_at(file, root, key, f"${{{error.name}}} is not set", remedy)]) from None
    except WordError as error:
        raise ConfigError([_at(file, root, key, error.message, error.remedy)]) from None


def _at(file: Path, root: Members, key: str, message: str, remedy: str) -> Problem:
    line = root.members[key][0] if key in root.members else 0
    return Problem(file=str(file), line=line, key=key, message=message, remedy=remedy)


def _zone(file: Path, root: Members, environ: Mapping[str, str]) -> str:
    """`budget_zone`. One that the machine does not know would let budgets roll over at another hour: it is refused."""
    stated = _text(root, "budget_zone", "UTC")
    if mentions(stated):
        variables, problems, _ = read_variables(file, environ)
        if problems:
            raise ConfigError(problems)
        stated = _expanded(file, root, stated, variables, "budget_zone") or "UTC"
    if stated == "UTC":
        return stated
    from .words import parse_zone

    try:
        return parse_zone(stated)
    except WordError as error:
        raise ConfigError([_at(file, root, "budget_zone", "this is not a time zone", error.remedy)]) from None


def _declared_lines(root: Members) -> dict[str, int]:
    """Token name → its line, for as much of `tokens:` as can be made out."""
    node = root.members.get("tokens", (0, None))[1]
    found: dict[str, int] = {}
    for item in getattr(node, "items", ()):
        named = item.members.get("name") if isinstance(item, Members) else None
        if named and isinstance(named[1], Scalar):
            found.setdefault(named[1].text, item.line)
    return found


def _problem(file: Path, line: int, message: str, remedy: str) -> Problem:
    return Problem(file=str(file), line=line, key="", message=message, remedy=remedy)


def _nowhere(message: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(file="oneapi", line=0, key="", message=message, remedy=remedy)])
