"""Several processes that answer on one port, for a server: each is started again when it ends.

The first process holds the port, or is handed it by systemd, and does nothing else: it has no Django and no threads,
so that it can fork at any moment. What comes meanwhile waits at the port. SIGTERM or SIGINT: no process takes a new
request, those under way are answered, then all end. SIGHUP: the processes are replaced one after the other, so that
new secrets and settings in files are used and nobody is turned away.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Collection
from typing import Any

PATIENCE_S = 25.0
"""How long requests under way may take after SIGTERM; systemd and Kubernetes kill after 30 s or more."""
QUICKEST_S = 1.0
"""A process that lived for less is followed by a pause as long, so that a broken one takes no whole processor."""
IDLE_S = 1.0
"""A connection that was silent for so long is closed when its process ends."""
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_FIRST_HANDED = 3
_log = logging.getLogger(__name__)

Answer = Callable[[socket.socket], None]
"""Answers requests at a listening socket until SIGTERM, in a process of its own."""


def handed_over() -> socket.socket | None:
    """The listening socket that systemd hands over, if it does: then nobody is turned away while we restart."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=_FIRST_HANDED)


class Processes:
    """As many processes as asked for, always, until a signal ends them all."""

    def __init__(self, listener: socket.socket, answer: Answer, *, count: int) -> None:
        self._listener = listener
        self._answer = answer
        self._count = count
        self._born: dict[int, float] = {}

    def run(self) -> None:
        """Keep the processes running; returns after SIGTERM or SIGINT, when all have ended.

        Signals are taken one by one, when it suits: none can come between a fork and what follows it.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        try:
            self._fill()
            while (heard := signal.sigwait(_HEARD)) not in (signal.SIGTERM, signal.SIGINT):
                if heard == signal.SIGHUP:
                    self._replace()
                self._fill()
            self._end(list(self._born))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _fill(self) -> None:
        for pid, lived_s in self._gather():
            _log.warning("Process %s ended; another one takes its place", pid)
            if lived_s < QUICKEST_S:
                time.sleep(QUICKEST_S)
        while len(self._born) < self._count:
            self._bear()

    def _bear(self) -> None:
        pid = os.fork()
        if pid:
            self._born[pid] = time.monotonic()
            return
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process says when to end
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            self._answer(self._listener)
            code = 0
        except BaseException:
            _log.exception("A process that answers requests broke off")
        finally:
            os._exit(code)

    def _gather(self) -> list[tuple[int, float]]:
        """Which processes have ended since the last look, and for how long they lived [s]."""
        ended = []
        for pid, born in list(self._born.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._born[pid]
                ended.append((pid, time.monotonic() - born))
        return ended

    def _replace(self) -> None:
        """One after the other: first a new one, and time for it to begin, then the old one ends."""
        for old in list(self._born):
            self._bear()
            time.sleep(QUICKEST_S)
            self._end([old])

    def _end(self, pids: Collection[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + PATIENCE_S + 2
        while self._born.keys() & set(pids) and time.monotonic() < until:
            self._gather()
            time.sleep(0.02)
        for pid in self._born.keys() & set(pids):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self._born[pid]


def answer_until_told(application: Any, listener: socket.socket, *, threads: int, trusted_proxy: bool) -> None:
    """Answer requests until SIGTERM; then take no new one, finish those under way, and return."""
    from waitress.server import create_server

    # What a client says about itself in these headers is dropped, unless a proxy in front is trusted to have said it.
    said = {"x-forwarded-for", "x-forwarded-proto"}
    trust: dict[str, Any] = {"trusted_proxy": "*", "trusted_proxy_count": 1, "trusted_proxy_headers": said}
    server: Any = create_server(
        application,
        sockets=[listener],
        threads=threads,
        connection_limit=1000,
        max_request_body_size=1 << 40,
        clear_untrusted_proxy_headers=True,
        ident="",
        **(trust if trusted_proxy else {}),
    )
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # else a line for each request that waits for a thread
    told: list[int] = []

    def tell(number: int, frame: object) -> None:
        told.append(number)
        server.pull_trigger()  # wakes the loop

    signal.signal(signal.SIGTERM, tell)
    while not told:
        server.asyncore.loop(timeout=30, map=server._map, use_poll=True, count=1)
    _finish(server)


def _finish(server: Any) -> None:
    """Answer what was asked, for at most PATIENCE_S, and close what is only kept open."""
    from waitress import wasyncore

    wasyncore.dispatcher.close(server)  # here alone: the other processes go on listening
    until = time.monotonic() + PATIENCE_S
    while server.active_channels and time.monotonic() < until:
        for channel in list(server.active_channels.values()):
            is_idle = not (channel.requests or channel.request or channel.total_outbufs_len)
            if is_idle and time.time() - channel.last_activity > IDLE_S:  # a request may be on its way to a younger one
                channel.handle_close()
        server.asyncore.loop(timeout=0.05, map=server._map, use_poll=True, count=1)
    server.task_dispatcher.shutdown()
