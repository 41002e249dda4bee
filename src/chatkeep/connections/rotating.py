"""Replacing the secret of this installation: everything that is sealed is sealed anew, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import models, transaction

from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets

SEALED: dict[type[models.Model], dict[str, str]] = {
    Connection: {"master_key": "master key", "secrets": "secrets", "tokens": "tokens"},
    Consent: {"asked": "asked", "secrets": "secrets", "tokens": "tokens"},
    Note: {"value": "value"},
}
"""Every sealed field there is, with the place its values are bound to."""


def replace_secret(secrets: Secrets, *, also: Callable[[Safe], int] = lambda safe: 0) -> int:
    """Replace the secret of this installation and seal every value anew. How many values that were.

    The new secret is on disk beside the old one before anything is sealed with it, and the old one goes after all is
    sealed anew; a crash in between leaves both, and everything opens. A program that is running meanwhile reads the
    new secret by itself. With CHATKEEP_KEY that one is used, and the file goes.
    also: seals what others keep, in the same transaction, and says how many that were.
    Raises Damaged when a value opens with none of the secrets; then the old ones stay.
    """
    secrets.begin_anew()
    safe = Safe(secrets)
    with transaction.atomic(durable=True):
        number = sum(_seal_anew(row, field, place, safe) for row, field, place in _rows()) + also(safe)
    secrets.drop_old()
    return number


def _rows() -> Iterator[tuple[models.Model, str, str]]:
    for model, fields in SEALED.items():
        last = 0
        # Held until all is sealed anew: nobody writes a value in between that would be lost.
        while rows := list(model._default_manager.select_for_update().filter(pk__gt=last).order_by("pk")[:500]):
            yield from ((row, field, place) for row in rows for field, place in fields.items())
            last = rows[-1].pk


def _seal_anew(row: models.Model, field: str, place: str, safe: Safe) -> bool:
    sealed = bytes(getattr(row, field))
    if not sealed:
        return False
    bound = row.place(place)  # type: ignore[attr-defined]
    value = safe.seal(safe.unseal(sealed, place=bound), place=bound)
    type(row)._default_manager.filter(pk=row.pk).update(**{field: value})
    return True
