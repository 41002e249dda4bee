"""How far an operation is, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chatkeep.errors import Stopped


class Step(msgspec.Struct, frozen=True):
    """Where an operation is.

    stage: what it does now, in a word or two for people: "Reading", "Sending".
    done, total: in the stage's own unit; total is 0 when nobody can know it.
    unit: "bytes" or a plural, "conversations".
    note: what else is worth a look, "1,204 conversations".
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""


Progress = Callable[[Step], None]
"""Called often, from the thread that called the operation. An exception from it (`Cancelled`, Ctrl-C) stops the
operation: every operation leaves whole things only, and can be run again."""


class Cancelled(Stopped):
    """The operation was asked to stop, and stopped between two whole things."""

    standing_hint = "What was finished is kept; run it again to go on."


def quiet(step: Step) -> None:
    """Progress that nobody looks at."""
