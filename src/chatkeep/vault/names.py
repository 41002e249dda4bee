"""Which objects there are, told by the storage's feed of changes where it has one, else by listings.

A folder is listed once; from then on one request tells what came and went in all of them. What is known is kept in
the cache with the cursor, so a new process begins where the last one ended. Where there is no feed every look is a
listing. Nothing is ever deleted on the word of a feed: collecting lists.

What this machine did itself, or was told of, so lately that a listing need not show it yet is kept in the cache too:
the next process would else take an older snapshot for the newest of this device. And a listing is remembered only if it
is younger than the cursor by more than that: what was put just before the cursor is in no later news.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Container, Mapping
from datetime import datetime, timedelta

import msgspec

from chatkeep.errors import NotFound
from chatkeep.storage import Storage, changes
from chatkeep.vault.cache import Cache
from chatkeep.vault.config import FEED
from chatkeep.vault.config import NAME as CONFIG

_NAME = re.compile("[0-9a-f]{64}")
_LATELY = "lately"
PACKS = "data/"


def is_name(text: str) -> bool:
    """Whether this is the last part of an object's name; a stray file is none."""
    return _NAME.fullmatch(text) is not None


class _Known(msgspec.Struct):
    """cursor: where to ask from. folders: names in each folder that was listed since. gone: packs told to be gone.

    since, late: when the cursor was taken, and how many seconds later a listing shows all that was put before it.
    """

    cursor: str
    folders: dict[str, set[str]]
    gone: set[str]
    since: datetime | None = None
    late: float = 0.0


class Names:
    """The names of the small objects of a vault, and of packs that went."""

    def __init__(self, storage: Storage, cache: Cache, *, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._cache = cache
        self._clock = clock
        self._known: _Known | None = None
        self._seen: set[str] = set()
        with contextlib.suppress(msgspec.DecodeError):
            kept = cache.get(FEED)
            self._known = msgspec.msgpack.decode(kept, type=_Known) if kept else None
        self._did: dict[str, tuple[bool, datetime]] = {}
        with contextlib.suppress(msgspec.DecodeError):
            kept = cache.get(_LATELY)
            self._did = msgspec.msgpack.decode(kept, type=dict[str, tuple[bool, datetime]]) if kept else {}

    @property
    def remembers(self) -> bool:
        """Whether an earlier look is remembered, so that the next one costs one request."""
        return self._known is not None

    def look(self) -> bool:
        """Hear what changed in all folders: one request. False where there is no feed; then `of` lists.

        Raises NotFound when the vault itself has gone.
        """
        told = changes(self._storage, self._known.cursor if self._known else "")
        if told is None:
            if self._known is not None:
                self._is_there()
                self._known = None
            return False
        if self._known is None or not told.complete:
            self._known = _Known(told.cursor, {}, set(), self._clock(), self._storage.traits.settles)
            self._is_there()
        elif CONFIG in told.gone:
            self._is_there()
        self._take(told.changed, told.gone)
        self._known.cursor = told.cursor
        self._keep()
        return True

    def start_over(self) -> None:
        """List everything again at the next look: something was found that the feed did not tell."""
        self._known = None

    def _is_there(self) -> None:
        try:
            self._storage.stat(CONFIG)
        except NotFound:
            raise NotFound("There is no vault in this place.") from None

    def _take(self, came: frozenset[str], went: frozenset[str]) -> None:
        assert self._known is not None
        self._seen |= came
        self._seen -= went
        if self._storage.traits.settles:
            self._note(dict.fromkeys(came, True) | dict.fromkeys(went, False))
        for name in came | went:
            folder, _, last = name.rpartition("/")
            known = self._known.folders.get(folder + "/")
            if name.startswith(PACKS):
                (self._known.gone.add if name in went else self._known.gone.discard)(last)
            elif known is not None and is_name(last):
                (known.discard if name in went else known.add)(last)

    def _keep(self) -> None:
        if self._known is not None:
            self._cache.put(FEED, msgspec.msgpack.encode(self._known))

    def of(self, folder: str, *, looked: bool = False) -> set[str]:
        """The names in a folder. looked: what the last look told is recent enough; else it is asked again."""
        if not (looked and self._known is not None) and not self.look():
            return self.listed(folder)
        assert self._known is not None
        if folder not in self._known.folders:
            found = self.listed(folder)
            if not self._is_settled():  # what was put just before the cursor may be missing, and is never told
                return found
            self._known.folders[folder] = found
            self._keep()
        return set(self._known.folders[folder])

    def _is_settled(self) -> bool:
        assert self._known is not None
        late = timedelta(seconds=self._known.late)
        return not late or self._known.since is None or abs(self._clock() - self._known.since) > late

    def listed(self, folder: str) -> set[str]:
        """The names in a folder by a listing of its own; a stray file is none."""
        found = {stored.name.rpartition("/")[2] for stored in self._storage.listing(folder)}
        return {name for name in self._corrected(folder, found) if is_name(name)}

    def _corrected(self, folder: str, found: set[str]) -> set[str]:
        """A listing, with what we did or were told of so lately that it need not show yet."""
        self._forget_what_settled()
        for name, (put, _) in self._did.items():
            if name.startswith(folder):
                (found.add if put else found.discard)(name.removeprefix(folder))
        return found

    def _forget_what_settled(self) -> None:
        late = timedelta(seconds=self._storage.traits.settles)
        self._did = {name: did for name, did in self._did.items() if abs(self._clock() - did[1]) <= late}

    def _note(self, new: Mapping[str, bool]) -> None:
        """new: for each name whether it was put, or deleted."""
        now = self._clock()
        self._did |= {name: (put, now) for name, put in new.items()}
        if new and self._storage.traits.settles:
            self._forget_what_settled()
            self._cache.put(_LATELY, msgspec.msgpack.encode(self._did))

    def was_seen(self, name: str) -> bool:
        """Whether the feed told, in this process, that an object was put, and not that it went."""
        return name in self._seen

    def gone_packs(self) -> set[str]:
        """Packs that the feed told to be gone. Ask the storage before you rely on it."""
        return set(self._known.gone) if self._known else set()

    def keep_gone(self, named: Container[str]) -> None:
        """Forget packs that went and that no index names any more."""
        if self._known is not None:
            self._known.gone = {pack for pack in self._known.gone if pack in named}

    def came(self, name: str) -> None:
        """An object that we put ourselves."""
        self._note({name: True})
        if self._known is not None:
            folder, _, last = name.rpartition("/")
            self._known.folders.get(folder + "/", set()).add(last)

    def went(self, *names: str) -> None:
        """Objects that we deleted ourselves."""
        self._note(dict.fromkeys(names, False))
        self._seen.difference_update(names)
        for name in names:
            folder, _, last = name.rpartition("/")
            if self._known is not None:
                self._known.folders.get(folder + "/", set()).discard(last)
