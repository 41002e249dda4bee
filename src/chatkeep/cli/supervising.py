"""Programs that run together until they are told to end; each that ends before is begun again, however it ended."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

PATIENCE_S = 60.0
"""How long programs may take to end; those that work give their work back in less."""
QUICKEST_S, LONGEST_PAUSE_S = 5.0, 30.0
"""A program that lived for less is begun again after a pause, longer each time."""

_log = logging.getLogger(__name__)


class Together:
    """As many programs as asked for, always."""

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._commands = commands
        self._told = threading.Event()

    def run(self) -> None:
        """Returns after SIGTERM or SIGINT, when all have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._told.set())
        threads = [threading.Thread(target=self._keep, args=(command,)) for command in self._commands]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)  # signals come to this thread alone

    def _keep(self, command: Sequence[str]) -> None:
        pause_s = 1.0
        while not self._told.is_set():
            begun = time.monotonic()
            # A group of its own: Ctrl-C reaches us, and we say when to end.
            process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - programs of ours
            while process.poll() is None and not self._told.wait(0.2):
                pass
            if self._told.is_set():
                _end(process)
                return
            pause_s = 1.0 if time.monotonic() - begun > QUICKEST_S else min(pause_s * 2, LONGEST_PAUSE_S)
            _log.warning("%s ended with %s and is begun again", command[-1], process.returncode)
            self._told.wait(pause_s)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
