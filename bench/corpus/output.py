"""Where a corpus goes: a zip or a folder, whole under its name or not there."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class Zip(AbstractContextManager["Zip"]):
    """A zip that is written beside its place and then moved into it."""

    def __init__(self, path: Path, *, level: int) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".part")
        self.zip = zipfile.ZipFile(self.partial, "w", zipfile.ZIP_DEFLATED, compresslevel=level)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.zip.close()
        if kind is None:
            self.partial.replace(self.path)
        else:
            self.partial.unlink()

    def write(self, name: str, data: bytes) -> None:
        # Opened by name, a member gets the fixed date 1980-01-01.
        with self.zip.open(name, "w") as stream:
            stream.write(data)

    def stream(self, name: str) -> IO[bytes]:
        return self.zip.open(name, "w", force_zip64=True)


class Folder(AbstractContextManager["Folder"]):
    """A folder that is written beside its place and then moved into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".part")

    def __enter__(self) -> Self:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
            self.partial.replace(self.path)
        else:
            shutil.rmtree(self.partial)

    def write(self, name: str, data: bytes) -> None:
        target = self.partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


class Content:
    """Counts and hashes the conversation data on its way out."""

    def __init__(self) -> None:
        self.bytes = 0
        self.hash = hashlib.sha256()

    def seen(self, data: bytes) -> bytes:
        self.bytes += len(data)
        self.hash.update(data)
        return data
