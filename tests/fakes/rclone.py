"""Stock rclone as a client of a fake, through the proxy: it knows the real addresses alone."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import RemoteDisconnected
from pathlib import Path

from fakes.given import Cloud

RETURN = "http://localhost:53682/"
"""Where rclone has browsers come back to; the port is fixed."""


class Rclone:
    """rclone with a configuration of its own. text: the remotes in it."""

    def __init__(self, cloud: Cloud, folder: Path, text: str = "") -> None:
        self.cloud = cloud
        self.config = folder / "rclone.conf"
        self.config.write_text(text)
        self.environment = {**os.environ, **cloud.front.environment(), "HOME": str(folder), "BROWSER": "true"}

    def _command(self, *words: str) -> list[str]:
        return ["rclone", "--config", str(self.config), "--retries", "1", "--low-level-retries", "3", *words]

    def __call__(self, *words: str) -> str:
        """All that it says. Fails where it fails."""
        command = self._command(*words)
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def sign_in(self, name: str, kind: str, **settings: str) -> None:
        """Make a remote as a person does who follows the link that is printed; the fake must consent by itself."""
        given = [f"{key}={value}" for key, value in {"config_is_local": "true", **settings}.items()]
        command = self._command("config", "create", name, kind, *given)
        with (
            _alone(),
            subprocess.Popen(
                command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as made,
        ):
            assert made.stdout
            said = []
            for line in made.stdout:
                said.append(line)
                if found := re.search(r"(http://127\.0\.0\.1:53682/auth\?state=\S+)", line):
                    _visit(found[1], self.cloud)
            assert made.wait(60) == 0, "".join(said)


def _visit(address: str, cloud: Cloud) -> None:
    """A browser that comes to the provider by the plain door of the fake instead of the address it was sent to."""

    class Door(urllib.request.HTTPRedirectHandler):
        def redirect_request(  # type: ignore[no-untyped-def]
            self, req, fp, code, msg, headers, newurl
        ) -> urllib.request.Request | None:
            return super().redirect_request(req, fp, code, msg, headers, newurl.replace("https://", f"{cloud.url}/", 1))

    # rclone stops listening as soon as it has the code, sometimes before it said thanks; whether it has it, it tells.
    with suppress(RemoteDisconnected), urllib.request.build_opener(Door).open(address) as page:
        assert page.status == 200


@contextmanager
def _alone() -> Iterator[None]:
    """No other test has rclone listen meanwhile."""
    with (Path(tempfile.gettempdir()) / "chatkeep-tests-rclone").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _wait_for_the_port()
        yield


def _wait_for_the_port() -> None:
    """The port is one of those that this machine gives to connections it makes; somebody's may have it for a while."""
    for _ in range(600):
        with socket.socket() as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", int(RETURN.rstrip("/").rpartition(":")[2])))
            return
        time.sleep(0.1)
    raise RuntimeError("another program listens where rclone has to")
