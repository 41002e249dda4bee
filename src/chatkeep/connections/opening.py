"""From the row of a connection to what it leads to: the sign-in, the storage, the vault. And this device."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from django.utils import timezone

from chatkeep import providers
from chatkeep.connections.installation import OWN, Installation
from chatkeep.connections.keeping import KeptNotes, KeptTokens
from chatkeep.connections.models import Connection, Consent, Device
from chatkeep.connections.pacing import KeptAllowance, KeptPause
from chatkeep.errors import Busy, ChatkeepError, NotFound, SignInAgain, Stopped, WrongUse
from chatkeep.providers import Access, Allowance, Client, Endpoints, Gate, Means
from chatkeep.storage import Counting, Retrying, Storage
from chatkeep.vault import MasterKey, Policy, Vault, open_with_master_key

MASTER_KEY = "master key"
VAULT = "vault"
"""In `location`: the folder of the vault, where it is not the usual one."""
SECRETS = "secrets"
CLIENT_ID, CLIENT_SECRET = "client_id", "client_secret"


def this_device(name: str, archive: str = OWN) -> Device:
    """Where an archive is kept, as backups name it; made at the first call, with the name given then."""
    return Device.objects.get_or_create(archive=archive, defaults={"name": name})[0]


def rename_device(archive: str = OWN) -> str:
    """Gives it a new name in vaults, for it was copied from another machine or set back, and returns that."""
    device = this_device("device", archive)
    device.suffix = Device().suffix
    device.save()
    return device.host


def connections(archive: str = OWN) -> list[Connection]:
    """All connections of an archive, the oldest first."""
    return list(Connection.objects.filter(archive=archive))


def connection(name: str = "", archive: str = OWN) -> Connection:
    """The connection of an archive that has this name; the only one if no name is given.

    Raises NotFound when there is none, WrongUse when a name is needed to tell which.
    """
    found = connections(archive)
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


def open_storage(row: Connection | Consent, installation: Installation, *, new: bool = False) -> Storage:
    """The storage of a connection, or of a consent that becomes one, patient with short outages. The caller closes it.

    new: also make the place where it is not there yet.
    Raises Unavailable when the place is not there (a disk that is not plugged in), SignInAgain.
    """
    means = means_of(row, installation)
    settings = {**row.location, **secrets_of(row, installation)}
    return Retrying(providers.open_storage(row.provider, settings, new=new, means=means))


def means_of(row: Connection | Consent, installation: Installation) -> Means | None:
    """What the account of a connection is spoken to with; None where nobody signs in."""
    sign_in = providers.provider(row.provider).sign_in
    if sign_in is None:
        return None
    endpoints = Endpoints(installation.cloud_base)
    client = client_of(row, installation)
    access = Access(sign_in, client, KeptTokens(row, installation), endpoints)
    allowance = _allowance(row.provider, client.id) if installation.shared else None
    return Means(access, KeptNotes(row.uid, installation), endpoints, _gate(row), allowance)


_gates: dict[tuple[str, str], Gate] = {}
_gates_lock = threading.Lock()


def _gate(row: Connection | Consent) -> Gate:
    """One for each account in this process: who was asked to slow down asks everybody else to, in all processes."""
    account = (row.provider, row.account_id or row.uid)
    with _gates_lock:
        gate = _gates.setdefault(account, Gate(shared=KeptPause(*account)))
    gate.look()
    return gate


_allowances: dict[tuple[str, str], Allowance] = {}


def _allowance(provider: str, client: str) -> Allowance | None:
    """One for each app in this process, of a server alone: what one person asks is far from any such limit."""
    per_s = providers.provider(provider).units_per_s
    if per_s is None:
        return None
    with _gates_lock:
        kept = KeptAllowance(provider, client, per_s=per_s)
        return _allowances.setdefault((provider, client), Allowance(kept.take, per_s=per_s))


def client_of(row: Connection | Consent, installation: Installation) -> Client:
    """The app that the consent was given to: the keeper's own, or the operator's."""
    id, secret = row.location.get(CLIENT_ID, ""), secrets_of(row, installation).get(CLIENT_SECRET, "")
    theirs, their_secret = installation.clients.get(row.provider, ("", ""))
    return Client(id or theirs, secret or (their_secret if id in ("", theirs) else ""))


def secrets_of(row: Connection | Consent, installation: Installation) -> dict[str, str]:
    """What the provider needs and nobody may see. Raises Damaged."""
    sealed = bytes(row.secrets)
    value = installation.safe.unseal(sealed, place=row.place(SECRETS)) if sealed else b"{}"
    return msgspec.json.decode(value, type=dict[str, str])


def seal_secrets(row: Connection | Consent, secrets: Mapping[str, str], installation: Installation) -> None:
    """Put them into a row that is about to be saved."""
    kept = {name: value for name, value in secrets.items() if value}
    row.secrets = installation.safe.seal(msgspec.json.encode(kept), place=row.place(SECRETS)) if kept else b""


def open_vault(connection: Connection, storage: Storage, installation: Installation) -> Vault:
    """The vault of a connection in its opened storage, by the key in the token safe: nobody is asked.

    Raises NotFound when the vault is no longer there, Damaged when the saved key does not open it.
    """
    key = installation.safe.unseal(bytes(connection.master_key), place=connection.place(MASTER_KEY))
    cache = vault_cache(installation.home)
    return open_with_master_key(storage, MasterKey.from_bytes(key), cache=cache, folder=vault_folder(connection))


def vault_folder(connection: Connection) -> str:
    """Where the vault lies at the place: "Vault", or where it was moved to under a new key."""
    return str(connection.location.get(VAULT, "Vault"))


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
    about the request alone (no such snapshot, stopped on request, another run at work). A sign-in that the provider no
    longer accepted is not tried again: SignInAgain is raised at once until it is given anew.
    """
    place: Place | None = None
    try:
        if connection.signed_out:
            raise SignInAgain(f"{connection.name} is signed out: the provider no longer accepts the sign-in.")
        counting = Counting(open_storage(connection, installation))
        try:
            place = Place(connection, open_vault(connection, counting, installation), counting)
            yield place
        finally:
            counting.close()
    except ChatkeepError as error:
        if place is None or not isinstance(error, _OF_THE_REQUEST):
            _note_trouble(connection, error)
        raise


def _note_trouble(connection: Connection, error: ChatkeepError) -> None:
    rows = Connection.objects.filter(pk=connection.pk)
    if isinstance(error, SignInAgain):  # of that sign-in: it may have been given anew while this ran
        rows.filter(consented_at=connection.consented_at).update(trouble=error.what[:500], signed_out=True)
    else:
        rows.update(trouble=error.what[:500])


def note_backup(connection: Connection, report: Any, *, change: int) -> None:
    """Remember a backup that was made: when, its report as plain values, and the last change that is in it."""
    trouble = _trouble(connection.checked, connection.drilled)
    Connection.objects.filter(pk=connection.pk).update(
        backed_up_at=timezone.now(), backed_up=report, backed_up_change=change, trouble=trouble
    )


def note_retention(connection: Connection, policy: Mapping[str, int]) -> None:
    """Remember which backups stay at a place: fields of `Policy`, in the place of those that were set before.

    Raises WrongUse for numbers that mean nothing.
    """
    kept = {**(connection.retention or {}), **policy}
    msgspec.convert(kept, Policy)
    Connection.objects.filter(pk=connection.pk).update(retention=kept)
    connection.retention = kept


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
