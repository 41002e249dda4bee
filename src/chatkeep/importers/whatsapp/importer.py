"""Exports of single chats by WhatsApp, from iOS and Android: a text, alone or with its media, in a folder or a zip.

Source: samples whatsapp/* and docs/platforms/whatsapp.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial

from chatkeep.errors import Damaged, Problem
from chatkeep.importers import Keep, Loaded, Record
from chatkeep.importers.whatsapp.chat import read_chat
from chatkeep.importers.whatsapp.files import Files, Folders, is_chat, mentioned, title_of
from chatkeep.source import Member, Source

READ = 1 << 20


class WhatsApp:
    """Reads chats exported by WhatsApp. See `chatkeep.importers.Importer` for what callers may rely on.

    day_first: how to read dates that could be read in two ways; None lets the dates decide.
    """

    platform = "whatsapp"
    title = "WhatsApp"
    version = 1
    expects = "the text or zip that “Export chat” gave, or a folder of them"

    def __init__(self, *, day_first: bool | None = None) -> None:
        self.day_first = day_first

    def sniff(self, source: Source) -> frozenset[str]:
        """The texts of chats and the files beside them that they send."""
        chats = [member for member in source if is_chat(member)]
        if not chats:
            return frozenset()
        folders = Folders(source)
        names = {member.name for member in chats}
        for member in chats:
            files = folders.of(member)
            names.update(one.name for one in files.sure)
            if files.doubtful:
                names.update(one.name for one in mentioned(member, files))
        return frozenset(names)

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """One record for each chat."""
        folders = Folders(source)
        for member in source:
            if is_chat(member):
                title = title_of(member, source)
                files = folders.of(member)
                load = partial(self._load, member, title, files, keep)
                yield Record(member.where, self._digest(member, title, files), load)

    def _load(self, member: Member, title: str, files: Files, keep: Keep) -> Loaded:
        return read_chat(member, title=title, files=files, keep=keep, day_first=self.day_first)

    def _digest(self, member: Member, title: str, files: Files) -> bytes:
        """Of the text, and of the names and sizes of the files beside it; b"" when the text cannot be read whole."""
        digest = hashlib.sha256(f"whatsapp/{self.version}\0{self.day_first}\0{title}\0".encode("utf-8", "replace"))
        digest.update(files.digest)
        try:
            with member.open() as stream:
                while piece := stream.read(READ):
                    digest.update(piece)
        except Damaged:
            return b""
        return digest.digest()


WHATSAPP = WhatsApp()
