"""`make pyz`: the whole program in one file, `dist/oneapi.pyz`, for this Python and this kind of machine.

    python scripts/build_pyz.py [--output FILE] [--force]

The dependencies are those of requirements.lock, hash-checked, and only what the program needs to run; the vocabularies
are data of the package and come along. shiv makes the archive and unpacks it once, into ~/.shiv or $SHIV_ROOT, so that
compiled modules can be loaded; its lock makes first starts at the same time safe. Three things are added to what shiv
does: what no start needs is left out (tests, stubs, sources of compiled modules, records of the installation); a start
under another Python or machine says so before anything is unpacked; and a start that finds everything unpacked does not
open the archive a second time. The same sources give the same bytes: no times, no paths of the building machine.

Exit code 69 says that the wheels could not be had, 1 that something else is wrong.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NoReturn

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "dist" / "oneapi.pyz"
SCRIPT = "oneapi"
UNAVAILABLE = os.EX_UNAVAILABLE
LONGEST_SECONDS = 600.0
# 1980-01-01 is the first day that a ZIP can say; noon keeps it that day in every zone.
EPOCH = "315576000"

# Never read at run time. Licences stay: they are part of what is passed on.
LEFT_OUT_FOLDERS = frozenset({"__pycache__", "tests", "test", "testing", "bin"})
LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".cpp", ".hash", ".md5"})
LEFT_OUT_RECORDS = frozenset({"RECORD", "REQUESTED", "INSTALLER", "direct_url.json"})
# botocore describes some four hundred services. Its credentials talk to these; our own calls need no description.
AWS_SERVICES = frozenset({"signin", "sso", "sso-oidc", "sts"})

# Runs under any Python, 2 included: it has to say that it is the wrong one.
MAIN = """\
# -*- coding: utf-8 -*-
# made from {digest}
import os
import sys


def refusal():
    if sys.version_info[:2] == {version!r} and sys.platform == {system!r} and os.uname()[4] == {machine!r}:
        from importlib.machinery import EXTENSION_SUFFIXES

        if EXTENSION_SUFFIXES[0] == {suffix!r} and libc() >= {libc!r}:
            return None
    here = "%s %d.%d on %s %s" % (
        sys.implementation.name if hasattr(sys, "implementation") else "Python",
        sys.version_info[0], sys.version_info[1], sys.platform, os.uname()[4] if hasattr(os, "uname") else "",
    )
    return (
        "This oneapi.pyz holds compiled modules for {target}, and this is %s: start it with that one "
        "(`python{version[0]}.{version[1]} oneapi.pyz`), or make one for here with `make pyz`." % here.strip()
    )


def libc():
    try:
        name, _, version = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
        return tuple(int(part) for part in version.split(".")[:2])
    except (AttributeError, OSError, ValueError):
        return (0, 0)


def unpacked():
    if any(name.startswith("SHIV_") and name != "SHIV_ROOT" for name in os.environ):
        return None
    root = os.path.expanduser(os.environ.get("SHIV_ROOT") or "~/.shiv")
    archive = os.path.basename(os.path.realpath(sys.argv[0]))
    place = os.path.join(root, archive + "_{build_id}", "site-packages")
    return place if os.path.isdir(place) else None


why_not = refusal()
if why_not:
    sys.exit(why_not)
place = unpacked()
if place is None:
    from _bootstrap import bootstrap

    bootstrap()
else:
    sys.path[0] = place  # in place of the archive
    from {module} import {function}

    sys.exit({function}())
"""


class BuildFailed(Exception):
    """What went wrong, in a sentence or a tool's own words. code: what to exit with."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


# --- what goes in ---------------------------------------------------------------------------------------------------


