"""`oneapi serve` as a process of its own, for tests that kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

READY_SECONDS = 20.0


class ServeProcess:
    """A running `oneapi serve --config …`; the block's end stops it, and it alone."""

    def __init__(self, config: Path, *flags: str, environ: dict[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "oneapi_cli", "serve", "--config", str(config), "--port", "0", *flags]
        self._environ = {**os.environ, **(environ or {})}
        self.log = config.parent / "serve.log"
        self.url = ""

    def __enter__(self) -> ServeProcess:
        self.log.touch()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, env=self._environ, text=True
            )
        timer = threading.Timer(READY_SECONDS, self.process.kill)
        timer.start()
        try:
            assert self.process.stdout is not None
            for line in self.process.stdout:
                if "listening on " in line:
                    self.url = line.rsplit("listening on ", 1)[1].strip()
                    return self
        finally:
            timer.cancel()
        self.process.wait()
        raise AssertionError(f"serve did not start:\n{self.log.read_text()}")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
        if self.process.stdout is not None:
            self.process.stdout.close()
