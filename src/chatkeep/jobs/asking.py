"""What each run asks before it begins: whether it may write now, and whether what it does is on for its person.

It also writes down which flags were on, so that those who have something can be compared with those who do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatkeep.jobs.models import Job
from chatkeep.jobs.port import Work
from chatkeep.jobs.run import Run
from chatkeep.people.models import Membership
from chatkeep.rollout import declared, flags
from chatkeep.rollout.rings import Person

TIDYING = "tidying"


def person_of(archive: str) -> Person:
    """Whose archive it is, as flags know people. An archive that nobody owns any more stands for itself."""
    owner = Membership.objects.filter(archive=archive).select_related("user").first()
    return Person(owner.user.pk.hex, tuple(owner.user.cohorts)) if owner else Person(archive)


def asked(kind: str, work: Work) -> Work:
    """The same work, which asks first. Raises SwitchedOff before anything is opened."""

    def first_asked(run: Run, arguments: Mapping[str, Any]) -> object:
        if not arguments.get("dry_run"):
            ask(kind, run.archive, taking_back=bool(arguments.get("remove")))
        note_flags(run)
        return work(run, arguments)

    return first_asked


def ask(kind: str, archive: str, *, taking_back: bool = False) -> None:
    """Raises SwitchedOff when work of this kind shall not begin now. Laptops and servers ask alike."""
    if kind in declared.WRITES or declared.flag_of(kind):
        flags.ask(kind, person_of(archive), taking_back=taking_back)


def note_flags(run: Run) -> None:
    """Write down which flags are on for the person of a run."""
    on = flags.on_for(person_of(run.archive))
    Job.objects.filter(pk=run.pk).update(flags=f",{','.join(sorted(on))},")


def tidies_by_itself(archive: str) -> bool:
    """Whether a backup of this archive may be followed by tidying."""
    return flags.enabled(TIDYING, person_of(archive))
