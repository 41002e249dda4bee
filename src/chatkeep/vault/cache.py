"""What this machine remembers of a vault, so that it need not be fetched again. Deleting it loses nothing.

    <folder>/<vault id>/index/<name>       the columns of an index object
    <folder>/<vault id>/snapshots/<name>   the JSON of a snapshot
    <folder>/<vault id>/cuts               how long documents and attachments were cut
    <folder>/<vault id>/feed               what the storage's feed of changes told, and its cursor
    <folder>/<vault id>/lately             what was put and deleted so lately, here or as told, that lists may lack it
    <folder>/<vault id>/damage             packs that a check found damaged
    <folder>/<vault id>/checked            when packs were read whole
    <folder>/<vault id>/read-back          the snapshot that was read back last
    <folder>/<vault id>/spool/<name>       a sealed pack, see spool.py

Objects of a vault never change, so an entry is right or absent. A file that was half written is found by its hash
and fetched anew. Nothing here is secret from this machine: the archive it was made of lies beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

Link = Callable[[Path], bool]
"""Gives a file a second name where nothing is yet; False when it cannot be done."""
Cuts = dict[str, list[bytes]]
"""For each revision of a document, or hash of an attachment, that was cut: the ids of its blobs, in order."""


class Cache:
    """The remembered objects of one vault. With no folder it remembers nothing."""

    def __init__(self, folder: Path | None, vault_id: str) -> None:
        self._folder = folder / vault_id[:16] if folder else None

    def get(self, name: str) -> bytes | None:
        """What was kept under a name, or None when there is nothing or it is not what was kept."""
        if self._folder is None:
            return None
        try:
            data = (self._folder / name).read_bytes()
        except OSError:
            return None
        return data[32:] if hashlib.sha256(data[32:]).digest() == data[:32] else None

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes under a name. A cache that cannot be written is no reason to stop."""
        if self._folder is None:
            return
        path = self._folder / name
        temporary = path.with_name(f".{secrets.token_hex(8)}")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(hashlib.sha256(data).digest() + data)
            temporary.replace(path)

    def put_named(self, name: str, data: bytes, *, link: Link | None = None) -> bool:
        """Keep bytes under a name that is their SHA-256 in its last part. False when they cannot be kept.

        link: gives a file that holds these bytes a second name, if it can.
        """
        if self._folder is None:
            return False
        path = self._folder / name
        temporary = path.with_name(f".{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not (link and link(temporary)):
                temporary.write_bytes(data)
            temporary.replace(path)
        except OSError:
            return False
        finally:  # of two names of one file, renaming one to the other leaves both
            temporary.unlink(missing_ok=True)
        return True

    def get_named(self, name: str) -> bytes | None:
        """What put_named kept, or None when there is nothing or it is not what the name says."""
        if self._folder is None:
            return None
        try:
            data = (self._folder / name).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == name.rpartition("/")[2] else None

    def drop(self, name: str) -> None:
        """Forget what is under a name."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        """What is kept in a folder of the cache."""
        if self._folder is None:
            return []
        with contextlib.suppress(OSError):
            return [path.name for path in (self._folder / folder).iterdir() if not path.name.startswith(".")]
        return []

    def keep_only(self, folder: str, names: Iterable[str]) -> None:
        """Drop what is in a folder of the cache and no longer in the vault."""
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            for gone in set(self.names(folder)) - set(names):
                (self._folder / folder / gone).unlink(missing_ok=True)

    def cuts(self) -> Cuts:
        data = self.get("cuts")
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.msgpack.decode(data, type=Cuts) if data else {}
        return {}

    def put_cuts(self, cuts: Cuts) -> None:
        self.put("cuts", msgspec.msgpack.encode(cuts))
