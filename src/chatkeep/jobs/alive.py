"""Which processes on this machine still live, so that the work of one that was killed is taken up at once.

Every process that works holds a lock on a file of its own beside the database. The system drops the lock when the
process ends, however it ends. Where there are no such locks (Windows, a shared database), nobody is known to be dead,
and silence alone decides (`chatkeep.jobs.lease`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from pathlib import Path

from django.db import connection

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FOLDER = "running"
_held: dict[Path, tuple[int, str]] = {}
_lock = threading.Lock()


def mine() -> str:
    """The name of this process, whose file it holds from now on; "" where processes cannot be told apart."""
    folder = _folder()
    if folder is None:
        return ""
    with _lock:
        held = _held.get(folder)
        if held is None or held[0] != os.getpid():  # a fork does not inherit the lock
            _sweep(folder)
            held = _held[folder] = (os.getpid(), _hold(folder))
        return held[1]


def is_dead(owner: str) -> bool:
    """Whether the process of this name has surely ended. False where that cannot be known."""
    folder = _folder()
    if not owner or folder is None:
        return False
    held = _held.get(folder)
    if held == (os.getpid(), owner):
        return False
    return _is_free(folder / owner)


def _folder() -> Path | None:
    """Where the files are: beside the database, if that is a file on a system with locks."""
    name = connection.settings_dict["NAME"]
    return Path(name).parent / FOLDER if fcntl and connection.vendor == "sqlite" else None


def _hold(folder: Path) -> str:
    """Make a file that is locked before anybody can see it under its name; it stays open as long as the process."""
    name = f"{os.getpid()}-{secrets.token_hex(6)}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    hidden = folder / f".{name}"
    file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # a file system without locks
        os.close(file)
        hidden.unlink(missing_ok=True)
        return ""
    hidden.rename(folder / name)
    return name


def _is_free(path: Path) -> bool:
    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:  # swept away, which is done to files of the dead alone
        return True
    except OSError:
        return False
    return True


def _sweep(folder: Path) -> None:
    """Remove the files of processes that have ended."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if not path.name.startswith(".") and _is_free(path):
                path.unlink(missing_ok=True)
