"""The list of conversations, and what can be done with several of them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from chatkeep import operations
from chatkeep.errors import WrongUse
from chatkeep.web.held import archive, selection_of
from chatkeep.web.stepping_up import stepped_up

PAGE = 50


@require_GET
def chats(request: HttpRequest) -> HttpResponse:
    """Conversations, newest first, with the choices that narrow them."""
    selection = selection_of(request.GET)
    start = max(0, _number(request.GET.get("start")))
    total = archive(request).count(selection)
    found = archive(request).listing(selection, limit=PAGE, offset=start)
    return render(
        request,
        "pages/chats.html",
        {
            "found": found,
            "facets": archive(request).facets(selection),
            "selection": selection,
            "total": total,
            "first": start + 1,
            "last": start + len(found),
            "earlier": max(0, start - PAGE) if start else None,
            "later": start + PAGE if start + PAGE < total else None,
            "narrowed": bool(request.GET.keys() - {"start"}),
        },
    )


@require_POST
def together(request: HttpRequest) -> HttpResponseBase:
    """Do one thing with all that were ticked: export them, put them in the trash and back, or delete them."""
    ids = request.POST.getlist("id")
    if not ids:
        raise WrongUse("No conversation is ticked.", hint="Tick some in the list, then choose what to do.")
    doing = request.POST.get("do")
    if doing == "export":
        return redirect(reverse("export") + "?" + urlencode({"id": ids}, doseq=True))
    if doing == "delete":
        return _delete(request)
    if doing not in ("trash", "back"):
        raise WrongUse("That cannot be done with conversations.")
    for name in ids:
        archive(request).edit(
            name, "trashed", timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ") if doing == "trash" else ""
        )
    return redirect(reverse("chats") + ("" if doing == "trash" else "?trashed=1"))


@stepped_up
def _delete(request: HttpRequest) -> HttpResponseBase:
    """Ask first; nothing brings back what is deleted."""
    ids = request.POST.getlist("id")
    if request.POST.get("sure") != "1":
        return render(request, "pages/delete.html", {"found": [archive(request).listed(id) for id in ids]})
    operations.delete(archive(request), ids)
    return redirect(reverse("chats") + "?trashed=1")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0
