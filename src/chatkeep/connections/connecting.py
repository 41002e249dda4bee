"""Connecting a place: a new vault is made there, or the one that is there is joined. Signing in anew; letting go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone

from chatkeep import providers
from chatkeep.connections.alone import alone
from chatkeep.connections.installation import Installation
from chatkeep.connections.keeping import TOKENS, KeptTokens
from chatkeep.connections.looking import Quota, check_free, end, forget, look, probe, quota
from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.connections.opening import (
    CLIENT_ID,
    MASTER_KEY,
    VAULT,
    Place,
    open_storage,
    seal_secrets,
    secrets_of,
    vault_cache,
    vault_folder,
)
from chatkeep.errors import NotFound, Refused, WrongPassphrase, WrongUse
from chatkeep.storage import Storage
from chatkeep.vault import Vault, create, exists, folders, open_vault

Ask = Callable[[], str]
"""Asks a person for the passphrase or recovery key of a vault that is there already."""


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """What was connected. account: who or where it is, as people know it. location: where exactly, nothing secret.

    joined: the place held a vault already. recovery_key: of a vault that was made now, "" for one that was joined; it
    is kept nowhere, so this is the only moment to show it.
    """

    name: str
    provider: str
    account: str
    quota: Quota | None
    vault: str
    joined: bool
    location: Mapping[str, str] = {}
    recovery_key: str = ""

    def __repr__(self) -> str:
        return f"Connected(name={self.name!r}, provider={self.provider!r}, joined={self.joined})"


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a place that was disconnected. revoked: the consent was ended at the provider."""

    name: str
    what: str
    revoked: bool


def connect(
    provider: str,
    location: Mapping[str, str],
    *,
    installation: Installation,
    name: str = "",
    passphrase: str = "",
    ask: Ask | None = None,
) -> Connected:
    """Connect a place and open its vault, so that backups run without a question from now on.

    A place without a vault gets one, with `passphrase` as its passphrase if there is one, and always with a recovery
    key. A vault that is there is joined by `passphrase`, which may be its recovery key, or by what `ask` gives.
    Raises WrongUse when the name or the place is connected already or a secret is needed and nobody can be asked,
    WrongPassphrase, and what the provider raises. Nothing is connected then, and no vault is left half made.
    """
    row = _row(provider, location, installation)
    check_free(name, provider, row.location, archive=row.archive)
    with closing(open_storage(row, installation, new=True)) as storage:
        probe(storage)
        vault, recovery_key = _vault(storage, passphrase, ask, installation)
    return _save(row, vault, recovery_key, installation, name=name)


_SHARED = "It could be somebody else's, or the operator's own. Connect an account at one of the clouds."


def _row(provider: str, given: Mapping[str, str], installation: Installation) -> Connection:
    kind = providers.provider(provider)
    if installation.shared and not kind.signs_in:
        raise Refused(
            f"{kind.title}: this Chatkeep is shared, so no place of that kind can be connected.", hint=_SHARED
        )
    where = {need: given[need] for need in (*kind.needs, *kind.may) if given.get(need)}
    if "path" in where:
        where["path"] = str(Path(where["path"]).expanduser().resolve())
    hidden = {need: where.pop(need) for need in kind.secrets if need in where}
    account = where.get("path") or _address(where)
    row = Connection(archive=installation.archive, provider=provider, location=where, account=account)
    seal_secrets(row, hidden, installation)
    return row


def _address(where: Mapping[str, str]) -> str:
    """A place on a server as people know it: its address, and the bucket if there is one."""
    return "/".join(where[part].rstrip("/") for part in ("address", "bucket") if part in where)


def connect_consented(
    consent: Consent, *, installation: Installation, passphrase: str = "", ask: Ask | None = None
) -> Connected:
    """Make a connection of a consent that was looked at (`looking.look`). The rest is as in `connect`.

    Raises NotFound when somebody else did it meanwhile.
    """
    with alone(installation.home, f"{consent.uid}-connecting"):
        if not Consent.objects.filter(pk=consent.pk).exists():
            raise NotFound("This sign-in is not under way any more.", hint="It may be connected already.")
        check_free(consent.name, consent.provider, consent.location, consent.account_id, archive=consent.archive)
        with closing(open_storage(consent, installation)) as storage:
            vault, recovery_key = _vault(storage, passphrase, ask, installation)
        with transaction.atomic(durable=True):
            consent.refresh_from_db()
            row = _become(consent)
            made = _save(row, vault, recovery_key, installation, name=consent.name)
            consent.delete()  # its notes are those of the connection now
    return made


