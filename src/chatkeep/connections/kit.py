"""The emergency kit: one page that opens the vault when this machine and this program are gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Protocol

from chatkeep.connections.opening import CLIENT_ID

_OPTIONS = {
    "user": "--user",
    "bucket": "--bucket",
    "region": "--region",
    "access_key": "--access-key",
    "folder": "--folder",
    CLIENT_ID: "--client-id",
}
"""What of a location is said to the command line, but for what is said anyway."""
_USUAL = {"folder": "Chatkeep", "region": "us-east-1"}

_PAGE = """\
CHATKEEP EMERGENCY KIT                                              {made}

This page opens the vault in which your conversations are kept. Print it, or keep it in a
password manager. Do not keep it in the place that holds the vault.

  Place of the vault   {provider}: {account}{folder}
  Name                 {name}
  Vault                {vault}

  Recovery key         {recovery_key}

Whoever has this key and can reach the place can read everything in the vault. If you lose
both the passphrase and this key, nobody can open the vault, including us.

TO GET EVERYTHING BACK WITH CHATKEEP
  1. Install Chatkeep on any computer.
  2. {connect}
  3. chatkeep restore

TO GET EVERYTHING BACK WITHOUT CHATKEEP
  The vault is an ordinary restic repository (https://restic.net).
{fetch}     restic -r {repository} restore latest --target my-conversations
     Give the recovery key, exactly as printed, with its dashes, as the password.
  Conversations are JSON files in my-conversations/conversations.
"""


class Place(Protocol):
    """Where a vault is: a connection, or what connecting gave."""

    @property
    def name(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def location(self) -> Mapping[str, str]: ...


def emergency_kit(place: Place, *, vault: str, recovery_key: str, made: date) -> str:
    """The page as text, some 90 columns wide. It holds the recovery key: treat it as the key itself."""
    connect, fetch, repository = _ways(place)
    folder = place.location.get("folder", "")
    return _PAGE.format(
        made=made.isoformat(),
        provider=place.provider,
        account=place.account,
        folder=f", folder {folder}" if folder else "",
        connect=connect,
        fetch=fetch,
        repository=repository,
        name=place.name,
        vault=vault[:16],
        recovery_key=recovery_key,
    )


def _ways(place: Place) -> tuple[str, str, str]:
    """How to connect the place again, how its files are fetched for restic, and what restic is given."""
    give = "(give the recovery key when it asks)"
    if place.provider == "folder":
        return (
            f"chatkeep connect folder {_quoted(place.account)}     {give}",
            "",
            _quoted(f"{place.account}/Vault"),
        )
    fetch = "     Download the folder that holds Vault and README.txt, and go into it.\n"
    said = [place.provider]
    if address := place.location.get("address"):
        said.append(_quoted(address))
    said += [
        f"{option} {_quoted(place.location[name])}"
        for name, option in _OPTIONS.items()
        if place.location.get(name) and place.location[name] != _USUAL.get(name)
    ]
    if not place.location.get("address"):
        give = f"(sign in as {place.account}; give the recovery key when it asks)"
    return f"chatkeep connect {' '.join(said)}\n     {give}", fetch, "Vault"


def _quoted(path: str) -> str:
    plain = all(c.isalnum() or c in "/._-~:" for c in path)
    return path if plain else "'" + path.replace("'", "'\\''") + "'"
