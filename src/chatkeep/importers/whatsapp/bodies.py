"""What the body of a message says: text, a file, a placeholder for one, or a mark of WhatsApp's own.

Placeholders and marks come in the language of the phone; what they mean becomes fields without words, so that an
export in another language gives the same message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from chatkeep import exact
from chatkeep.importers.whatsapp import notices, words
from chatkeep.importers.whatsapp.marks import LEADING, without_marks
from chatkeep.model import Part

_ATTACHED_IOS = re.compile(r"<([^<>:：\n]{1,40}?)\s?[:：]\s?([^<>\n]{1,300})>\s*$")
_ATTACHED_ANDROID = re.compile(r"([^\n]{1,300}?\.\w{1,10}) ?[(（]([^()（）\n]{1,50})[)）]$")
_OF_WHATSAPP = re.compile(r"(?:\w{2,8}-\d{8}-WA\d{4,}|\d{8}-\w{2,10}-\d{4}-\d\d-\d\d)", re.ASCII)
_PICTURE_DAY = re.compile(r"-(\d{4})-?(\d\d)-?(\d\d)-(?:WA\d|\d\d-\d\d)", re.ASCII)
_EDITED = re.compile(r"<([^<>\n]{3,80})>\s*\Z")
_PLACE = re.compile(r"https://(?:maps\.google\.com/\?q=|maps\.apple\.com/|foursquare\.com/v/)")
_LONGEST_WORDS = 150
_LONGEST_CALL = 80

_KINDS = {
    **dict.fromkeys(("jpg", "jpeg", "png", "heic", "heif"), "image"),
    **dict.fromkeys(("mp4", "mov", "3gp", "mkv", "avi"), "video"),
    **dict.fromkeys(("opus", "ogg", "m4a", "mp3", "aac", "amr", "wav"), "audio"),
    **dict.fromkeys(("webp",), "sticker"),
    **dict.fromkeys(("gif",), "gif"),
    **dict.fromkeys(("vcf",), "contact"),
}
_MEDIA_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "opus": "audio/ogg",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "amr": "audio/amr",
    "wav": "audio/wav",
    "vcf": "text/vcard",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "zip": "application/zip",
    "json": "application/json",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_KINDS_BY_WORD = {"PHOTO": "image", "VIDEO": "video", "AUDIO": "audio", "STICKER": "sticker", "GIF": "gif"}
_KINDS_BY_PREFIX = {"IMG": "image", "VID": "video", "AUD": "audio", "PTT": "audio", "STK": "sticker", "DOC": "document"}


# Most bodies are no words of WhatsApp's: their first letters tell.
_BEFORE_WORDS = LEADING + " \t\u00a0<"
_BEGINNINGS = frozenset(
    phrase[:2] for phrase in (*words.PLACEHOLDERS, *notices.DELETED, *notices.POLL, *notices.LIVE_PLACE, *notices.CALLS)
)


class Body(NamedTuple):
    """What a body means. kind: poll, place, call or "" ; notice: WhatsApp says it, not a person."""

    parts: tuple[Part, ...]
    status: str = ""
    kind: str = ""
    notice: bool = False


Take = Callable[[str, str], Part]
"""The attachment part of a file named in the text, with a caption; missing where the export does not have it."""


def bare(text: str) -> str:
    """The words of a placeholder, as the tables have them."""
    return " ".join(without_marks(text).split()).strip("<> ").rstrip(".。").strip().casefold()


def named_file(line: str, *, known: Callable[[str], bool]) -> tuple[str, str] | None:
    """The file that a line says it carries, and the words before it; None for other lines."""
    if line.endswith((">", "> ")) or line.rstrip(LEADING).endswith(">"):
        plain = without_marks(line)
        found = _ATTACHED_IOS.search(plain, max(0, plain.rfind("<")))
        if found and (bare(found[1]) in words.ATTACHED or _OF_WHATSAPP.match(found[2]) or known(found[2])):
            return found[2].strip(), plain[: found.start()].strip()
    if line.endswith((")", "）")) and len(line) < 2 * _LONGEST_WORDS + 100:
        found = _ATTACHED_ANDROID.fullmatch(without_marks(line).strip())
        if found and (bare(found[2]) in words.ATTACHED or _OF_WHATSAPP.match(found[1]) or known(found[1])):
            return found[1], ""
    return None


def picture_day(line: str) -> tuple[int, int] | None:
    """Month and day in the name of a picture that a line sends; WhatsApp's own names carry the date."""
    if "-WA" not in line and "<" not in line:
        return None
    found = _PICTURE_DAY.search(line[-200:])
    return (int(found[2]), int(found[3])) if found else None


