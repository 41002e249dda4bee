"""Long work: exports, backups and restores are asked for, looked at, cancelled; what an export made is fetched."""

from __future__ import annotations

import dataclasses
import json
import secrets
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

import msgspec
from django.http import FileResponse, HttpResponse, HttpResponseBase
from ninja import Path, Query, Router, Status

from chatkeep.api import house, owned, values
from chatkeep.api.problems import ApiError
from chatkeep.api.routes.frame import BACKUP, EXPORT, READ, RESTORE, WRITE, Asked, archive_of, raw_answer
from chatkeep.api.values import Number
from chatkeep.connections import opening
from chatkeep.errors import NotFound, WrongUse
from chatkeep.exporters import Customisation
from chatkeep.jobs import queue
from chatkeep.jobs.models import Job
from chatkeep.selection import Selection

router = Router(tags=["jobs"])
KEPT_S = 7 * 24 * 3600
_ZIP = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}


@router.post("/exports", auth=EXPORT, response={202: values.Job})
def export(request: Asked, response: HttpResponse, wanted: values.ExportWanted) -> Any:
    """Ask for an export as a zip. The answer is a job; `result` says where the zip is when it is done."""
    archive = archive_of(request)
    given = wanted.selection.model_dump(exclude_none=True)
    selection = msgspec.convert(given, Selection)
    options = wanted.options.model_dump()
    made = _made(options)
    if not archive.count(selection):
        raise ApiError(409, "No conversation fits the selection.", hint="Widen it.")
    arguments = {
        "format": wanted.format,
        "out": _new_zip(request.access.archive_id, wanted.format),
        "selection": msgspec.structs.asdict(selection),
        "options": dataclasses.asdict(made),
    }
    return _accepted(request, response, "export", queue.archive_subject(request.access.archive_id), arguments)


@router.post("/backups", auth=BACKUP, response={202: values.Job})
def back_up(request: Asked, response: HttpResponse, wanted: values.BackupWanted) -> Any:
    """Ask for a backup to a connection now. One that waits already is given in its place."""
    connection = opening.connection(wanted.connection, request.access.archive_id)
    return _accepted(request, response, "backup", connection.subject, {"connection": connection.name})


@router.post("/restores", auth=RESTORE, response={202: values.Job})
def restore(request: Asked, response: HttpResponse, wanted: values.RestoreWanted) -> Any:
    """Ask for conversations back from a backup. Its report has the receipt that undoes it."""
    connection = opening.connection(wanted.connection, request.access.archive_id)
    arguments = {
        "connection": connection.name,
        "snapshot": wanted.snapshot,
        "as_of": wanted.as_of or "",
        "conversations": list(wanted.conversations),
        "replace": wanted.replace,
        "dry_run": wanted.dry_run,
    }
    return _accepted(request, response, "restore", connection.subject, arguments)


def _made(options: dict[str, Any]) -> Customisation:
    try:
        return Customisation(**{**options, "redact": tuple(options["redact"])})
    except WrongUse as error:  # the shape is right, and this machine knows no such zone
        raise ApiError(409, error.what, hint=error.hint) from None


def _accepted(request: Asked, response: HttpResponse, kind: str, subject: str, arguments: Mapping[str, Any]) -> Any:
    access = request.access
    by = f"the API ({access.name})"[:80]
    job = queue.enqueue(kind, subject, arguments, by=by, archive=access.archive_id)
    response["Location"] = f"/api/v1/jobs/{job.pk}"
    return Status(202, shown(job))


@router.get("/jobs", auth=READ, response=values.Jobs)
def list_jobs(request: Asked, query: Query[values.JobsQuery]) -> Any:
    """List jobs, the newest first: those of the app and of the command line too."""
    access = request.access
    found = owned.jobs(access.archive_id, open_only=query.open == "true", before=query.before, limit=query.limit + 1)
    more = len(found) > query.limit
    found = found[: query.limit]
    return {"jobs": [shown(job) for job in found], "next": found[-1].pk if more else None}


@router.get("/jobs/{id}", auth=READ, response=values.Job)
def get_job(request: Asked, id: Path[Number]) -> Any:
    """Give a job as it is now."""
    return shown(queue.find(id, archive=request.access.archive_id))


@router.post("/jobs/{id}/cancel", auth=WRITE, response=values.Job)
def cancel_job(request: Asked, id: Path[Number]) -> Any:
    """Ask a job to stop: at once while it waits, at its next step while it runs. What was finished is kept."""
    return shown(owned.cancel(id, request.access.archive_id))


@router.get(
    "/jobs/{id}/result",
    auth=EXPORT,
    openapi_extra={"responses": {200: raw_answer(_ZIP, "The zip that an export made.")}},
)
def get_result(request: Asked, id: Path[Number]) -> HttpResponseBase:
    """Give the zip that an export made. It is kept for a week."""
    archive_id = request.access.archive_id
    path = _result(queue.find(id, archive=archive_id), archive_id)
    if path is None or not path.is_file():
        raise NotFound("This job has no files, or they are not kept any more.", hint="Files are kept for a week.")
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name, content_type="application/zip")


def shown(job: Job) -> dict[str, Any]:
    """A job as it is answered. No path of this machine is in it."""
    result = job.kind == "export" and job.state in ("done", "problems")
    report = dict(job.report) if job.report is not None else None
    if report and "source" in report:
        report["source"] = [{**one, "path": FilePath(one["path"]).name} for one in report["source"]]
    if report and "out" in report:
        del report["out"]
    return {
        "id": job.pk,
        "kind": job.kind,
        "state": str(job.state),
        "requested_at": stamp(job.requested_at),
        "started_at": stamp(job.started_at),
        "ended_at": stamp(job.ended_at),
        "progress": job.progress,
        "report": report,
        "what": job.what,
        "hint": job.hint,
        "result": f"/api/v1/jobs/{job.pk}/result" if result else None,
    }


def stamp(moment: datetime | None) -> str | None:
    """A moment as it is answered."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _exports(archive_id: str) -> FilePath:
    return house.folder(archive_id) / "cache" / "exports"


def _new_zip(archive_id: str, kind: str) -> str:
    """The path of a zip that is about to be written; what is older than a week goes."""
    folder = _exports(archive_id)
    for old in folder.glob("*"):
        if time.time() - old.stat().st_mtime > KEPT_S:
            shutil.rmtree(old, ignore_errors=True)
    made = folder / secrets.token_hex(8)
    made.mkdir(parents=True, mode=0o700)
    return str(made / f"Chatkeep {datetime.now(UTC):%Y-%m-%d} {kind}.zip")


def _result(job: Job, archive_id: str) -> FilePath | None:
    path = FilePath(json.loads(job.arguments).get("out", ""))
    return path if job.kind == "export" and _exports(archive_id) in path.parents else None
