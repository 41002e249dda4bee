"""One tree of errors, and the value for a record that could not be read.

A bad record is a value (`Problem`); a broken promise is an exception (`ChatkeepError`). Every error answers
two questions: may the same thing work later (`temporary`), and what can a person do (`hint`). No token,
passphrase or message text appears in an error.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing that could not be read or done, while the rest went on.

    where: the place in words a person can follow, "export.zip: conversations.json, conversation 12".
    what: what is wrong there, and what was done about it. Never quotes the text of a message.
    """

    where: str
    what: str


class ChatkeepError(Exception):
    """Something that was promised could not be done.

    what: a sentence that says what happened, and to what.
    hint: what the person can do now; a kind of error may have a standing hint.
    """

    temporary: ClassVar[bool] = False
    standing_hint: ClassVar[str] = ""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint or self.standing_hint


class UnknownFormat(ChatkeepError):
    """No importer recognises what was given."""

    standing_hint = "Give the file, folder or zip exactly as the platform exported it."


class UnsafeSource(ChatkeepError):
    """A source broke a limit that protects this machine (a zip bomb, a path that leads outside)."""


class NotFound(ChatkeepError):
    """The named thing is not there."""


class SignInAgain(ChatkeepError):
    """The provider no longer accepts our sign-in."""

    standing_hint = "Reconnect the account; nothing that was saved is touched by that."


class Refused(ChatkeepError):
    """Not allowed, and trying again will not change that."""


class QuotaFull(ChatkeepError):
    """No space is left at the place written to."""

    standing_hint = "Free some space there, then run the same command again; it continues where it stopped."


class SlowDown(ChatkeepError):
    """The provider asks for a pause. wait_s: seconds to wait before the next call."""

    temporary = True

    def __init__(self, what: str, *, wait_s: float, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.wait_s = wait_s


class Unavailable(ChatkeepError):
    """The place cannot be reached at present."""

    temporary = True
    standing_hint = "Try again in a while."


class Damaged(ChatkeepError):
    """Bytes are not what was written: a hash or a seal does not match."""


class WrongPassphrase(ChatkeepError):
    """No key of the vault opens with the passphrase or recovery key given."""

    standing_hint = "Check for a typing mistake, or use the recovery key from the emergency kit."


class VaultTooNew(ChatkeepError):
    """The vault or document was written in a format this version does not know."""

    standing_hint = "Update Chatkeep, then try again. Nothing was changed."


class Busy(ChatkeepError):
    """Another run holds the lock on the same thing."""

    temporary = True
    standing_hint = "Wait until the other run has ended, then try again."


class WrongUse(ChatkeepError):
    """The request itself does not make sense (an unknown option value, a missing name)."""


class Stopped(ChatkeepError):
    """The work ended early because it was asked to, or because another run took it over; nothing is wrong with it."""
