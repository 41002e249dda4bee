"""Taking a report in, within limits, and keeping it for its person."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from chatkeep.errors import NotFound, WrongUse
from chatkeep.feedback import facts, pictures
from chatkeep.feedback.models import CLOSED, Report, Severity

LONGEST_TEXT = 5_000
LONGEST_CONTACT = 200
LIMITS = ((5, timedelta(minutes=10)), (20, timedelta(days=1)))
"""So many reports of one person in so long."""


def tell(
    who: str,
    *,
    text: str,
    severity: str,
    contact: str = "",
    data: str = "",
    picture: bytes = b"",
    now: datetime | None = None,
) -> Report:
    """Take a report in, exactly as it was given. WrongUse for what is too much, too long, too often, nothing."""
    text, contact = _plain(text), _plain(contact).replace("\n", " ")
    if not text:
        raise WrongUse("The report is empty.", hint="Write what happened; a sentence is enough.")
    if severity not in Severity.values:
        raise WrongUse("How bad it is was not said.", hint="Choose one of the four.")
    for value, most, name in (
        (text, LONGEST_TEXT, "What happened"),
        (contact, LONGEST_CONTACT, "The contact"),
        (data, facts.LONGEST, "What goes with it"),
    ):
        if len(value) > most:
            raise WrongUse(f"{name} is longer than {most:,} characters.", hint="Shorten it.")
    kind, kept = pictures.cleaned(picture) if picture else ("", b"")
    left = facts.read(data)
    report = Report(
        who=who,
        made_at=now or timezone.now(),
        severity=severity,
        text=text,
        contact=contact,
        data=_plain(data),
        release=left.release,
        page=left.page,
        job=left.job.number if left.job else None,
        picture=kept,
        picture_kind=kind,
    )
    with transaction.atomic():
        _one_at_a_time(who)
        _check_pace(report)
        report.save(force_insert=True)
    return report


def _plain(text: str) -> str:
    """Text as a form sends it, with plain line ends and without characters that PostgreSQL cannot keep."""
    return text.replace("\r\n", "\n").replace("\0", "").strip()


def _one_at_a_time(who: str) -> None:
    """Two of one person at the same moment are counted one after the other; SQLite writes one at a time anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"feedback:{who}"])


def _check_pace(report: Report) -> None:
    for most, span in LIMITS:
        if Report.objects.filter(who=report.who, made_at__gt=report.made_at - span).count() >= most:
            raise WrongUse(
                "That were many reports in a short time.", hint="Wait a while; your browser can keep this one."
            )


def of(who: str) -> list[Report]:
    """The reports of a person, the newest first, without their pictures."""
    return list(Report.objects.filter(who=who).defer("picture"))


def one_of(who: str, id: object) -> Report:
    """A report of this person. Raises NotFound, also for one of somebody else."""
    found = Report.objects.filter(who=who, pk=id).first()
    if found is None:
        raise NotFound("There is no such report.")
    return found


def withdraw(who: str, id: object) -> None:
    """Take a report of this person away for ever. Raises NotFound."""
    one_of(who, id).delete()


def erase(who: str) -> int:
    """Take away all that a person told. How many reports that were."""
    return Report.objects.filter(who=who).delete()[0]


def as_text(report: Report) -> str:
    """All of a report but its picture, as text to send by other means."""
    head = f"{report.reference}, {report.made_at:%Y-%m-%d %H:%M} UTC\nHow bad: {Severity(report.severity).label}\n"
    contact = f"Contact: {report.contact}\n" if report.contact else ""
    return f"{head}{contact}\n{report.text}\n\n{report.data}".strip() + "\n"


def open_losses() -> int:
    """How many reports of lost data are not closed."""
    return Report.objects.filter(severity=Severity.LOST).exclude(state__in=CLOSED).count()
