"""What a line of a chat exported by WhatsApp means, in the layouts and languages of the phones that wrote it."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from chatkeep import exact, views
from chatkeep.importers.whatsapp import WHATSAPP, WhatsApp, notices, words
from chatkeep.importers.whatsapp.bodies import read_body
from chatkeep.importers.whatsapp.files import called
from chatkeep.importers.whatsapp.heads import head_of
from chatkeep.model import Conversation, Message, Part
from chatkeep.testing.reading import Reading, read, source_of

NAME = "WhatsApp Chat with Ana.txt"


def load(text: str | bytes, *, name: str = NAME, importer: WhatsApp = WHATSAPP) -> Reading:
    return read(importer, source_of({name: text if isinstance(text, bytes) else text.encode()}))


def chat(text: str | bytes, *, importer: WhatsApp = WHATSAPP) -> Conversation:
    [found] = load(text, importer=importer).conversations
    return found


def seen(conversation: Conversation) -> list[tuple[str, str, str]]:
    """Time, author and text of each message; the author of a notice is "*"."""
    people = views.people(conversation)
    names = {one.id: "*" if one.role == "system" else one.name for one in people.values()}
    return [(one.local_time, names[one.author], views.plain_text(one)) for one in conversation.messages]


HEADS = [
    ("[15/08/23, 9:12:33 PM] Ana: hi", "2023-08-15T21:12:33"),
    ("\u200e[15/08/23, 21:12:33] Ana: hi", "2023-08-15T21:12:33"),
    ("15/08/23, 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15/08/2023 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15.08.23, 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("[15.08.2023 21:12:33] Ana: hi", "2023-08-15T21:12:33"),
    ("15.08.2023 um 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15.8.2023 klo 21.12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15. 8. 2023 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15-08-2023 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15-08-23 21:12 – Ana: hi", "2023-08-15T21:12:00"),
    ("2023-08-15, 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("[2023-08-15, 21:12:33] Ana: hi", "2023-08-15T21:12:33"),
    ("2023/08/15, 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("[2023/8/15 下午9:12:33] Ana: hi", "2023-08-15T21:12:33"),
    ("[2023/8/15 上午12:12:33] Ana: hi", "2023-08-15T00:12:33"),
    ("2023/8/15 晚上9:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("[2023/08/15 午後9:12:33] Ana: hi", "2023-08-15T21:12:33"),
    ("2023. 8. 15. 오후 9:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("2023년 8월 15일 오후 9:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("2023. 08. 15. 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15/8/23, 9:12\u202fp. m. - Ana: hi", "2023-08-15T21:12:00"),
    ("15/8/23 9:12 p.\u00a0m. - Ana: hi", "2023-08-15T21:12:00"),
    ("15/8/23, 9:12\u2009pm - Ana: hi", "2023-08-15T21:12:00"),
    ("[15/8/23 9:12:33\u202fa.m.] Ana: hi", "2023-08-15T09:12:33"),
    ("15/08/23, 12:05 am - Ana: hi", "2023-08-15T00:05:00"),
    ("15/08/23, 12:05 pm - Ana: hi", "2023-08-15T12:05:00"),
    ("15/8/23, 9:12 μ.μ. - Ana: hi", "2023-08-15T21:12:00"),
    ("١٥‏/٨‏/٢٠٢٣، ٩:١٢ م - Ana: hi", "2023-08-15T21:12:00"),
    ("۱۵/۸/۲۰۲۳،\u200f ۲۱:۱۲ - Ana: hi", "2023-08-15T21:12:00"),
    ("१५/८/२३, ९:१२ pm - Ana: hi", "2023-08-15T21:12:00"),
    ("15/8/2566 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15/8/66 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("[15/8/2566 BE, 21:12:33] Ana: hi", "2023-08-15T21:12:33"),
    ("[R5/08/15 21:12:33] Ana: hi", "2023-08-15T21:12:33"),
    ("15.08.23 г., 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15/08/2023 à 21:12 - Ana: hi", "2023-08-15T21:12:00"),
    ("15/08/2023 21 h 12 - Ana: hi", "2023-08-15T21:12:00"),
    ("21:12, 15/08/2023 - Ana: hi", "2023-08-15T21:12:00"),
    ("[15/08/23 21:12] Ana: hi", "2023-08-15T21:12:00"),
    ("\ufeff15/08/23, 21:12 - Ana: hi", "2023-08-15T21:12:00"),
]


@pytest.mark.parametrize(("line", "expected"), HEADS, ids=[line for line, _ in HEADS])
def test_a_line_in_the_layout_of_a_phone_begins_a_message(line: str, expected: str) -> None:
    assert seen(chat(line + "\n")) == [(expected, "Ana", "hi")]


@pytest.mark.parametrize(
    "line",
    [
        "Ana: hi",
        "15/08/23 - Ana: hi",
        "15/08/23, 21:12 Ana: hi",
        "15/08/23, 25:12 - Ana: hi",
        "15/08/23, 21:72 - Ana: hi",
        "15/08/23 costs 21:12 - Ana: hi",
        "[15/08] Ana: hi",
        "2023 was 8/15, 21:12 - a good year: yes",
        "1. 2. 3, 4:05 is a list",
        "",
    ],
)
def test_other_lines_begin_no_message(line: str) -> None:
    assert head_of(line) is None


def test_the_day_is_told_from_the_month_by_the_whole_file() -> None:
    lines = ["04/05/23, 10:00 - Ana: one", "04/13/23, 10:00 - Ana: two"]
    assert [at[:10] for at, _, _ in seen(chat("\n".join(lines)))] == ["2023-04-05", "2023-04-13"]
    lines[1] = "13/05/23, 10:00 - Ana: two"
    assert [at[:10] for at, _, _ in seen(chat("\n".join(lines)))] == ["2023-05-04", "2023-05-13"]


def test_dates_that_could_be_both_follow_the_order_of_time() -> None:
    lines = ["05/01/23, 10:00 - Ana: a", "06/02/23, 10:00 - Ana: b", "01/03/23, 10:00 - Ana: c"]
    found = load("\n".join(lines))
    assert [at[:10] for at, _, _ in seen(found.conversations[0])] == ["2023-01-05", "2023-02-06", "2023-03-01"]
    assert not found.notes


def test_a_number_that_stays_the_same_over_days_is_the_month() -> None:
    lines = [f"{10}/{day}/23, 10:00 - Ana: {day}" for day in (1, 2, 5, 9)]
    assert [at[5:10] for at, _, _ in seen(chat("\n".join(lines)))] == ["10-01", "10-02", "10-05", "10-09"]


def test_the_names_of_pictures_tell_the_order_of_dates() -> None:
    text = "05/06/23, 10:00 - Ana: IMG-20230506-WA0000.jpg (file attached)\n05/06/23, 10:01 - Ana: nice\n"
    assert seen(chat(text))[1][0] == "2023-05-06T10:01:00"


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("05/06/23, 21:12 - ", "2023-06-05"),
        ("5/6/23, 9:12 PM - ", "2023-05-06"),
        ("05/06/23, 9:12 pm - ", "2023-06-05"),
    ],
)
def test_a_guess_is_told_as_a_note_and_a_setting_overrules_it(stamp: str, expected: str) -> None:
    found = load(f"{stamp}Ana: hi\n")
    assert seen(found.conversations[0])[0][0][:10] == expected
    assert len(found.notes) == 1
    assert "two ways" in found.notes[0]
    assert found.problems == []
    for day_first, day in ((True, "2023-06-05"), (False, "2023-05-06")):
        set_so = load(f"{stamp}Ana: hi\n", importer=WhatsApp(day_first=day_first))
        assert seen(set_so.conversations[0])[0][0][:10] == day
        assert set_so.notes == []


def test_a_dot_is_as_good_as_sure() -> None:
    assert load("05.06.23, 21:12 - Ana: hi\n").notes == []


def test_an_order_that_changes_inside_the_file_is_followed_and_told() -> None:
    first = [f"{day:02}/03/23, 10:00 - Ana: day {day}" for day in range(1, 29)]
    then = [f"04/{day:02}/23, 10:00 - Ana: day {day}" for day in range(1, 29)]
    found = load("\n".join(first + then))
    expected = [f"2023-{month:02}-{day:02}" for month in (3, 4) for day in range(1, 29)]
    assert [at[:10] for at, _, _ in seen(found.conversations[0])] == expected
    assert "changes inside" in found.notes[0]


def test_a_small_step_back_keeps_the_order_of_the_file() -> None:
    lines = [
        "15/08/23, 21:12 - Ana: b",
        "15/08/23, 21:10 - Ben: a",
        "15/08/23, 21:13 - Ana: c",
        "15/08/23, 21:13 - Ana: d",
    ]
    assert [text for _, _, text in seen(chat("\n".join(lines)))] == ["b", "a", "c", "d"]


def test_a_date_of_no_known_calendar_keeps_its_message_in_place_and_is_told() -> None:
    found = load("15/08/23, 21:12 - Ana: a\n32/08/23, 21:12 - Ana: b\n16/08/23, 21:12 - Ana: c\n")
    assert [text for _, _, text in seen(found.conversations[0])] == ["a", "b", "c"]
    assert [problem.what[:9] for problem in found.problems] == ["1 message"]


# ------------------------------------------------------------------ names


def test_names_are_known_without_their_marks() -> None:
    lines = [
        "[15.08.23, 21:12:33] ~\u202fAna: a",
        "[15.08.23, 21:12:34] \u202a+49\u00a01512\u00a03456789\u202c: b",
        "[15.08.23, 21:12:35] ~ Ana: c",
        "[15.08.23, 21:12:36] Ana: d",
    ]
    assert [name for _, name, _ in seen(chat("\n".join(lines)))] == ["Ana", "+49 1512 3456789", "Ana", "Ana"]


def test_a_name_may_hold_a_colon_where_all_its_messages_say_so() -> None:
    lines = [
        "15/08/23, 21:12 - Dr: Who: hello",
        "15/08/23, 21:13 - Dr: Who: again",
        "15/08/23, 21:13 - Ana: note: this",
    ]
    assert [(name, text) for _, name, text in seen(chat("\n".join(lines)))] == [
        ("Dr: Who", "hello"),
        ("Dr: Who", "again"),
        ("Ana", "note: this"),
    ]


def test_a_notice_with_a_colon_is_not_a_person() -> None:
    lines = [
        "15/08/23, 21:12 - Ana: hello",
        "15/08/23, 21:12 - Ana: hello",
        '15/08/23, 21:13 - Ana changed the subject from "a: b" to "c: d"',
        "15/08/23, 21:13 - Ana changed the group name to “a: b”",
        "15/08/23, 21:14 - Ana left",
    ]
    assert [name for _, name, _ in seen(chat("\n".join(lines)))] == ["Ana", "Ana", "*", "*", "*"]


def test_a_person_may_say_nothing() -> None:
    assert [text for _, _, text in seen(chat("15/08/23, 21:12 - Ana:\n15/08/23, 21:12 - Ana: \n"))] == ["", ""]


def test_a_notice_that_ios_gives_to_a_member_is_the_systems() -> None:
    text = "[15.08.23, 21:12:33] Ana: hi\n[15.08.23, 21:12:34] Ana: \u200eAna hat die Gruppe verlassen\n"
    assert [name for _, name, _ in seen(chat(text))] == ["Ana", "*"]


# ------------------------------------------------------------------ pasted lines, other layouts


def test_pasted_lines_of_another_layout_stay_in_the_text() -> None:
    lines = [f"15/08/23, 21:{minute} - Ana: line {minute}" for minute in range(10, 40)]
    pasted = "[14.08.23, 09:00:00] Ben: from another chat\n[14.08.23, 09:01:00] Ben: and more"
    lines[12] += "\n" + pasted
    found = seen(chat("\n".join(lines)))
    assert len(found) == 30
    assert found[12][2] == "line 22\n" + pasted


def test_two_exports_in_one_file_are_both_read() -> None:
    first = [f"[15.08.23, 21:{minute}:00] Ana: line {minute}" for minute in range(10, 15)]
    second = [f"16/08/23, 21:{minute} - Ana: line {minute}" for minute in range(10, 40)]
    assert len(seen(chat("\n".join(first + second)))) == 35
    assert len(seen(chat("\n".join(second + first)))) == 35


def test_text_before_the_first_message_is_kept_and_told() -> None:
    found = load("the end of a message\n15/08/23, 21:12 - Ana: a\n15/08/23, 21:13 - Ana: b\n")
    assert found.conversations[0].unknown["before"] == "the end of a message"
    assert len(found.problems) == 1


# ------------------------------------------------------------------ placeholders


def body(text: str) -> tuple[tuple[Part, ...], str, str, bool]:
    def take(name: str, caption: str) -> Part:
        return Part(type="attachment", name=name, caption=caption, missing=True)

    found = read_body(text, take=take, known=lambda name: False, person=True)
    return found.parts, found.status, found.kind, found.notice


@pytest.mark.parametrize("phrase", sorted(words.PLACEHOLDERS))
def test_a_placeholder_is_the_same_in_every_language(phrase: str) -> None:
    expected = (Part(type="attachment", kind=words.PLACEHOLDERS[phrase], missing=True),)
    for text in (phrase, f"<{phrase}>", f"\u200e{phrase}", f"{phrase.capitalize()}."):
        assert body(text) == (expected, "", "", False), text


@pytest.mark.parametrize("phrase", sorted(notices.DELETED))
def test_a_deleted_message_is_the_same_in_every_language(phrase: str) -> None:
    for text in (phrase, f"\u200e{phrase}.", f"<{phrase.capitalize()}>"):
        assert body(text) == ((), "deleted", "", False), text


@pytest.mark.parametrize("phrase", sorted(notices.EDITED))
def test_an_edited_message_keeps_its_text_alone(phrase: str) -> None:
    parts, status, _, _ = body(f"see you at four \u200e<{phrase.capitalize()}>")
    assert ([part.text for part in parts], status) == (["see you at four"], "edited")


@pytest.mark.parametrize("phrase", sorted(words.ATTACHED))
def test_an_attached_file_is_known_in_every_language(phrase: str) -> None:
    for text in (f"\u200e<{phrase}: tree.jpg>", f"tree.jpg ({phrase})", f"\u200etree.jpg ({phrase.capitalize()})"):
        parts, _, _, _ = body(text)
        assert [part.name for part in parts] == ["tree.jpg"], text


def test_a_caption_stands_with_its_file() -> None:
    assert body("IMG-20230630-WA0000.jpg (in no known words)\nlook\nat this")[0][0].caption == "look\nat this"
    assert body("A plan.pdf • \u200e1 page \u200e<attached: 0001-A plan.pdf>")[0][0].caption == "A plan.pdf • 1 page"
    assert body("first\nsecond \u200e<attached: 0001-x.jpg>")[0][0].caption == "first\nsecond"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("POLL:\nWhich day?\nOPTION: Monday (2 votes)", "poll"),
        ("Umfrage:\nWelcher Tag?\nOPTION: Montag (2 Stimmen)", "poll"),
        ("Location: https://maps.google.com/?q=47.0,15.4", "place"),
        ("\u200eLive location shared", "place"),
        ("Missed voice call", "call"),
        ("\u200eVideo call, 5 min", "call"),
        ("\u200eVerpasster Sprachanruf", "call"),
        ("poll: what do you think", ""),
        ("missed you", ""),
        ("a < b and (c) > d", ""),
        ("I wrote <this> (and that)", ""),
        ("version 1.2 (really)", ""),
    ],
)
def test_polls_places_and_calls_keep_their_text(text: str, kind: str) -> None:
    parts, status, found, notice = body(text)
    assert [part.text for part in parts] == [text.lstrip("\u200e")]
    assert (status, found, notice) == ("", kind, False)


# ------------------------------------------------------------------ titles, encodings, size


@pytest.mark.parametrize(("before", "after"), words.TITLES)
def test_the_name_of_a_chat_stands_in_the_name_of_its_file_in_every_language(before: str, after: str) -> None:
    name = f"{before}Ana & Ben{after}"
    for form in (name, f"{before.upper()}Ana & Ben{after} (2)", f"\u200e{name}"):
        assert called(form) == "Ana & Ben", form


def test_the_zip_names_the_chat_where_the_text_does_not() -> None:
    text = b"[15.08.23, 21:12:33] Ana: hi\n"
    for name in ("_chat.txt", "x/_chat.txt"):
        found = read(WHATSAPP, source_of({name: text}, label="WhatsApp Chat - Ana.zip"))
        assert found.conversations[0].title == "Ana"
    found = read(WHATSAPP, source_of({"WhatsApp Chat - Ana.zip/_chat.txt": text}, label="all.zip"))
    assert found.conversations[0].title == "Ana"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_unicode_encoding_reads_the_same(encoding: str) -> None:
    text = "15/08/23, 21:12 - Ana: é 字 😀\r\n15/08/23, 21:13 - Ana: more\r\nlines\r\n"
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    assert seen(chat(mark + text.encode(encoding))) == seen(chat(text))
    assert seen(chat(text))[1][2] == "more\nlines"


def test_bytes_that_are_not_text_are_kept() -> None:
    found = chat(b"15/08/23, 21:12 - Ana: caf\xe9\x00!\n")
    assert exact.unmark(found.messages[0].parts[0].text) == "caf\udce9\0!"


def test_the_same_words_twice_in_a_minute_are_two_messages() -> None:
    found = chat("15/08/23, 21:12 - Ana: ok\n" * 3)
    assert len({message.id for message in found.messages}) == 3


def test_a_longer_export_has_the_same_ids() -> None:
    lines = [f"15/08/23, 21:{minute} - Ana: line {minute}" for minute in range(10, 40)]
    short, long = chat("\n".join(lines[:20])), chat("\n".join(lines))
    assert short.id == long.id
    assert long.messages[:20] == short.messages


def test_signals_texts_are_left_alone() -> None:
    signal = b"[2019-12-24, 12:23] Ana: hello\n[2019-12-24, 12:24] Ben: hello\n"
    assert not WHATSAPP.sniff(source_of({"chat.txt": signal}))


LONG = 1 << 20
HOSTILE = [
    "15/08/23, 21:12 - " + "a" * LONG,
    "15/08/23, 21:12 - Ana: " + "<" * LONG,
    "15/08/23, 21:12 - Ana: " + " " * LONG + "<x>",
    "15/08/23, 21:12 - Ana: " + "(" * LONG + ")",
    "15/08/23, 21:12 - Ana: " + "a.b (" * (LONG // 5) + ")",
    "15/08/23, 21:12 - " + ": " * (LONG // 2),
    "15/08/23, 21:12 - " + '"' * LONG + ": x",
    "[" + " " * LONG,
    "\u200e" * LONG,
    "1" * LONG,
    "15/08/23" + " " * LONG + "21:12 - Ana: hi",
    "15/08/23, 21:12 " + "-" * LONG,
    "15/08/23, 21:12 - Ana: " + "\u200e<attached: " * (LONG // 12) + ">",
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_of_a_megabyte_costs_less_than_a_second(line: str) -> None:
    text = f"15/08/23, 21:10 - Ana: a\n15/08/23, 21:11 - Ana: b\n{line}\n"
    begin = time.process_time()
    found = load(text)
    assert time.process_time() - begin < 1
    assert sum(len(views.plain_text(one)) for one in found.conversations[0].messages) >= LONG // 2


def test_many_messages_that_are_alike_cost_no_more_than_others() -> None:
    undated = "99/99/23, 21:12 - Ana: ok\n" * 20_000
    begin = time.process_time()
    found = load("15/08/23, 21:12 - Ana: hello\n" + undated)
    assert time.process_time() - begin < 10
    assert len({message.id for message in found.conversations[0].messages}) == 20_001


def test_a_message_takes_little_memory() -> None:
    lines = (f"15/08/23, 21:{number % 60:02} - Ana: message number {number} of this chat" for number in range(4_000))
    source = source_of({NAME: "\n".join(lines).encode()})
    [record] = WHATSAPP.read(source, Reading().keep)
    tracemalloc.start()
    try:
        loaded = record.load()  # type: ignore[union-attr]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    messages: tuple[Message, ...] = loaded.conversations[0].messages
    assert len(messages) == 4_000
    assert peak < 1500 * len(messages)


@pytest.mark.parametrize("first", ["see you", "see you <soon", "see you <soon> then"])
def test_a_message_of_empty_lines_costs_no_more_than_its_length(first: str) -> None:
    begin = time.process_time()
    parts, status, _, _ = body(first + "\n" * 200_000 + "there>")
    assert time.process_time() - begin < 2
    assert (parts[0].text[: len(first)], status) == (first, "")
