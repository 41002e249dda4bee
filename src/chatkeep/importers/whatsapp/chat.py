"""From the text of a chat to a conversation: two passes over its lines, one message in hand at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from msgspec.structs import replace

from chatkeep import exact
from chatkeep.alignment import Numbering, content_key
from chatkeep.errors import Damaged, Problem
from chatkeep.importers import Keep, Loaded
from chatkeep.importers.whatsapp.bodies import Body, attachment, read_body
from chatkeep.importers.whatsapp.dates import Order, calendar_day
from chatkeep.importers.whatsapp.files import Files
from chatkeep.importers.whatsapp.heads import Head, Heads
from chatkeep.importers.whatsapp.lines import Lines
from chatkeep.importers.whatsapp.marks import LEADING, clean_name, name_key
from chatkeep.importers.whatsapp.survey import Survey, survey
from chatkeep.merge import settle
from chatkeep.model import FORMAT, Conversation, Message, Part, Participant, fingerprint, identify
from chatkeep.source import Member

BY = "whatsapp/1"
FIRST_MESSAGES = 8
SYSTEM = identify("whatsapp", "system")


class _Entry(NamedTuple):
    """A message as the file has it. name: "" for a notice."""

    number: int
    head: Head
    name: str
    body: str


def read_chat(member: Member, *, title: str, files: Files, keep: Keep, day_first: bool | None) -> Loaded:
    """The conversation in the text of a chat, with what could not be read of it."""
    try:
        known = survey(Lines(member), day_first=day_first)
    except Damaged as error:
        return Loaded(problems=[Problem(member.where, f"{error.what} Nothing of it was read.")])
    if not known.heads:
        return Loaded(problems=[Problem(member.where, "It has no line that begins a message; nothing was read.")])
    return _Chat(member, title, files, keep, known).load()


class _Chat:
    def __init__(self, member: Member, title: str, files: Files, keep: Keep, known: Survey) -> None:
        self.member = member
        self.title = title
        self.files = files
        self.keep = keep
        self.survey = known
        self.people: dict[str, Participant] = {}
        self.problems: list[Problem] = []
        self.before: list[str] = []
        self.kinds: dict[str, int] = {}
        self.notes: list[str] = []
        self._undated = 0

    def load(self) -> Loaded:
        drafts = self._drafts()
        first = list(_until_known(drafts))
        number = Numbering("whatsapp", self._conversation_id(first))
        messages = [number(draft) for draft in chain(first, drafts)]
        timed = [message.local_time for message in messages if message.local_time]
        self._report()
        conversation = Conversation(
            created_at=min(timed, default=""),
            format=FORMAT,
            id=number.conversation,
            messages=tuple(messages),
            participants=tuple(self.people.values()),
            platform="whatsapp",
            title=exact.mark(self.title),
            unknown=self._unknown(),
            updated_at=max(timed, default=""),
        )
        return Loaded((settle(conversation),), self.problems, notes=self.notes)

    def _unknown(self) -> dict[str, str]:
        """How sure the dates are, which a later export is compared by; and text before the first message."""
        order = self.survey.order
        # "known" is the greater of the two, so that it stays when both meet in a merge.
        found = {"dates": f"{'assumed' if order.assumed else 'known'}: {', then '.join(order.orders)}"}
        if any(self.before):
            found["before"] = exact.mark("\n".join(self.before))
        return found

    def _conversation_id(self, first: list[Message]) -> str:
        """From the title and the first messages of people, so that a longer export of the same start has it too."""
        said = [draft for draft in first if draft.author != SYSTEM] or first
        names = (part for draft in said for part in (draft.local_time, draft.author, draft.source_id))
        return identify("whatsapp", "conversation", self.title, *names)

    # -------------------------------------------------------------- messages without their ids

    def _drafts(self) -> Iterator[Message]:
        latest, order, previous = "", 0, ("", "")
        for entry in self._entries():
            body = read_body(entry.body, take=self._take, known=self.files.known, person=bool(entry.name))
            time = self._local_time(entry)
            back = time < latest
            latest = max(latest, time)
            order = order + 1 if (latest, "") == previous else 0
            previous = (latest, "")
            yield self._draft(entry, body, time, latest if back else "", order)

    def _draft(self, entry: _Entry, body: Body, time: str, sorts_at: str, order: int) -> Message:
        author = self._author("" if body.notice else entry.name)
        unknown = {}
        if body.kind:
            unknown["kind"] = body.kind
        if body.notice and entry.name:
            unknown["from"] = exact.mark(clean_name(entry.name))
        if not time:
            unknown["date"] = f"{entry.head.first} {entry.head.second} {entry.head.third}"
        draft = Message(
            author=author,
            by=BY,
            id="",
            local_time=time,
            order=order,
            parts=body.parts,
            sorts_at=sorts_at,
            status=body.status,
            unknown=unknown,
        )
        key = content_key(draft, is_system=body.notice)
        # Neither time nor author: other exports put them in another way, and the message stays the same one.
        raw = fingerprint([_text_of(body.parts) if body.notice else key, body.status])
        return replace(draft, source_id=key, raw=raw)

    def _author(self, name: str) -> str:
        key = name_key(name) if name else ""
        found = self.people.get(key)
        if found is None:
            if name:
                person = identify("whatsapp", "person", exact.mark(key))
                found = Participant(id=person, name=exact.mark(clean_name(name)), role="person")
            else:
                found = Participant(id=SYSTEM, name="WhatsApp", role="system")
            self.people[key] = found
        return found.id

    def _local_time(self, entry: _Entry) -> str:
        head = entry.head
        day = calendar_day(head.first, head.second, head.third, self.survey.order.at(entry.number))
        if day is None:
            self._undated += 1
            return ""
        hour, minute, second = head.clock
        return f"{day.isoformat()}T{hour:02}:{minute:02}:{second:02}"

    # -------------------------------------------------------------- the text

    def _entries(self) -> Iterator[_Entry]:
        lines, heads, layouts = Lines(self.member), Heads(), self.survey.layouts
        head: Head | None = None
        body: list[str] = []
        index = -1
        for line in lines:
            found = heads.of(line)
            if found is None or found.layout not in layouts:
                (self.before if head is None else body).append(line)
                continue
            if head is not None:
                yield self._entry(index, head, body)
            index, head, body = index + 1, found, [line[found.rest :]]
        while len(body) > 1 and not body[-1]:
            body.pop()
        if head is not None:
            yield self._entry(index, head, body)
        if lines.broken:
            what = f"{lines.broken} The {index + 1:,} messages before that were read."
            self.problems.append(Problem(self.member.where, what))

    def _entry(self, index: int, head: Head, body: list[str]) -> _Entry:
        found = self.survey.speaker(body[0])
        if found is None:
            return _Entry(index, head, "", "\n".join(body))
        name, first = found
        return _Entry(index, head, name.strip(LEADING), "\n".join((first, *body[1:])))

    def _take(self, name: str, caption: str) -> Part:
        part = attachment(name, caption)
        member = self.files.get(name)
        if member is None:
            return part
        try:
            with member.open() as stream:
                kept = self.keep(stream)
        except Damaged as error:
            self.problems.append(Problem(member.where, f"{error.what} The message was kept without this file."))
            return part
        return _found(part, kept.sha256, kept.size)

    # -------------------------------------------------------------- what the person should know

    def _report(self) -> None:
        order: Order = self.survey.order
        where = self.member.where
        if order.assumed:
            what = f"{where}: its dates can be read in two ways. They were read with the {order.orders[0]}"
            self.notes.append(f"{what}, because {order.reason}. A setting gives the other order.")
        if len(order.orders) > 1:
            self.notes.append(f"{where}: the order of its dates changes inside, {', then '.join(order.orders)}.")
        if self._undated:
            what = (
                f"{self._undated:,} messages have a date that is in no calendar known here; they stand in file order."
            )
            self.problems.append(Problem(where, what))
        if any(line.strip() for line in self.before):
            what = "There is text before the first message; it was kept with the conversation."
            self.problems.append(Problem(where, what))


def _until_known(drafts: Iterator[Message]) -> Iterator[Message]:
    """Drafts up to the first few of people, at most a few hundred: what the id of the conversation is made of."""
    people = 0
    for draft in islice(drafts, 200):
        yield draft
        people += draft.author != SYSTEM
        if people == FIRST_MESSAGES:
            return


def _text_of(parts: tuple[Part, ...]) -> str:
    return "\n".join(part.text for part in parts)


def _found(part: Part, sha256: str, size: int) -> Part:
    return replace(part, sha256=sha256, size=size, missing=False)