def runtime_names(project: Mapping[str, object]) -> set[str]:
    """Canonical names of everything that the project needs to run, on this machine, from what is installed here.

    Raises BuildFailed for a requirement that is not installed.
    """
    dependencies = project["dependencies"]
    assert isinstance(dependencies, list)
    todo = [(Requirement(line), "") for line in dependencies]
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted, extra = todo.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        found.add(name)
        for chosen in ("", *wanted.extras):
            if (name, chosen) not in seen:
                seen.add((name, chosen))
                todo += [(Requirement(line), chosen) for line in _requires(name)]
    return found


def _requires(name: str) -> list[str]:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError as missing:
        raise BuildFailed(f"{name} is not installed; run `make install` first") from missing


def locked(lock: str, names: Iterable[str]) -> str:
    """The entries of the lock, hashes and markers included, that are for these names. Raises BuildFailed for a gap."""
    entries: dict[str, str] = {}
    for entry in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        if found := re.match(r"([A-Za-z0-9._-]+)==", entry):
            entries[canonicalize_name(found[1])] = entry
    missing = sorted(set(names) - set(entries))
    if missing:
        raise BuildFailed(f"requirements.lock lacks {', '.join(missing)}; run `make lock`")
    return "".join(entries[name] for name in sorted(names))


