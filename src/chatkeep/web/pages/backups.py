"""Places for backups: one and all, connecting a folder, backing up, what can be restored, restoring, checking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from chatkeep import operations, providers
from chatkeep.connections import connecting, looking, opening
from chatkeep.connections.health import health
from chatkeep.connections.kit import emergency_kit
from chatkeep.connections.models import Connection
from chatkeep.errors import ChatkeepError, WrongUse
from chatkeep.jobs import schedules
from chatkeep.jobs.models import OPEN, Job, Schedule
from chatkeep.web import held
from chatkeep.web.pages.exporting import FORMATS, new_zip
from chatkeep.web.runs import Shown, latest, title_of
from chatkeep.web.stepping_up import stepped_up


@require_GET
def backups(request: HttpRequest) -> HttpResponse:
    """Every place, how it is, and the form to connect a folder."""
    places = [_place(connection) for connection in held.connections(request)]
    return render(request, "pages/backups.html", {"places": places})


@require_GET
def place(request: HttpRequest, name: str) -> HttpResponse:
    """One place: how full, how it is, when it is backed up, what can be done."""
    connection = held.connection(request, name)
    schedules.ensure(archive=connection.archive)
    runs = Job.objects.filter(subject=connection.subject).order_by("-requested_at", "-id")[:5]
    context = {
        **_place(connection),
        "schedules": [_scheduled(schedule) for schedule in schedules.of(connection.subject) if schedule.on],
        "runs": [Shown(run) for run in runs],
    }
    return render(request, "pages/place.html", context)


def _place(connection: Connection) -> dict[str, Any]:
    running = Job.objects.filter(subject=connection.subject, state__in=OPEN).first()
    return {
        "connection": connection,
        "title": providers.provider(connection.provider).title,
        "quota": looking.quota(connection),
        "sign_in": health(connection, now=timezone.now()),
        "running": Shown(running) if running else None,
        "held_back": synced.report.get("held_back") if (synced := latest("sync", connection.subject)) else 0,
    }


def _scheduled(schedule: Schedule) -> dict[str, Any]:
    return {
        "title": title_of(schedule.kind),
        "words": schedules.words(schedule),
        "next": None if schedule.paused_for else schedule.next_due,
        "paused": schedule.paused,
    }


@sensitive_post_parameters()
@require_POST
def connect(request: HttpRequest) -> HttpResponse:
    """Connect a folder, and show the recovery key of a new vault, this once."""
    path = request.POST.get("path", "").strip()
    if not path:
        raise WrongUse("No folder was given.", hint="Write its path, like /media/stick or ~/Dropbox.")
    made = connecting.connect(
        "folder",
        {"path": path},
        installation=held.installation(request),
        name=request.POST.get("name", "").strip(),
        passphrase=request.POST.get("passphrase", ""),
    )
    return render(request, "pages/connected.html", {"made": made, "kit": kit_of(made) if made.recovery_key else ""})


def kit_of(made: connecting.Connected) -> str:
    """The emergency kit of a vault that was made now, as text."""
    return emergency_kit(
        made,
        vault=made.vault,
        recovery_key=made.recovery_key,
        made=datetime.now(UTC).date(),
    )


@require_POST
def do(request: HttpRequest, name: str) -> HttpResponseBase:
    """Back up, check or test a place now; or let go of it."""
    connection = held.connection(request, name)
    doing = request.POST.get("do", "")
    if doing in ("backup", "check", "drill", "sync"):
        arguments: dict[str, Any] = {"connection": name}
        if doing == "sync" and request.POST.get("accept") == "1":
            arguments["accept_deletions"] = True
        if doing == "check":
            arguments["read_data"] = request.POST.get("read_data") == "1"
        return redirect("run", held.enqueue(request, doing, connection.subject, arguments).pk)
    if doing == "test":
        return render(request, "pages/tested.html", {"tested": looking.test(connection, held.installation(request))})
    if doing == "disconnect":
        return _disconnect(request, connection)
    raise WrongUse("That cannot be done with a place.")


@stepped_up
def _disconnect(request: HttpRequest, connection: Connection) -> HttpResponse:
    """The key to the vault goes too: whoever has no other one reads none of its backups again."""
    left = connecting.disconnect(connection, held.installation(request))
    return render(request, "pages/disconnected.html", {"what": left.what})


@require_GET
def snapshots(request: HttpRequest, name: str) -> HttpResponse:
    """What can be restored from a place, the newest first, and the form to restore."""
    connection = held.connection(request, name)
    found, unread, trouble = [], [], None
    try:
        storage = opening.open_storage(connection, held.installation(request))
        try:
            vault = opening.open_vault(connection, storage, held.installation(request))
            found = operations.snapshots(vault)
            unread = operations.unread(vault)
        finally:
            storage.close()
    except ChatkeepError as error:
        trouble = error
    context = {
        "connection": connection,
        "found": found,
        "unread": unread,
        "trouble": trouble,
        "one_wanted": request.GET.get("conversation", ""),
        "formats": FORMATS,
    }
    return render(request, "pages/snapshots.html", context)


@require_POST
def restore(request: HttpRequest, name: str) -> HttpResponseBase:
    """Restore everything or some conversations, as files, or only look at what that would change."""
    connection = held.connection(request, name)
    chosen = [one for given in request.POST.getlist("conversations") for one in given.replace(",", " ").split()]
    arguments: dict[str, Any] = {
        "connection": name,
        "snapshot": request.POST.get("snapshot", ""),
        "conversations": chosen,
    }
    doing = request.POST.get("do", "")
    if doing == "open":
        del arguments["conversations"]
        return redirect("run", held.enqueue(request, "look", connection.subject, arguments).pk)
    if doing == "files":
        kind = request.POST.get("format", "")
        kind = kind if kind in {name for name, _, _ in FORMATS} else "html"
        arguments |= {"exporter": kind, "out": new_zip(request, kind)}
    else:
        arguments |= {"replace": request.POST.get("how") == "replace", "dry_run": doing != "restore"}
    return redirect("run", held.enqueue(request, "restore", connection.subject, arguments).pk)
