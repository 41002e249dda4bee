"""A storage in a folder of this computer: a disk, a stick, a network share, a folder that another program
syncs.

An object is a file of the same relative name. It is written under a temporary name in `.partial` at the top
of the folder, synced, renamed into place, and its folder synced, so that a crash or a power cut leaves the
old object, or the new one, or a leftover in `.partial` that nobody lists and that is swept away a day
later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from chatkeep.errors import ChatkeepError, NotFound, QuotaFull, Refused, Unavailable
from chatkeep.providers.provider import Means, Provider
from chatkeep.storage import StoredObject, Traits, check_name, check_put, check_range

PARTIAL = ".partial"
SWEEP_AFTER_S = 24 * 3600
_NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag, and needs the other one
_BINARY: int = getattr(os, "O_BINARY", 0)

_ERRORS: dict[int, tuple[type[ChatkeepError], str]] = {
    errno.ENOSPC: (QuotaFull, "The disk is full"),
    errno.EDQUOT: (QuotaFull, "The disk quota is used up"),
    errno.EFBIG: (QuotaFull, "The file system takes no file of this size"),
    errno.ENOENT: (NotFound, "Not there"),
    errno.ENOTDIR: (NotFound, "Not there"),
    errno.EISDIR: (NotFound, "Not a file"),
    errno.EACCES: (Refused, "The system does not allow this"),
    errno.EPERM: (Refused, "The system does not allow this"),
    errno.EROFS: (Refused, "The disk can only be read"),
    errno.EEXIST: (Refused, "A file stands where a folder is needed"),
    errno.EINVAL: (Refused, "The file system does not take this name"),
    errno.EILSEQ: (Refused, "The file system does not take this name"),
    errno.ENAMETOOLONG: (Refused, "The file system does not take a name of this length"),
}


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind, what = _ERRORS.get(error.errno or 0, (Unavailable, "The disk does not answer as it should"))
        raise kind(f"{what}: {name}.") from error


def _sync_folder(path: Path) -> None:
    if sys.platform == "win32":  # a folder cannot be opened there; renames are journalled
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _stored(name: str, status: os.stat_result) -> StoredObject:
    return StoredObject(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


class Folder:
    """Named bytes as files below one folder.

    new: make the folder where it is not there. Raises Unavailable when it is not there and was not to be
        made.
    Links are never followed: what they lead to is not ours.
    """

    traits = Traits(folds_case=sys.platform in ("win32", "darwin"))

    def __init__(self, path: Path, *, new: bool = False) -> None:
        with _translated(str(path)):
            if new:
                path.mkdir(parents=True, exist_ok=True)
            elif not path.is_dir():
                raise Unavailable(
                    f"The folder {path} is not there.",
                    hint="Plug in the disk or connect the share, then try again.",
                )
            self.path = path.resolve()
            self._ready: set[Path] = {self.path}
            self._sweep()

    def _sweep(self) -> None:
        """Remove what crashed puts left behind long ago; a young file may be another process at work."""
        with contextlib.suppress(OSError):
            for left in (self.path / PARTIAL).iterdir():
                if time.time() - left.stat().st_mtime > SWEEP_AFTER_S:
                    left.unlink()

    def _file(self, name: str) -> Path:
        check_name(name)
        if name.split("/")[0] == PARTIAL:
            raise Refused(f"{PARTIAL} is where the folder keeps unfinished files.")
        path = self.path / name
        if path.parent not in self._ready and path.parent.resolve() != path.parent:
            raise Refused(f"{name} leads out of the folder.")
        return path

    def _make(self, folder: Path) -> None:
        """Make a folder and all above it, durably. A folder that is known to be there costs nothing."""
        if folder in self._ready:
            return
        self._make(folder.parent)
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)
        self._ready.add(folder)

    def put(self, name: str, data: bytes) -> StoredObject:
        check_put(name, data)
        with _translated(name):
            path = self._file(name)
            if not self.path.is_dir():
                raise Unavailable(f"The folder {self.path} is not there any more.")
            try:
                return self._put(name, path, data)
            except FileNotFoundError:  # somebody removed a folder that we had seen
                self._ready = {self.path}
                return self._put(name, path, data)

    def _put(self, name: str, path: Path, data: bytes) -> StoredObject:
        self._make(self.path / PARTIAL)
        self._make(path.parent)
        if path.is_dir():
            raise Refused(f"{name} is a folder.")
        temporary = self.path / PARTIAL / secrets.token_hex(16)
        try:
            status = _write(temporary, data)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        return _stored(name, status)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        with _translated(name):
            handle = os.open(self._file(name), os.O_RDONLY | _NO_LINKS | _BINARY)
            with os.fdopen(handle, "rb", buffering=0) as file:
                size = self._regular(name, os.fstat(handle)).st_size
                file.seek(start)
                return _read(handle, max(0, min(size - start, size if length is None else length)))

    def _regular(self, name: str, status: os.stat_result) -> os.stat_result:
        if not stat.S_ISREG(status.st_mode):
            raise NotFound(f"{name} is not there.")
        return status

    def stat(self, name: str) -> StoredObject:
        with _translated(name):
            return _stored(name, self._regular(name, self._file(name).lstat()))

    def listing(self, prefix: str = "") -> list[StoredObject]:
        with _translated(prefix):
            if not self.path.is_dir():
                raise Unavailable(f"The folder {self.path} is not there any more.")
            top = prefix.rpartition("/")[0]
            if top:
                self._file(top + "/any")
            found = [stored for stored in self._below(top) if stored.name.startswith(prefix)]
        return sorted(found, key=lambda stored: stored.name)

    def _below(self, top: str) -> Iterator[StoredObject]:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(self.path / folder) as entries:
                    for entry in entries:
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            waiting += [name] if name != PARTIAL else []
                        elif entry.is_file(follow_symlinks=False):
                            with contextlib.suppress(FileNotFoundError):  # deleted while we looked
                                yield _stored(name, entry.stat(follow_symlinks=False))
            except (FileNotFoundError, NotADirectoryError):
                continue

    def delete(self, name: str) -> None:
        with _translated(name):
            path = self._file(name)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()

    def move(self, old: str, new: str) -> None:
        """Rename the file, whatever its size. See storage.move."""
        with _translated(old):
            path, target = self._file(old), self._file(new)
            self._regular(old, path.lstat())
            if target.is_dir():
                raise Refused(f"{new} is a folder.")
            self._make(target.parent)
            path.replace(target)
            _sync_folder(target.parent)
            _sync_folder(path.parent)

    def watch(self, name: str) -> Callable[[], None]:
        """Have an object removed when this process ends, however it ends, or the function given back is called.

        A shell waits for the end of a pipe that only this process holds open. See storage.watch.
        """
        command = ["/bin/sh", "-c", 'read -r _; rm -f -- "$1"', "sh", str(self._file(name))]
        quiet = subprocess.DEVNULL
        try:
            shell = subprocess.Popen(  # noqa: S603 - a fixed script; the name is an argument and not part of it
                command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True
            )
        except OSError:  # no shell here; the object stays until it grows stale
            return lambda: None
        return lambda: _end(shell)

    def link(self, name: str, path: Path) -> bool:
        """Give the file a second name on the same disk. See storage.link."""
        try:
            file = self._file(name)
            self._regular(name, file.lstat())
            os.link(file, path)
        except (OSError, NotFound):
            return False
        return True

    def close(self) -> None:
        """Nothing is held open."""


def _end(shell: subprocess.Popen[bytes]) -> None:
    if shell.stdin and not shell.stdin.closed:
        shell.stdin.close()
        shell.wait()


def _write(path: Path, data: bytes) -> os.stat_result:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    with os.fdopen(handle, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(handle)
        return os.fstat(handle)


def _read(handle: int, wanted: int) -> bytes:
    data = os.read(handle, wanted)
    while len(data) < wanted and (more := os.read(handle, wanted - len(data))):
        data += more
    return data


def _open(settings: Mapping[str, str], new: bool, means: Means | None) -> Folder:
    return Folder(Path(settings["path"]).expanduser(), new=new)


FOLDER = Provider(name="folder", title="A folder on this computer", needs=("path",), open=_open)
