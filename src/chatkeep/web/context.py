"""What the frame around every page shows: the places, and what is going on."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from chatkeep.feedback.telling import open_losses
from chatkeep.people.roles import may
from chatkeep.rollout import flags
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.pages.labs import has_labs
from chatkeep.web.runs import Shown, open_runs

_PLACES = (
    ("home", "Home", "home"),
    ("chats", "Chats", "chats"),
    ("search", "Search", "search"),
    ("import", "Import", "import"),
    ("export", "Export", "export"),
    ("backups", "Backups", "backups"),
)
_WIDE = frozenset({"export"})  # left to the page "More" where the screen is narrow


def frame(request: HttpRequest) -> dict[str, Any]:
    """`rail`, the places of the navigation, and `activity`: the open jobs, for the pill on every page.

    Before anybody is signed in: whether this server sends mail.
    """
    archive = getattr(request, "archive_id", "")
    if not archive:
        return {"sends_mail": bool(CHATKEEP.smtp_url)}
    here = request.path
    places = [
        {
            "href": (href := reverse(name)),
            "name": title,
            "icon": icon,
            "here": _is_here(here, href),
            "wide": name in _WIDE,
        }
        for name, title, icon in _PLACES
    ]
    activity: list[Shown] = [] if here.startswith(reverse("runs")) else open_runs(archive)
    theirs: dict[str, Any] = {
        "is_server": CHATKEEP.is_server,
        "operates": CHATKEEP.is_server and may(request.user, change=False),
    }
    theirs |= {"labs": has_labs(), "operating": _operating(request)}
    return {"rail": places, "activity": activity, **theirs}


def _operating(request: HttpRequest) -> list[dict[str, Any]]:
    """The pages of those who run the server; count: what waits there for them."""
    if not may(request.user, change=False):
        return []
    fell = sum(bool(state.fell) for state in flags.REMEMBERED.states().values())
    return [
        {"href": reverse("operator-flags"), "name": "Flags", "count": fell},
        {"href": reverse("operator-feedback"), "name": "Reports", "count": open_losses()},
    ]


def _is_here(path: str, href: str) -> bool:
    if path.startswith(reverse("connect-choose")):
        return href == reverse("backups")
    return path == href if href == "/" else path.startswith(href)