_CONSENTED = ("account", "account_id", "scopes", "consented_at", "ends_at", "ends_surely")


def _become(consent: Consent) -> Connection:
    row = Connection(uid=consent.uid, archive=consent.archive, provider=consent.provider, location=consent.location)
    row.secrets, row.tokens = bytes(consent.secrets), bytes(consent.tokens)
    row.quota, row.quota_at = (consent.looked or {}).get("quota"), timezone.now()
    for name in _CONSENTED:
        setattr(row, name, getattr(consent, name))
    return row


def reconnect(consent: Consent, *, installation: Installation) -> Connected:
    """Give a connection the new sign-in of a consent that was looked at. Nothing else of it changes.

    Raises what look raises when it was not, NotFound when the place was disconnected meanwhile.
    """
    looked = consent.looked or msgspec.to_builtins(look(consent, installation))
    mine = Connection.objects.filter(archive=consent.archive)
    row = mine.filter(uid=consent.reconnects, account_id=consent.account_id).first()
    if row is None:
        raise NotFound("The place was disconnected meanwhile.", hint="Connect it as a new one.")
    with alone(installation.home, row.uid), transaction.atomic(durable=True):
        row.refresh_from_db()
        if row.location.get(CLIENT_ID) != consent.location.get(CLIENT_ID):  # another app knows other files
            Note.objects.filter(owner=row.uid).delete()
        tokens = msgspec.json.encode(KeptTokens(consent, installation).load())
        row.tokens = installation.safe.seal(tokens, place=row.place(TOKENS))
        row.location, row.quota, row.quota_at = consent.location, looked["quota"], timezone.now()
        seal_secrets(row, secrets_of(consent, installation), installation)
        for name in _CONSENTED:
            setattr(row, name, getattr(consent, name))
        row.signed_out, row.trouble = False, "" if looked["joined"] else "The vault is no longer in this place."
        row.save()
        forget(consent)
    return _connected(row, joined=True)


def change_secrets(connection: Connection, given: Mapping[str, str], *, installation: Installation) -> Connected:
    """Give a place on a server another password or key, once it was tried. Nothing else of it changes.

    given: by the names of the provider's `secrets`. Raises SignInAgain when the server does not take them, and what
    else it raises; then the place has the ones that it had.
    """
    kind = providers.provider(connection.provider)
    wanted = secrets_of(connection, installation) | {name: given[name] for name in kind.secrets if given.get(name)}
    with alone(installation.home, connection.uid):
        connection.refresh_from_db()
        seal_secrets(connection, wanted, installation)
        with closing(open_storage(connection, installation)) as storage:
            probe(storage)
            is_there = exists(storage)
        connection.signed_out, connection.trouble = False, "" if is_there else "The vault is no longer in this place."
        connection.save(update_fields=("secrets", "signed_out", "trouble"))
    return _connected(connection, joined=True)


def _vault(storage: Storage, passphrase: str, ask: Ask | None, installation: Installation) -> tuple[Vault, str]:
    """The vault in a place, joined or made; of one that was made also its recovery key."""
    cache = vault_cache(installation.home)
    if not exists(storage):
        vault, key = create(storage, passphrase=passphrase or None, hostname=installation.host, cache=cache)
        return vault, str(key)
    secret = passphrase or (ask() if ask else "")
    if not secret:
        raise WrongUse(
            "There is a vault in this place already, and its passphrase or recovery key is needed to join it.",
            hint="Give it with CHATKEEP_PASSPHRASE or --passphrase-file, or choose an empty folder.",
        )
    return _opened_with(storage, secret, cache), ""


