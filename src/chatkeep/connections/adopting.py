"""The connections of a laptop, taken over by somebody's archive on a server: their secrets are sealed anew.

They come from the laptop's app.sqlite3 and secret.key, from which nothing is taken. What jobs and notes knew of them
stays behind: the places are asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from django.db import DatabaseError, connections

from chatkeep import providers
from chatkeep.connections.installation import Installation
from chatkeep.connections.keeping import TOKENS
from chatkeep.connections.models import Connection
from chatkeep.connections.opening import MASTER_KEY, SECRETS
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import FILE, Secrets
from chatkeep.errors import ChatkeepError, Damaged, Problem, Refused

_LAPTOP = "laptop"
_SEALED = (("tokens", TOKENS), ("secrets", SECRETS), ("master_key", MASTER_KEY))
_KEPT = (
    *("uid", "provider", "location", "account", "account_id", "vault_id", "quota", "quota_at", "scopes"),
    *("consented_at", "ends_at", "ends_surely", "signed_out", "retention"),
)


class AdoptedPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """given: how many connections the laptop has. here: how many of them the archive has now.

    added: those that came just now. problems: why others did not come.
    """

    given: int = 0
    here: int = 0
    added: list[Connection] = []
    problems: list[Problem] = []


def adopt(folder: Path, installation: Installation) -> AdoptedPlaces:
    """Bring the connections of a laptop's data folder to an archive here. Repeating it adds nothing.

    A place that only the laptop can reach, a folder or a server beside it, does not come to where others are too.
    """
    if not (folder / "app.sqlite3").is_file():
        return AdoptedPlaces()
    try:
        given = _given(folder / "app.sqlite3")
    except DatabaseError:
        what = "It is of another version, so its connections were not read: start this version on the laptop once."
        return AdoptedPlaces(problems=[Problem("app.sqlite3", what)])
    there = {_place(row) for row in Connection.objects.filter(archive=installation.archive)}
    safe = Safe(Secrets(folder)) if (folder / FILE).is_file() else None
    added: list[Connection] = []
    problems: list[Problem] = []
    for row in given:
        try:
            if _place(row) not in there:
                added.append(_brought(row, safe, installation))
        except ChatkeepError as error:
            problems.append(Problem(f"connection {row.name}", error.what))
    here = len(given) - len(problems)
    return AdoptedPlaces(given=len(given), here=here, added=added, problems=problems)


def _given(path: Path) -> list[Connection]:
    with _opened(path):
        return list(Connection.objects.using(_LAPTOP).order_by("pk"))


def _place(row: Connection) -> tuple[str, str, str]:
    """What makes two connections the same one."""
    return row.provider, row.account_id or row.account, row.vault_id


def _brought(row: Connection, safe: Safe | None, installation: Installation) -> Connection:
    """A connection of the laptop, saved here. Raises Refused, and Damaged when its secrets do not open."""
    kind = providers.provider(row.provider)
    if installation.shared and not kind.signs_in:
        raise Refused(f"{kind.title}: only the laptop can reach it, so it did not come.")
    made = Connection(archive=installation.archive, **{name: getattr(row, name) for name in _KEPT})
    if Connection.objects.filter(uid=row.uid).exists():  # it came to somebody else's archive too
        made.uid = Connection().uid
    for field, place in _SEALED:
        if sealed := bytes(getattr(row, field)):
            if safe is None:
                raise Damaged(f"There is no {FILE} beside it, so its sign-in cannot be opened. Connect it anew.")
            opened = safe.unseal(sealed, place=row.place(place))
            setattr(made, field, installation.safe.seal(opened, place=made.place(place)))
    names = set(Connection.objects.filter(archive=installation.archive).values_list("name", flat=True))
    made.name = next(name for name in (row.name, *(f"{row.name}-{n}" for n in range(2, 1000))) if name not in names)
    made.save(force_insert=True)
    return made


@contextmanager
def _opened(path: Path) -> Iterator[None]:
    """The laptop's tables, for reading alone."""
    wanted = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{path.absolute().as_uri()}?mode=ro"}
    made = connections.configure_settings({"default": {**wanted, "OPTIONS": {"uri": True}}})["default"]
    connections.settings[_LAPTOP] = made
    try:
        yield
    finally:
        connections[_LAPTOP].close()
        del connections[_LAPTOP]
        del connections.settings[_LAPTOP]
