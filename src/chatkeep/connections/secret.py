"""The secret of this installation: one random value outside the database, and the keys made of it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from chatkeep.errors import Damaged, Refused, WrongUse

FILE = "secret.key"
_SHORTEST = 32


class Secret:
    """A value that only this installation knows. Different purposes get keys that say nothing of one another."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if len(value) < _SHORTEST:
            raise WrongUse(
                f"CHATKEEP_KEY is shorter than {_SHORTEST} characters.",
                hint='Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"',
            )
        self._value = value.encode()

    def __repr__(self) -> str:
        return "Secret(…)"

    def key(self, purpose: str) -> bytes:
        """The key for one purpose [32 bytes], always the same for the same secret."""
        return hmac.digest(self._value, b"chatkeep/1/" + purpose.encode(), hashlib.sha256)


def read_secret(home: Path, *, given: str = "") -> Secret:
    """The secret that was given (CHATKEEP_KEY), else the one in the data folder, made at the first call.

    The file is readable by its owner alone. Two first calls at once end with the same secret.
    Raises Damaged when the file is there and holds none; Refused when the system does not let us read it.
    """
    if given:
        return Secret(given)
    path = home / FILE
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _make(path)
    try:
        value = path.read_text(encoding="ascii").strip()
    except PermissionError as error:
        raise Refused(f"{FILE} in the data folder may not be read.", hint="Check who owns it.") from error
    except UnicodeDecodeError:
        value = ""
    if len(value) < _SHORTEST:
        raise Damaged(
            f"{FILE} in the data folder does not hold a secret.",
            hint="Put the file back from a copy, or delete it and connect again: vault and chats are not touched.",
        )
    return Secret(value)


def _make(path: Path) -> None:
    """Write a new secret under a name of its own, then link it into place: whole or absent, and never replaced."""
    temporary = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
