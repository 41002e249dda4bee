"""Filters that turn values into words for people, and the few pictures of the app."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from chatkeep import exact, model

register = template.Library()

PLATFORMS = {
    "chatgpt": "ChatGPT",
    "claude": "Claude",
    "claude-code": "Claude Code",
    "librechat": "LibreChat",
    "openwebui": "Open WebUI",
    "whatsapp": "WhatsApp",
}
_PICTURES = {
    "home": "M3 11.5 12 4l9 7.5M5.5 10v9.5h13V10M10 19.5v-5h4v5",
    "chats": "M4 5h16v11H9l-5 4z",
    "search": "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16.2 16.2 21 21",
    "import": "M12 3v11m-4.5-4.5L12 14l4.5-4.5M4 16v4h16v-4",
    "export": "M12 14V3M7.5 7.5 12 3l4.5 4.5M4 16v4h16v-4",
    "backups": "M12 3 4.5 6v5.5c0 4.6 3.2 7.7 7.5 9.5 4.3-1.8 7.5-4.9 7.5-9.5V6zM8.5 12l2.5 2.5 4.5-4.5",
    "more": "M6 12h.01M12 12h.01M18 12h.01",
    "runs": "M4 12h4l2.5-6 4 12 2.5-6h3",
    "good": "M12 3 4.5 6v5.5c0 4.6 3.2 7.7 7.5 9.5 4.3-1.8 7.5-4.9 7.5-9.5V6zM8.5 12l2.5 2.5 4.5-4.5",
    "warn": "M12 4 2.5 20h19zM12 10v4.5M12 17.3v.2",
    "bad": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8.5 8.5l7 7m0-7-7 7",
    "file": "M6 3h8l4 4v14H6zM14 3v4h4",
    "keep": "M5 8.5A3.5 3.5 0 0 1 8.5 5h7A3.5 3.5 0 0 1 19 8.5v4a3.5 3.5 0 0 1-3.5 3.5H12l-4 4v-4"
    "a3.5 3.5 0 0 1-3-3.5zM9 10.5l2 2 4-4",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """A picture beside words; it says nothing of its own to a screen reader."""
    return mark_safe(  # noqa: S308 - our own constants
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true"><path d="{_PICTURES[name]}"/></svg>'
    )


@register.filter
def platform(name: str) -> str:
    """The name of a platform as it writes itself."""
    return PLATFORMS.get(name, name.replace("-", " ").title())


_WRITTEN_BY = {
    "person": "written by people",
    "assistant": "written by assistants",
    "tool": "given by tools",
    "system": "of the platform itself",
}


@register.filter
def written_by(role: str) -> str:
    """Whose messages a count of a receipt is about."""
    return _WRITTEN_BY.get(role, f"of the role “{role}”")


@register.filter
def readable(text: str) -> str:
    """Text of a document for people's eyes."""
    return exact.readable(text or "")


@register.filter
def sentence(text: str) -> str:
    """What an error says, with the full stop that lets a hint follow it."""
    return text if not text or text[-1] in ".!?…:" else f"{text}."


@register.filter
def number(value: int) -> str:
    """12,345."""
    return f"{value or 0:,}"


@register.filter
def size(value: int) -> str:
    """Bytes in units for people: 12 kB, 3.4 MB."""
    amount, unit = float(value or 0), 0
    units = ("bytes", "kB", "MB", "GB", "TB")
    while amount >= 1000 and unit < len(units) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {units[unit]}" if unit < 2 or amount >= 100 else f"{amount:.1f} {units[unit]}"


@register.filter
def day(text: str) -> str:
    """The day of a document's time: 15 August 2023. "" for an unknown time."""
    moment = _moment(text)
    return f"{moment.day} {moment:%B} {moment.year}" if moment else ""


@register.filter
def clock(text: str) -> str:
    """Day and minute of a document's time: 15 August 2023, 21:12 UTC; a local time as it stands."""
    moment = _moment(text)
    zone = " UTC" if (text or "").endswith("Z") else ""
    return f"{moment.day} {moment:%B} {moment.year}, {moment:%H:%M}{zone}" if moment else ""


def _moment(text: str) -> datetime | None:
    """A time of a document; a local one is read as it stands."""
    return model.instant(text or "") or model.instant(f"{text}Z")


@register.filter
def ago(moment: Any) -> str:
    """How long ago a moment of ours was: just now, 5 minutes ago, yesterday, 12 days ago."""
    if moment is None:
        return "never"
    if isinstance(moment, str):
        moment = model.instant(moment)
    seconds = (timezone.now() - moment).total_seconds()
    for limit, length, word in ((3600, 60, "minute"), (86400, 3600, "hour"), (10**12, 86400, "day")):
        if seconds < 90:
            return "just now"
        if seconds < limit:
            amount = int(seconds // length)
            return f"{amount} {word}{'s' if amount != 1 else ''} ago"
    return ""


@register.filter
def plural(value: int, words: str) -> str:
    """1 message, 12,345 messages: the value with the first or second of two words given as "message,messages"."""
    one, _, many = words.partition(",")
    return f"{value or 0:,} {one if value == 1 else many or one + 's'}"


@register.filter
def percent(progress: dict[str, Any]) -> int:
    """How far a job is [0 to 100]; 0 where the total is not known."""
    total = progress.get("total") or 0
    return max(0, min(100, round(100 * (progress.get("done") or 0) / total))) if total else 0


@register.filter
def share(value: float) -> str:
    """A share from 0 to 1 for people: 98.5 %. What is not all is never rounded up to all."""
    if 0 < value < 0.0005:
        return "less than 0.1 %"
    return "100 %" if value == 1 else f"{min(100 * value, 99.9):.1f} %"


@register.filter
def part(total: int, percent: int) -> int:
    """So many percent of a number."""
    return (total or 0) * percent // 100


@register.filter
def words(text: str) -> list[str]:
    """The words of a constant, to go through."""
    return text.split()


@register.filter
def first_items(counts: dict[str, int]) -> list[dict[str, Any]]:
    """The dozen most frequent of some counts, as name and count."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "count": count} for name, count in ordered[:12]]


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The query of this page with some values changed; None or "" takes one out."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        values.pop(name, None)
        if value not in (None, ""):
            values[name] = str(value)
    return "?" + urlencode(list(values.lists()), doseq=True)
