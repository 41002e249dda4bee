"""Which old backups stay at a place, what would go by that, and tidying it now."""

from __future__ import annotations

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from chatkeep.connections import opening
from chatkeep.errors import WrongUse
from chatkeep.vault import Policy
from chatkeep.web import held

RULES = {
    "last": ("The last", "whenever they were made"),
    "hourly": ("Hours", "the newest of each hour that has one"),
    "daily": ("Days", "the newest of each day"),
    "weekly": ("Weeks", "the newest of each week"),
    "monthly": ("Months", "the newest of each month"),
    "yearly": ("Years", "the newest of each year"),
}


@require_http_methods(["GET", "POST"])
def kept(request: HttpRequest, name: str) -> HttpResponseBase:
    """The rules of a place; a form that was sent keeps them, and looks what would go or tidies."""
    connection = held.connection(request, name)
    if request.method == "GET":
        return _page(request, name)
    doing = request.POST.get("do", "")
    if doing not in ("save", "look", "tidy"):
        raise WrongUse("That cannot be done with old backups.")
    opening.note_retention(connection, {rule: _number(request.POST.get(rule, "")) for rule in RULES})
    if doing == "save":
        return redirect("place", name)
    arguments = {"connection": name, "dry_run": doing == "look"}
    return redirect("run", held.enqueue(request, "tidy", connection.subject, arguments).pk)


def _page(request: HttpRequest, name: str) -> HttpResponse:
    connection = held.connection(request, name)
    policy = msgspec.convert(connection.retention or {}, Policy)
    rules = [(rule, title, text, getattr(policy, rule)) for rule, (title, text) in RULES.items()]
    return render(request, "pages/kept.html", {"connection": connection, "rules": rules, "floor": policy.floor_days})


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 4:
        raise WrongUse("How many backups stay is a number, 0 or more.", hint="Go back and write numbers only.")
    return int(text)
