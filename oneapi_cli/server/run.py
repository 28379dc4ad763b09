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

from ..config.loaded import Loaded
from ..values.money import format_usd
from . import logs
from .app import App
from .edge import is_loopback

log = logging.getLogger("oneapi.server")

RESTART_SECONDS = 1.0
STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(
    loaded: Loaded,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    log_format: str = "rich",
    demo_key: str = "",
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code. Raises OSError when the address cannot be bound."""
    logs.set_up(log_format)
    host = host if host is not None else loaded.config.listen.host
    port = port if port is not None else loaded.config.listen.port
    sock = _bind(host, port)
    many = workers if workers is not None else loaded.config.workers
    _announce(loaded, sock, host, demo_key)
    if many == 1:
        return _work(loaded, sock, host)
    return _supervise(loaded, sock, host, many)


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


def _announce(loaded: Loaded, sock: socket.socket, host: str, demo_key: str) -> None:
    """Where we listen, on stdout, for people and scripts alike."""
    scheme = "https" if loaded.config.tls is not None else "http"
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    sys.stdout.write(f"oneapi is listening on {scheme}://{shown}:{sock.getsockname()[1]}\n")
    if demo_key:
        sys.stdout.write(f"key: {demo_key}\n")
    sys.stdout.flush()
    for notice in loaded.notices:
        log.warning("%s", notice)
    if loaded.config.tls is None and not is_loopback(host):
        log.warning("listening beyond this machine without TLS: keys and conversations cross the network in the clear")


def _work(loaded: Loaded, sock: socket.socket, host: str) -> int:
    """Serve in this process until a signal."""
    try:
        import uvloop
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        return runner.run(_serve_until_signal(loaded, sock, host))


async def _serve_until_signal(loaded: Loaded, sock: socket.socket, host: str) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in STOPPING:
        loop.add_signal_handler(number, stop.set)
    app = App(loaded, sock, host)
    await app.start()
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


def _supervise(loaded: Loaded, sock: socket.socket, host: str, many: int) -> int:
    """Keep `many` children serving; a signal to us is one to each of them."""
    children: dict[int, float] = {}
    stopping = False

    def pass_on(number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            os.kill(child, number)

    for number in STOPPING:
        signal.signal(number, pass_on)
    while not stopping or children:
        while not stopping and len(children) < many:
            # Signals wait while a child is born: it must be among those that are told, and be deaf to none of them.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
            children[_fork(loaded, sock, host)] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        born = children.pop(pid, 0.0)
        if not stopping:
            log.error("worker %d ended with status %d; starting another", pid, os.waitstatus_to_exitcode(status))
            if time.monotonic() - born < RESTART_SECONDS:
                time.sleep(RESTART_SECONDS)
    return 0


def _fork(loaded: Loaded, sock: socket.socket, host: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        code = _work(loaded, sock, host)
    except BaseException:
        log.exception("worker %d failed", os.getpid())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
