"""Connecting a place: a new vault is made there, or the one that is there is joined. Testing and letting go of it."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from django.db import IntegrityError, transaction

from chatkeep import providers
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection
from chatkeep.connections.opening import MASTER_KEY, open_storage, vault_cache
from chatkeep.connections.safe import Safe
from chatkeep.errors import ChatkeepError, Damaged, NotFound, WrongUse
from chatkeep.storage import Retrying, Storage
from chatkeep.vault import Vault, create, exists, open_vault

TEST_SIZE = 1024


class Quota(msgspec.Struct, frozen=True):
    """Space at a place [bytes]."""

    used: int
    total: int
    free: int


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """What was connected. account: who or where it is, as people know it.

    joined: the place held a vault already. recovery_key: of a vault that was made now, "" for one that was joined; it
    is kept nowhere, so this is the only moment to show it.
    """

    name: str
    provider: str
    account: str
    quota: Quota | None
    vault: str
    joined: bool
    recovery_key: str = ""

    def __repr__(self) -> str:
        return f"Connected(name={self.name!r}, provider={self.provider!r}, joined={self.joined})"


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What a test of a place found out. steps: what was tried, in order; took_ms: each step [milliseconds]."""

    name: str
    ok: bool
    steps: list[str]
    took_ms: list[int]
    what: str = ""
    hint: str = ""


def connect(
    provider: str,
    location: Mapping[str, str],
    *,
    installation: Installation,
    name: str = "",
    passphrase: str = "",
    ask: Callable[[], str] | None = None,
) -> Connected:
    """Connect a place and open its vault, so that backups run without a question from now on.

    A place without a vault gets one, with `passphrase` as its passphrase if there is one, and always with a recovery
    key. A vault that is there is joined by `passphrase`, which may be its recovery key, or by what `ask` gives.
    Raises WrongUse when the name or the place is connected already or a secret is needed and nobody can be asked,
    WrongPassphrase, and what the provider raises. Nothing is connected then, and no vault is left half made.
    """
    where = _location(provider, location)
    _check_free(name, provider, where)
    storage = Retrying(providers.open_storage(provider, where, new=True))
    try:
        probe(storage)
        joined = exists(storage)
        recovery = ""
        if joined:
            vault = _join(storage, passphrase, ask, installation.home)
        else:
            cache = vault_cache(installation.home)
            vault, key = create(storage, passphrase=passphrase or None, hostname=installation.host, cache=cache)
            recovery = str(key)
    finally:
        storage.close()
    made = _save(provider, where, vault, safe=installation.safe, name=name)
    return Connected(
        name=made.name,
        provider=provider,
        account=made.account,
        quota=quota(made),
        vault=vault.id,
        joined=joined,
        recovery_key=recovery,
    )


def _location(provider: str, given: Mapping[str, str]) -> dict[str, str]:
    kind = providers.provider(provider)
    where = {need: given[need] for need in kind.needs if given.get(need)}
    if "path" in where:
        where["path"] = str(Path(where["path"]).expanduser().resolve())
    return where


def _check_free(name: str, provider: str, where: dict[str, str]) -> None:
    for other in Connection.objects.all():
        if name and other.name == name:
            raise WrongUse(f"A connection is called {name!r} already.", hint="Give another name with --name.")
        if other.provider == provider and other.location == where:
            raise WrongUse(
                f"This place is connected already, as {other.name!r}.",
                hint="To connect it anew, disconnect it first; what lies there stays.",
            )


def _join(storage: Storage, passphrase: str, ask: Callable[[], str] | None, home: Path) -> Vault:
    secret = passphrase or (ask() if ask else "")
    if not secret:
        raise WrongUse(
            "There is a vault in this place already, and its passphrase or recovery key is needed to join it.",
            hint="Give it with CHATKEEP_PASSPHRASE or --passphrase-file, or choose an empty folder.",
        )
    return open_vault(storage, secret=secret, cache=vault_cache(home))


def _save(provider: str, where: dict[str, str], vault: Vault, *, safe: Safe, name: str) -> Connection:
    row = Connection(provider=provider, location=where, vault_id=vault.id, account=where.get("path", ""))
    row.master_key = safe.seal(vault.master_key.to_bytes(), place=row.place(MASTER_KEY))
    wanted = [name] if name else [provider, *(f"{provider}-{number}" for number in range(2, 1000))]
    for row.name in wanted:
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            continue
        return row
    raise WrongUse(f"A connection is called {name!r} already.", hint="Give another name with --name.")


def quota(connection: Connection) -> Quota | None:
    """The space at the place now, or None where nobody says."""
    path = connection.location.get("path")
    try:
        found = shutil.disk_usage(path) if path else None
    except OSError:
        return None
    return Quota(found.used, found.total, found.free) if found else None


def probe(storage: Storage, *, step: Callable[[str], None] = lambda name: None) -> None:
    """Write, read and delete a small object of random bytes.

    Raises what the storage raises, and Damaged when it gives back something else than was written.
    """
    name, data = f"test-{secrets.token_hex(8)}", secrets.token_bytes(TEST_SIZE)
    storage.put(name, data)
    step("write")
    try:
        if storage.get(name) != data:
            raise Damaged("The place gave back something else than was written.", hint="Do not keep backups there.")
        step("read")
    finally:
        storage.delete(name)
    step("delete")


def test(connection: Connection, installation: Installation) -> Tested:
    """Whether the place can be written, read and deleted from, and still holds the vault."""
    begun = time.monotonic()
    steps: list[str] = []
    took_ms: list[int] = []

    def passed(step: str) -> None:
        steps.append(step)
        took_ms.append(round((time.monotonic() - begun) * 1000) - sum(took_ms))

    try:
        storage = open_storage(connection, installation)
        try:
            passed("open")
            probe(storage, step=passed)
            if not exists(storage):
                raise NotFound("The vault is no longer in this place.", hint="Look whether it was moved.")
            passed("vault")
        finally:
            storage.close()
    except ChatkeepError as error:
        return Tested(name=connection.name, ok=False, steps=steps, took_ms=took_ms, what=error.what, hint=error.hint)
    return Tested(name=connection.name, ok=True, steps=steps, took_ms=took_ms)


def disconnect(connection: Connection) -> str:
    """Forget the place and the key to its vault on this machine, and say what stays. Nothing is deleted there."""
    place = connection.account or connection.provider
    connection.delete()
    return (
        f"{connection.name} is disconnected: this machine has no key to its vault any more. The vault itself stays at "
        f"{place} until you delete it; connect the same place again with the passphrase or the recovery key."
    )
