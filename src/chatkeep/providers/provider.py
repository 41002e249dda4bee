"""What is known about one kind of place that copies can go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from chatkeep.providers.allowance import Allowance
from chatkeep.providers.http import Endpoints, Gate
from chatkeep.providers.notes import Notes
from chatkeep.providers.oauth import Access, SignIn
from chatkeep.storage import Storage


class Account(msgspec.Struct, frozen=True):
    """Whose account it is. id: never changes and is never given to another; name: for people; email: "" if not told."""

    id: str
    name: str
    email: str = ""


class Space(msgspec.Struct, frozen=True):
    """How full the account is [bytes]. total: None where there is no limit, or none is told."""

    used: int
    total: int | None


@dataclass(frozen=True)
class Means:
    """What an opened storage of an account works with, handed in by whoever keeps the sign-in.

    access: gives access tokens. notes: what must survive the process, sealed. endpoints: where the provider is.
    gate: shared by everything that speaks to this account, so that one request to slow down holds all.
    allowance: shared by everything that speaks to the provider through this client id; None where that is not limited.
    """

    access: Access
    notes: Notes
    endpoints: Endpoints
    gate: Gate
    allowance: Allowance | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Data about one kind of place.

    name: as written on the command line, "google-drive".
    title: as people know it, "Google Drive".
    needs: the settings that open must be given, in the order to ask for them.
    may: settings that open takes and can do without.
    secrets: those among `needs` that are kept sealed and never shown.
    sign_in: how a person gives consent; None where nobody signs in.
    open: gives the storage for the settings of one connection. With True as second argument it also makes
        the place where it is not there yet; without, a place that has gone (a disk that is not plugged in)
        raises Unavailable, so that nobody takes an empty folder for their vault. The third is None where nobody
        signs in.
    units_per_s: how much one client id may ask for each second over all accounts, in units that the provider counts;
        None where it names no such limit.
    account, space: ask the provider whose account this is, and how full. None where there is nothing to ask.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    open: Callable[[Mapping[str, str], bool, Means | None], Storage]
    may: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    sign_in: SignIn | None = None
    units_per_s: float | None = None
    account: Callable[[Means], Account] | None = None
    space: Callable[[Mapping[str, str], Means], Space] | None = None

    @property
    def signs_in(self) -> bool:
        """Whether a person has to give consent at the provider first."""
        return self.sign_in is not None
