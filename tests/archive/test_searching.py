"""What a search finds, in which order, and how it is shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from archive.talks import PEOPLE, found, said, take, talk
from archives import about_files
from chatkeep.archive import Archive, finding
from chatkeep.errors import WrongUse
from chatkeep.model import Message, Part, Participant
from chatkeep.selection import Selection


@about_files
def test_a_search_loads_nothing_that_only_reads_or_writes_conversations(archive: Archive) -> None:
    take(archive, talk("a", ["peas"]))
    program = (
        "import sys, pathlib; from chatkeep.archive import Archive\n"
        "with Archive.open(pathlib.Path(sys.argv[1])) as archive: print(archive.search('peas').total)\n"
        "print(*sorted(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(archive.folder)]
    total, loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    slow = {"chatkeep.model", "chatkeep.archive.writing", "zstandard", "hashlib", "concurrent.futures", "logging"}
    assert (total, slow & set(loaded.split())) == ("1", set())


def test_words_are_found_without_regard_to_case_and_accents(archive: Archive) -> None:
    take(archive, talk("a", ["Crème BRÛLÉE", "Straße", "naïve cafe\u0301"]))
    assert archive.search("creme brulee").total == 1
    assert archive.search("CAFÉ").total == 1
    assert archive.search("straße").total == 1


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("我昨天去了北京图书馆。", "图书馆"),
        ("我昨天去了北京图书馆。", "北京"),
        ("我昨天去了北京图书馆。", "馆"),
        ("我昨天去了北京图书馆。", "京图"),
        ("東京タワーへ行きました", "タワー"),
        ("ｺﾝﾛ", "コンロ"),
        ("ﾊﾟｿｺﾝ", "パソコン"),
        ("안녕하세요, 도서관에서 만나요", "도서관"),
        ("สวัสดีครับ วันนี้อากาศดี", "อากาศ"),
        ("ສະບາຍດີທຸກຄົນ", "ທຸກຄົນ"),
        ("សួស្តីពិភពលោក", "ពិភពលោក"),
        ("မင်္ဂလာပါကမ္ဘာ", "ကမ္ဘာ"),
        ("هذا كِتَابٌ جديد", "كتاب"),
        ("أهلا وسهلا", "اهلا"),
        ("שָׁלוֹם לכולם", "שלום"),
        ("Καλημέρα κόσμε", "καλημερα"),
        ("Ещё один день", "еще"),
        ("हिन्दी में लिखा", "हिन्दी"),
        ("Well done 👍🏽 you", "👍"),
        ("Family 👨‍👩‍👧 time", "👨‍👩‍👧"),
        ("love❤️you", "❤"),
        ("ＦＵＬＬ width", "full"),
        ("The ﬁnal ﬂower", "final flower"),
        ("học tiếng Việt", "hoc tieng viet"),
        ("zu\xadsammen", "zusammen"),
        ("Python教程很好", "python教程"),
        ("don't stop", "don't"),
        ("see foo_bar.baz(1)", "foo_bar.baz"),
        ("mail anna@example.org", "anna@example.org"),
    ],
)
def test_each_language_finds_its_own_words_and_marks_them(archive: Archive, text: str, query: str) -> None:
    take(archive, talk("a", [f"Before {text} after", "something else 其他 อื่น"]))
    result = archive.search(query)
    assert (result.total, result.exact) == (1, True)
    assert result.hits[0].snippet.text.startswith("Before")
    # Half-width letters with a mark of their own are found but not marked: two characters are one there.
    assert any(is_match for _, is_match in result.hits[0].snippet.pieces) or "ﾟ" in text


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("北京图书馆", "图馆"),
        ("й", "и"),
        ("garden", "gard"),
        ("peas and beans", '"peas beans"'),
        ("안녕하세요", "녕안"),
    ],
)
def test_what_is_not_there_is_not_found(archive: Archive, text: str, query: str) -> None:
    take(archive, talk("a", [text]))
    assert archive.search(query).total == 0


def test_phrases_beginnings_and_words_to_leave_out(archive: Archive) -> None:
    take(archive, talk("a", ["broad beans and salt", "beans, broad and wide", "broad beans and water", "gardening"]))
    assert found(archive, '"broad beans"') == ["broad beans and salt", "broad beans and water"]
    assert found(archive, "broad beans -salt") == ["beans, broad and wide", "broad beans and water"]
    assert found(archive, "gard*") == ["gardening"]
    assert found(archive, "beans -water -salt") == ["beans, broad and wide"]


def test_filters_narrow_a_search(archive: Archive) -> None:
    picture = Part(type="attachment", missing=True, name="p.png")
    take(
        archive,
        talk("a", ["peas", "peas too"], project="Garden"),
        talk("b", ["peas again"], platform="whatsapp", messages=(said("b", 9, "peas seen", parts=(picture,)),)),
    )
    archive.edit(talk("a").id, "labels", ["To read"])
    assert archive.search("peas").total == 3
    assert found(archive, "peas from:anna") == ["peas", "peas again"]
    assert found(archive, "peas from:bauer from:Anna") == ["peas", "peas again"]
    assert found(archive, "peas -from:anna") == ["peas too"]
    assert found(archive, "peas from:assistant") == ["peas too"]
    assert found(archive, "peas platform:WhatsApp") == ["peas again"]
    assert found(archive, "peas in:garden") == ["peas", "peas too"]
    assert found(archive, 'peas label:"to read"') == ["peas", "peas too"]
    assert found(archive, "peas -in:garden") == ["peas again"]
    assert archive.search("has:attachment").total == 1
    assert found(archive, "peas after:2024-05-02") == ["peas too"]
    assert found(archive, "peas before:2024-05-02") == ["peas", "peas again"]
    assert found(archive, "peas after:2024-05-01 before:2024-05-02 in:garden") == ["peas"]
    assert archive.search("peas", selection=Selection(platforms=("chatgpt",))).total == 2
    assert archive.search("peas", selection=Selection(since="2024-05-02")).total == 1
    assert archive.search("peas", selection=Selection(people=("Anna",), projects=("Garden",))).total == 2


def test_filters_alone_list_messages_the_newest_first(archive: Archive) -> None:
    take(archive, talk("a", ["one", "two", "three"]))
    assert [hit.snippet.text for hit in archive.search("from:anna").hits] == ["three", "one"]


def test_titles_are_found_and_their_hits_name_no_message(archive: Archive) -> None:
    take(archive, talk("a", ["nothing"], title="My garden"), talk("b", ["a garden, far away, behind the hills"]))
    hits = archive.search("garden").hits
    assert [(hit.title, bool(hit.message)) for hit in hits] == [("My garden", False), ("About b", True)]


def test_a_title_given_here_is_found_and_the_old_one_is_not(archive: Archive) -> None:
    take(archive, talk("a", ["nothing"], title="Chat"))
    archive.edit(talk("a").id, "title", "Recipes")
    assert (archive.search("recipes").total, archive.search("chat").total) == (1, 0)


def test_a_text_that_says_more_about_the_words_comes_first(archive: Archive) -> None:
    take(archive, talk("a", [f"peas {'and other things ' * 200}", "peas, peas and beans", "nothing"]))
    assert archive.search("peas").hits[0].snippet.text == "peas, peas and beans"


def test_what_is_hidden_is_found_only_if_asked_for(archive: Archive) -> None:
    secret = said("a", 1, "the weather tool ran", hidden=True)
    rules = Message(id="s", author="sys", parts=(Part(type="text", text="weather rules"),))
    people = (*PEOPLE, Participant(id="sys", role="system"))
    take(archive, talk("a", ["weather?"], messages=(secret, rules), participants=people))
    assert found(archive, "weather") == ["weather?"]
    assert found(archive, "weather", hidden=True) == ["the weather tool ran", "weather rules", "weather?"]


def test_all_branches_are_found_and_archived_conversations_too(archive: Archive) -> None:
    root = said("a", 0, "root")
    first, second = said("a", 1, "left branch", parent=root.id), said("a", 2, "right branch", parent=root.id)
    take(archive, talk("a", messages=(root, first, second), shown_leaf=second.id))
    archive.edit(talk("a").id, "archived", True)
    hits = {hit.snippet.text: hit.position for hit in archive.search("branch").hits}
    assert hits == {"left branch": -1, "right branch": 1}


def test_what_is_in_the_trash_is_not_found_until_it_is_taken_out(archive: Archive) -> None:
    take(archive, talk("a", ["peas"]), talk("b", ["peas"]))
    archive.edit(talk("a").id, "trashed", True)
    assert archive.search("peas").total == 1
    take(archive, talk("a", ["peas", "more peas"]))
    assert archive.search("peas").total == 1
    archive.edit(talk("a").id, "trashed", False)
    assert archive.search("peas").total == 3


def test_a_changed_message_is_found_by_its_new_words_only(archive: Archive) -> None:
    take(archive, talk("a", ["peas", "beans"]))
    edited = said("a", 1, "lentils", edited_at="2024-06-01T00:00:00Z")
    take(archive, talk("a", ["peas"], messages=(edited,)))
    assert [archive.search(word).total for word in ("peas", "beans", "lentils")] == [1, 0, 1]


def test_hits_can_be_grouped_by_conversation(archive: Archive) -> None:
    take(archive, talk("a", ["peas", "peas peas", "peas too"]), talk("b", ["peas"]))
    result = archive.search("peas", group=True)
    assert result.total == 2
    assert {hit.conversation: hit.others for hit in result.hits} == {talk("a").id: 2, talk("b").id: 0}


def test_pages_of_hits_follow_one_another_without_gaps(archive: Archive) -> None:
    take(archive, talk("a", [f"peas {'x ' * number}" for number in range(25)]))
    whole = [hit.message for hit in archive.search("peas", limit=25).hits]
    pages = [hit.message for start in (0, 10, 20) for hit in archive.search("peas", limit=10, offset=start).hits]
    assert pages == whole
    assert len(set(whole)) == 25


def test_of_a_word_that_is_everywhere_the_newest_are_ranked(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "COUNTED", 30)
    monkeypatch.setattr(finding, "RANKED", 10)
    old = [said("old", number, "peas peas peas", sent_at="2020-01-01T00:00:00Z") for number in range(40)]
    new = [said("new", number, "peas", sent_at="2024-06-01T00:00:00Z") for number in range(15)]
    take(archive, talk("old", messages=old, title=""), talk("new", messages=new, title=""))
    result = archive.search("peas", limit=5)
    assert (result.total, result.exact) == (30, False)
    assert {hit.conversation for hit in result.hits} == {talk("new").id}


def test_a_snippet_shows_the_words_in_their_context(archive: Archive) -> None:
    take(archive, talk("a", ["start " * 100 + "there were peas\n\nand\tbeans " + "end " * 100]))
    snippet = archive.search("peas beans").hits[0].snippet
    assert "there were peas and beans end" in snippet.text
    assert [text for text, is_match in snippet.pieces if is_match] == ["peas", "beans"]
    assert snippet.text.startswith("…")
    assert snippet.text.endswith("…")
    assert len(snippet.text) < 200


def test_a_hit_says_who_said_it_and_when(archive: Archive) -> None:
    take(archive, talk("a", ["peas"]))
    hit = archive.search("peas").hits[0]
    assert (hit.author, hit.role, hit.sent_at) == ("Anna Bauer", "person", "2024-05-01T10:00:00Z")
    assert (hit.conversation, hit.title, hit.platform) == (talk("a").id, "About a", "chatgpt")


def test_an_empty_query_finds_nothing(archive: Archive) -> None:
    take(archive, talk("a", ["peas"]))
    assert archive.search("").total == archive.search(" ?! ").total == 0
    with pytest.raises(WrongUse):
        archive.search("-peas")


def test_code_and_results_of_tools_and_transcripts_are_found(archive: Archive) -> None:
    parts = (
        Part(type="code", text="print(weather)", language="python"),
        Part(type="tool_result", text="sunny"),
        Part(type="attachment", missing=True, transcript="spoken words"),
    )
    take(archive, talk("a", messages=(said("a", 0, "", parts=parts),)))
    assert [archive.search(word).total for word in ("weather", "sunny", "spoken")] == [1, 1, 1]
