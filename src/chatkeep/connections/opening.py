"""From the row of a connection to what it leads to: the storage, the vault. And this device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils import timezone

from chatkeep import providers
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection, Device
from chatkeep.errors import Busy, ChatkeepError, NotFound, Stopped, WrongUse
from chatkeep.storage import Counting, Retrying, Storage
from chatkeep.vault import MasterKey, Vault, open_with_master_key

MASTER_KEY = "master key"


def this_device(name: str) -> Device:
    """This machine as backups name it; made at the first call, with the name given then."""
    return Device.objects.order_by("id").first() or Device.objects.create(name=name)


def connections() -> list[Connection]:
    """All connections, the oldest first."""
    return list(Connection.objects.all())


def connection(name: str = "") -> Connection:
    """The connection of this name; the only one if no name is given.

    Raises NotFound when there is none, WrongUse when a name is needed to tell which.
    """
    found = connections()
    names = ", ".join(one.name for one in found)
    if name:
        for one in found:
            if one.name == name:
                return one
        raise NotFound(f"No connection is called {name!r}.", hint=f"There are: {names}." if names else _FIRST)
    if not found:
        raise NotFound("Nothing is connected yet.", hint=_FIRST)
    if len(found) > 1:
        raise WrongUse("There are several connections; say which.", hint=f"Their names: {names}.")
    return found[0]


_FIRST = "Connect a place for backups first: chatkeep connect folder PATH"


def open_storage(connection: Connection, installation: Installation) -> Storage:
    """The storage of a connection, patient with short outages. The caller closes it.

    Raises Unavailable when the place is not there (a disk that is not plugged in).
    """
    return Retrying(providers.open_storage(connection.provider, connection.location))


def open_vault(connection: Connection, storage: Storage, installation: Installation) -> Vault:
    """The vault of a connection in its opened storage, by the key in the token safe: nobody is asked.

    Raises NotFound when the vault is no longer there, Damaged when the saved key does not open it.
    """
    key = installation.safe.unseal(bytes(connection.master_key), place=connection.place(MASTER_KEY))
    return open_with_master_key(storage, MasterKey.from_bytes(key), cache=vault_cache(installation.home))


def vault_cache(home: Path) -> Path:
    """Where this machine remembers what it has read of vaults; it may be deleted."""
    return home / "cache" / "vaults"


_OF_THE_REQUEST = (Busy, NotFound, Stopped, WrongUse)


@dataclass(frozen=True)
class Place:
    """A connection whose vault is open. counting: the storage of the vault, which knows all calls and bytes."""

    connection: Connection
    vault: Vault
    counting: Counting


@contextmanager
def opened(connection: Connection, installation: Installation) -> Iterator[Place]:
    """The place that a connection leads to, closed at the end of the block. Raises as open_storage and open_vault do.

    A ChatkeepError of the block is noted with the connection, so that its page can say what is wrong; not one that is
    about the request alone (no such snapshot, stopped on request, another run at work).
    """
    place: Place | None = None
    try:
        counting = Counting(open_storage(connection, installation))
        try:
            place = Place(connection, open_vault(connection, counting, installation), counting)
            yield place
        finally:
            counting.close()
    except ChatkeepError as error:
        if place is None or not isinstance(error, _OF_THE_REQUEST):
            Connection.objects.filter(pk=connection.pk).update(trouble=error.what[:500])
        raise


def note_backup(connection: Connection, report: Any, *, change: int) -> None:
    """Remember a backup that was made: when, its report as plain values, and the last change that is in it."""
    trouble = _trouble(connection.checked, connection.drilled)
    Connection.objects.filter(pk=connection.pk).update(
        backed_up_at=timezone.now(), backed_up=report, backed_up_change=change, trouble=trouble
    )


def note_check(connection: Connection, report: Any) -> None:
    """Remember a check: when, and its report as plain values."""
    trouble = _trouble(report, connection.drilled)
    Connection.objects.filter(pk=connection.pk).update(checked_at=timezone.now(), checked=report, trouble=trouble)


def note_drill(connection: Connection, report: Any) -> None:
    """Remember a rehearsed restore: when, and its report as plain values."""
    trouble = _trouble(connection.checked, report)
    Connection.objects.filter(pk=connection.pk).update(drilled_at=timezone.now(), drilled=report, trouble=trouble)


def _trouble(checked: Any, drilled: Any) -> str:
    """What check and drill found, which stands until the same finds the vault whole: a backup does not mend it."""
    if not (checked or {}).get("ok", True):
        return "The last check found damage in the vault."
    return "" if (drilled or {}).get("ok", True) else "The last rehearsed restore did not bring everything back."
