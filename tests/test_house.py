"""The rules of the house, read from the source: who may import whom, how large things may grow, what may not be said.

Everything here reads files; only the last section starts the program. A rule that bends has a table with a reason
beside it, and the tables may only shrink: an entry that is no longer needed fails as well.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "oneapi_cli"

# A room may import those of a higher number, and itself. Equal numbers are siblings that do not know each other.
ROOMS = {
    "cli": 0,
    "server": 1,
    "gateway": 2,
    "routing": 3,
    "ledger": 3,
    "providers": 3,
    "dialects": 4,
    "framing": 5,
    "values": 6,
}
MAY_IMPORT_CONFIG = frozenset({"cli", "server", "config", "__main__"})
ONLY_SERVER = frozenset({"aiohttp"})
NETWORK = frozenset({"socket", "ssl", "http", "urllib.request", "httpx", "requests", "websockets"})
MAY_USE_NETWORK = frozenset({"server", "cli"})

HARD_MODULE, SOFT_MODULE = 600, 400
HARD_FUNCTION, SOFT_FUNCTION = 70, 50
MOST_POSITIONAL = 5

# path (or path:function) → (lines it may have, why it is better whole). Over the soft limit and not here is a failure.
OVERSIZE: Mapping[str, tuple[int, str]] = {}
# Modules that are data with a type: rows, not logic. They have no limit, and no function over ten lines.
TABLES: Mapping[str, str] = {}
# path → (vendor names it compares with, why it is not a vendor test).
SPEAKS_OF_VENDORS: Mapping[str, tuple[frozenset[str], str]] = {}
# Names of what is imported where they differ from what is installed.
INSTALLED_AS = {"yaml": "pyyaml", "tiktoken_ext": "tiktoken", "google": "google-auth", "PIL": "pillow"}
HEAVY = (
    "aiohttp",
    "boto3",
    "botocore",
    "genai_prices",
    "google",
    "openai",
    "PIL",
    "pydantic",
    "sqlite_utils",
    "tiktoken",
    "uvloop",
)


# --- reading the source ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its place in the repository, its text and tree."""

    name: str
    path: str
    text: str
    tree: ast.Module
    is_package: bool

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def lines(self) -> int:
        return self.text.count("\n")


@cache
def modules(folder: str = PACKAGE) -> Mapping[str, Module]:
    found = {}
    for file in sorted((ROOT / folder).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = file.read_text(encoding="utf-8")
        found[name] = Module(name, file.relative_to(ROOT).as_posix(), text, ast.parse(text), is_package)
    return found


def _from_base(module: Module, node: ast.ImportFrom) -> str:
    """What `from … import` starts from, dots resolved."""
    if not node.level:
        return node.module or ""
    package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])


def imports(module: Module) -> Iterator[str]:
    """Dotted names that a module imports at any depth: at the top, in functions, under TYPE_CHECKING, by importlib."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _from_base(module, node)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in modules() else base
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"} and node.args:
            target = node.args[0]
            assert isinstance(target, ast.Constant), f"{module.path}:{node.lineno} imports a name that cannot be read"
            yield str(target.value)


def _called(node: ast.Call) -> str:
    """The last name of what is called: `a.b.c()` → c."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(PACKAGE + ".")


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function and method at any depth, with its qualified name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def length(node: Function) -> int:
    """Lines from `def` to the end; of a command only those of its body, since its options are the contract's."""
    assert node.end_lineno is not None
    return node.end_lineno - (node.body[0] if _is_command(node) else node).lineno + 1


def assert_none(faults: list[str]) -> None:
    assert not faults, "\n" + "\n".join(faults)


# --- rooms ----------------------------------------------------------------------------------------------------------


def test_every_module_stands_in_a_room() -> None:
    rooms = {module.room for module in modules().values()}
    assert rooms <= {*ROOMS, "config", "__main__", ""}
    assert rooms >= {*ROOMS, "config"}


