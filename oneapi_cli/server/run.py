"""Starting and stopping the processes that serve.

One worker serves in this very process. Several are children that share the listening socket and the ledger; this
process then only watches them, starts a dead one again, and passes signals on. The first line on stdout says where we
listen.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ..config.loaded import Loaded
from ..config.problems import ConfigError
from ..values.money import format_usd
from . import logs
from .app import App
from .edge import is_loopback
from .generation import as_started
from .metrics import forget_worker, shared_by_workers

log = logging.getLogger("oneapi.server")

RESTART_SECONDS = 1.0
STOPPING = (signal.SIGTERM, signal.SIGINT)


class Post(NamedTuple):
    """What a process is given to serve. load: reads the config anew; None where it does not follow its file.

    stale: the file has moved on from `loaded`, but cannot be read just now.
    """

    loaded: Loaded
    sock: socket.socket
    host: str
    load: Callable[[], Loaded] | None = None
    metrics_sock: socket.socket | None = None
    stale: bool = False


class Crew(NamedTuple):
    """How many workers there are to be, and what says so once signals reach them."""

    size: int
    announce: Callable[[], None]


def serve(
    loaded: Loaded,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    log_format: str = "rich",
    demo_key: str = "",
    load: Callable[[], Loaded] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code. Raises OSError when an address cannot be bound.

    load: reads the config anew, whenever its file changes and on SIGHUP.
    """
    logs.set_up(log_format)
    if load is not None:
        # Until a process follows its config it has nothing to reload, and this must not end it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    host = host if host is not None else loaded.config.listen.host
    port = port if port is not None else loaded.config.listen.port
    sock = _bind(host, port)
    metrics = loaded.config.metrics_listen
    metrics_sock = _bind(metrics.host, metrics.port) if metrics is not None else None
    post = Post(loaded, sock, host, load, metrics_sock)
    many = workers if workers is not None else loaded.config.workers

    def announce() -> None:
        _announce(post, demo_key)

    if many == 1:
        return _work(post, announce)
    with shared_by_workers():
        return _supervise(post, Crew(many, announce))


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), port))
    except OSError:
        sock.close()
        raise
    sock.listen(2048)
    sock.setblocking(False)
    return sock


def _announce(post: Post, demo_key: str) -> None:
    """Where we listen, on stdout, for people and scripts alike."""
    loaded, host = post.loaded, post.host
    scheme = "https" if loaded.config.tls is not None else "http"
    sys.stdout.write(f"oneapi is listening on {scheme}://{_address(post.sock, host)}\n")
    if demo_key:
        sys.stdout.write(f"key: {demo_key}\n")
    sys.stdout.flush()
    if post.metrics_sock is not None and loaded.config.metrics_listen is not None:
        log.info("metrics on http://%s/metrics", _address(post.metrics_sock, loaded.config.metrics_listen.host))
    for notice in loaded.notices:
        log.warning("%s", notice)
    stated = host != loaded.config.listen.host  # of the config's own address a notice has said it already
    if stated and loaded.config.tls is None and not is_loopback(host):
        log.warning("listening beyond this machine without TLS: keys and conversations cross the network in the clear")


def _address(sock: socket.socket, host: str) -> str:
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{shown}:{sock.getsockname()[1]}"


def _silent() -> None:
    """A child's announcement: its parent has made it."""


def _work(post: Post, announce: Callable[[], None] = _silent, lifeline: int | None = None) -> int:
    """Serve in this process until a signal, or until the other end of `lifeline` (a descriptor) is closed."""
    try:
        import uvloop
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        return runner.run(_serve_until_signal(post, announce, lifeline))


async def _serve_until_signal(post: Post, announce: Callable[[], None], lifeline: int | None) -> int:
    loaded = post.loaded
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in STOPPING:
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, _orphaned, loop, lifeline, stop)
    app = App(loaded, post.sock, post.host, load=post.load, metrics_sock=post.metrics_sock, mirrors=not post.stale)
    await app.start()
    if app.watcher is not None:
        loop.add_signal_handler(signal.SIGHUP, app.watcher.ask)
    announce()
    recovered = app.book.recovered
    if recovered.count:
        log.warning(
            "%d open holds (%s) of a process that died were closed by `after_crash: %s`; see `oneapi ledger orphans`",
            recovered.count,
            format_usd(recovered.nanos),
            loaded.config.after_crash,
        )
    log.info("ready: %d channels, ledger %s", len(loaded.channels), loaded.ledger)
    await stop.wait()
    log.info("stopping: requests in flight may finish for %.0f s", loaded.config.grace)
    await app.stop()
    return 0


def _orphaned(loop: asyncio.AbstractEventLoop, lifeline: int, stop: asyncio.Event) -> None:
    """Nobody is left to pass signals on to this worker: it must not keep the port for itself."""
    loop.remove_reader(lifeline)
    log.error("the process that watched over worker %d is gone; stopping", os.getpid())
    stop.set()


def _supervise(post: Post, crew: Crew) -> int:
    """Keep the crew's children serving; a signal to us is one to each of them."""
    children: dict[int, float] = {}
    stopping = False
    pipe = os.pipe()

    def pass_on(number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = stopping or number in STOPPING
        for child in tuple(children):
            with suppress(ProcessLookupError):  # it has ended, and was not crossed out yet
                os.kill(child, number)

    for number in (*STOPPING, *([signal.SIGHUP] if post.load is not None else [])):
        signal.signal(number, pass_on)
    crew.announce()
    while not stopping or children:
        while not stopping and len(children) < crew.size:
            # Signals wait while a child is born: it must be among those that are told, and be deaf to none of them. One
            # that came just before has been heard by the time they are blocked.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
            if not stopping:
                children[_fork(post, pipe)] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        born = children.pop(pid, 0.0)
        forget_worker(pid)
        if not stopping:
            log.error("worker %d ended with status %d; starting another", pid, os.waitstatus_to_exitcode(status))
            if time.monotonic() - born < RESTART_SECONDS:
                time.sleep(RESTART_SECONDS)
            post = _refreshed(post)
    return 0


def _refreshed(post: Post) -> Post:
    """The same with the config as it now stands, as far as the others have taken it: a worker that starts later must
    neither undo that nor open another ledger."""
    if post.load is None:
        return post
    try:
        return post._replace(loaded=as_started(post.load(), post.loaded), stale=False)
    except ConfigError as error:
        log.error("the config as it stands is refused, so the new worker serves by an earlier one: %s", error)
        return post._replace(stale=True)


def _fork(post: Post, pipe: tuple[int, int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        if post.load is not None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        os.close(pipe[1])  # ours would keep the pipe open when the watcher dies
        code = _work(post, _silent, pipe[0])
    except BaseException:
        log.exception("worker %d failed", os.getpid())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
