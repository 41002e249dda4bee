"""A PostgreSQL of the tests' own: in a temporary folder, reached by a socket in it, gone with those who began it.

with running() as cluster:
    url = cluster.fresh()       # a new, empty database
"""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Barrier

SERVER = os.environ.get("CHATKEEP_TESTS") == "server"
"""Whether this run asks about a server, with PostgreSQL, instead of a laptop."""
DEBIANS = Path("/usr/lib/postgresql")
PATIENCE_S = 120.0
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10s",
    "log_min_messages": "fatal",
}


@cache
def binaries() -> Path:
    """The folder with initdb and postgres, of the newest version there is."""
    versions = sorted(DEBIANS.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    if found is None:
        raise RuntimeError("There is no PostgreSQL here: make packages")
    return Path(found).parent


class Cluster:
    """A server that runs. Its databases are reached by URLs, as `DATABASE_URL` has them."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = SETTINGS | settings
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://chatkeep@/{database}?host={self.folder}"

    def fresh(self, *, template: str = "template1") -> str:
        """The address of a new database: an empty one, or a copy of another that nobody is connected to."""
        name = f"fresh_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def execute(self, sql: str, *, database: str = "postgres") -> None:
        """Run a statement outside a transaction."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    @property
    def pid(self) -> int:
        """The server's process, to measure what it uses."""
        assert self._process is not None
        return self._process.pid

    def make(self) -> None:
        """Lay out the files of a new cluster."""
        own(self.folder)
        command = [binaries() / "initdb", "--auth=trust", "--no-sync", "--username=chatkeep", "--encoding=UTF8"]
        command += ["--locale=C.UTF-8", f"--pgdata={self.folder / 'data'}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **identity())  # type: ignore[call-overload]

    def start(self) -> None:
        """Begin to serve; back once it answers."""
        command = [str(binaries() / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        command += [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(  # type: ignore[call-overload]
            command, stdout=log, stderr=log, cwd="/", preexec_fn=_end_with_the_parent, **identity()
        )
        log.close()
        self._wait()

    def stop(self, *, immediately: bool = False) -> None:
        """End it: all connections are cut. immediately: as a crash, which it recovers from at the next start."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def _wait(self) -> None:
        import psycopg

        assert self._process is not None
        limit = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > limit:
                    raise RuntimeError((self.folder / "log").read_text()) from None
            time.sleep(0.05)


@contextmanager
def running(**settings: str) -> Iterator[Cluster]:
    """A cluster, while the block runs. settings: of postgres, beside SETTINGS."""
    folder = Path(tempfile.mkdtemp(prefix="chatkeep-pg-", dir="/tmp"))  # short: the path of a socket has 107 bytes
    cluster = Cluster(folder, **settings)
    try:
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        with suppress(subprocess.TimeoutExpired):
            cluster.stop(immediately=True)
        shutil.rmtree(folder, ignore_errors=True)


def cut(database: str) -> None:
    """Closes all connections of others to a database, as happens when the server is started anew."""
    import psycopg

    with psycopg.connect(database) as held:
        ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
        assert held.execute(f"{ended} AND pid <> pg_backend_pid()").fetchall()


def at_once(number: int, hold: Callable[[], AbstractContextManager[object]]) -> None:
    """Hold so many connections together, so that a pool keeps as many."""
    together = Barrier(number)

    def one(_: int) -> None:
        with hold():
            together.wait(PATIENCE_S)

    with ThreadPoolExecutor(number) as threads:
        list(threads.map(one, range(number)))


def identity() -> dict[str, object]:
    """As whom PostgreSQL runs: it refuses root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("There is no user here that PostgreSQL may run as.")


def own(folder: Path) -> None:
    """Give a folder to that user."""
    who = identity()
    if who:
        os.chown(folder, int(str(who["user"])), int(str(who["group"])))


def database_of(url: str) -> str:
    """The name of the database in a URL."""
    found = re.search(r"/([^/?]+)(?:\?|$)", url)
    assert found
    return found[1]


def _end_with_the_parent() -> None:
    """Tests that are killed leave no server behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG
