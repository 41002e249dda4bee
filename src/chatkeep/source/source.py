"""What a person gave us, as named members."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from chatkeep.errors import NotFound, Problem
from chatkeep.source import names
from chatkeep.source.limits import Limits, too_large
from chatkeep.source.member import Member
from chatkeep.source.opening import Opening


class Source:
    """A file, a folder or a zip, or several of them, seen as named members; nothing is unpacked to disk.

    label: what the person gave, base names only, for reports.
    members: by name, in natural order (message_9 before message_10).
    problems: what was left out when the source was opened, and why.

    Use it in a with statement: zips stay open until close. Names of a single file, folder or zip are relative to it;
    of several, each zip or folder is a folder of its name. A zip inside (one level) is a member, and what it holds
    are members below its name: "all.zip/chats/list.json".
    """

    def __init__(self, label: str, members: Iterable[Member], *, problems: Sequence[Problem] = ()) -> None:
        self.label = label
        self.problems = list(problems)
        ordered = sorted(members, key=lambda member: names.natural(member.name))
        self.members: Mapping[str, Member] = {member.name: member for member in ordered}
        self._by_base: dict[str, list[Member]] | None = None
        self._closing = ExitStack()
        self._digest: Callable[[], str] | None = None

    @classmethod
    def open(cls, paths: Sequence[Path], *, limits: Limits | None = None) -> Source:
        """The source made of these paths, in any order.

        Raises NotFound when a path is not there, UnsafeSource when a limit is broken, Damaged when nothing in a zip
        can be found, Refused when nothing may be read (permissions, a password). What is odd or unreadable by itself
        is told in problems.
        """
        if not paths:
            raise NotFound("No file, folder or zip was given.")
        opening = Opening(limits or Limits())
        with ExitStack() as stack:
            stack.callback(opening.close)
            found = opening.open([Path(path) for path in paths])
            source = cls(_label(paths), found.members, problems=found.problems)
            source._closing = stack.pop_all()
        source._digest = found.digest
        return source

    @classmethod
    def of_bytes(cls, name: str, data: bytes, *, limits: Limits | None = None) -> Source:
        """The source made of one file that is in memory already, under this name. What it holds is not looked into.

        Raises UnsafeSource when there are more bytes than the limits allow for all members.
        """
        limits = limits or Limits()
        called = names.clean(name) or "file"
        if len(data) > limits.inflated:
            raise too_large(called, limits)
        digest = hashlib.sha256(data).hexdigest()
        source = cls(called, [Member(called, len(data), None, called, digest, partial(io.BytesIO, data))])
        source._digest = lambda: digest
        return source

    @classmethod
    def joined(cls, sources: Sequence[Source]) -> Source:
        """All members of these sources as one source, which now closes them. Names taken twice are made unique."""
        unique = names.UniqueNames()
        members = [member.called(unique.take(member.name)) for source in sources for member in source]
        problems = [problem for source in sources for problem in source.problems]
        joined = cls(", ".join(source.label for source in sources), members, problems=problems)
        for source in sources:
            joined._closing.callback(source.close)
        return joined

    def subset(self, wanted: Collection[str]) -> Source:
        """The members of these names as a source of their own, which lives as long as this one."""
        members = [self.members[name] for name in wanted if name in self.members]
        return Source(self.label, members)

    def find(self, pattern: str | re.Pattern[str]) -> list[Member]:
        """The members whose base name matches the whole pattern, in order."""
        rule = re.compile(pattern)
        return [member for member in self if rule.fullmatch(member.base)]

    def named(self, base: str) -> list[Member]:
        """The members with this base name, in order."""
        return list(self.by_base().get(base, ()))

    def by_base(self) -> Mapping[str, list[Member]]:
        """The members by base name, made once."""
        if self._by_base is None:
            self._by_base = {}
            for member in self:
                self._by_base.setdefault(member.base, []).append(member)
        return self._by_base

    def digest(self) -> str:
        """sha256 [hex] of what was given: of the bytes of a single file, else of names, sizes and checksums.

        Equal for equal zips wherever they lie. For files in folders the time of change stands for the content.
        """
        if self._digest is None:
            self._digest = lambda: listing_digest(self)
        return self._digest()

    def close(self) -> None:
        """Close what is open. Members can no longer be read. Closing twice is quiet."""
        self._closing.close()

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members.values())

    def __len__(self) -> int:
        return len(self.members)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def listing_digest(members: Iterable[Member]) -> str:
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{member.name}\0{member.size}\0{member.mark}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _label(paths: Sequence[Path]) -> str:
    return ", ".join(Path(path).name or Path(path).resolve().name or "/" for path in paths)
