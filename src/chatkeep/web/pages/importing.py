"""Bringing exports in: dropped files, a path on this machine, or the example; and the receipt with its undo."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatkeep import example
from chatkeep.archive import Receipt
from chatkeep.errors import Refused, WrongUse
from chatkeep.web import held
from chatkeep.web.held import archive


@require_http_methods(["GET", "POST"])
def imports(request: HttpRequest) -> HttpResponseBase:
    """The page to drop exports on; a form that was sent becomes a job."""
    if request.method == "POST":
        return _begin(request)
    return render(
        request,
        "pages/import.html",
        {"receipts": archive(request).receipts()[:20], "shared": held.installation(request).shared},
    )


def _begin(request: HttpRequest) -> HttpResponseBase:
    given = request.POST.get("path", "").strip()
    files = request.FILES.getlist("files")
    held.check_room(request, bytes=1)
    if files:
        return redirect("run", _enqueue(request, [str(path) for path in _stage(request, files)], uploaded=True))
    if given and held.installation(request).shared:
        raise Refused("Files of the server cannot be named here.", hint="Choose the export on your own device.")
    if given:
        path = Path(given).expanduser()
        if not path.exists():
            raise WrongUse("There is nothing at this path on this computer.", hint="Check how it is written.")
        return redirect("run", _enqueue(request, [str(path.absolute())], uploaded=False))
    raise WrongUse("No file was chosen.", hint="Drop the export on the page, or choose it with the button.")


def _stage(request: HttpRequest, files: list) -> list[Path]:  # type: ignore[type-arg]
    """Move what was uploaded out of the way of the next request, under names that are safe."""
    folder = held.folder(request) / "cache" / "uploads" / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    staged = []
    for number, file in enumerate(files):
        name = PurePosixPath(file.name.replace("\\", "/")).name.lstrip(".") or f"file-{number}"
        path = folder / (name if not (folder / name).exists() else f"{number}-{name}")
        shutil.move(file.temporary_file_path(), path)
        staged.append(path)
    return staged


def _enqueue(request: HttpRequest, paths: list[str], *, uploaded: bool) -> int:
    arguments = {"paths": paths, "uploaded": uploaded}
    return int(held.enqueue(request, "import", arguments=arguments).pk)


@require_POST
def bring_example(request: HttpRequest) -> HttpResponseBase:
    """Import the example that comes with Chatkeep, the same way as any export."""
    return redirect("run", _enqueue(request, [str(path) for path in example.paths()], uploaded=False))


@require_GET
def receipt(request: HttpRequest, number: str) -> HttpResponse:
    """What one import or restore brought, and how to take it back."""
    return _receipt(request, archive(request).receipt(number))


@require_POST
def undo(request: HttpRequest, number: str) -> HttpResponse:
    """Take an import or a restore back, and say what that did."""
    undone = archive(request).undo(number)
    return _receipt(request, archive(request).receipt(number), undone=undone)


def _receipt(request: HttpRequest, found: Receipt, **more: Any) -> HttpResponse:
    what = "restore" if found.is_restore else "import"
    return render(request, "pages/receipt.html", {"receipt": found, "operation": what, **more})