def test_imports_point_one_way() -> None:
    faults = []
    for module in modules().values():
        for target in filter(ours, imports(module)):
            here, there = module.room, room_of(target)
            if here not in ROOMS or there in ("", here, "config"):
                continue
            if there not in ROOMS or ROOMS[there] <= ROOMS[here]:
                faults.append(f"{module.path}: {here} may not import {target}")
    assert_none(faults)


def test_config_is_the_edges_business() -> None:
    faults = []
    for module in modules().values():
        for target in filter(ours, imports(module)):
            if room_of(target) == "config" and module.room not in MAY_IMPORT_CONFIG:
                faults.append(f"{module.path}: only cli and server know the config; hand on plain values")
            if module.room == "config" and room_of(target) not in ("", "config", "values"):
                faults.append(f"{module.path}: config imports only values, not {target}")
    assert_none(faults)


def test_only_the_server_opens_sockets() -> None:
    faults = []
    for module in modules().values():
        for target in imports(module):
            if target.split(".")[0] in ONLY_SERVER and module.room != "server":
                faults.append(f"{module.path}: only server imports {target}")
            if (target in NETWORK or target.split(".")[0] in NETWORK) and module.room not in MAY_USE_NETWORK:
                faults.append(f"{module.path}: {target} belongs to the server")
    assert_none(faults)


def test_nothing_imports_in_a_circle() -> None:
    graph = {name: {t for t in imports(m) if ours(t) and t != name} for name, m in modules().items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, "a circle: " + " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def _declared() -> tuple[set[str], set[str]]:
    """Names of the packages that pyproject.toml installs for running, and of those for working on it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    def names(lines: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in lines}

    return names(project["project"]["dependencies"]), names(project["dependency-groups"]["dev"])


@pytest.mark.parametrize("folder", [PACKAGE, "scripts", "tests"])
def test_what_is_imported_is_declared(folder: str) -> None:
    runtime, dev = _declared()
    allowed = runtime if folder == PACKAGE else runtime | dev
    faults = []
    for module in modules(folder).values():
        for target in imports(module):
            top = target.split(".")[0]
            known = top in sys.stdlib_module_names or top in (PACKAGE, "tests", "scripts")
            if not known and INSTALLED_AS.get(top, top.replace("_", "-")) not in allowed:
                faults.append(f"{module.path}: {top} is in no dependency list that this folder may use")
    assert_none(faults)


def test_the_lock_covers_what_is_declared() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))
    runtime, dev = _declared()
    missing = runtime | {name.partition("[")[0] for name in dev}
    assert missing <= pinned, f"run `make lock`: {sorted(missing - pinned)}"
    assert not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE), "the lock names no index and no folder"


# --- sizes ----------------------------------------------------------------------------------------------------------


def _sizes() -> Iterator[tuple[str, int, int, int]]:
    """(what, lines, soft limit, hard limit) of every module and function of the package and the scripts."""
    for module in (*modules().values(), *modules("scripts").values()):
        if module.path not in TABLES:
            yield module.path, module.lines, SOFT_MODULE, HARD_MODULE
        for name, node in functions(module.tree):
            yield f"{module.path}:{name}", length(node), SOFT_FUNCTION, HARD_FUNCTION


def test_modules_and_functions_stay_small() -> None:
    faults = []
    for what, lines, soft, hard in _sizes():
        allowed, _ = OVERSIZE.get(what, (soft, ""))
        if lines > min(allowed, hard):
            faults.append(f"{what}: {lines} lines, {min(allowed, hard)} allowed")
    assert_none(faults)


def test_the_table_of_large_things_only_shrinks() -> None:
    sizes = {what: (lines, soft) for what, lines, soft, _ in _sizes()}
    faults = []
    for what, (allowed, why) in OVERSIZE.items():
        lines, soft = sizes.get(what, (0, 0))
        if not why or lines <= soft:
            faults.append(f"{what}: {lines} lines; take it out of the table")
        elif lines < allowed:
            faults.append(f"{what}: {lines} lines now; lower its {allowed}")
    for path, why in TABLES.items():
        found = [m for m in modules().values() if m.path == path]
        if not why or not found or found[0].lines <= SOFT_MODULE:
            faults.append(f"{path}: no table over the limit; take it out")
        faults += [
            f"{path}:{name} is logic in a table" for m in found for name, f in functions(m.tree) if length(f) > 10
        ]
    assert_none(faults)


def _is_command(node: Function) -> bool:
    """Typer hands options over by name: their number is the contract's."""
    calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(isinstance(call, ast.Attribute) and call.attr in {"command", "callback"} for call in calls)


def test_few_positional_parameters() -> None:
    faults = []
    for module in modules().values():
        for name, node in functions(module.tree):
            given = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in {"self", "cls"}]
            if len(given) > MOST_POSITIONAL and not _is_command(node):
                faults.append(f"{module.path}:{name}: {len(given)} positional parameters; name some after a *")
    assert_none(faults)