def sources() -> Iterator[Path]:
    """Every file that decides what the archive is."""
    yield from (ROOT / "pyproject.toml", ROOT / "requirements.lock", Path(__file__).resolve())
    for path in sorted((ROOT / "oneapi_cli").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def digest_of_sources() -> str:
    """SHA-256, hexadecimal, over names and contents of the sources and the Python that builds."""
    sha = hashlib.sha256(f"{sys.version} {sys.platform} {platform.machine()}".encode())
    for path in sources():
        data = path.read_bytes()
        sha.update(f"\n{path.relative_to(ROOT).as_posix()} {len(data)}\n".encode() + data)
    return sha.hexdigest()


def is_fresh(archive: Path) -> bool:
    """Whether the archive is there and was made from the sources as they are now, by this Python."""
    try:
        with zipfile.ZipFile(archive) as opened:
            main = opened.read("__main__.py").decode()
    except (OSError, KeyError, zipfile.BadZipFile):
        return False
    return f"# made from {digest_of_sources()}\n" in main


# --- installing -----------------------------------------------------------------------------------------------------


def run(words: list[str], failed: str, code: int = 1, **environ: str) -> None:
    """Run a tool quietly. Raises BuildFailed with the end of what it said."""
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False, env={**os.environ, **environ}
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise BuildFailed(f"{failed}:\n{last}", code if "DO NOT MATCH THE HASHES" not in done.stderr else 1)


def install(folder: Path, work: Path) -> None:
    """Put the locked dependencies and the package itself into `folder`. Raises BuildFailed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = work / "requirements.txt"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    wanted.write_text(locked(lock, runtime_names(project)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheels = str(work / "wheels")
    exact = ["--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", str(wanted)]
    run([*pip, "download", "--dest", wheels, *exact], "The wheels could not be had", UNAVAILABLE)
    into = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(folder)]
    local = ["--find-links", wheels, "--require-hashes", "--requirement", str(wanted)]
    run([*pip, "install", *into, *local], "The dependencies could not be installed")
    own = str(work / "own")
    run(
        [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", own, str(ROOT)],
        "The package could not be built",
    )
    run(
        [*pip, "install", *into, *(str(wheel) for wheel in Path(own).glob("*.whl"))],
        "The package could not be installed",
    )


def is_left_out(path: Path) -> bool:
    """path: relative to site-packages."""
    if path.parts[0].endswith(".dist-info"):
        return path.name in LEFT_OUT_RECORDS or "sboms" in path.parts
    if path.parts[:2] == ("botocore", "data") and len(path.parts) > 3 and path.parts[2] not in AWS_SERVICES:
        return True
    return not LEFT_OUT_FOLDERS.isdisjoint(path.parts[:-1]) or path.suffix in LEFT_OUT_SUFFIXES


def prune(folder: Path) -> None:
    """Take out what no start needs, and make modes the same whatever the umask."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif is_left_out(path.relative_to(folder)):
            path.unlink()
        else:
            path.chmod(0o755 if path.suffix == ".so" else 0o644)


# --- the archive ----------------------------------------------------------------------------------------------------


def lowest_libc(folder: Path) -> tuple[int, int]:
    """The oldest glibc that every wheel in `folder` runs on; (0, 0) where none says."""
    found = [(0, 0)]
    for wheel in folder.glob("*.dist-info/WHEEL"):
        said = re.findall(r"manylinux_(\d+)_(\d+)_", wheel.read_text(encoding="utf-8"))
        # A wheel of several tags runs wherever one of them does.
        found += [min((int(major), int(minor)) for major, minor in said)] if said else []
    return max(found)


def main_module(environment: str, libc: tuple[int, int]) -> str:
    """The archive's `__main__.py`. environment: what shiv wrote about it, as JSON."""
    said = json.loads(environment)
    module, function = said["entry_point"].split(":")
    version = sys.version_info[:2]
    target = f"{platform.python_implementation()} {version[0]}.{version[1]} on {sys.platform} {platform.machine()}"
    if libc > (0, 0):
        target += f" with glibc {libc[0]}.{libc[1]} or later"
    return MAIN.format(
        digest=digest_of_sources(),
        version=version,
        system=sys.platform,
        machine=platform.machine(),
        suffix=EXTENSION_SUFFIXES[0],
        libc=libc,
        target=target,
        build_id=said["build_id"],
        module=module,
        function=function,
    )


def with_main(archive: Path, output: Path, libc: tuple[int, int]) -> None:
    """Copy shiv's archive with our `__main__.py`, and appear at `output` at once and whole."""
    with archive.open("rb") as start:
        shebang = start.readline()
    staged = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with staged.open("wb") as out, zipfile.ZipFile(archive) as old:
            out.write(shebang)
            with zipfile.ZipFile(out, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=9) as new:
                main = main_module(old.read("environment.json").decode(), libc)
                for entry in old.infolist():
                    data = main.encode() if entry.filename == "__main__.py" else old.read(entry)
                    # A copy: writing changes where the entry says that it is.
                    new.writestr(copy.copy(entry), data, compress_type=zipfile.ZIP_DEFLATED)
        staged.chmod(0o755)
        staged.replace(output)
    finally:
        staged.unlink(missing_ok=True)


def build(output: Path) -> None:
    """Make the archive. Raises BuildFailed."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oneapi-pyz-") as place:
        work = Path(place).resolve()
        folder, packed = work / "site", work / output.name
        folder.mkdir()
        install(folder, work)
        prune(folder)
        flags = ["--uncompressed", "--reproducible", "--python", "/usr/bin/env python3"]  # with_main compresses, once
        names = ["--console-script", SCRIPT, "--site-packages", str(folder), "--output-file", str(packed)]
        run([sys.executable, "-m", "shiv", *flags, *names], "shiv failed", SOURCE_DATE_EPOCH=EPOCH)
        with_main(packed, output, lowest_libc(folder))
        shutil.rmtree(folder)


def _stop(failed: BuildFailed) -> NoReturn:
    print(f"No archive was made. {failed}", file=sys.stderr)
    raise SystemExit(failed.code)


def main() -> None:
    """Build where it is needed; say what there is."""
    parser = argparse.ArgumentParser(description="Build the one-file archive.")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--force", action="store_true", help="also where it is up to date")
    asked = parser.parse_args()
    try:
        if asked.force or not is_fresh(asked.output):
            build(asked.output)
    except BuildFailed as failed:
        _stop(failed)
    except subprocess.TimeoutExpired as late:
        _stop(BuildFailed(f"`{' '.join(late.cmd[:5])} …` took more than {LONGEST_SECONDS:g} s"))
    print(f"{asked.output}  {asked.output.stat().st_size / 1e6:.1f} MB, up to date")


if __name__ == "__main__":
    main()
