"""Sealed packs that this machine sends, kept for a day: a pack that vanished is sent again, and a run that was killed
goes on with the same bytes.

Small packs stay longer, until they were merged into large ones, so that merging them fetches nothing. What is kept is
sealed as it is in the vault. The spool is bounded; what has no room is not kept, and then a run that was killed seals
anew what no index names yet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable
from datetime import datetime, timedelta

import msgspec

from chatkeep.vault.cache import Cache, Link
from chatkeep.vault.pack import Pack

KEPT_FOR = timedelta(hours=24)
ROOM = 512 * 1024 * 1024
"""How much is kept at most [bytes]."""
SMALL = 4 * 1024 * 1024
"""A pack below this is worth merging with others [bytes]."""

_FOLDER = "spool/"
_LIST = "spooled"


class _Held(msgspec.Struct, array_like=True):
    """size [bytes]; since: when it was kept [s since 1970]."""

    size: int
    since: float


class Spool:
    """The packs kept on this machine for one vault. With no folder it keeps nothing."""

    def __init__(self, cache: Cache, clock: Callable[[], datetime]) -> None:
        self._cache = cache
        self._clock = clock
        self._held: dict[str, _Held] = {}
        with contextlib.suppress(msgspec.DecodeError):
            listed = cache.get(_LIST)
            self._held = msgspec.msgpack.decode(listed, type=dict[str, _Held]) if listed else {}

    def keep(self, pack: Pack, *, link: Link | None = None) -> None:
        """Keep a pack, if there is room. link: gives the file that holds it already a second name, if it can."""
        size = len(pack.data)
        if sum(held.size for held in self._held.values()) + size > ROOM:
            return
        if self._cache.put_named(_FOLDER + pack.id, pack.data, link=link):
            self._held[pack.id] = _Held(size, self._clock().timestamp())
            self._list()

    def get(self, pack_id: str) -> bytes | None:
        """The bytes of a pack, or None when it is not here whole."""
        return self._cache.get_named(_FOLDER + pack_id) if pack_id in self._held else None

    def waiting(self, published: Container[str]) -> list[str]:
        """The packs of the last day that no index names, the oldest first: of a run that did not end."""
        after = self._clock().timestamp() - KEPT_FOR.total_seconds()
        held = sorted(self._held.items(), key=lambda item: item[1].since)
        return [pack_id for pack_id, one in held if one.since > after and pack_id not in published]

    def drop(self, pack_ids: Iterable[str]) -> None:
        """Keep these packs no longer."""
        gone = [pack_id for pack_id in pack_ids if self._held.pop(pack_id, None)]
        for pack_id in gone:
            self._cache.drop(_FOLDER + pack_id)
        if gone:
            self._list()

    def tidy(self, published: Container[str]) -> None:
        """Drop what is older than a day, but small packs that the vault still has; and files nobody listed."""
        before = self._clock().timestamp() - KEPT_FOR.total_seconds()
        old = (name for name, one in self._held.items() if one.since <= before)
        self.drop([name for name in old if self._held[name].size >= SMALL or name not in published])
        self._cache.keep_only(_FOLDER.rstrip("/"), list(self._held))

    def _list(self) -> None:
        self._cache.put(_LIST, msgspec.msgpack.encode(self._held))