# --- manners --------------------------------------------------------------------------------------------------------


def _catches_all(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(k is None or (isinstance(k, ast.Name) and k.id in {"Exception", "BaseException"}) for k in kinds)


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(s, ast.Pass | ast.Continue) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in body
    )


def test_no_error_is_swallowed() -> None:
    faults = []
    for module in (*modules().values(), *modules("scripts").values()):
        for node in ast.walk(module.tree):
            where = f"{module.path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ExceptHandler):
                if node.type is None:
                    faults.append(f"{where}: bare except")
                elif _catches_all(node.type) and _does_nothing(node.body):
                    faults.append(f"{where}: catches everything and does nothing")
            elif isinstance(node, ast.Call) and _called(node) == "suppress" and any(map(_catches_all, node.args)):
                faults.append(f"{where}: suppresses everything")
    assert_none(faults)


def test_tasks_are_kept() -> None:
    """ruff bans asyncio.create_task by name; the loop's own method is the same trap."""
    faults = []
    for module in modules().values():
        for node in ast.walk(module.tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            receiver = ast.unparse(node.func.value)
            starts = node.func.attr == "create_task" and not receiver.endswith("group")
            if starts and module.path != f"{PACKAGE}/gateway/tasks.py":
                faults.append(f"{module.path}:{node.lineno}: use gateway/tasks.py, or a TaskGroup named …group")
    assert_none(faults)


@pytest.mark.parametrize("room", ["values", "gateway", "ledger"])
def test_public_functions_say_what_they_do(room: str) -> None:
    """Module-level functions always; methods when they are longer than what a name can say."""
    faults = []
    for module in modules().values():
        for name, node in functions(module.tree) if module.room == room else ():
            hidden = any(part.startswith("_") for part in name.split("."))
            nested = name.count(".") > 1
            short = "." in name and length(node) <= 8
            if not (hidden or nested or short) and not ast.get_docstring(node):
                faults.append(f"{module.path}:{node.lineno}: {name} has no docstring")
    assert_none(faults)


def test_modules_say_what_they_are_for() -> None:
    assert_none([m.path for m in (*modules().values(), *modules("scripts").values()) if not ast.get_docstring(m.tree)])


# Built from pieces, so that this file does not say what it forbids.
_UNSAID = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:root|work|Users/\w+|home/\w+)/"),
    "the host of a registry": re.compile(
        r"\bpypi\.or[g]\b|pythonhoste[d]|--(?:extra-)?index-ur[l]\b(?! )|artifactor[y]"
    ),
    "work left undone": re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b"),
    "how it was made": re.compile(r"(?i)co-authore[d]-by|generated (?:by|with) (?:an? )?(?:AI|LL[M])\b"),
}
_SKIPPED = frozenset(
    {".git", ".venv", "__pycache__", "build", "dist", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
)
_RUN_HERE = re.compile(r"\.coverage|\.env$|config\.yaml$|[^/]*\.db")  # as .gitignore says
_SOUNDS = frozenset({".aac", ".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".ogg", ".wav", ".webm"})
_BINARY = frozenset({".xz", ".gz", ".png", ".bin", ".form", ".db", ".pyc", ".zip", ".lzma"}) | _SOUNDS


def own_files() -> Iterator[Path]:
    """Every text file of the repository; git itself need not be there."""
    places = [ROOT]
    while places:
        for entry in sorted(places.pop().iterdir()):
            if entry.name in _SKIPPED or entry.name.endswith(".egg-info") or entry.is_symlink():
                continue
            if entry.is_dir():
                places.append(entry)
            elif entry.suffix not in _BINARY and not _RUN_HERE.match(entry.relative_to(ROOT).as_posix()):
                yield entry


def test_files_speak_of_the_project_alone() -> None:
    faults = []
    for file in own_files():
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            faults += [
                f"{file.relative_to(ROOT)}:{number}: {what}" for what, said in _UNSAID.items() if said.search(line)
            ]
    assert_none(faults)


# --- vendors and dialects -------------------------------------------------------------------------------------------


def _vendors() -> Mapping[str, Any]:
    from oneapi_cli.providers.table import VENDORS

    return VENDORS


def _strings(node: ast.AST) -> Iterator[str]:
    """String constants that a comparison tests against: literals, and the members of literal tuples, sets and lists."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Tuple | ast.Set | ast.List):
        for member in node.elts:
            yield from _strings(member)


def _tested_against(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that decides a branch: comparisons, match cases, startswith and endswith."""
    for node in ast.walk(tree):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Attribute) and side.attr == "auth" for side in sides):
                continue  # the field that says how to sign; some of its values share a vendor's name
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Call) and _called(node) in {"startswith", "endswith"}:
            sides = node.args
        for side in sides:
            yield from ((side.lineno, text) for text in _strings(side))


