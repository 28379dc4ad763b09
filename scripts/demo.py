"""`make demo`: the whole path once, on this machine alone. A server, a token, a streamed reply, its bill, a clean stop.

Everything lives in a temporary folder: the config, the ledger, the server's log. Whatever happens, the server is gone
and the folder removed when this ends; exit code 0 means that every step did what it should.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

START_SECONDS = 30.0
COMMAND_SECONDS = 60.0
STOP_SECONDS = 40.0
PROMPT = "Hello! In a few sentences: what happens to a request on its way through a gateway?"
CONFIG = "ledger: demo.db\n"


class DemoFailed(Exception):
    """A step did not do what it should; the text says which, and what was seen."""


def _say(text: str) -> None:
    print(text, flush=True)


def _show(words: list[str], place: Path) -> None:
    """The command as one would type it; the temporary folder is of no interest."""
    _say("\n$ oneapi " + shlex.join(words).replace(str(place) + os.sep, ""))


def _command(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "oneapi_cli", *words]


def run(words: list[str], place: Path) -> str:
    """Run one oneapi command to its end. Returns what it printed. Raises DemoFailed unless it exits with 0."""
    _show(words, place)
    try:
        done = subprocess.run(_command(words), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise DemoFailed(f"`oneapi {words[0]}` did not end within {COMMAND_SECONDS:g} s") from late
    if done.returncode != 0:
        raise DemoFailed(f"`oneapi {' '.join(words[:2])}` ended with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


class Server:
    """`oneapi serve --demo` as a child process; its first lines say where it listens."""

    def __init__(self, config: Path, log: Path) -> None:
        self._log = log
        self._lines: list[str] = []
        self._heard = threading.Event()
        words = ["serve", "--demo", "--port", "0", "--config", str(config)]
        _show(words, config.parent)
        with log.open("wb") as errors:
            self._child = subprocess.Popen(_command(words), stdout=subprocess.PIPE, stderr=errors, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def _read(self) -> None:
        """Reads to the end, so that the child never waits for a full pipe."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.append(line)
            if not self.url and (found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", line)):
                self.url = found[0]
                self._heard.set()
        self._heard.set()

    def wait_until_ready(self) -> None:
        """Raises DemoFailed when the server ends, or says nothing, before it has named its address."""
        if not self._heard.wait(START_SECONDS):
            raise DemoFailed(f"the server did not say where it listens within {START_SECONDS:g} s")
        if not self.url:
            raise DemoFailed(f"the server ended with {self._child.wait()} before it was ready")
        _say(f"listening on {self.url}")

    def stop(self) -> None:
        """SIGTERM, as a service manager would. Raises DemoFailed unless it ends in time, and with 0."""
        _say("\nstopping the server")
        self._child.terminate()
        try:
            code = self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise DemoFailed(f"the server did not stop within {STOP_SECONDS:g} s of SIGTERM") from late
        if code != 0:
            raise DemoFailed(f"the server stopped with {code} instead of 0")

    def remove(self) -> None:
        """Leaves no process and no open pipe behind, however far the demo came."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._reader.join(5)
        if self._child.stdout is not None:
            self._child.stdout.close()

    def last_words(self) -> str:
        """The end of what the server printed, for whoever has to find out why."""
        text = "".join(self._lines[-20:]) + self._log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-20:])


def stream_reply(url: str, key: str) -> str:
    """One streamed chat completion with the official client, printed as it arrives. Returns the request's id."""
    import openai

    _say(f'\n>>> OpenAI(base_url="{url}/v1").chat.completions.create(model="demo-small", stream=True, …)')
    client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=COMMAND_SECONDS)
    pieces = 0
    try:
        with client.chat.completions.create(
            model="demo-small", messages=[{"role": "user", "content": PROMPT}], stream=True
        ) as stream:
            request_id = stream.response.headers.get("x-oneapi-request-id", "")
            for chunk in stream:
                text = chunk.choices[0].delta.content if chunk.choices else None
                if text:
                    pieces += 1
                    print(text, end="", flush=True)
    except openai.OpenAIError as error:
        raise DemoFailed(f"the request failed: {error}") from error
    finally:
        client.close()
        _say("")
    if not pieces:
        raise DemoFailed("the reply was empty")
    if not re.fullmatch(r"\d{32}", request_id):
        raise DemoFailed(f"the answer carried no request id, but {request_id!r}")
    return request_id


@contextmanager
def _server(config: Path) -> Iterator[Server]:
    server = Server(config, config.with_name("serve.log"))
    try:
        yield server
    except DemoFailed as failed:
        raise DemoFailed(f"{failed}\n\nThe server's last words:\n{server.last_words()}") from failed
    finally:
        server.remove()


def demo(place: Path) -> None:
    """The path, in order. Raises DemoFailed at the first step that fails."""
    config = place / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    config.chmod(0o600)
    settings = ["--config", str(config)]
    with _server(config) as server:
        server.wait_until_ready()
        key = run(["token", "add", "visitor", "--budget", "$1", *settings], place).strip()
        if not re.fullmatch(r"sk-[0-9A-Za-z]{20,}", key):
            raise DemoFailed("`oneapi token add` printed something else than a key")
        _say(f"sk-…{key[-4:]} (shown whole to you, once)")
        request_id = stream_reply(server.url, key)
        _say(run(["cost", request_id, *settings], place).rstrip())
        server.stop()
    _say(run(["ledger", "verify", *settings], place).rstrip())


def _interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    """Returns the exit code; a failure is told on stderr."""
    signal.signal(signal.SIGTERM, _interrupted)
    for name in [name for name in os.environ if name.startswith("ONEAPI_")]:
        del os.environ[name]
    # The way to loopback is never through somebody's proxy.
    os.environ.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", PYTHONUNBUFFERED="1")
    try:
        with tempfile.TemporaryDirectory(prefix="oneapi-demo-") as place:
            demo(Path(place).resolve())
    except DemoFailed as failed:
        print(f"\nThe demo failed: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
