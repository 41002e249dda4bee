"""What the vault is given to save: an archive, seen as names, revisions and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO

import msgspec

Entry = tuple[str, str, str]
"""(id, revision, updated_at) of one conversation: revision is the SHA-256 of its canonical bytes in hex, updated_at
RFC 3339 with Z or ""."""


class ZstdFrame(msgspec.Struct, frozen=True):
    """A document that is already compressed: one zstd frame, made without a dictionary, and its plain size [bytes].

    It is decompressed and hashed to be sure, and then sealed as it is, which saves most of the work of a backup.
    """

    data: bytes
    size: int


class VaultAttachment(msgspec.Struct, frozen=True):
    """An attachment that the documents name. open is None when it is not held here but perhaps in the vault."""

    sha256: str
    size: int
    open: Callable[[], BinaryIO] | None = None


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """A whole archive, to be saved.

    entries: every conversation, sorted by id. load: the canonical bytes of one of them; called only for those that
    the vault does not hold, in the order of entries, always in the thread that called save. frames: those of some of
    them that are compressed already; what it leaves out is loaded.
    attachments: every one that a document names. tombstones: name -> bytes.
    counts: what snapshots are listed with; "messages" at least. Conversations, attachments and tombstones are
    counted by the vault itself.
    """

    entries: Iterable[Entry]
    load: Callable[[str], bytes]
    frames: Callable[[Sequence[str]], Mapping[str, ZstdFrame]] = lambda ids: {}
    attachments: Iterable[VaultAttachment] = ()
    tombstones: Mapping[str, bytes] = {}
    counts: Mapping[str, int] = {}