def test_nobody_asks_which_vendor() -> None:
    names = {name.lower() for name in _vendors()}
    faults = []
    for module in modules().values():
        if module.room == "providers":
            continue
        allowed, _ = SPEAKS_OF_VENDORS.get(module.path, (frozenset(), ""))
        for line, text in _tested_against(module.tree):
            if text.lower() in names - allowed:
                faults.append(f"{module.path}:{line}: {text!r} is a vendor; make it a field of its row")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Compare) and "vendor.name" in ast.unparse(node):
                faults.append(f"{module.path}:{node.lineno}: asks a row for its name")
    assert_none(faults)


def test_the_table_of_vendor_names_only_shrinks() -> None:
    faults = []
    for path, (allowed, why) in SPEAKS_OF_VENDORS.items():
        module = next((m for m in modules().values() if m.path == path), None)
        used = {text.lower() for _, text in _tested_against(module.tree)} if module else set()
        if not why or not allowed <= used:
            faults.append(f"{path}: no longer speaks of {sorted(allowed - used)}")
    assert_none(faults)


def test_every_row_has_its_source() -> None:
    faults = []
    for name, row in _vendors().items():
        if row.name != name or not row.speaks:
            faults.append(f"{name}: the key is not the row's name, or it speaks nothing")
        if not row.source.startswith("https://") and row.auth != "demo":
            faults.append(f"{name}: no documentation page as source")
        if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.checked):
            faults.append(f"{name}: checked must be a month, not {row.checked!r}")
    assert_none(faults)


def test_every_dialect_has_cases() -> None:
    from oneapi_cli.dialects.registry import DIALECTS, SPEAKERS

    wire = ROOT / "tests" / "wire"
    names = {*DIALECTS, *SPEAKERS}
    folders = {place.name for place in wire.iterdir() if place.is_dir() and not place.name.startswith("_")}
    assert folders == names, "a folder of cases for each dialect, and no other"
    assert_none(sorted(name for name in names if not any(c.is_dir() for c in (wire / name).iterdir())))


