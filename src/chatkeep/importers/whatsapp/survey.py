"""The first look over a chat's text: its layout, its dates, its names. Flat in memory; nothing of the texts is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from chatkeep.importers.whatsapp.bodies import picture_day
from chatkeep.importers.whatsapp.dates import Dates, Order, decide
from chatkeep.importers.whatsapp.heads import Head, Heads, Layout
from chatkeep.importers.whatsapp.marks import LEADING, clean_name

MAX_LAYOUTS = 64
MAX_NAMES = 20_000
PREVAILS = 0.66
LONGEST_NAME = 120

_QUOTES = re.compile(r"[\"“”„«»]")
_OPENING, _CLOSING = "“„«", "”»"


@dataclass(slots=True)
class _Seen:
    """What the heads of one layout have shown so far."""

    first: int
    last: int = 0
    count: int = 0
    dates: Dates = field(default_factory=Dates)
    sample: Head | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a chat before its messages are read.

    layouts: of which heads begin messages. order: how dates are read. names: how often somebody of this name speaks,
    without marks; longer: the longer names that begin with one of these and a colon.
    """

    layouts: frozenset[Layout]
    order: Order
    heads: int
    names: dict[str, int]
    longer: dict[str, str]

    def speaker(self, rest: str) -> tuple[str, str] | None:
        """The name as written and the body, where a person speaks in what follows a head; None for a notice."""
        found = split_name(rest)
        if found is None:
            return self._speaker_without_space(rest)
        name, body = found
        clean = clean_name(name)
        if clean in self.longer and (extended := split_name(body)) is not None:
            return f"{name}: {extended[0]}", extended[1]
        return None if self._is_sentence(clean) else (name, body)

    def _speaker_without_space(self, rest: str) -> tuple[str, str] | None:
        name, colon, body = rest.partition(":")
        return (name, body) if colon and self.names.get(clean_name(name)) else None

    def _is_sentence(self, name: str) -> bool:
        """Whether this is no name but a notice that holds a colon: 'Ana changed the subject to "a: b"'."""
        if not _QUOTES.search(name):
            return False
        if name.count('"') % 2 or sum(map(name.count, _OPENING)) > sum(map(name.count, _CLOSING)):
            return True
        words = name.split(" ")
        return any(self.names.get(" ".join(words[:count]), 0) > 1 for count in range(1, min(len(words), 8)))


def split_name(rest: str) -> tuple[str, str] | None:
    """Name and body of what follows a head; None when no name stands there."""
    at = rest.find(": ", 0, LONGEST_NAME + 2)
    if at < 0:
        at = rest.find(":\u00a0", 0, LONGEST_NAME + 2)
    if at < 0 and len(rest) <= LONGEST_NAME and rest.rstrip(LEADING + " ").endswith(":"):
        return rest.rstrip(LEADING + " ")[:-1], ""
    return (rest[:at], rest[at + 2 :]) if at > 0 and clean_name(rest[:at]) else None


def survey(lines: Iterable[str], *, day_first: bool | None) -> Survey:
    """The survey of a chat's text. day_first: what the person set for dates that can be read in two ways."""
    seen: dict[Layout, _Seen] = {}
    names: dict[str, list[str | int]] = {}
    index = 0
    heads = Heads()
    for line in lines:
        head = heads.of(line)
        if head is None or (head.layout not in seen and len(seen) >= MAX_LAYOUTS):
            continue
        one = seen.setdefault(head.layout, _Seen(first=index, sample=head))
        one.count, one.last = one.count + 1, index
        one.dates.add(index, head, picture_day(line))
        _count_name(names, line[head.rest :])
        index += 1
    layouts = _layouts_of_chat(seen, index)
    dates = [seen[layout].dates for layout in layouts]
    hint = max((seen[layout] for layout in layouts), key=lambda one: one.count, default=_Seen(0)).sample
    order = decide(dates, hint=hint, day_first=day_first)
    counted = {name: int(found[0]) for name, found in names.items()}
    longer = {name: str(found[1]) for name, found in names.items() if int(found[0]) > 1 and found[1]}
    return Survey(frozenset(layouts), order, index, counted, longer)


def _count_name(names: dict[str, list[str | int]], rest: str) -> None:
    """Count a name, with the longer name that it may be the beginning of: count, common continuation or ""."""
    found = split_name(rest)
    if found is None:
        return
    name, body = clean_name(found[0]), found[1]
    known = names.get(name)
    if known is None:
        if len(names) < MAX_NAMES:
            names[name] = [1, _continued(body)]
        return
    known[0] = int(known[0]) + 1
    if known[1] and _continued(body) != known[1]:
        known[1] = ""


def _continued(body: str) -> str:
    """The name that a body would begin with, if there were a colon in the name."""
    if ": " not in body[: LONGEST_NAME + 2] or body[:1] in LEADING:
        return ""
    after = split_name(body)
    return clean_name(after[0]) if after else ""


def _layouts_of_chat(seen: dict[Layout, _Seen], heads: int) -> list[Layout]:
    """The layouts whose heads begin messages. The others are lines of chats that people pasted into a message.

    One layout is that of the export. Another is accepted where it cannot have been pasted: from the start of the file
    (exports joined into one file), at its end in some number, or where no layout prevails at all.
    """
    if not seen:
        return []
    by_count = sorted(seen.items(), key=lambda item: (-item[1].count, item[1].first))
    main = by_count[0][1]
    if main.count < PREVAILS * heads:
        return [layout for layout, one in by_count if one.count >= 0.05 * heads]
    accepted = [by_count[0][0]]
    for layout, one in by_count[1:]:
        before = one.last < main.first
        after = one.first > main.last and one.count >= max(5, 0.02 * heads)
        if before or after or one.count >= 0.2 * heads:
            accepted.append(layout)
    return accepted
