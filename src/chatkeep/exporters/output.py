"""Where an export goes: a folder, a zip, one file, or a stream.

Each takes named texts and files. What stands under its final name is complete: files are written beside and renamed,
a zip or single file appears at the end. When something fails, what was begun is removed; in a folder, files that were
complete stay. What a program left that was killed is removed by the next export to the same place, a day later.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterable, Iterator
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from chatkeep.errors import QuotaFull, Refused, WrongUse

_PACKED = frozenset(
    {".avif", ".docx", ".epub", ".gz", ".jpg", ".mov", ".mp3", ".mp4", ".png", ".webp", ".xlsx", ".zip"}
)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip of equal conversations has equal bytes
_PIECE = 1 << 20
_UNFINISHED = ".chatkeep-"
_STALE_S = 86_400


class Output(Protocol):
    """A place that takes files by name. Use it in a with statement; leaving it by an exception abandons it.

    single: everything goes into one file, names mean nothing, and there is no place for attachments.
    """

    single: bool

    def write(self, name: str, pieces: Iterable[bytes]) -> int:
        """Write a file; returns its size [bytes]. name: relative, with forward slashes, safe (`names`)."""
        ...

    def copy(self, name: str, path: Path) -> int:
        """Write a file that is a copy of another; returns its size [bytes]."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Folder:
    """Files below a folder, which is made if it is not there. Files of the same name are replaced, others stay."""

    single = False

    def __init__(self, path: Path) -> None:
        self._root = path
        self._staging = path / f"{_UNFINISHED}{secrets.token_hex(4)}"
        self._known: set[str] = set()
        self._beside = f"{self._staging}{os.sep}file"

    def write(self, name: str, pieces: Iterable[bytes]) -> int:
        target = self._target(name)
        size = _write(self._beside, pieces)
        os.replace(self._beside, target)  # noqa: PTH105 - a path takes longer to make than the file to rename
        return size

    def copy(self, name: str, path: Path) -> int:
        with path.open("rb", buffering=0) as file:
            return self.write(name, _read(file, path))

    def _target(self, name: str) -> str:
        """Where a file goes, in a folder that is there."""
        folder = name.rpartition("/")[0]
        if folder not in self._known:
            (self._root / folder).mkdir(parents=True, exist_ok=True)
            self._known.add(folder)
        return f"{self._root}/{name}"

    def __enter__(self) -> Self:
        try:
            self._staging.mkdir(parents=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise WrongUse(f"{self._root.name} is a file, not a folder.") from error
        except PermissionError as error:
            raise _refused(self._root) from error
        _sweep(self._root, _UNFINISHED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)
        if error is None:
            for folder in sorted({"", *self._known}):
                _sync_folder(self._root / folder)
        _translate(error)


class _Whole:
    """One file that appears when all of it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begins = f".{path.name[:80]}{_UNFINISHED}"
        self._beside = path.with_name(f"{self._begins}{secrets.token_hex(4)}")
        self._file: BinaryIO | None = None

    def _opened(self) -> BinaryIO:
        if self._path.is_dir():
            raise WrongUse(f"{self._path.name} is a folder, not a file.")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._beside.open("xb")
        except PermissionError as error:
            raise _refused(self._path.parent) from error
        _sweep(self._path.parent, self._begins)
        return self._file

    def _closed(self, error: BaseException | None) -> None:
        if self._file is None:
            return
        try:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._beside.replace(self._path)
                _sync_folder(self._path.parent)
        finally:
            self._file.close()
            self._beside.unlink(missing_ok=True)
        _translate(error)


class Zip(_Whole):
    """Files in a zip that appears when it is complete. Equal files give an equal zip."""

    single = False

    def __enter__(self) -> Self:
        self._zip = zipfile.ZipFile(self._opened(), "w", zipfile.ZIP_DEFLATED)
        return self

    def write(self, name: str, pieces: Iterable[bytes]) -> int:
        return self._add(_entry(name), pieces)

    def copy(self, name: str, path: Path) -> int:
        entry = _entry(name)
        if path.stat().st_size > zipfile.ZIP64_LIMIT // 2:
            entry.file_size = path.stat().st_size
        if Path(name).suffix in _PACKED:
            entry.compress_type = zipfile.ZIP_STORED
        with path.open("rb") as file:
            return self._add(entry, iter(lambda: file.read(_PIECE), b""))

    def _add(self, entry: zipfile.ZipInfo, pieces: Iterable[bytes]) -> int:
        size = 0
        with self._zip.open(entry, "w") as file:
            for piece in pieces:
                size += file.write(piece)
        return size

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._zip.close()
        else:  # what it still wants to write goes into the file that is thrown away
            with contextlib.suppress(OSError, ValueError):
                self._zip.close()
        self._closed(error)


class OneFile(_Whole):
    """Everything in one file that appears when it is complete."""

    single = True

    def __enter__(self) -> Self:
        self._opened()
        return self

    def write(self, name: str, pieces: Iterable[bytes]) -> int:
        return _pour(pieces, self._opened() if self._file is None else self._file)

    def copy(self, name: str, path: Path) -> int:
        raise WrongUse("A single file has no place for attachments.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed(error)


class Stream:
    """Everything into a stream, as it comes."""

    single = True

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, name: str, pieces: Iterable[bytes]) -> int:
        return _pour(pieces, self._stream)

    def copy(self, name: str, path: Path) -> int:
        raise WrongUse("A stream has no place for attachments.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()


def output_at(place: str | Path, *, stream: BinaryIO, suffixes: Iterable[str]) -> Output:
    """The output that a person means by a path: "-" the stream, a `.zip`, one file if the path ends in a suffix of an
    export format (and no folder is there), else a folder."""
    path = Path(place)
    if str(place) == "-":
        return Stream(stream)
    if path.is_dir() or str(place).endswith(("/", os.sep)):
        return Folder(path)
    if path.suffix.lower() == ".zip":
        return Zip(path)
    return OneFile(path) if path.suffix.lower() in set(suffixes) else Folder(path)


# ------------------------------------------------------------------ writing


def _sweep(folder: Path, beginning: str) -> None:
    """Removes what has a name of an unfinished export and was not written to for a day; nothing else is touched."""
    name = re.compile(re.escape(beginning) + "[0-9a-f]{8}")
    with contextlib.suppress(OSError):  # whoever may write there may not always look, or remove
        for left in [Path(entry) for entry in os.scandir(folder) if name.fullmatch(entry.name)]:
            if left.stat().st_mtime < time.time() - _STALE_S:
                if left.is_dir():
                    (left / "file").unlink(missing_ok=True)
                    left.rmdir()
                else:
                    left.unlink()


def _write(path: str, pieces: Iterable[bytes]) -> int:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    try:
        return sum(_write_all(file, piece) for piece in pieces)
    finally:
        os.close(file)


def _read(file: RawIOBase, path: Path) -> Iterator[bytes]:
    """The pieces of a file. What cannot be read is named by the error, as the system names what cannot be opened."""
    try:
        while piece := file.read(_PIECE):
            yield piece
    except OSError as error:
        error.filename = str(path)
        raise


def _write_all(file: int, data: bytes) -> int:
    written = os.write(file, data)
    while written < len(data):
        written += os.write(file, memoryview(data)[written:])
    return written


def _pour(pieces: Iterable[bytes], file: BinaryIO) -> int:
    return sum(file.write(piece) for piece in pieces)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _sync_folder(path: Path) -> None:
    """Make the names in a folder last; some systems cannot, and write them when they please."""
    try:
        folder = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        os.fsync(folder)
    except OSError:
        return
    finally:
        os.close(folder)


def _refused(path: Path) -> Refused:
    return Refused(f"{path.name} may not be written to.", hint="Choose another place, or change its permissions.")


def _translate(error: BaseException | None) -> None:
    """Say what the system says in words that callers know."""
    if isinstance(error, PermissionError):
        raise Refused("The export may not be written there.", hint="Choose another place.") from error
    if isinstance(error, OSError) and error.errno in _FULL:
        raise QuotaFull("There is no space left for the export.") from error


_FULL = frozenset({28, 122})  # ENOSPC, EDQUOT