def test_rows_speak_known_dialects() -> None:
    from oneapi_cli.dialects.registry import DIALECTS, SPEAKERS, TASKS

    known = {*DIALECTS, *SPEAKERS, *TASKS}
    assert_none([f"{n}: {spoken}" for n, row in _vendors().items() for spoken in row.speaks if spoken not in known])


# --- the program ----------------------------------------------------------------------------------------------------


def _walk(command: Any, words: tuple[str, ...] = ("oneapi",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words, command) of every command that does something."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, each in inner.items():
        if not each.hidden:
            yield from _walk(each, (*words, name))


@cache
def commands() -> Mapping[tuple[str, ...], Any]:
    import typer

    from oneapi_cli.cli import app

    return dict(_walk(typer.main.get_command(app)))


def test_every_command_shows_an_example() -> None:
    assert commands()
    faults = []
    for words, command in commands().items():
        text = f"{command.help or ''}\n{command.epilog or ''}"
        if not re.search(rf"\b{' '.join(words)}\b", text):
            faults.append(f"{' '.join(words)} --help has no example")
    assert_none(faults)


def _readme_lines() -> Iterator[str]:
    """Lines of README's code blocks that are commands, continuation lines joined."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.removeprefix("$ ").partition("  #")[0].strip()


def _flags(command: Any) -> set[str]:
    return {"--help", *(o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--"))}


def test_readme_speaks_of_what_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    faults = []
    for line in _readme_lines():
        words = line.split()
        if words[:1] == ["make"] and not set(words[1:]) <= targets:
            faults.append(f"{line}: no such target")
        if words[:1] != ["oneapi"] or words[1:] == ["--version"]:
            continue
        found = next((c for w, c in commands().items() if tuple(words[: len(w)]) == w), None)
        if found is None:
            faults.append(f"{line}: no such command")
        else:
            unknown = {w.partition("=")[0] for w in words if w.startswith("--")} - _flags(found)
            faults += [f"{line}: no such option {flag}" for flag in sorted(unknown)]
    assert_none(faults)


@pytest.mark.parametrize("name", ["README.md", "Makefile"])
def test_what_is_pointed_at_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = {*re.findall(r"\b(?:tests|scripts|oneapi_cli)/[\w./-]*\w", text), *re.findall(r"\]\(([\w./-]+)\)", text)}
    assert_none([f"{name} speaks of {path}" for path in sorted(paths) if not (ROOT / path).exists()])


def test_readme_leaves_no_command_out() -> None:
    said = {tuple(line.split()[:3]) for line in _readme_lines()} | {tuple(line.split()[:2]) for line in _readme_lines()}
    assert_none([" ".join(words) for words in commands() if words not in said])


_REPORT = """
import json, sys
from oneapi_cli.cli import main
sys.argv = ["oneapi", *sys.argv[1:]]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
print(json.dumps({"code": code or 0, "loaded": sorted(sys.modules)}), file=sys.stderr)
"""


@dataclass(frozen=True)
class Quick:
    """A management command, and how it ends in a fresh home."""

    words: tuple[str, ...]
    code: int = 0


@pytest.mark.parametrize(
    "case",
    [
        Quick(("token", "list")),
        Quick(("token", "add", "phone", "--budget", "$5")),
        Quick(("user", "list")),
        Quick(("usage", "--plot")),
        Quick(("logs",)),
        Quick(("ledger", "verify")),
        Quick(("cost", "0" * 32), code=1),
    ],
    ids=lambda case: " ".join(case.words[:2]),
)
def test_quick_commands_import_nothing_heavy(case: Quick, home: Path) -> None:
    start = [sys.executable, "-c", _REPORT]
    made = subprocess.run([*start, "init"], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    done = subprocess.run([*start, *case.words], capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(done.stderr.splitlines()[-1])
    assert report["code"] == case.code, done.stderr
    loaded = {name.split(".")[0] for name in report["loaded"]}
    assert not loaded & set(HEAVY), f"{case.words} loads {sorted(loaded & set(HEAVY))}"
