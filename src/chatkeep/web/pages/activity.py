"""What is going on and what was done: every job, with its progress, its log, and ways to stop and pause it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from chatkeep.jobs import queue
from chatkeep.web import held
from chatkeep.web.runs import Shown


@require_GET
def runs(request: HttpRequest) -> HttpResponse:
    """The last hundred jobs, the newest first."""
    return render(request, "pages/runs.html", {"runs": [Shown(job) for job in held.jobs(request)[:100]]})


@require_GET
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """One job. Shows the same after a reload: the progress is the server's."""
    return render(request, "pages/run.html", {"run": Shown(held.job(request, pk))})


@require_GET
def part(request: HttpRequest, pk: int) -> HttpResponse:
    """One job alone, as the page asks for it while it is open."""
    return render(request, "components/run.html", {"run": Shown(held.job(request, pk))})


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask a job to stop."""
    queue.cancel(held.job(request, pk).pk)
    return redirect("run", pk)


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask a job to wait until somebody resumes it."""
    queue.pause(held.job(request, pk).pk)
    return redirect("run", pk)


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Let a paused job go on."""
    queue.resume(held.job(request, pk).pk)
    return redirect("run", pk)
