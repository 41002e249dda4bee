"""How the keeper of an archive is told that something is wrong: shown, changed, tried."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from chatkeep.watching import channels
from chatkeep.watching.findings import findings
from chatkeep.watching.models import SEALED
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP

FIELDS = (
    ("mail", "E-mail", "smtps://name:password@mail.example/?from=me@example.org&to=me@example.org"),
    ("ntfy", "ntfy", "https://ntfy.sh/a-name-nobody-guesses"),
    ("webhook", "A program of yours", "https://example.org/hook"),
    ("ping", "A watchdog, called while all is well", "https://hc-ping.com/…"),
)


@require_GET
def notices(request: HttpRequest) -> HttpResponse:
    """What is wrong now, and where that is told. Addresses are not shown again: they may hold passwords."""
    archive = held.archive_id(request)
    row, safe = channels.of(archive), held.installation(request).safe
    ways = channels.ways(row, safe, CHATKEEP)
    context = {
        "findings": findings(home=held.folder(request), now=timezone.now(), archive=archive),
        "fields": [(name, title, example, bool(getattr(ways, name))) for name, title, example in FIELDS],
        "digest": bool(row and row.digest),
        "any": ways.any,
        "said": request.session.pop("notices", ""),
    }
    return render(request, "pages/notices.html", context)


@sensitive_post_parameters()
@require_POST
def change(request: HttpRequest) -> HttpResponseBase:
    """Keep other addresses, forget some, or send a word to try them."""
    archive = held.archive_id(request)
    safe = held.installation(request).safe
    before = channels.ways(channels.of(archive), safe, CHATKEEP)
    if request.POST.get("do") == "try":
        word = channels.Word("a trial", "This is how Chatkeep tells you when something is wrong. Nothing is.")
        troubles = channels.tell(before, word, guarded=CHATKEEP.is_server)
        request.session["notices"] = " ".join(troubles) or "It was sent. Look whether it came."
        return redirect("notices")
    given = {name: request.POST.get(name, "").strip() for name in SEALED}
    kept = {name: "" if request.POST.get(f"no-{name}") else given[name] or getattr(before, name) for name in SEALED}
    digest = request.POST.get("digest") == "1"
    channels.save(archive, channels.Ways(**kept), digest=digest, safe=safe, guarded=CHATKEEP.is_server)
    request.session["notices"] = "Saved."
    return redirect("notices")
