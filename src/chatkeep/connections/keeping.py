"""Sign-ins and notes of storages as app.sqlite3 keeps them: sealed, on disk when saved, one writer at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from chatkeep.connections.alone import alone
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.errors import Damaged, NotFound, SignInAgain
from chatkeep.providers import Tokens

TOKENS = "tokens"
FORGOTTEN_AFTER = timedelta(days=90)


class KeptTokens:
    """The sign-in of one connection, or of a consent that becomes one. Used from any thread of any process."""

    def __init__(self, row: Connection | Consent, installation: Installation) -> None:
        self._kind, self._pk, self._uid = type(row), row.pk, row.uid
        self._place = row.place(TOKENS)
        self._installation = installation

    def load(self) -> Tokens:
        """The tokens as they were saved last. Raises SignInAgain when there are none, Damaged."""
        with visiting():
            sealed = self._kind.objects.filter(pk=self._pk).values_list(TOKENS, flat=True).first()
        if not sealed:
            raise SignInAgain("No sign-in is kept for this place.")
        return msgspec.json.decode(self._installation.safe.unseal(bytes(sealed), place=self._place), type=Tokens)

    def save(self, tokens: Tokens) -> None:
        """Keep tokens; they are on disk when this returns. Raises NotFound when it was disconnected meanwhile."""
        with visiting(), transaction.atomic(durable=True):  # sealed within, so that a new secret misses none
            sealed = self._installation.safe.seal(msgspec.json.encode(tokens), place=self._place)
            if not self._kind.objects.filter(pk=self._pk).update(tokens=sealed):
                raise NotFound("The place was disconnected meanwhile.")

    def allow_asking(self) -> None:
        """Have the provider asked once more, though it said that the consent is over. Raises as `load` does."""
        with self.alone():
            self.save(msgspec.structs.replace(self.load(), is_over=False))

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else renews this sign-in meanwhile."""
        return alone(self._installation.home, self._uid)


class KeptNotes:
    """What the storage of one connection remembers beyond the process. Neither keys nor values can be read there."""

    def __init__(self, owner: str, installation: Installation) -> None:
        self._owner = owner
        self._safe = installation.safe

    def get(self, key: str) -> bytes | None:
        """The note under a key, None if there is none, or one that does not open any more."""
        note = self._note(key)
        with visiting():
            sealed = Note.objects.filter(owner=note.owner, key=note.key).values_list("value", flat=True).first()
        try:
            return None if sealed is None else self._safe.unseal(bytes(sealed), place=note.place("value"))
        except Damaged:  # a note may be lost
            return None

    def put(self, key: str, value: bytes) -> None:
        """Keep a note. Those that nobody wrote for months go."""
        note, now = self._note(key), timezone.now()
        with visiting(), transaction.atomic():
            Note.objects.filter(owner=note.owner, written_at__lt=now - FORGOTTEN_AFTER).delete()
            changes = {"value": self._safe.seal(value, place=note.place("value")), "written_at": now}
            Note.objects.update_or_create(owner=note.owner, key=note.key, defaults=changes)

    def drop(self, key: str) -> None:
        """Forget a note. Quiet when there is none."""
        note = self._note(key)
        with visiting():
            Note.objects.filter(owner=note.owner, key=note.key).delete()

    def _note(self, key: str) -> Note:
        return Note(owner=self._owner, key=hashlib.sha256(key.encode()).hexdigest())


@contextmanager
def visiting() -> Iterator[None]:
    """Use the database from whatever thread; one that had no connection to it is left without one."""
    was_open = connection.connection is not None
    try:
        yield
    finally:
        if not was_open:
            connection.close()