def attachment(name: str, caption: str) -> Part:
    """A file that the text names, not found so far."""
    return Part(
        type="attachment",
        name=exact.mark(name),
        kind=kind_of(name),
        media_type=_MEDIA_TYPES.get(_extension(name), ""),
        caption=exact.mark(caption),
        missing=True,
    )


def kind_of(name: str) -> str:
    """What sort of file a name says it is."""
    pieces = name.split("-")
    if _OF_WHATSAPP.match(name):
        by_name = _KINDS_BY_PREFIX.get(pieces[0]) or _KINDS_BY_WORD.get(pieces[1])
        if by_name:
            return by_name
    return _KINDS.get(_extension(name), "document")


def _extension(name: str) -> str:
    return name.rpartition(".")[2].lower()


def read_body(text: str, *, take: Take, known: Callable[[str], bool], person: bool) -> Body:
    """The meaning of a body as it stands in the file, without its last line end.

    take: gives the part of a file. known: whether the export holds a file of that name. person: somebody is named as
    its author; only then can it be a message of theirs.
    """
    if not person:
        notice = text.lstrip(LEADING)
        return Body(_text(notice), kind=_kind(notice, _words(notice)), notice=True)
    core = text.lstrip(LEADING) if text[:1] in LEADING else text
    marked = core is not text and len(core) != len(text)
    said = _words(core)
    if said in notices.DELETED and "\n" not in core:
        return Body((), status="deleted")
    status = ""
    if core[-1:] == ">" or core.rstrip(LEADING)[-1:] == ">":
        core, status = _without_edited(core)
    parts = _attachment(core, said, take, known)
    if parts:
        return Body(parts, status=status)
    kind = _kind(core, said)
    return Body(_text(core), status=status, kind=kind, notice=marked and not kind and not status)


def _words(text: str) -> str:
    """The words of the first line of a body, where they may be WhatsApp's own; else ""."""
    if text[:16].lstrip(_BEFORE_WORDS)[:2].casefold()[:2] not in _BEGINNINGS:
        return ""
    first = text[: _LONGEST_WORDS + 1].partition("\n")[0]
    return bare(first) if len(first) <= _LONGEST_WORDS else ""


def _without_edited(core: str) -> tuple[str, str]:
    # Matched at one place: a search would look at each empty line of a long message as often as there are such lines.
    at = core.rfind("<")
    found = _EDITED.match(core, at) if at >= 0 else None
    if found and bare(found[1]) in notices.EDITED:
        return core[:at].rstrip().rstrip(LEADING + " \u00a0\n"), "edited"
    return core, ""


def _text(text: str) -> tuple[Part, ...]:
    return (Part(type="text", text=exact.mark(text), markup="plain"),) if text else ()


def _attachment(core: str, said: str, take: Take, known: Callable[[str], bool]) -> tuple[Part, ...]:
    """The attachment that a body is, or begins with, or ends with; the rest is its caption."""
    first, _, rest = core.partition("\n")
    if said and (kind := words.PLACEHOLDERS.get(said)) is not None:
        return (Part(type="attachment", kind=kind, missing=True, caption=exact.mark(rest)),)
    if found := named_file(first, known=known):
        name, before = found
        return (take(name, "\n".join(piece for piece in (before, rest) if piece)),)
    before, _, last = core.rpartition("\n")
    if before and last.rstrip(LEADING).endswith(">") and (found := named_file(last, known=known)):
        name, beside = found
        return (take(name, "\n".join(piece for piece in (before, beside) if piece)),)
    return ()


def _kind(text: str, said: str) -> str:
    if "https://" in text and _PLACE.search(text[:600]):
        return "place"
    if said in notices.LIVE_PLACE:
        return "place"
    if said.endswith((":", "：")) and "\n" in text and said.rstrip(":： ") in notices.POLL:
        return "poll"
    return "call" if len(text) <= _LONGEST_CALL and _is_call(said) else ""


def _is_call(plain: str) -> bool:
    if not plain.startswith(notices.CALLS):
        return False
    for start in notices.CALLS:
        if plain.startswith(start):
            rest = plain[len(start) :].strip()
            return not rest or rest[0] in ",.(-–•" or rest[0].isdigit()
    return False
