"""`tokens:` → tokens ready to be mirrored into the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .loaded import DeclaredToken
from .problems import Problem, show
from .read import Entry, Reader
from .schema import Config, TokenConfig

_SHORT_KEY = 16
_HINT_CHARACTERS = 4


class TokenBuilder:
    """Entries → declared tokens. Problems and notices go to the reader's list and to `notices`."""

    def __init__(self, reader: Reader, config: Config) -> None:
        self.reader = reader
        self.config = config
        self.notices: list[Problem] = []

    def build(self, entries: Sequence[Entry]) -> tuple[DeclaredToken, ...]:
        """Tokens in the file's order; those without a key are left out, with a notice."""
        names: dict[str, Entry] = {}
        digests: dict[bytes, Entry] = {}
        built: list[DeclaredToken] = []
        for entry in entries:
            if twin := names.get(entry.value.name):
                message = f"the token {show(entry.value.name)} stands here twice, first in line {twin.line}"
                self.fault(entry, "name", message, "names are unique: rename one")
            names.setdefault(entry.value.name, entry)
            token = self.token(entry)
            if token is None:
                continue
            if token.digest in digests:
                message = f"{token.name} has the same key as the token of line {digests[token.digest].line}"
                self.fault(entry, "key", message, "give each its own")
            digests.setdefault(token.digest, entry)
            built.append(token)
        return tuple(built)

    def token(self, entry: Entry) -> DeclaredToken | None:
        stated: TokenConfig = entry.value
        self.check(entry)
        digest = digest_of(stated.key) if stated.key else bytes.fromhex(stated.key_sha256)
        if not digest:
            if self.reader.variables is not None and not self.lacks(entry):
                message = f"the token {stated.name} is skipped: it has no key"
                self.notices.append(self.at(entry, "key", message, "write `key:` or `key_sha256:`"))
            return None
        return DeclaredToken(
            name=stated.name,
            digest=digest,
            hint=_hint(stated.key or ""),
            budget=None if stated.unlimited else stated.budget,
            file=self.reader.file,
            line=entry.line,
            user=stated.user or "root",
            models=stated.models,
            subnets=stated.subnet,
            expires=stated.expires,
            rpm=stated.rpm,
            tpm=stated.tpm,
            concurrent=stated.concurrent,
            clamp=stated.clamp,
            holds=stated.holds or self.config.holds,
            passthrough=stated.passthrough,
        )

    def check(self, entry: Entry) -> None:
        stated: TokenConfig = entry.value
        # A budget whose variable is set to nothing is no budget: nobody becomes unlimited by accident.
        known = self.reader.variables is not None or not entry.lines.keys() & {"budget", "unlimited"}
        if stated.unlimited and stated.budget:
            self.fault(entry, "unlimited", "this token is unlimited and has a budget", "keep one of them")
        elif known and not stated.unlimited and not stated.budget and not self.lacks(entry):
            remedy = "write `budget: $5` or `unlimited: true`"
            self.fault(entry, "budget", f"the token {stated.name} has no budget", remedy)
        if stated.key and stated.key_sha256:
            self.fault(entry, "key_sha256", "this token has a key and a digest of one", "keep one of them")
        if stated.key and len(stated.key) < _SHORT_KEY:
            message = f"the key of {stated.name} is short enough to be guessed"
            self.notices.append(self.at(entry, "key", message, "use 32 random characters or more"))

    def lacks(self, entry: Entry) -> bool:
        return any(problem.key.startswith(f"{entry.path}.") for problem in self.reader.unset)

    def fault(self, entry: Entry, key: str, message: str, remedy: str) -> None:
        """One problem per place: what could not be read need not be said to be missing as well."""
        problem = self.at(entry, key, message, remedy)
        if all(other.key != problem.key for other in self.reader.problems):
            self.reader.problems.append(problem)

    def at(self, entry: Entry, key: str, message: str, remedy: str) -> Problem:
        line = entry.lines.get(key, entry.line)
        return Problem(file=self.reader.file, line=line, key=f"{entry.path}.{key}", message=message, remedy=remedy)


def digest_of(key: str) -> bytes:
    """SHA-256 of a client's key without one leading `sk-`: the only form in which the ledger knows keys."""
    return hashlib.sha256(key.removeprefix("sk-").encode()).digest()


def _hint(key: str) -> str:
    """What may be shown of a key: its end, and nothing of a short one."""
    bare = key.removeprefix("sk-")
    return bare[-_HINT_CHARACTERS:] if len(bare) >= _SHORT_KEY else ""
