"""One conversation: its messages in windows, its branches, its attachments, and the few things done with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET, require_POST

from chatkeep import exact
from chatkeep.archive import Window
from chatkeep.errors import WrongUse
from chatkeep.model import Message, Participant
from chatkeep.rendering import message_to_html
from chatkeep.web.held import archive

WINDOW = 100
BEFORE = 20  # messages to see before the one that was found
# What a browser may show in place; everything else is handed over as a file, so that it never runs under our name.
_SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PLAYED = ("audio/", "video/")


@require_GET
def chat(request: HttpRequest, name: UUID) -> HttpResponse:
    """The messages of a conversation on the path that is shown, or to `leaf`; a window that begins at `start`."""
    window = _window(str(name), request)
    people = {one.id: one for one in window.participants}
    turns = [_turn(window, people, at) for at in range(len(window.messages))]
    later = window.start + len(turns)
    return render(
        request,
        "pages/chat.html",
        {
            "one": window.conversation,
            "people": _named(window.participants),
            "turns": turns,
            "leaf": request.GET.get("leaf") or (window.leaf if request.GET.get("to") else ""),
            "total": window.total,
            "first": window.start + 1,
            "last": later,
            "earlier": max(0, window.start - WINDOW) if window.start else None,
            "later": later if later < window.total else None,
            "asides": sum(turn["aside"] for turn in turns),
            "silent": bool(turns) and not _with_asides(request) and all(turn["aside"] for turn in turns),
            "emptied": not any(message.parts for message in window.messages),
            "with_asides": _with_asides(request),
        },
    )


def _with_asides(request: HttpRequest) -> bool:
    return request.GET.get("all") == "1"


def _window(name: str, request: HttpRequest) -> Window:
    """The window that was asked for: by position, or around the message `to`, on another branch if it is there."""
    start, wanted = request.GET.get("start", ""), request.GET.get("to", "")
    if wanted:
        place = archive(request).place(name, wanted)
        return archive(request).window(name, leaf=place.leaf, start=max(0, place.position - BEFORE), count=WINDOW)
    first = int(start) if start.isdecimal() and len(start) < 10 else 0
    return archive(request).window(name, leaf=request.GET.get("leaf", ""), start=first, count=WINDOW)


def _turn(window: Window, people: dict[str, Participant], at: int) -> dict[str, Any]:
    message, siblings = window.messages[at], window.siblings[at]
    author = people.get(message.author)
    role = author.role if author else ""
    place = siblings.index(message.id) if message.id in siblings else 0
    return {
        "message": message,
        "name": _name(author),
        "role": role,
        "aside": message.hidden or role in ("system", "tool") or not _says_something(message),
        "html": _html(message, window.conversation.platform),
        "before": siblings[place - 1] if place else "",
        "after": siblings[place + 1] if place + 1 < len(siblings) else "",
        "place": place + 1,
        "choices": len(siblings),
        "versions": len(message.previous),
        "previous": [{"message": old, "html": _html(old, window.conversation.platform)} for old in message.previous],
    }


def _named(people: tuple[Participant, ...]) -> list[Participant]:
    """Those worth naming at the top: people and assistants with names, where there are more than two sides."""
    named = [one for one in people if one.name and one.role in ("person", "assistant")]
    return named if len(named) > 1 else []


def _name(author: Participant | None) -> str:
    if author is None:
        return "Somebody"
    words = {"person": "You", "assistant": "Assistant", "tool": "Tool", "system": "System"}
    return exact.readable(author.name) or words.get(author.role, "Somebody")


def _says_something(message: Message) -> bool:
    """Whether a message has more than what an assistant thought and did on the way."""
    return any(part.type not in ("thinking", "tool_call", "tool_result", "citation") for part in message.parts)


def _html(message: Message, platform: str) -> SafeString:
    return mark_safe(message_to_html(message.parts, platform, attachment_url=_address))  # noqa: S308 - passed the gate


def _address(sha256: str) -> str | None:
    return reverse("attachment", args=[sha256]) if len(sha256) == 64 else None


@require_GET
def attachment(request: HttpRequest, sha256: str) -> HttpResponseBase:
    """The bytes of an attachment: pictures, sound and film in place, all else as a file to save."""
    found = archive(request).attachment_info(sha256)
    kind = found.media_type.partition(";")[0].strip().lower()
    shown = kind in _SHOWN or kind.startswith(_PLAYED)
    response = FileResponse(
        found.path.open("rb"),
        as_attachment=not shown,
        filename=exact.readable(found.name) or sha256[:12],
        content_type=kind if shown else "application/octet-stream",
    )
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@require_GET
def document(request: HttpRequest, name: UUID) -> HttpResponse:
    """The conversation exactly as it is kept: its canonical bytes."""
    response = HttpResponse(archive(request).document(str(name)), content_type="application/json; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return response


@require_POST
def change(request: HttpRequest, name: UUID) -> HttpResponseBase:
    """What a person does with a conversation: its title, labels, star, and the trash. Each can be undone."""
    doing = request.POST.get("do", "")
    now = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    changes: dict[str, tuple[str, Any]] = {
        "title": ("title", exact.mark(request.POST.get("title", "").strip())),
        "labels": ("labels", _labels(request.POST.get("labels", ""))),
        "star": ("starred", True),
        "unstar": ("starred", False),
        "trash": ("trashed", now),
        "back": ("trashed", ""),
    }
    if doing not in changes:
        raise WrongUse("That cannot be done with a conversation.")
    field, value = changes[doing]
    archive(request).edit(str(name), field, value)
    return redirect("chats" if doing == "trash" else reverse("chat", args=[name]))


def _labels(text: str) -> list[str]:
    return sorted({label.strip().lstrip("#") for label in text.split(",")} - {""})
