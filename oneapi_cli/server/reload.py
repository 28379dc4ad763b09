"""Taking an edited config while the server runs: on a change of the file or its `.env`, and on SIGHUP.

An editor writes in steps, so a change counts once the files have stood still for two looks; a config that cannot be
used is refused whole, said in the log with everything that is wrong, and the one before keeps serving. Every worker
watches for itself: there is nothing to pass on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ..config.loaded import Loaded
from ..config.problems import ConfigError, Problem
from ..values.errors import GatewayError

log = logging.getLogger("oneapi.server")

LOOK_SECONDS = 0.2
STILL_LOOKS = 2
AGAIN_SECONDS = 2.0

Signature = tuple[tuple[int, int, int] | None, ...]


class Watcher:
    """Watches one config. load: reads it anew, may block and raise ConfigError; take: serves by it from then on;
    heard: is told of every edit whether it was taken. generation: of the config that serves. also: files beside it
    that are read whenever a config is taken.

    `problems` is what keeps the file as it stands from being taken, () while it is what serves.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[], Loaded],
        take: Callable[[Loaded], Awaitable[None]],
        heard: Callable[[bool], None],
        generation: str,
        *,
        also: Sequence[Path] = (),
    ) -> None:
        self._files = (path, path.parent / ".env")
        self._also = tuple(also)
        self._also_taken = signature(self._also)
        self._load, self._take, self._heard = load, take, heard
        self._generation = generation
        self._seen: Signature | None = None
        self._still = 0
        self._judged: Signature | None = None
        self._asked = asyncio.Event()
        self._not_before = 0.0
        self.problems: tuple[Problem, ...] = ()

    def ask(self) -> None:
        """Take the config now, whether or not it looks changed (SIGHUP)."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled. The first look tells whether the file has moved on since it was loaded."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                pass
            asked = self._asked.is_set()
            self._asked.clear()
            try:
                await self._look(asked)
            except Exception:
                # Serving must go on, and so must watching: the next edit may be free of whatever this was.
                log.exception("the config could not be reloaded; the one before keeps serving")
                message = "this could not be taken for a reason of our own; the log has it"
                self.problems = (Problem(file=str(self._files[0]), line=0, key="", message=message),)
                self._heard(False)

    async def _look(self, asked: bool) -> None:
        before, self._seen = self._seen, await asyncio.to_thread(signature, (*self._files, *self._also))
        self._still = self._still + 1 if self._seen == before else 0
        stands = self._still >= STILL_LOOKS and asyncio.get_running_loop().time() >= self._not_before
        if asked or (stands and self._seen != self._judged):
            self._judged = self._seen
            await self._reload(asked)

    async def _reload(self, asked: bool) -> None:
        loaded, problems = await asyncio.to_thread(self._read)
        files = await asyncio.to_thread(signature, (*self._files, *self._also))
        if files != self._seen:
            # Written to while it was read: what was read may be half of an edit that looks whole.
            self._judged = None
            if asked:
                self._asked.set()
            return
        if loaded is None:
            self._refuse(problems)
            return
        also = files[len(self._files) :]
        if loaded.generation == self._generation and also == self._also_taken and not asked:
            self._accept("the config is as it was before its last edit" if self.problems else "")
            return
        try:
            await self._take(loaded)
        except GatewayError as error:
            # The ledger cannot be written just now, so the declared tokens are not mirrored: the edit has to wait.
            log.warning("the edited config is not taken yet: %s", error.message)
            self._judged = None
            self._not_before = asyncio.get_running_loop().time() + AGAIN_SECONDS
            return
        self._generation, self._also_taken = loaded.generation, also
        self._heard(True)
        self._accept(f"the config was reloaded: {len(loaded.channels)} channels")

    def _read(self) -> tuple[Loaded | None, Sequence[Problem]]:
        """The config as it stands, or what is wrong with it. Blocks."""
        try:
            loaded = self._load()
        except ConfigError as error:
            return None, error.problems
        if not loaded.sources and loaded.generation != self._generation:
            # A shell's `>` empties a file long before something is written to it.
            remedy = "write the config, or restart to serve by an empty one"
            problem = Problem(file=str(self._files[0]), line=0, key="", message="this file is empty", remedy=remedy)
            return None, (problem,)
        return loaded, ()

    def _accept(self, sentence: str) -> None:
        self.problems = ()
        if sentence:
            log.info("%s", sentence)

    def _refuse(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self._heard(False)
        log.error("the edited config is refused and the one before keeps serving; %d to mend:", len(problems))
        for problem in problems:
            log.error("%s", problem)


def signature(files: Sequence[Path]) -> Signature:
    """What tells one state of these files from another, without reading them; None for one that is not there."""
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
