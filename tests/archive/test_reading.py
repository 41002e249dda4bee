"""Reading a conversation page by page, listing, choosing, editing, and checking."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings

from archive.talks import said, take, talk
from archives import about_files
from chatkeep import views
from chatkeep.archive import Archive, checking
from chatkeep.archive.database import transaction
from chatkeep.errors import Damaged, NotFound, VaultTooNew, WrongUse
from chatkeep.merge import CHOSEN
from chatkeep.model import Conversation, Edit, Extra, Message, Part, encode
from chatkeep.records import Loaded
from chatkeep.selection import Selection
from chatkeep.testing.strategies import conversations


def tree() -> Conversation:
    root = said("tree", 0, "root")
    left = said("tree", 1, "left", parent=root.id)
    right = said("tree", 2, "right", parent=root.id)
    end = said("tree", 3, "right end", parent=right.id)
    return talk("tree", messages=(root, left, right, end), shown_leaf=end.id)


def test_a_window_shows_a_part_of_the_shown_path(archive: Archive) -> None:
    take(archive, talk("garden", [f"message {number}" for number in range(300)]))
    window = archive.window(talk("garden").id, start=100, count=50)
    assert [views.plain_text(one) for one in window.messages] == [f"message {n}" for n in _by_day(300)[100:150]]
    assert (window.total, window.start, window.conversation.messages) == (300, 100, 300)
    assert [one.name for one in window.participants] == ["Anna Bauer", ""]
    assert archive.window(talk("garden").id, start=299, count=50).messages[0].id == window_last(archive)
    assert archive.window(talk("garden").id, start=300).messages == ()


def _by_day(count: int) -> list[int]:
    whole = talk("garden", [f"message {number}" for number in range(count)])
    return [int(views.plain_text(one).split()[1]) for one in whole.messages]


def window_last(archive: Archive) -> str:
    return archive.load(talk("garden").id).messages[-1].id


def test_a_window_of_a_tree_follows_the_shown_leaf_or_another(archive: Archive) -> None:
    take(archive, tree())
    root, left, right, end = tree().messages
    shown = archive.window(tree().id)
    assert [one.id for one in shown.messages] == [root.id, right.id, end.id]
    assert shown.siblings == [[], [left.id, right.id], []]
    assert shown.leaf == end.id
    other = archive.window(tree().id, leaf=left.id)
    assert [one.id for one in other.messages] == [root.id, left.id]
    with pytest.raises(NotFound):
        archive.window(tree().id, leaf="nothing")


def test_a_window_of_a_long_conversation_crosses_its_frames(archive: Archive) -> None:
    long = talk("long", [f"{number} " + "lorem ipsum dolor " * 400 for number in range(300)])
    take(archive, long)
    for start in (0, 35, 36, 37, 140, 299):
        assert archive.window(long.id, start=start, count=3).messages == long.messages[start : start + 3]


def test_a_window_keeps_fields_that_this_version_does_not_know(archive: Archive) -> None:
    odd = talk("odd", messages=(said("odd", 0, "one", extra=Extra({"later": [1]})),), extra=Extra({"newer": {}}))
    take(archive, odd)
    assert archive.window(odd.id).messages == odd.messages
    assert archive.document(odd.id) == encode(odd)


@settings(max_examples=60, deadline=None)
@given(conversation=conversations())
def test_the_windows_of_any_conversation_make_up_its_shown_path(
    tmp_path_factory: pytest.TempPathFactory, conversation: Conversation
) -> None:
    with Archive.open(tmp_path_factory.mktemp("data")) as archive:
        take(archive, conversation)
        path = views.path(conversation)
        window = archive.window(conversation.id, count=2)
        pages = [archive.window(conversation.id, start=start, count=2).messages for start in range(0, len(path), 2)]
        assert [one for page in pages for one in page] == path
        assert window.total == len(path)
        for message in conversation.messages:
            chosen = archive.window(conversation.id, leaf=message.id)
            assert list(chosen.messages) == views.path(conversation, message.id)
        assert archive.check() == []


def test_conversations_are_listed_the_newest_first_and_chosen_by_conditions(archive: Archive) -> None:
    take(
        archive,
        talk("a", ["peas"], updated_at="2024-05-03T00:00:00Z", project="Garden"),
        talk("b", ["peas", "beans"], updated_at="2024-05-09T00:00:00Z", platform="claude"),
        talk("c", ["boats"], updated_at="2023-05-09T00:00:00Z", created_at="2023-05-09T00:00:00Z"),
    )
    archive.edit(talk("c").id, "labels", ["b", "a", "a", " "])

    def titles(**conditions: object) -> list[str]:
        return [one.title[-1] for one in archive.listing(Selection(**conditions))]  # type: ignore[arg-type]

    assert titles() == ["b", "a", "c"]
    assert titles(platforms=("claude", "slack")) == ["b"]
    assert titles(projects=("Garden",)) == ["a"]
    assert titles(labels=("a",)) == ["c"]
    assert titles(people=("Bauer",)) == ["b", "a", "c"]
    assert titles(people=("Nobody",)) == []
    assert titles(query="peas") == ["b", "a"]
    assert titles(query="peas -beans from:anna", platforms=("claude",)) == ["b"]
    assert titles(query="peas before:2024-05-01") == []
    assert titles(query="?!") == []
    assert titles(query="from:assistant") == ["b"]
    assert titles(ids=(talk("c").id[:8], talk("a").id)) == ["a", "c"]
    assert titles(since="2024-05-05") == ["b"]
    assert titles(until="2023-12-31") == ["c"]
    assert titles(trashed=True) == []
    assert archive.count(Selection(query="peas")) == 2
    assert [one.title for one in archive.documents(Selection(query="peas"))] == ["About b", "About a"]
    assert [one.title[-1] for one in archive.listing(limit=1, offset=1)] == ["a"]
    facets = archive.facets()
    assert facets.platforms == {"chatgpt": 2, "claude": 1}
    assert (facets.projects, facets.labels) == ({"Garden": 1}, {"a": 1, "b": 1})


def test_a_listed_conversation_says_what_a_list_shows(archive: Archive) -> None:
    picture = Part(type="attachment", missing=True, name="p.png")
    take(archive, talk("a", ["", "  Peas\n and beans "], messages=(said("a", 5, "", parts=(picture,)),)))
    listed = archive.listing()[0]
    assert (listed.preview, listed.messages, listed.attachments) == ("Peas and beans", 3, 1)
    assert (listed.starred, listed.archived, listed.trashed, listed.labels) == (False, False, False, [])


def test_an_id_may_be_shortened_while_it_means_one(archive: Archive) -> None:
    take(archive, talk("one", id="abcd-1"), talk("two", id="abcd-2"))
    assert archive.load("abcd-1").id == "abcd-1"
    with pytest.raises(WrongUse):
        archive.load("abcd")
    for id in ("abce", "abc", "", "%"):
        with pytest.raises(NotFound):
            archive.load(id)


def test_what_people_do_is_stamped_later_than_all_that_was_seen(archive: Archive) -> None:
    theirs = talk("a", ["peas"], user={"title": Edit(stamp=(41, "phone"), value="Theirs")})
    archive.apply([theirs])
    archive.edit(theirs.id, "title", "Ours")
    assert archive.load(theirs.id).user["title"] == Edit(stamp=(42, "laptop"), value="Ours")
    take(archive, talk("b", ["beans"]))
    archive.edit(talk("b").id, "starred", True)
    assert archive.load(talk("b").id).user["starred"].stamp == (43, "laptop")
    archive.edit(talk("b").id, "starred", False)
    assert not archive.listed(talk("b").id).starred
    number = archive.number
    archive.edit(talk("b").id, "starred", False)
    assert archive.number == number


def test_a_chosen_version_and_leaf_are_shown(archive: Archive) -> None:
    old, new = said("a", 0, "old"), said("a", 0, "new", edited_at="2024-06-01T00:00:00Z")
    take(archive, talk("a", messages=(old,)))
    take(archive, talk("a", messages=(new,)))
    assert archive.search("new").total == 1
    archive.edit(talk("a").id, CHOSEN + old.id, old.raw)
    assert [archive.search(word).total for word in ("old", "new")] == [1, 0]
    assert views.plain_text(archive.window(talk("a").id).messages[0]) == "old"


@pytest.mark.parametrize(
    ("field", "value"), [("id", "x"), ("title", 7), ("starred", "yes"), ("labels", [1]), ("version", ""), ("", "")]
)
def test_what_cannot_be_set_is_refused(archive: Archive, field: str, value: object) -> None:
    take(archive, talk("a", ["peas"]))
    with pytest.raises(WrongUse):
        archive.edit(talk("a").id, field, value)


def test_a_check_finds_what_is_damaged(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        a, b = talk("a", ["peas"]), talk("b", ["beans"])
        take(archive, a, b)
        kept = archive.keep(io.BytesIO(b"a picture"))
        assert archive.check() == []
        with transaction(archive._db):
            number = "(SELECT number FROM documents WHERE archive = ? AND id = ?)"
            broken = f"UPDATE contents SET data = ? WHERE document = {number}"
            archive._db.execute(broken, (bytes(20), archive._key, a.id))
            gone = f"DELETE FROM messages WHERE document = {number} AND position = 0"
            archive._db.execute(gone, (archive._key, b.id))
        archive.attachment(kept.sha256).write_bytes(b"short")
        wrong = {problem.where for problem in archive.check()}
        assert wrong == {f"conversation {a.id}", f"conversation {b.id}", f"attachments/{kept.sha256[:2]}/{kept.sha256}"}
        with pytest.raises(Damaged):
            archive.load(a.id)


def test_the_index_is_made_again_beside_the_old_one_and_continues_where_it_was_cut_off(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_SLICE", 10)
    take(archive, *(talk(f"talk {number}", ["peas"]) for number in range(60)))
    archive.edit(talk("talk 7").id, "trashed", True)

    def stop(done: int, total: int) -> None:
        assert total == 60
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.reindex(stop)
    assert archive.search("peas").total == 59
    take(archive, talk("talk 3", ["peas", "peas"]), talk("talk 50", ["peas", "beans"]), talk("new", ["peas"]))
    archive.edit(talk("talk 7").id, "trashed", False)
    archive.edit(talk("talk 8").id, "trashed", True)
    steps: list[int] = []
    assert archive.reindex(lambda done, total: steps.append(done)).conversations == 61
    assert steps[0] == 40
    assert archive.search("peas", limit=1).total == 61
    assert archive.search("beans").total == 1
    assert archive.search("peas").total == sum("peas" in views.plain_text(m) for m in _visible(archive))


def _visible(archive: Archive) -> list[Message]:
    return [message for one in archive.documents() for message in one.messages]


@about_files
def test_a_file_that_is_no_archive_or_a_later_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(Damaged):
        Archive.open(tmp_path)
    with Archive.open(tmp_path / "later") as archive:
        archive._db.execute("PRAGMA user_version=1000")
    with pytest.raises(VaultTooNew):
        Archive.open(tmp_path / "later")


@about_files
def test_a_check_of_a_damaged_database_says_so(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        take(archive, *(talk(f"talk {number}", ["peas " * 200]) for number in range(200)))
    path = tmp_path / "archive.sqlite3"
    data = bytearray(path.read_bytes())
    data[8192 * 3 : -8192] = bytes(len(data) - 8192 * 4)
    path.write_bytes(data)
    with Archive.open(tmp_path) as archive:
        assert any("damaged" in problem.what for problem in archive.check())


def test_a_list_read_in_parts_gives_each_once_although_others_come_and_change(archive: Archive) -> None:
    talks = [talk(f"talk {number}", ["hello"] * (number + 1)) for number in range(7)]
    take(archive, *talks)
    found, after = archive.page(limit=3)
    seen = [one.id for one in found]
    take(archive, talk("a new one", ["x"] * 28), talk("talk 6", ["hello"] * 7 + ["more"] * 9))
    while after is not None:
        found, after = archive.page(limit=3, after=after)
        seen += [one.id for one in found]
    assert sorted(seen) == sorted(one.id for one in talks)
    assert archive.page(limit=8)[1] is None


def test_revisions_and_the_first_changes_can_be_asked_for(archive: Archive) -> None:
    talks = [talk(f"talk {number}", ["hello"]) for number in range(3)]
    take(archive, *talks)
    assert archive.revisions([talks[0].id, "nobody"]) == {talks[0].id: archive.listed(talks[0].id).revision}
    assert [one.id for one in archive.changes_since(0, limit=2)] == [one.id for one in talks[:2]]


def test_what_was_taken_says_what_became_of_each_conversation(archive: Archive) -> None:
    with archive.take_in("chat platform", "", "test/1", keep_empty=False) as intake:
        first = intake.take(Loaded(conversations=(talk("a", ["x"]), talk("b", ["y"]))))
    with archive.take_in("chat platform", "", "test/1", keep_empty=False) as intake:
        again = intake.take(Loaded(conversations=(talk("a", ["x"]),)))
    assert first == [("added", talk("a").id), ("added", talk("b").id)]
    assert again == [("unchanged", talk("a").id)]
    assert len(archive.receipts()) == 1
