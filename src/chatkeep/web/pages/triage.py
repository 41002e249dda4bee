"""For operators: what people told, put in order, answered, counted, taken along."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatkeep.errors import NotFound
from chatkeep.feedback import facts, pictures
from chatkeep.feedback import triage as reporting
from chatkeep.feedback.models import Report, Severity, State
from chatkeep.jobs.models import Job
from chatkeep.people import audit, belonging, mailing
from chatkeep.people.models import User
from chatkeep.people.roles import may, operators_only
from chatkeep.rollout.declared import FLAGS
from chatkeep.web import held

_FILTERS = ("state", "severity", "release", "label", "flag", "page")


@operators_only
@require_GET
def reports(request: HttpRequest) -> HttpResponse:
    """Open reports, or those that the filters say; lost data first. And how many there are of each release."""
    chosen = _chosen(request)
    context = {
        "reports": reporting.listing(**chosen),
        "chosen": chosen,
        "states": State.choices,
        "severities": Severity.choices,
        "releases": reporting.per_release(),
    }
    return render(request, "operator/reports.html", context)


def _chosen(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in _FILTERS}


@operators_only
@require_GET
def report(request: HttpRequest, id: UUID) -> HttpResponse:
    """One report: what was told, what was left of the lines, its job and its flags, and the forms."""
    found = reporting.find(id)
    left = facts.read(found.data)
    context = {
        "report": found,
        "states": State.choices,
        "flags": [name for name in left.flags if name in FLAGS],
        "cohorts": left.cohorts,
        "job": _job(found),
        "person": _person(found),
        "changes": may(request.user, change=True),
    }
    return render(request, "operator/report.html", context)


def _person(report: Report) -> User | None:
    return User.objects.filter(pk=report.who.removeprefix("user:")).first() if report.who.startswith("user:") else None


def _job(report: Report) -> dict[str, Any] | None:
    """What the row of the job says that is no one's content: not its arguments, its words or its log."""
    person = _person(report)
    fields = ("pk", "kind", "state", "code", "flags", "attempts", "crash_count", "requested_at", "ended_at")
    theirs = belonging.archives_of(person) if person else []
    job = Job.objects.filter(pk=report.job, archive__in=theirs).values(*fields).first() if report.job else None
    return job and {**job, "flags": job["flags"].strip(",").replace(",", ", ")}


@operators_only
@require_POST
def change(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """Put it into a state with labels, or answer its person."""
    found, given = reporting.find(id), request.POST
    about = f"report:{found.id.hex}"
    if given.get("do") == "answer":
        reporting.answer(found, given.get("answer", ""))
        audit.note(held.actor(request), "report.answered", about)
        _tell(found)
    else:
        reporting.change(found, state=given.get("state", ""), labels=given.get("labels", "").split(","))
        audit.note(held.actor(request), "report.changed", about, {"state": found.state})
    return redirect("operator-report", id)


def _tell(report: Report) -> None:
    """Mail the person that there is an answer. What it says stands on the page alone, behind their sign-in."""
    person = _person(report)
    if person is not None and person.is_active:
        said = f"Your report {report.reference} about Chatkeep was answered. Read it here:"
        mailing.tell([person], "An answer to what you told us", said, path=reverse("feedback-told", args=[report.pk]))


@operators_only
@require_GET
def picture(request: HttpRequest, id: UUID) -> HttpResponse:
    """The screenshot, as a file and never as a page."""
    found = reporting.find(id)
    if not found.picture_kind:
        raise NotFound("This report has no picture.")
    answer = HttpResponse(bytes(found.picture), content_type=found.picture_kind)
    name = f"{found.reference}.{pictures.ending(found.picture_kind)}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@operators_only
@require_GET
def export(request: HttpRequest) -> HttpResponse:
    """What the filters say, as a table or as JSON."""
    found = reporting.listing(**_chosen(request))
    if request.GET.get("as") == "json":
        answer = HttpResponse(reporting.as_json(found), content_type="application/json")
        answer["Content-Disposition"] = 'attachment; filename="chatkeep-reports.json"'
        return answer
    answer = HttpResponse(reporting.as_csv(found), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="chatkeep-reports.csv"'
    return answer
