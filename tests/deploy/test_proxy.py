"""The proxy of compose.yaml, with certificates of its own making, before a real server."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from deploy.running import chatkeep, serving, settings
from postgres import Cluster

CADDYFILE = Path(__file__).parent.parent.parent / "deploy" / "Caddyfile"
# On this machine: other ports, no account with a certificate authority, nothing put into the system's store.
HERE = """{{
	http_port {http}
	https_port {https}
	admin off
	local_certs
	skip_install_trust
	storage file_system {{
		root {folder}
	}}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def ask(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, Message]:
    """Status and headers of an answer."""
    with contextlib.closing(connection):
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers


def over_tls(port: int, path: str, **headers: str) -> tuple[int, Message]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # its authority is a minute old
    return ask(http.client.HTTPSConnection("localhost", port, timeout=20, context=context), path, **headers)


@pytest.fixture
def fronted(cluster: Cluster, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The ports of a proxy before a server: http and https."""
    plain, secure = free_port(), free_port()
    environment = settings(tmp_path, database=cluster.fresh(), url="https://localhost")
    chatkeep("server", "migrate", environment=environment)
    config = tmp_path / "Caddyfile"
    config.write_text(HERE.format(http=plain, https=secure, folder=tmp_path / "caddy") + CADDYFILE.read_text())
    with serving(environment) as port:
        there = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SITE": "localhost",
            "UPSTREAM": f"127.0.0.1:{port}",
        }
        valid = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(config)]
        subprocess.run(valid, env=there, check=True, capture_output=True, timeout=60)
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]
        with subprocess.Popen(command, env=there, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as proxy:
            try:
                wait_for(secure)
                yield plain, secure
            finally:
                proxy.send_signal(signal.SIGTERM)
                proxy.wait(30)


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            over_tls(port, "/health")
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.mark.slow
def test_people_come_over_tls_with_cookies_bound_to_the_host(fronted: tuple[int, int]) -> None:
    plain, secure = fronted
    _, headers = over_tls(secure, "/")
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    cookies = headers.get_all("Set-Cookie") or []
    assert all(cookie.startswith("__Host-") and "Secure" in cookie for cookie in cookies)
    status, headers = ask(http.client.HTTPConnection("localhost", plain, timeout=20), "/")
    assert (status, headers["Location"].split(":")[0]) == (308, "https")


@pytest.mark.slow
def test_nobody_outside_can_say_that_they_came_without_tls(fronted: tuple[int, int]) -> None:
    """Chatkeep alone would believe it, as the test of its processes shows: the proxy is what stands between."""
    _, secure = fronted
    status, headers = over_tls(secure, "/health", X_Forwarded_Proto="http", X_Forwarded_For="6.6.6.6")
    assert status == 200
    assert "Strict-Transport-Security" in headers
