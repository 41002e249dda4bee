"""Taking conversations away as files: which, in which format, how; with a look at one before."""

from __future__ import annotations

import dataclasses
import json
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from chatkeep import exporters
from chatkeep.errors import ChatkeepError, NotFound, WrongUse
from chatkeep.exporters import Customisation
from chatkeep.selection import Selection
from chatkeep.web import held
from chatkeep.web.held import archive, selection_of

KEPT_S = 7 * 24 * 3600
FORMATS = (
    ("markdown", "Markdown", "one file a conversation, for notes programs such as Obsidian"),
    ("html", "HTML", "pages that open in any browser, with pictures"),
    ("txt", "Text", "plain text, readable everywhere"),
    ("json", "JSON", "everything, without loss; can be imported again"),
)
_SWITCHES = ("thinking", "tool_calls", "citations", "hidden")
_CHOICES = ("branches", "times", "zone", "names", "attachments", "files", "name_pattern")


@require_http_methods(["GET", "POST"])
def exports(request: HttpRequest) -> HttpResponseBase:
    """The choices, with a look at the first conversation; a form that was sent becomes a job."""
    if request.method == "POST":
        return _begin(request)
    values = request.GET
    selection, customisation, wrong = selection_of(values), Customisation(), None
    try:
        customisation = _customisation(values)
        count = archive(request).count(selection)
    except WrongUse as error:
        wrong, count = error, 0
    context = {
        "selection": selection,
        "count": count,
        "wrong": wrong,
        "formats": FORMATS,
        "format": _format(values),
        "made": customisation,
        "first": archive(request).listing(selection, limit=1) if count else [],
        "looked": "format" in values,
        "query": values.urlencode(),
        "chosen": [(name, value) for name, listed in values.lists() for value in listed],
    }
    return render(request, "pages/export.html", context)


def _format(values: QueryDict) -> str:
    wanted = values.get("format", "markdown")
    return wanted if wanted in {name for name, _, _ in FORMATS} else "markdown"


def _customisation(values: QueryDict) -> Customisation:
    """What the form says; a form that was not filled in yet says nothing."""
    if "format" not in values:
        return Customisation()
    given: dict[str, Any] = {name: values.get(name) == "1" for name in _SWITCHES}
    given |= {name: value for name in _CHOICES if (value := values.get(name, "").strip())}
    given["redact"] = tuple(word.strip() for word in values.get("redact", "").split(",") if word.strip())
    return Customisation(**given)


def _begin(request: HttpRequest) -> HttpResponseBase:
    selection, kind = selection_of(request.POST), _format(request.POST)
    customisation = _customisation(request.POST)
    if not archive(request).count(selection):
        raise WrongUse("No conversation fits the selection.", hint="Go back and widen it.")
    arguments = {
        "format": kind,
        "out": new_zip(request, kind),
        "selection": msgspec.structs.asdict(selection),
        "options": dataclasses.asdict(customisation),
    }
    return redirect("run", held.enqueue(request, "export", arguments=arguments).pk)


def new_zip(request: HttpRequest, kind: str) -> str:
    """The path of a zip that is about to be written for a person to download."""
    _tidy(_folder(request))
    folder = _folder(request) / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    return str(folder / f"Chatkeep {datetime.now(UTC):%Y-%m-%d} {kind}.zip")


def _folder(request: HttpRequest) -> Path:
    return held.folder(request) / "cache" / "exports"


def _tidy(exported: Path) -> None:
    """Drop what was exported more than a week ago."""
    for folder in exported.glob("*"):
        if time.time() - folder.stat().st_mtime > KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)


@require_GET
def preview(request: HttpRequest) -> HttpResponse:
    """How the first conversation would be written. It is shown in a frame that can do nothing."""
    kind = _format(request.GET)
    try:
        text = _preview(request, selection_of(request.GET), kind, _customisation(request.GET))
    except ChatkeepError as error:
        kind, text = "txt", f"{error.what} {error.hint}"
    return framed(text, "text/html" if kind == "html" else "text/plain")


def framed(text: str, content_type: str) -> HttpResponse:
    """A page of what people wrote that can do nothing: no script, no form, nothing from elsewhere."""
    response = HttpResponse(text, content_type=f"{content_type}; charset=utf-8")
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _preview(request: HttpRequest, selection: Selection, kind: str, customisation: Customisation) -> str:
    for conversation in archive(request).documents(selection):
        return exporters.preview(conversation, exporter=kind, customisation=customisation)
    raise NotFound("No conversation fits the selection.")


@require_GET
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The zip that an export made."""
    job = held.job(request, pk)
    path = Path(json.loads(job.arguments).get("out", ""))
    if (
        job.kind not in ("export", "restore", "everything")
        or _folder(request) not in path.parents
        or not path.is_file()
    ):
        raise NotFound("These files are not kept any more.", hint="Export again; what was exported is kept for a week.")
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name, content_type="application/zip")
