"""Which members are texts of chats, which are files they send, and how a chat is called."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from chatkeep.errors import Damaged, UnsafeSource
from chatkeep.importers import peek
from chatkeep.importers.whatsapp.bodies import named_file
from chatkeep.importers.whatsapp.heads import Head, could_begin, head_of
from chatkeep.importers.whatsapp.lines import Lines
from chatkeep.importers.whatsapp.marks import LEADING, without_marks
from chatkeep.importers.whatsapp.words import TITLES
from chatkeep.source import Member, Source

LINES_LOOKED_AT = 20

_NAME_OF_CHAT = re.compile(r"_chat\.txt|.*(?:whatsapp|واتساب|واتساپ).*\.txt", re.IGNORECASE)
_MEDIA = re.compile(r"(?:\w{2,8}-\d{8}-WA\d{4,}|\d{8}-).*", re.ASCII | re.DOTALL)
_COPY = re.compile(r"\s?\(\d{1,2}\)$")
# Files that may be exports of other platforms lying in the same folder.
_DOUBTFUL = (".txt", ".json", ".jsonl", ".html", ".htm", ".csv", ".md", ".zip", ".db", ".sqlite", ".zst", ".gz")


def is_chat(member: Member) -> bool:
    """Whether a member is the text of a chat: several of its first lines begin with heads of WhatsApp."""
    if not member.base.lower().endswith(".txt"):
        return False
    filled = [line for line in peek.text(_beginning(member)).split("\n") if line.strip()][:LINES_LOOKED_AT]
    heads = [head for line in filled if could_begin(line) and (head := head_of(line)) and not _of_signal(head)]
    return len(heads) >= (1 if _NAME_OF_CHAT.fullmatch(member.base) else 2)


def _beginning(member: Member) -> bytes:
    # There may be ten thousand of them, so what is looked at is not kept in memory.
    try:
        return member.head(peek.HEAD)
    except (Damaged, UnsafeSource, OSError):
        return b""


def _of_signal(head: Head) -> bool:
    """The plain texts of Signal's exporters: an ISO date in brackets and no seconds, which no phone writes."""
    layout = head.layout
    return layout.bracket and layout.separator == "-" and layout.year == "first" and not layout.seconds


class Files:
    """The members of one folder that chats in it may send.

    sure: those that are nothing else. doubtful: those that may be exports of other platforms, unless a chat names them.
    digest: of their names and sizes.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self._by_name = {_key(one.base): one for one in members if not _NAME_OF_CHAT.fullmatch(one.base)}
        self.doubtful = {key: one for key, one in self._by_name.items() if _is_doubtful(one)}
        self.sure = [one for key, one in self._by_name.items() if key not in self.doubtful]
        listed = "".join(f"{one.base}\0{one.size}\n" for one in sorted(self.sure, key=lambda one: one.base))
        self.digest = hashlib.sha256(listed.encode("utf-8", "surrogatepass")).digest()

    def get(self, name: str) -> Member | None:
        """The file of that name, however its letters are composed and wherever marks stand."""
        return self._by_name.get(_key(name))

    def known(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return _key(name) in self._by_name


def _is_doubtful(member: Member) -> bool:
    return member.base.lower().endswith(_DOUBTFUL) and not _MEDIA.fullmatch(member.base)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", without_marks(name)).strip().casefold()


class Folders:
    """The files of each folder of a source, gathered once."""

    def __init__(self, source: Source) -> None:
        self._members: dict[str, list[Member]] = {}
        for member in source:
            self._members.setdefault(_folder(member.name), []).append(member)
        self._files: dict[str, Files] = {}

    def of(self, chat: Member) -> Files:
        """The files in the folder of a chat's text."""
        folder = _folder(chat.name)
        if folder not in self._files:
            self._files[folder] = Files(self._members[folder])
        return self._files[folder]


def mentioned(chat: Member, files: Files) -> list[Member]:
    """The doubtful files that a chat's text names as sent."""
    found: dict[str, Member] = {}
    for line in Lines(chat):
        if line.rstrip(LEADING + " ").endswith((")", ">", "）")):
            rest = line if line.rstrip(LEADING + " ").endswith(">") else line.rpartition(": ")[2]
            named = named_file(rest, known=lambda name: _key(name) in files.doubtful)
            if named and (one := files.doubtful.get(_key(named[0]))):
                found[one.name] = one
    return list(found.values())


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def title_of(chat: Member, source: Source) -> str:
    """What the chat is called: by the name of the text, else of the zip or folder that holds it; "" if none says."""
    stem = chat.base[:-4]
    if stem.lower() != "_chat":
        return called(stem) or _COPY.sub("", stem)
    around = [step for step in _folder(chat.name).split("/") if step]
    for name in (*reversed(around), source.label):
        if found := called(re.sub(r"\.zip$", "", name, flags=re.IGNORECASE)):
            return found
    return ""


def called(name: str) -> str:
    """The chat's name in the name of a file, zip or folder as WhatsApp makes it, in any language; "" if it is none."""
    plain = _COPY.sub("", " ".join(unicodedata.normalize("NFC", without_marks(name)).split()))
    lower = plain.lower()
    if len(lower) != len(plain):
        return ""
    for before, after in TITLES:
        if len(lower) > len(before) + len(after) and lower.startswith(before) and lower.endswith(after):
            return plain[len(before) : len(plain) - len(after)].strip()
    return ""
