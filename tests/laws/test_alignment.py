"""Exports of one chat are found to be one, whatever differs between them; exports of two chats are not.

Chats are made up here, written as WhatsApp writes them on some phone, read by the importer, and then aligned.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chatkeep.alignment import align, fingerprints
from chatkeep.importers.claude_code import CLAUDE_CODE
from chatkeep.importers.whatsapp import WHATSAPP, WhatsApp
from chatkeep.merge import merge
from chatkeep.model import Conversation, Message
from chatkeep.testing.reading import read, source_of

STOCK = ("ok", "yes", "no", "haha", "thanks", "happy birthday", "good night", "😀", "see you")
WORDS = (
    *("garden", "rain", "seeds", "bench", "letter", "train", "soup", "window"),
    *("cousin", "ladder", "market", "piano", "quiet", "river", "stamp", "violet"),
)
WORDED = {
    "android": {"media": "<Media omitted>", "deleted": "This message was deleted", "notice": "Messages are encrypted."},
    "german": {
        "media": "<Medien ausgeschlossen>",
        "deleted": "Diese Nachricht wurde gelöscht.",
        "notice": "Nachrichten sind verschlüsselt.",
    },
    "american": {
        "media": "<Media omitted>",
        "deleted": "You deleted this message",
        "notice": "Messages are encrypted.",
    },
    "iphone": {"media": "\u200eBild weggelassen", "deleted": "\u200eDiese Nachricht wurde gelöscht.", "notice": "x"},
}
quickly = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Event:
    """Something that happens in a chat. kind: text, media, deleted or notice."""

    at: datetime
    who: int
    kind: str
    text: str


def chat(seed: int, *, length: int = 60, people: int = 2, stock: float = 0.4) -> list[Event]:
    """A chat that is made up, always the same for one seed. The clock moves on by minutes, sometimes not at all."""
    rng = random.Random(seed)
    at = datetime(2023, rng.randint(1, 12), rng.randint(13, 28), rng.randint(0, 23), rng.randint(0, 59))  # noqa: DTZ001
    events = [Event(at, 0, "notice", "")]
    for _ in range(length):
        at += timedelta(minutes=rng.choice((0, 0, 1, 2, 5, 60, 600)))
        roll = rng.random()
        kind = "media" if roll < 0.05 else "deleted" if roll < 0.08 else "text"
        text = rng.choice(STOCK) if rng.random() < stock else " ".join(rng.choices(WORDS, k=rng.randint(5, 12)))
        events.append(Event(at, rng.randrange(people), kind, text))
    return events


@dataclass(frozen=True)
class Phone:
    """How a phone writes an export."""

    style: str = "android"
    names: Sequence[str] = ("Ana", "Ben", "Cleo", "Dan")
    shift: timedelta = field(default_factory=timedelta)
    title: str = "Ben"

    def line(self, event: Event) -> str:
        at = event.at + self.shift
        words = event.text if event.kind == "text" else WORDED[self.style][event.kind]
        who = "" if event.kind == "notice" else f"{self.names[event.who]}: "
        if self.style == "iphone":
            mark = "\u200e" if event.kind == "notice" else ""
            return f"[{at:%d.%m.%y, %H:%M:%S}] {who}{mark}{words}"
        if self.style == "german":
            return f"{at:%d.%m.%y, %H:%M} - {who}{words}"
        if self.style == "american":
            half = "AM" if at.hour < 12 else "PM"
            return f"{at.month}/{at.day}/{at:%y}, {at.hour % 12 or 12}:{at:%M}\u202f{half} - {who}{words}"
        return f"{at:%d/%m/%Y, %H:%M} - {who}{words}"

    def export(self, events: Sequence[Event], *, importer: WhatsApp = WHATSAPP) -> Conversation:
        text = "\n".join(self.line(event) for event in events) + "\n"
        found = read(importer, source_of({f"WhatsApp Chat with {self.title}.txt": text.encode()}))
        assert len(found.conversations) == 1
        return found.conversations[0]


def says(message: Message) -> str:
    return message.status or " ".join(part.text or part.type for part in message.parts)


def said(conversation: Conversation) -> list[str]:
    """What people said, in order."""
    notices = {one.id for one in conversation.participants if one.role == "system"}
    return [says(message) for message in conversation.messages if message.author not in notices]


def meant(events: Sequence[Event]) -> list[str]:
    forms = {"media": "attachment", "deleted": "deleted"}
    return [forms.get(event.kind, event.text) for event in events if event.kind != "notice"]


def assert_one(known: Conversation, new: Conversation, events: Sequence[Event]) -> Conversation:
    """Both are one chat, and together they hold these events, each once and in their order."""
    assert known.id == new.id or set(fingerprints(known)) & set(fingerprints(new))
    aligned = align(known, new)
    assert aligned is not None
    assert aligned.id == known.id
    joined = merge(known, aligned)
    assert Counter(said(joined)) == Counter(meant(events))
    assert said(joined) == meant(events)
    assert not any(message.previous for message in joined.messages if says(message) != "deleted")
    return joined


SEEDS = st.integers(0, 10_000)
STYLES = st.sampled_from(["android", "german", "american", "iphone"])


@quickly
@given(seed=SEEDS, cuts=st.tuples(*[st.integers(0, 20)] * 4), style=STYLES)
def test_exports_cut_anywhere_are_joined_without_doubles(seed: int, cuts: tuple[int, ...], style: str) -> None:
    events = chat(seed)
    phone = Phone(style)
    first, second = events[cuts[0] : 61 - cuts[1]], events[cuts[2] : 61 - cuts[3]]
    whole = events[min(cuts[0], cuts[2]) : 61 - min(cuts[1], cuts[3])]
    assert_one(phone.export(first), phone.export(second), whole)


@quickly
@given(seed=SEEDS, style=STYLES, other=STYLES)
def test_an_export_in_another_language_is_the_same_chat(seed: int, style: str, other: str) -> None:
    events = chat(seed)
    assert_one(Phone(style).export(events), Phone(other).export(events), events)


@quickly
@given(seed=SEEDS, longer=st.booleans())
def test_a_renamed_contact_does_not_double_a_chat(seed: int, longer: bool) -> None:
    events = chat(seed)
    renamed = Phone(names=("Ana", "Benjamin (new number)"), title="Benjamin (new number)")
    first, second = (events[:40], events) if longer else (events, events[10:])
    joined = assert_one(Phone().export(first), renamed.export(second), events)
    assert len([one for one in joined.participants if one.role == "person"]) == 2


@quickly
@given(seed=SEEDS, hours=st.integers(-12, 12), cut=st.integers(0, 25))
def test_times_moved_by_a_constant_are_moved_back(seed: int, hours: int, cut: int) -> None:
    events = chat(seed)
    known = Phone().export(events[:45])
    joined = assert_one(known, Phone(shift=timedelta(hours=hours)).export(events[cut:]), events)
    expected = Counter(message.local_time for message in Phone().export(events).messages)
    assert not Counter(message.local_time for message in joined.messages) - expected


@quickly
@given(seed=SEEDS, hours=st.integers(-12, 12), cuts=st.tuples(st.integers(0, 15), st.integers(0, 15)), style=STYLES)
def test_all_at_once_is_still_the_same_chat(seed: int, hours: int, cuts: tuple[int, int], style: str) -> None:
    events = chat(seed, length=80, people=4)
    names = ("Ana", "Ben (club)", "Cleo", "Dan")
    other = Phone(style, names=names, shift=timedelta(hours=hours), title="Rowing club")
    known = Phone(title="Rowing").export(events[: 80 - cuts[0]])
    assert_one(known, other.export(events[cuts[1] :]), events)


@quickly
@given(seed=SEEDS, absent=st.sets(st.integers(0, 60), max_size=9), style=STYLES, is_new=st.booleans())
def test_messages_deleted_on_one_side_come_back(seed: int, absent: set[int], style: str, is_new: bool) -> None:
    """Each has words of its own here: which of two alike was deleted, nobody can tell."""
    events = [Event(one.at, one.who, one.kind, f"{one.text} {at}") for at, one in enumerate(chat(seed))]
    fewer = [one for at, one in enumerate(events) if at not in absent]
    first, second = (events, fewer) if is_new else (fewer, events)
    aligned = align(known := Phone(style).export(first), Phone("german").export(second))
    assert aligned is not None
    texts = {event.text: event for event in events if event.kind == "text"}
    assert [says(one) for one in merge(known, aligned).messages if says(one) in texts] == list(texts)


@quickly
@given(seed=SEEDS)
def test_aligning_twice_changes_nothing(seed: int) -> None:
    events = chat(seed)
    known, new = Phone().export(events[:40]), Phone("german").export(events[10:])
    aligned = align(known, new)
    assert aligned is not None
    joined = merge(known, aligned)
    again = align(joined, new)
    assert again is not None
    assert merge(joined, again) == joined


@quickly
@given(seed=SEEDS, style=STYLES, stock=st.sampled_from([0.3, 0.7, 0.95]))
def test_chats_that_share_stock_phrases_stay_two(seed: int, style: str, stock: float) -> None:
    one = Phone().export(chat(seed, stock=stock))
    other = Phone(style, names=("Ana", "Cleo"), title="Cleo").export(chat(seed + 1, stock=stock))
    assert align(one, other) is None


@quickly
@given(seed=SEEDS)
def test_a_circular_to_two_people_does_not_join_their_chats(seed: int) -> None:
    mine = [Event(event.at, 0, event.kind, event.text) for event in chat(seed, length=12, stock=0)]
    ben, cleo = chat(seed + 1, length=10), chat(seed + 2, length=10)
    first = Phone(title="Ben").export(sorted([*mine, *ben], key=lambda one: one.at))
    second = Phone(names=("Ana", "Cleo"), title="Cleo").export(sorted([*mine, *cleo], key=lambda one: one.at))
    assert align(first, second) is None
    alone = Phone(title="Ben").export(mine), Phone(title="Cleo").export(mine)
    assert align(*alone) is None


@quickly
@given(seed=SEEDS, hours=st.sampled_from([0, 0, 6]))
def test_two_views_of_one_chat_stay_two(seed: int, hours: int) -> None:
    events = chat(seed)
    of_ana = Phone(names=("Ana", "Ben"), title="Ben").export(events)
    of_ben = Phone(names=("Ana", "Ben"), title="Ana", shift=timedelta(hours=hours)).export(events)
    assert align(of_ana, of_ben) is None


def test_an_edited_and_a_deleted_message_are_versions_of_the_one_that_was_there() -> None:
    events = chat(7, stock=0)
    known = Phone().export(events)
    at = [number for number, event in enumerate(events) if event.kind == "text"]
    changed = list(events)
    changed[at[4]] = Event(events[at[4]].at, events[at[4]].who, "deleted", "")
    changed[at[9]] = Event(events[at[9]].at, events[at[9]].who, "text", "all new <This message was edited>")
    aligned = align(known, Phone().export(changed))
    assert aligned is not None
    joined = merge(known, aligned)
    assert len(joined.messages) == len(known.messages)
    versions = {says(message): {says(other) for other in message.previous} for message in joined.messages}
    assert versions[events[at[4]].text] == {"deleted"}
    assert any("edited" in {key, *others} and others for key, others in versions.items())


@pytest.mark.parametrize("known_is_wrong", [True, False])
def test_dates_that_one_export_read_the_other_way_round_are_put_right(known_is_wrong: bool) -> None:
    events = [Event(datetime(2023, 5, 6, 9, one), one % 2, "text", f"{WORDS[one]} " * 5) for one in range(9)]  # noqa: DTZ001
    later = Event(datetime(2023, 5, 16, 9, 0), 0, "text", "this one tells which number is the day")  # noqa: DTZ001
    short, long = Phone("american").export(events, importer=WhatsApp()), Phone("american").export([*events, later])
    wrong = Phone("android").export(events)  # 06/05/2023, read by habit with the day first
    assert short.messages[0].local_time == long.messages[0].local_time == wrong.messages[0].local_time
    misread = Phone("american").export([*events], importer=WhatsApp(day_first=True))
    assert misread.messages[0].local_time == "2023-06-05T09:00:00"
    known, new = (misread, long) if known_is_wrong else (long, misread)
    aligned = align(known, new)
    assert aligned is not None
    joined = merge(known, aligned)
    assert len(said(joined)) == len(said(long))


def test_a_file_that_comes_with_a_later_export_fills_the_place_of_the_one_left_out() -> None:
    lines = [f"15/08/2023, 21:{minute:02} - Ana: {' '.join(WORDS[minute:])} {minute}" for minute in range(10)]
    without = "\n".join([*lines, "15/08/2023, 21:30 - Ben: <Media omitted>"])
    with_it = "\n".join([*lines, "15/08/2023, 21:30 - Ben: IMG-20230815-WA0000.jpg (file attached)"])
    name = "WhatsApp Chat with Ben.txt"
    [known] = read(WHATSAPP, source_of({name: without.encode()})).conversations
    files = {name: with_it.encode(), "IMG-20230815-WA0000.jpg": b"\xff\xd8\xff a picture"}
    [new] = read(WHATSAPP, source_of(files)).conversations
    aligned = align(known, new)
    assert aligned is not None
    for joined in (merge(known, aligned), merge(aligned, known)):
        last = joined.messages[-1]
        assert not last.previous
        assert last.parts[0].sha256
        assert last.parts[0].name == "IMG-20230815-WA0000.jpg"


def test_a_cut_among_messages_that_are_alike_leaves_the_earlier_ones_out() -> None:
    lines = ["15/08/2023, 21:00 - Ben: <Media omitted>"] * 3
    lines += [f"15/08/2023, 21:{minute} - Ana: {' '.join(WORDS[minute - 10 :])} {minute}" for minute in range(10, 18)]
    name = "WhatsApp Chat with Ben.txt"
    [known] = read(WHATSAPP, source_of({name: "\n".join(lines).encode()})).conversations
    [cut] = read(WHATSAPP, source_of({name: "\n".join(lines[2:]).encode()})).conversations
    aligned = align(known, cut)
    assert aligned is not None
    assert [one.id for one in aligned.messages] == [one.id for one in known.messages[2:]]


def test_calls_of_tools_without_a_text_are_told_apart() -> None:
    def line(number: int) -> dict[str, object]:
        block = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": f"step {number}"}}
        stamp = f"2026-03-02T10:00:{number:02}.000Z"
        return {"type": "assistant", "timestamp": stamp, "message": {"role": "assistant", "content": [block]}}

    def export(numbers: range) -> Conversation:
        data = json.dumps({"loglines": [line(number) for number in numbers]}).encode()
        return read(CLAUDE_CODE, source_of({"session.json": data})).conversations[0]

    known, new = export(range(12)), export(range(3, 15))
    aligned = align(known, new)
    assert aligned is not None
    joined = merge(known, aligned)
    assert [one.parts[0].call_id for one in joined.messages] == [f"t{number}" for number in range(15)]


def test_conversations_of_two_platforms_are_never_one() -> None:
    one = Phone().export(chat(1))
    assert align(one, replace(one, platform="telegram")) is None
