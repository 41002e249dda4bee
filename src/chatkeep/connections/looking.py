"""Looking at a place before and after it is connected: whose account, how full, can it be written, is a vault there."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import closing

import msgspec
from django.utils import timezone

from chatkeep import providers
from chatkeep.connections.installation import OWN, Installation
from chatkeep.connections.keeping import KeptTokens
from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.connections.opening import VAULT, means_of, open_storage
from chatkeep.connections.trouble import no, noting
from chatkeep.errors import ChatkeepError, Damaged, NotFound, Refused, WrongUse
from chatkeep.providers import oauth
from chatkeep.storage import Storage
from chatkeep.vault import exists

TEST_SIZE = 1024


class Quota(msgspec.Struct, frozen=True):
    """Space at a place [bytes]. total and free: None where there is no limit."""

    used: int
    total: int | None
    free: int | None


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What a test of a place found out. steps: what was tried, in order; took_ms: each step [milliseconds]."""

    name: str
    ok: bool
    steps: list[str]
    took_ms: list[int]
    what: str = ""
    hint: str = ""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a place that somebody signed in to. joined: a vault is there already."""

    steps: list[str]
    joined: bool
    quota: Quota | None


def look(row: Consent, installation: Installation) -> Looked:
    """Whose account it is that a consent gave, and whether its folder can be written, read and deleted from.

    The folder is made where it is not there yet. What was found is kept in the row, and so is what went wrong.
    Raises NoConsent with `why` "account" when a connection shall get a new sign-in and it is another account's; that
    consent is ended again. WrongUse when the place is connected already; and what the provider raises.
    """
    with noting(row):
        row.trouble = row.told = row.hint = ""
        before = Connection.objects.filter(uid=row.reconnects, archive=row.archive).first() if row.reconnects else None
        steps: list[str] = []
        _meet(row, before, installation)
        steps.append("account")
        with closing(_open(row, before, installation)) as storage:
            probe(storage, step=steps.append)
            joined = exists(storage)
        found = Looked(steps=steps, joined=joined, quota=space(row, installation))
        if before and not joined and before.location != row.location:
            raise Refused(
                "With this app the vault of the place cannot be seen.",
                hint="Reconnect with the app it was connected with; some clouds show each app its own files only.",
            )
        row.looked = msgspec.to_builtins(found)
        row.save(update_fields=["account", "account_id", "looked", "trouble", "told", "hint"])
    return found


def _meet(row: Consent, before: Connection | None, installation: Installation) -> None:
    """Ask whose account it is, and refuse it when it must not be this one."""
    kind, means = providers.provider(row.provider), means_of(row, installation)
    if kind.account is None or means is None:
        raise WrongUse(f"Nobody signs in at: {kind.title}.")
    account = kind.account(means)
    row.account, row.account_id = account.email or account.name, account.id
    if row.reconnects and before is None:
        raise NotFound("The place was disconnected meanwhile.", hint="Connect it as a new one.")
    if before and before.account_id != account.id:
        error = no("account", row, expected=before.account)
        end(row, installation)
        row.tokens = b""
        row.save(update_fields=["account", "account_id", "tokens"])
        raise error
    if not before:
        check_free(row.name, row.provider, row.location, row.account_id, archive=row.archive)


def _open(row: Consent, before: Connection | None, installation: Installation) -> Storage:
    try:
        return open_storage(row, installation, new=before is None)
    except Refused as error:
        sign_in = providers.provider(row.provider).sign_in
        if sign_in and sign_in.wider and not row.wider:
            raise no("wider", row) from error
        raise


def check_free(name: str, provider: str, where: dict[str, str], account_id: str = "", *, archive: str = OWN) -> None:
    """Refuse a name that is taken in an archive, and a place that it is connected to already. Raises WrongUse."""
    check_name(name, archive)
    for other in Connection.objects.filter(archive=archive):
        if other.provider == provider and other.account_id == account_id and _same(other.location, where):
            raise WrongUse(
                f"This place is connected already, as {other.name!r}.",
                hint=("To sign in anew, reconnect it. " if account_id else "")
                + "To connect it afresh, disconnect it first; what lies there stays.",
            )


def check_name(name: str, archive: str = OWN) -> None:
    """Refuse a name that is taken in an archive. Raises WrongUse."""
    if name and Connection.objects.filter(archive=archive, name=name).exists():
        raise WrongUse(f"A connection is called {name!r} already.", hint="Give another name.")


def _same(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two locations are one place, whatever app asks for it and wherever in it the vault lies."""
    aside = {"client_id": "", VAULT: ""}
    return {**one, **aside} == {**other, **aside}


def end(row: Connection | Consent, installation: Installation) -> bool:
    """End a consent at the provider, if nothing else here rests on it. Whether that was done; never raises."""
    sign_in = providers.provider(row.provider).sign_in
    others = Connection.objects.filter(provider=row.provider, account_id=row.account_id).exclude(uid=row.uid)
    if sign_in is None or not bytes(row.tokens) or (row.account_id and others.exists()):
        return False
    means = means_of(row, installation)
    try:
        if means is None:
            return False
        if sign_in.revoke_with_access:
            means.access.token()
        return oauth.revoke(sign_in, KeptTokens(row, installation).load(), means.endpoints)
    except ChatkeepError:
        return False


def forget(row: Connection | Consent) -> None:
    """Delete a row and the notes that go with it."""
    Note.objects.filter(owner=row.uid).delete()
    row.delete()


def quota(connection: Connection) -> Quota | None:
    """The space at the place: of a folder now, of an account as it was last asked; None where nobody says."""
    if connection.quota:
        return msgspec.convert(connection.quota, Quota)
    path = connection.location.get("path")
    try:
        found = shutil.disk_usage(path) if path else None
    except OSError:
        return None
    return Quota(found.used, found.total, found.free) if found else None


def space(row: Connection | Consent, installation: Installation) -> Quota | None:
    """How full the account is, asked now; None where there is nobody to ask. Raises what the provider raises."""
    asking, means = providers.provider(row.provider).space, means_of(row, installation)
    if asking is None or means is None:
        return None
    found = asking(row.location, means)
    free = None if found.total is None else max(0, found.total - found.used)
    return Quota(found.used, found.total, free)


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
    """Whether the place can be written, read and deleted from, and still holds the vault.

    An account that was signed out is tried all the same: if it works again, it is no longer taken for signed out.
    """
    begun = time.monotonic()
    steps: list[str] = []
    took_ms: list[int] = []

    def passed(step: str) -> None:
        steps.append(step)
        took_ms.append(round((time.monotonic() - begun) * 1000) - sum(took_ms))

    try:
        if connection.signed_out:
            KeptTokens(connection, installation).allow_asking()
        with closing(open_storage(connection, installation)) as storage:
            passed("open")
            probe(storage, step=passed)
            if not exists(storage):
                raise NotFound("The vault is no longer in this place.", hint="Look whether it was moved.")
            passed("vault")
        _note_working(connection, space(connection, installation))
    except ChatkeepError as error:
        return Tested(name=connection.name, ok=False, steps=steps, took_ms=took_ms, what=error.what, hint=error.hint)
    return Tested(name=connection.name, ok=True, steps=steps, took_ms=took_ms)


def _note_working(connection: Connection, found: Quota | None) -> None:
    changes = {"quota": msgspec.to_builtins(found), "quota_at": timezone.now()} if found else {}
    if connection.signed_out:
        changes |= {"signed_out": False, "trouble": ""}
    if changes:
        Connection.objects.filter(pk=connection.pk).update(**changes)
