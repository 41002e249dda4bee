"""The secret of this installation: one random value outside the database, and the keys made of it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
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

    def all(self) -> tuple[Secret, ...]:
        """What seals (the first) and what opens (each)."""
        return (self,)


class Secrets:
    """The secrets of an installation: the first one seals, each one opens, so that the first can be replaced.

    They are, in this order: what was given (CHATKEEP_KEY), what was given before (CHATKEEP_KEY_BEFORE), and the lines
    of secret.key in the data folder. The file is made at the first call when nothing is given, for its owner alone,
    and read again when another process has changed it. Two first calls at once end with the same secret.
    """

    def __init__(self, home: Path, *, given: str = "", before: str = "") -> None:
        self._path = home / FILE
        self._given = tuple(Secret(value) for value in (given, before) if value)
        self._is_given = bool(given)
        self._seen: tuple[int, int] = (0, 0)
        self._lines: tuple[Secret, ...] = ()

    def __repr__(self) -> str:
        return "Secrets(…)"

    def all(self) -> tuple[Secret, ...]:
        """What seals (the first) and what opens (each).

        Raises Damaged when the file holds no secret; Refused when the system does not let us read it.
        """
        if not self._is_given and not self._path.exists():
            _make(self._path)
        if self._is_given and not self._path.exists():
            return self._given
        found = self._path.stat()
        if self._seen != (found.st_ino, found.st_mtime_ns):
            self._lines = tuple(Secret(line) for line in _read(self._path))
            self._seen = (found.st_ino, found.st_mtime_ns)
        return self._given + self._lines if self._is_given else self._lines + self._given

    def begin_anew(self) -> None:
        """Put a new secret before those of the file; from now on it seals. One that is given stays what it is."""
        if not self._is_given:
            self.all()
            _replace(self._path, [secrets.token_urlsafe(48), *_read(self._path)])

    def drop_old(self) -> None:
        """Forget all but the one that seals: nothing that they sealed can be opened after this."""
        if self._is_given:
            self._path.unlink(missing_ok=True)
        else:
            _replace(self._path, _read(self._path)[:1])


def read_secret(home: Path, *, given: str = "") -> Secret:
    """The secret that seals in this installation, as `Secrets` finds it."""
    return Secrets(home, given=given).all()[0]


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="ascii").split()
    except PermissionError as error:
        raise Refused(f"{FILE} in the data folder may not be read.", hint="Check who owns it.") from error
    except UnicodeDecodeError:
        lines = []
    if not lines or any(len(line) < _SHORTEST for line in lines):
        raise Damaged(
            f"{FILE} in the data folder does not hold a secret.",
            hint="Put the file back from a copy, or delete it and connect again: vault and chats are not touched.",
        )
    return lines


def _make(path: Path) -> None:
    """Write a new secret under a name of its own, then link it into place: whole or absent, and never replaced."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = _beside(path, [secrets.token_urlsafe(48)])
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _replace(path: Path, lines: Sequence[str]) -> None:
    """Write the file anew: a crash leaves the old one or the new one, on disk when this returns."""
    _beside(path, lines).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _beside(path: Path, lines: Sequence[str]) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return temporary