def _opened_with(storage: Storage, secret: str, cache: Path) -> Vault:
    """The vault that a secret opens. There are two while one is moved to a new key, or was and the old one stays.

    Raises what opening the first of them raises when it opens none.
    """
    first: WrongPassphrase | None = None
    for folder in folders(storage):
        try:
            return open_vault(storage, secret=secret, cache=cache, folder=folder)
        except WrongPassphrase as error:
            first = first or error
    raise first or NotFound("There is no vault in this place.")


def _save(row: Connection, vault: Vault, recovery_key: str, installation: Installation, *, name: str) -> Connected:
    row.vault_id = vault.id
    row.location = at_vault(row.location, vault.folder)
    row.master_key = installation.safe.seal(vault.master_key.to_bytes(), place=row.place(MASTER_KEY))
    wanted = [name] if name else [row.provider, *(f"{row.provider}-{number}" for number in range(2, 1000))]
    for row.name in wanted:
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            continue
        return _connected(row, joined=not recovery_key, recovery_key=recovery_key)
    raise WrongUse(f"A connection is called {name!r} already.", hint="Give another name.")


def at_vault(location: Mapping[str, str], folder: str) -> dict[str, str]:
    """The location with the folder of the vault in it, where that is not the usual one."""
    plain = {name: value for name, value in location.items() if name != VAULT}
    return plain if folder == "Vault" else {**plain, VAULT: folder}


def renew_keys(
    connection: Connection,
    place: Place,
    installation: Installation,
    *,
    passphrase: str,
    keep_old: bool,
    progress: Callable[[int, int], None],
    renewed: Callable[[Vault], None] = lambda vault: None,
) -> str:
    """Move the vault of a place to a new master key; the new recovery key, which is kept nowhere.

    renewed: called with the new vault before the old one goes; what it raises leaves the old one, and this place with
    the new one. Other devices are told that the vault is not there any more, and connect again with the new key.
    Raises what Vault.move raises; then everything is as before.
    """
    old, before = place.vault, vault_folder(connection)
    new, recovery, folder = old.move(
        place.counting,
        passphrase=passphrase or None,
        hostname=installation.host,
        cache=vault_cache(installation.home),
        progress=progress,
    )
    with transaction.atomic(durable=True):
        connection.refresh_from_db()
        connection.vault_id = new.id
        connection.location = at_vault(connection.location, folder)
        connection.master_key = installation.safe.seal(new.master_key.to_bytes(), place=connection.place(MASTER_KEY))
        connection.save()
    renewed(new)
    if not keep_old:
        old.remove(place.counting, before)
    return str(recovery)


def _connected(row: Connection, *, joined: bool, recovery_key: str = "") -> Connected:
    return Connected(
        name=row.name,
        provider=row.provider,
        account=row.account,
        quota=quota(row),
        vault=row.vault_id,
        joined=joined,
        location=row.location,
        recovery_key=recovery_key,
    )


def disconnect(connection: Connection, installation: Installation) -> Left:
    """Forget the place, its sign-in and the key to its vault on this machine, and say what stays.

    The consent is ended at the provider where that can be done and no other place here rests on it. Nothing that was
    backed up is deleted.
    """
    kind, place = providers.provider(connection.provider), connection.account or connection.provider
    stays = "" if not kind.sign_in else _still_allowed(connection, kind.title, kind.sign_in.revocable_note)
    revoked = end(connection, installation)
    forget(connection)
    said = [f"{connection.name} is disconnected: this machine has no key to its vault any more."]
    if kind.sign_in:
        said.append(f"{kind.title} was told to end the access." if revoked else stays)
    where = f"in the folder {connection.location['folder']} of " if connection.location.get("folder") else "at "
    said.append(
        f"The vault itself stays {where}{place} until you delete it; connect the same place again with the passphrase "
        "or the recovery key."
    )
    return Left(name=connection.name, what=" ".join(said), revoked=revoked)


def _still_allowed(connection: Connection, title: str, note: str) -> str:
    others = Connection.objects.filter(provider=connection.provider, account_id=connection.account_id)
    if others.exclude(pk=connection.pk).exists():
        return "The access to the account stays, because another place here uses it."
    return note or f"{title} could not be told: to end the access, remove Chatkeep in the settings of your account."
