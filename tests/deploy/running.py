"""A server as an operator starts it, for tests: settings in files, the port held open by whoever starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).parent.parent.parent / "src"
KEY = "a3nRf0-secret-of-a-server-7Qx_kLmZ9"


def settings(folder: Path, *, database: str, url: str = "https://chats.example") -> dict[str, str]:
    """What an operator sets, with secrets in files of this folder."""
    (folder / "key").write_text(KEY + "\n")
    (folder / "database").write_text(database + "\n")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "CHATKEEP_HOME": str(folder / "home"),
        "CHATKEEP_KEY_FILE": str(folder / "key"),
        "DATABASE_URL_FILE": str(folder / "database"),
        "CHATKEEP_PUBLIC_URL": url,
        "CHATKEEP_TRUSTED_PROXY": "1",
        "CHATKEEP_LOG_LEVEL": "info",
    }


def chatkeep(*arguments: str, environment: dict[str, str]) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "chatkeep", *arguments], env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[int]:
    """The port of a server that answers."""
    command = [sys.executable, "-c", LISTENS]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout
            found = re.search(r"\d+", running.stdout.readline())
            assert found
            yield int(found[0])
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0


# The port is taken before Chatkeep starts, as systemd does, so that the test knows it.
LISTENS = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
print(listener.getsockname()[1], flush=True)
os.execv(sys.executable, [sys.executable, "-m", "chatkeep", "serve"])
"""


def get(port: int, path: str, **headers: str) -> urllib.request.addinfourl:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": "chats.example", **given})
    return urllib.request.build_opener(NoRedirect).open(asked, timeout=60)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: object, fp: object, code: int, msg: str, headers: object) -> object:
        return fp
