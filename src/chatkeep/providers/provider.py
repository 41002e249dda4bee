"""What is known about one kind of place that copies can go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from chatkeep.storage import Storage


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Data about one kind of place.

    name: as written on the command line, "google-drive".
    title: as people know it, "Google Drive".
    needs: the settings that open must be given, in the order to ask for them.
    signs_in: whether a person has to give consent at the provider first.
    open: gives the storage for the settings of one connection. With True as second argument it also makes
        the place where it is not there yet; without, a place that has gone (a disk that is not plugged in)
        raises Unavailable, so that nobody takes an empty folder for their vault.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    open: Callable[[Mapping[str, str], bool], Storage]
    signs_in: bool = False
