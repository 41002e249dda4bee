"""Are my chats safe? One sentence, and what to do next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from chatkeep.connections.health import SignInHealth, health
from chatkeep.connections.models import Connection
from chatkeep.selection import Selection
from chatkeep.watching.findings import Finding, findings
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP

OLD = timedelta(days=7)


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The first page: a welcome while there is nothing, else how safe the chats are."""
    counts = held.archive(request).counts()
    places = held.connections(request)
    state = _state(places) if counts.conversations else None
    found = findings(home=held.folder(request), now=timezone.now(), archive=held.archive_id(request))
    context = {
        "counts": counts,
        "places": places,
        "state": state,
        "findings": [one for one in found if not (state and _says(state, one))],
        "recent": held.archive(request).listing(Selection(), limit=6) if counts.conversations else [],
    }
    return render(request, "pages/home.html", context)


def _state(places: list[Connection]) -> dict[str, Any]:
    """One colour, one sentence, one action."""
    backed_up = [place.backed_up_at for place in places if place.backed_up_at]
    asking = [(place, health(place, now=timezone.now())) for place in places]
    for place, sign_in in asking:
        if sign_in.state == "over":
            return _reconnect("bad", f"{place.name} is signed out", place, sign_in)
    failed = [place for place in places if place.trouble]
    if failed:
        return {
            "mood": "bad",
            "title": f"The last run at {failed[0].name} failed",
            "text": failed[0].trouble,
            "do": "See why",
        }
    for place, sign_in in asking:
        if sign_in.state == "ending":
            return _reconnect("warn", f"The sign-in of {place.name} will need you", place, sign_in)
    if not places:
        text = f"They are on this {_here()} only. If it is lost, they are lost."
        return {"mood": "warn", "title": "Your chats have no backup yet", "text": text, "do": "Set up a backup"}
    if not backed_up:
        text = "A place is connected, but what is on this machine was not backed up to it yet."
        return {"mood": "warn", "title": "The first backup is still to be made", "text": text, "do": "Back up"}
    if timezone.now() - max(backed_up) > OLD:
        text = f"What came since then is on this {_here()} only."
        return {"mood": "warn", "title": "The last backup is more than a week old", "text": text, "do": "Back up"}
    text = "The last backup was read back and compared."
    return {"mood": "good", "title": "Your chats are backed up", "text": text, "do": "Backups"}


def _here() -> str:
    return "server" if CHATKEEP.is_server else "machine"


def _says(state: dict[str, Any], finding: Finding) -> bool:
    """Whether the state tells what was found: that somebody has to sign in at this place."""
    return finding.code in ("signed-out", "sign-in-ends") and finding.subject == state.get("reconnect")


def _reconnect(mood: str, title: str, place: Connection, sign_in: SignInHealth) -> dict[str, Any]:
    text = f"{sign_in.text} {sign_in.advice}".strip()
    return {"mood": mood, "title": title, "text": text, "do": "Reconnect", "reconnect": place.name}
