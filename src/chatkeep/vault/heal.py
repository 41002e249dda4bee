"""What this machine knows to be damaged in a vault, so that the next backup writes it anew.

A check tells which packs are damaged or missing. From then on a backup does not count on anything in them: documents,
attachments and folders that this machine has are written into new packs, and tidying saves what is still good of a
damaged pack, then lets it go. What nobody has any more stays listed as damaged for as long as a snapshot names it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable

import msgspec

from chatkeep.vault.cache import Cache

_KEPT = "damage"


class Damage:
    """The packs known to be damaged or missing, kept in the cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.packs: set[str] = set()
        with contextlib.suppress(msgspec.DecodeError):
            kept = cache.get(_KEPT)
            self.packs = msgspec.msgpack.decode(kept, type=set[str]) if kept else set()

    def learn(self, *, bad: Iterable[str] = (), good: Iterable[str] = ()) -> None:
        """These packs were found damaged or missing; those were found whole."""
        self._set((self.packs | set(bad)) - set(good))

    def keep_only(self, named: Container[str]) -> None:
        """Forget packs that the index does not name any more."""
        self._set({pack for pack in self.packs if pack in named})

    def _set(self, packs: set[str]) -> None:
        if packs != self.packs:
            self.packs = packs
            self._cache.put(_KEPT, msgspec.msgpack.encode(packs))
