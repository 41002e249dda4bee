"""LibreChat's conversations: its JSON export, nested or flat, or a conversation and its messages as its API has them.

Source: exports of April and May 2024 and the shapes that docs/platforms/librechat.md lists.
"""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO, cast

from chatkeep.errors import Problem
from chatkeep.importers import Keep, Record, listed, peek
from chatkeep.importers.librechat.conversation import BY, LISTS, PLATFORM, conversation
from chatkeep.importers.librechat.flat import flattened
from chatkeep.source import Member, Source

_LOOKED_AT = 1 << 16
_LARGEST = 64 << 20  # of a file that is looked through for nested messages; a larger one is read as it stands
_TELLS = frozenset({"endpoint", "exportAt", "recursive"})


class LibreChat:
    """Reads LibreChat's conversations."""

    platform = PLATFORM
    title = "LibreChat"
    version = 1
    expects = "the JSON file of a conversation that LibreChat exported, or several of them"

    def sniff(self, source: Source) -> frozenset[str]:
        """The JSON files that hold conversations."""
        return frozenset(peek.judged(source, _holds_conversations))

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """The conversations, file by file."""
        build = partial(conversation, keep=keep)
        for name in peek.judged(source, _holds_conversations):
            member = source.members[name]
            with member.open() as stream:
                yield from listed.records(_flat(stream), build, by=BY, where=member.where)


def _flat(stream: BinaryIO) -> BinaryIO:
    """The file with its messages in one list. A list of conversations, which no nesting makes deep, as it stands."""
    start = stream.read(_LOOKED_AT)
    if not start.removeprefix(BOM_UTF8).lstrip().startswith(b"{"):
        return cast(BinaryIO, _Joined(start, stream))
    start += stream.read(_LARGEST)
    return cast(BinaryIO, _Joined(start, stream)) if len(start) > _LARGEST else io.BytesIO(flattened(start))


class _Joined(io.RawIOBase):
    """What was read of a stream already, and then the rest of it."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = io.BytesIO(start)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self._start.read() + self._rest.read()
        return self._start.read(size) or self._rest.read(size)

    read1 = read


def _holds_conversations(_member: Member, value: Any) -> bool:
    """Whether the beginning of a JSON file is a conversation, or a list of them."""
    return any(_is_conversation(item) for item in peek.listed(value))


def _is_conversation(item: Any) -> bool:
    names = peek.keys(item)
    listed = next((item[name] for name in LISTS if name in names), None)
    if "conversationId" not in names or not isinstance(listed, list):
        return False
    return bool(names & _TELLS) or any("messageId" in peek.keys(one) for one in listed[:5])


LIBRECHAT = LibreChat()
