"""File names that every file system takes, for whatever a conversation is called.

No name leads out of its folder, is reserved on Windows, ends in a dot or space, is hidden, turns its reading direction,
is empty or is longer than 255 bytes with its ending. Two conversations never get names that differ only in case or in
Unicode form, because each name holds the id: its first 8 characters, or all of it where those were taken.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from chatkeep import exact, views
from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.shown import Clock
from chatkeep.model import Conversation

MAX_BYTES = 255
MAX_TITLE = 120  # characters; a longer title says no more in a list of files
MAX_PATH = 1000  # bytes of a whole path below the output

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_VTI = re.compile("_vti_", re.IGNORECASE)  # which no name in SharePoint and OneDrive may hold
_EDGE = " .\u200c\u200d"
_SPACES = re.compile(r"\s+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:[ .]|$)", re.IGNORECASE)
_OURS = frozenset({"attachments", "index.html"})
_FIELD = re.compile(r"\{(\w+)\}")
_PLAIN_ID = re.compile(r"[0-9a-z-]{8,64}")


def safe(text: str, *, most: int = MAX_BYTES) -> str:
    """One step of a path, at most `most` bytes long, never empty."""
    shown = _FORBIDDEN.sub("-", text)
    shown = unicodedata.normalize("NFC", _VTI.sub("-vti-", shown) if "_" in shown else shown)
    # Controls, marks of direction, halves of pairs and private signs: nobody can type them, and some deceive.
    printable = shown if shown.isprintable() else "".join(map(_printable, shown))
    step = _cut(_SPACES.sub(" ", printable).strip(_EDGE), most).strip(_EDGE)
    if _RESERVED.match(step) or step.casefold() in _OURS:
        step = _cut(f"_{step}", most).strip(_EDGE)
    return step or "_"


@lru_cache(maxsize=256)
def _safe_folder(text: str) -> str:
    """Most conversations go into the folders of those before them."""
    return safe(text, most=120)


def _printable(sign: str) -> str:
    """The sign, or a space. Joiners stay: they make families of emoji, and words of Persian."""
    return " " if unicodedata.category(sign)[0] == "C" and sign not in "\u200c\u200d" else sign


def _cut(text: str, most: int) -> str:
    data = text.encode()
    if len(data) <= most:
        return text
    kept = data[:most].decode("utf-8", "ignore")
    # Never leave a base sign without the marks that made it what it was.
    while kept and unicodedata.combining(text[len(kept)]):
        kept = kept[:-1]
    return kept.rstrip("\u200d\ufe0f")


def short_id(conversation: Conversation) -> str:
    """Eight characters of the id."""
    return full_id(conversation).replace("-", "")[:8]


def full_id(conversation: Conversation) -> str:
    """The id as a file name; a hash of it where it is none."""
    plain = exact.readable(conversation.id)
    if _PLAIN_ID.fullmatch(plain) and not plain.startswith("-"):
        return plain
    return hashlib.sha256(conversation.id.encode("utf-8", "surrogatepass")).hexdigest()


class Names:
    """The file names of one export: no two alike, whatever the file system folds together. 60 bytes for each."""

    def __init__(self, customisation: Customisation, *, suffix: str, pattern: str = "") -> None:
        self._steps = (pattern or customisation.name_pattern).strip("/").split("/")
        if not {"id", "full_id"} & set(_FIELD.findall(self._steps[-1])):
            self._steps[-1] += " [{id}]"
        self._suffix = suffix
        self._clock = Clock(customisation)
        self._taken: set[int] = set()

    def take(self, path: str) -> None:
        """A path that is taken already: no conversation gets it, or one that differs from it in case alone."""
        self._taken.add(_key(path))

    def name(self, conversation: Conversation) -> str:
        """The path of its file below the output, with forward slashes."""
        fields = self._fields(conversation)
        for own in _ids(conversation):
            path = "/".join([*self._folders(fields), self._file(fields | {"id": own})])
            key = _key(path)
            if key not in self._taken:
                break
        self._taken.add(key)
        return path

    def _fields(self, conversation: Conversation) -> dict[str, str]:
        date = self._clock.date(started(conversation))
        return {
            "platform": views.platform_title(conversation.platform) or "Unknown platform",
            "year": date[:4] or "undated",
            "month": date[:7] or "undated",
            "date": date or "undated",
            "title": _begun(views.title(conversation)) or "Untitled",
            "full_id": full_id(conversation),
            "project": _begun(exact.readable(conversation.project)) or "No project",
        }

    def _folders(self, fields: dict[str, str]) -> list[str]:
        fields = fields | {"id": fields["full_id"]}
        steps = [_safe_folder(_filled(step, fields)) for step in self._steps[:-1]]
        while sum(len(step.encode()) for step in steps) > MAX_PATH - MAX_BYTES:
            steps.pop()
        return steps

    def _file(self, fields: dict[str, str]) -> str:
        """The last step. Where it is too long, it is the title that gives way, for the id makes it unique."""
        most = MAX_BYTES - len(self._suffix.encode())
        title = fields["title"]
        while True:
            wanted = _filled(self._steps[-1], fields | {"title": title})
            over = len(wanted.encode()) - most
            if over <= 0 or not title:
                break
            title = _cut(title, max(0, len(title.encode()) - over))
        step = safe(wanted) if over <= 0 else ""
        if not step or len(step.encode()) > most:
            own = f" [{fields['id']}]"
            step = safe(wanted, most=most - len(own.encode())) + own
        return step + self._suffix


def _begun(text: str) -> str:
    """The beginning of a text, as characters that can be written."""
    return text[:MAX_TITLE].encode("utf-8", "replace").decode()


def _filled(step: str, fields: dict[str, str]) -> str:
    return _FIELD.sub(lambda found: _FORBIDDEN.sub("-", fields.get(found[1], found[0])), step)


def _ids(conversation: Conversation) -> Iterator[str]:
    whole = full_id(conversation)
    yield short_id(conversation)
    yield whole
    number = 2
    while True:
        yield f"{whole}-{number}"
        number += 1


def _key(path: str) -> int:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
    return int.from_bytes(hashlib.blake2b(folded.encode(), digest_size=8).digest(), "big")


def started(conversation: Conversation) -> str:
    """When a conversation began: as the platform says, else its first message that has a time."""
    return conversation.created_at or next(
        (when for message in conversation.messages if (when := message.sent_at or message.local_time)), ""
    )
