"""What the operator does with reports: states, labels, answers, counts, files, and letting go."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.utils import timezone

from chatkeep.errors import NotFound, WrongUse
from chatkeep.feedback import facts
from chatkeep.feedback.models import CLOSED, Report, Severity, State

KEPT = timedelta(days=30)
"""How long a report is kept after it was closed."""
LONGEST_ANSWER = 5_000
_LABEL = re.compile(r"[\w][\w -]{0,29}")
_COLUMNS = (
    "reference",
    "made_at",
    "severity",
    "state",
    "release",
    "page",
    "job",
    "cohorts",
    "flags",
    "errors",
    "labels",
)


def find(id: object) -> Report:
    """A report of anybody. Raises NotFound."""
    found = Report.objects.filter(pk=id).first()
    if found is None:
        raise NotFound("There is no such report.")
    return found


def listing(
    *, state: str = "", severity: str = "", release: str = "", label: str = "", flag: str = "", page: str = ""
) -> list[Report]:
    """Reports by what is given, without pictures: lost data first, then the newest; at most 500."""
    wanted = {"state": state, "severity": severity, "release": release, "page": page}
    rows = Report.objects.filter(**{name: value for name, value in wanted.items() if value}).defer("picture")
    if not state:
        rows = rows.exclude(state__in=CLOSED)
    found = [one for one in rows[:5_000] if (not label or label in one.labels) and (not flag or flag in flags_of(one))]
    return sorted(found, key=lambda one: one.severity != Severity.LOST)[:500]


def flags_of(report: Report) -> tuple[str, ...]:
    """The flags that were on, as far as the person left them in."""
    return facts.read(report.data).flags


def change(report: Report, *, state: str, labels: Iterable[str], now: datetime | None = None) -> None:
    """Put a report into a state, with these labels. Raises WrongUse."""
    if state not in State.values:
        raise WrongUse("A report has no such state.")
    chosen = sorted({label.strip() for label in labels if label.strip()})
    if len(chosen) > 10 or not all(map(_LABEL.fullmatch, chosen)):
        raise WrongUse("Labels are at most ten, of letters, digits, spaces and hyphens, up to 30 characters each.")
    closed_at = (report.closed_at or now or timezone.now()) if state in CLOSED else None
    report.state, report.labels, report.closed_at = state, chosen, closed_at
    report.save(update_fields=["state", "labels", "closed_at"])


def answer(report: Report, text: str, *, now: datetime | None = None) -> None:
    """Answer the person; they see it on their page of reports. Raises WrongUse."""
    plain = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not plain or len(plain) > LONGEST_ANSWER:
        raise WrongUse(f"An answer has 1 to {LONGEST_ANSWER:,} characters.")
    report.answer, report.answered_at = plain, now or timezone.now()
    report.save(update_fields=["answer", "answered_at"])


def per_release() -> list[dict[str, Any]]:
    """How many reports of each severity there are for each release, the newest first; "" where it was left out."""
    counted: dict[str, dict[str, int]] = {}
    rows = Report.objects.order_by().values_list("release", "severity").annotate(Count("pk"))
    for release, severity, number in rows:
        counted.setdefault(release, dict.fromkeys(Severity.values, 0))[severity] = number
    return [{"release": release, **counted[release]} for release in sorted(counted, key=_version, reverse=True)]


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release))


def as_csv(reports: Sequence[Report]) -> str:
    """A table for a spreadsheet. No cell is taken for a formula, whatever somebody wrote."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow([*_COLUMNS, "contact", "text", "answer"])
    for row in _rows(reports):
        table.writerow([_cell(row[name]) for name in (*_COLUMNS, "contact", "text", "answer")])
    return out.getvalue()


def _cell(value: Any) -> str:
    text = " ".join(value) if isinstance(value, list | tuple) else "" if value is None else str(value)
    return (
        f"'{text}"
        if text.lstrip().startswith(("=", "+", "-", "@", "|", "%")) or text.startswith(("\t", "\r", "\n"))
        else text
    )


def as_json(reports: Sequence[Report]) -> str:
    """All of the reports but their pictures."""
    return json.dumps(list(_rows(reports)), indent=1, ensure_ascii=False, default=str)


def _rows(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
    for one in reports:
        left = facts.read(one.data)
        found = {name: getattr(one, name) for name in ("reference", "severity", "state", "release", "page", "job")}
        found |= {"made_at": one.made_at.isoformat(), "labels": one.labels, "errors": left.errors}
        found |= {"cohorts": left.cohorts, "flags": left.flags, "data": one.data}
        yield found | {"contact": one.contact, "text": one.text, "answer": one.answer}


def prune(*, now: datetime | None = None) -> int:
    """Let go of what was closed 30 days ago. How many."""
    return Report.objects.filter(closed_at__lt=(now or timezone.now()) - KEPT).delete()[0]
