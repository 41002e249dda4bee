"""A look into a backup without restoring it: what is in it, searched and read, and picked to be restored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from chatkeep import exporters
from chatkeep.archive import Archive
from chatkeep.errors import NotFound
from chatkeep.exporters import Customisation
from chatkeep.jobs.kinds import opened_snapshots
from chatkeep.web import held
from chatkeep.web.held import selection_of
from chatkeep.web.pages.exporting import FORMATS, framed

SHOWN = 100


@contextmanager
def _opened(request: HttpRequest, snapshot: str) -> Iterator[Archive]:
    folder = opened_snapshots(held.folder(request)) / snapshot
    if not re.fullmatch("[0-9a-f]{64}", snapshot) or not (folder / "archive.sqlite3").is_file():
        raise NotFound("This backup is not open any more.", hint="Open it again from the page of backups.")
    with Archive.open(folder) as archive:
        yield archive


@require_GET
def opened(request: HttpRequest, name: str, snapshot: str) -> HttpResponse:
    """The conversations of an opened backup, all or those that a search finds, to read or to restore."""
    connection = held.connection(request, name)
    selection = selection_of(request.GET)
    with _opened(request, snapshot) as archive:
        total = archive.count(selection)
        found = archive.listing(selection, limit=SHOWN)
    context = {
        "connection": connection,
        "snapshot": snapshot,
        "found": found,
        "total": total,
        "more": total - len(found),
        "query": selection.query,
        "formats": FORMATS,
    }
    return render(request, "pages/opened.html", context)


@require_GET
def read(request: HttpRequest, name: str, snapshot: str, conversation: UUID) -> HttpResponse:
    """One conversation of an opened backup, as it was. It is shown in a page that can do nothing."""
    held.connection(request, name)
    with _opened(request, snapshot) as archive:
        one = archive.load(str(conversation))
    return framed(exporters.preview(one, exporter="html", customisation=Customisation()), "text/html")
