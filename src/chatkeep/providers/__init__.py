"""The places copies can go to, and one register that all of them come in by."""

from __future__ import annotations

from collections.abc import Mapping

from chatkeep.errors import WrongUse
from chatkeep.providers.allowance import Allowance
from chatkeep.providers.dropbox import DROPBOX
from chatkeep.providers.folder import FOLDER
from chatkeep.providers.google_drive import GOOGLE_DRIVE
from chatkeep.providers.http import Endpoints, Gate, SharedPause
from chatkeep.providers.memory import MEMORY
from chatkeep.providers.notes import MemoryNotes, Notes
from chatkeep.providers.oauth import Access, Client, NoConsent, SignIn, Tokens, TokenStore
from chatkeep.providers.onedrive import ONEDRIVE
from chatkeep.providers.provider import Account, Means, Provider, Space
from chatkeep.providers.s3 import S3_PROVIDER
from chatkeep.providers.webdav import WEBDAV
from chatkeep.storage import Storage

__all__ = [
    "DROPBOX",
    "FOLDER",
    "GOOGLE_DRIVE",
    "MEMORY",
    "ONEDRIVE",
    "S3_PROVIDER",
    "WEBDAV",
    "Access",
    "Account",
    "Allowance",
    "Client",
    "Endpoints",
    "Gate",
    "Means",
    "MemoryNotes",
    "NoConsent",
    "Notes",
    "Provider",
    "SharedPause",
    "SignIn",
    "Space",
    "TokenStore",
    "Tokens",
    "open_storage",
    "provider",
    "providers",
    "register",
]

_providers: dict[str, Provider] = {}


def register(provider: Provider) -> None:
    """Make a provider known under its name. Built-in ones and a stranger's come in by this door."""
    _providers[provider.name] = provider


def providers() -> list[Provider]:
    """All known providers, in the order they were registered."""
    return list(_providers.values())


def provider(name: str) -> Provider:
    """The provider of this name. Raises WrongUse with the known names."""
    if name not in _providers:
        raise WrongUse(f"No provider is called {name!r}.", hint=f"Known are: {', '.join(_providers)}.")
    return _providers[name]


def open_storage(name: str, settings: Mapping[str, str], *, new: bool = False, means: Means | None = None) -> Storage:
    """The storage of a provider for the settings of one connection.

    new: also make the place where it is not there yet.
    means: what to sign in with, where somebody signs in.
    Raises WrongUse when a needed setting is missing, Unavailable when the place is not there.
    """
    kind = provider(name)
    missing = [need for need in kind.needs if not settings.get(need)]
    if missing:
        raise WrongUse(f"{kind.title} needs: {', '.join(missing)}.")
    if kind.signs_in and means is None:
        raise WrongUse(f"{kind.title} is opened with a sign-in.")
    return kind.open(settings, new, means)


for _built_in in (FOLDER, MEMORY, GOOGLE_DRIVE, DROPBOX, ONEDRIVE, WEBDAV, S3_PROVIDER):
    register(_built_in)
