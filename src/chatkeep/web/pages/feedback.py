"""Telling the makers or the operator what happened. What is sent is shown before, and can be changed.

On a laptop nothing is sent: a report is kept on this machine, to be copied or saved as a file.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import get_resolver
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatkeep import __version__
from chatkeep.errors import WrongUse
from chatkeep.feedback import facts, pictures, telling
from chatkeep.feedback.facts import Facts, LastJob
from chatkeep.feedback.models import Severity
from chatkeep.jobs.models import State
from chatkeep.rollout import flags
from chatkeep.web import held

RECENT = timedelta(days=7)


@require_http_methods(["GET", "POST"])
def feedback(request: HttpRequest) -> HttpResponseBase:
    """The form, and taking it in."""
    if request.method == "POST":
        return _tell(request)
    page = request.GET.get("page", "")
    context = {
        "severities": Severity.choices,
        "data": facts.prepared(known(request, page)),
        "most": telling.LONGEST_TEXT,
        "is_server": flags.is_staged(),
    }
    return render(request, "pages/feedback.html", context)


def known(request: HttpRequest, page: str) -> Facts:
    """What the program knows of itself for this person, on the page of this name."""
    who = held.who(request)
    jobs = held.jobs(request).filter(requested_at__gt=timezone.now() - RECENT)
    ended_badly = jobs.filter(Q(state__in=(State.FAILED, State.PROBLEMS, State.PAUSED)) | ~Q(code="")).first()
    codes = [job.code for job in jobs.exclude(code="")[:20]]
    last = LastJob(ended_badly.pk, ended_badly.kind, ended_badly.state, ended_badly.code) if ended_badly else None
    return Facts(
        release=__version__,
        page=page if page in get_resolver().reverse_dict else "",
        browser=facts.family(request.headers.get("User-Agent", "")),
        flags=tuple(sorted(flags.on_for(who))),
        cohorts=who.cohorts,
        errors=tuple(dict.fromkeys(codes)),
        job=last,
    )


def _tell(request: HttpRequest) -> HttpResponseBase:
    picture = request.FILES.get("picture")
    if picture is not None and (picture.size or 0) > pictures.LARGEST:
        raise WrongUse("The picture is larger than 2 MB.", hint="Cut out the part that matters, or send none.")
    given = request.POST.get
    report = telling.tell(
        held.actor(request),
        text=given("text", ""),
        severity=given("severity", ""),
        contact=given("contact", ""),
        data=given("data", ""),
        picture=picture.read() if picture else b"",
    )
    return redirect("feedback-told", report.pk)


@require_GET
def mine(request: HttpRequest) -> HttpResponse:
    """What this person told, and what was answered."""
    return render(request, "pages/feedback_mine.html", {"reports": telling.of(held.actor(request))})


@require_GET
def told(request: HttpRequest, id: UUID) -> HttpResponse:
    """One report of this person, as it was sent."""
    report = telling.one_of(held.actor(request), id)
    context = {"report": report, "text": telling.as_text(report), "is_server": flags.is_staged()}
    return render(request, "pages/feedback_told.html", context)


@require_GET
def file(request: HttpRequest, id: UUID) -> HttpResponse:
    """The report as a file, to send by other means."""
    report = telling.one_of(held.actor(request), id)
    answer = HttpResponse(telling.as_text(report), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="chatkeep-report-{report.reference}.txt"'
    return answer


@require_POST
def withdraw(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """Take a report away for ever."""
    telling.withdraw(held.actor(request), id)
    return redirect("feedback-mine")
