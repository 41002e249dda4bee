"""Archives that share a database keep apart: whatever is done to one, or asked of it, is nothing to another."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.talks import said, take, talk
from chatkeep.archive import Archive
from chatkeep.errors import ChatkeepError, NotFound
from chatkeep.frames import expand
from chatkeep.merge import CHOSEN
from chatkeep.model import Part
from chatkeep.selection import Selection

HERS, HIS = "zebra", "boats"


def fill(archive: Archive, word: str) -> str:
    """The same conversations by id in each archive, with a word and a picture of its own: the hash of that."""
    kept = archive.keep(io.BytesIO(f"a picture of {word}".encode()))
    picture = Part(type="attachment", sha256=kept.sha256, name=f"{word}.png")
    take(archive, talk("garden", [word], title=word), talk("gone", [word]), talk("lost", [word]), talk("kept", [word]))
    take(archive, talk("garden", [word, f"{word} again"], project=word, title=word))
    take(archive, talk("sea", messages=(said("sea", 0, word, parts=(picture, Part(type="text", text=word))),)))
    archive.edit(talk("garden").id, "labels", [word])
    archive.delete([talk("gone").id])
    take(archive, talk("gone", [word, f"{word} returned"]))
    archive.set_cursor("place", word)
    return kept.sha256


def everything(archive: Archive) -> object:
    """All that can be asked of an archive."""
    return [
        archive.number,
        archive.receipts(),
        archive.listing(),
        archive.facets(),
        archive.counts(),
        archive.conflicts(),
        archive.changes_since(0),
        archive.marked_since(0),
        archive.cursors(""),
        sorted(archive.tombstones()),
        list(archive.held()),
        list(archive.named()),
        {entry.id: archive.document(entry.id) for entry in archive.entries()},
        [(archive.search(word).total, archive.search(word).hits) for word in (HERS, HIS, "again", "a*")],
        [path.read_bytes() for sha256, _ in archive.held() if (path := archive.attachment(sha256))],
        archive.check(),
    ]


class Both:
    """Alice's archive, and that of Bob, who asks for what is hers."""

    def __init__(self, folder: Path) -> None:
        self.alice = Archive.open(folder, archive_id="a" * 32, device="alices")
        self.bob = Archive.open(folder, archive_id="b" * 32, device="bobs")
        self.picture = fill(self.alice, HERS)
        fill(self.bob, HIS)
        take(self.alice, talk("secret", [HERS]))
        self.receipt = self.alice.receipts()[0].id

    def close(self) -> None:
        self.alice.close()
        self.bob.close()


def take_in(both: Both) -> object:
    return take(both.bob, talk("garden", ["more"]), talk("new", ["more"]))


def join(both: Both) -> object:
    with both.bob.joining(host="elsewhere") as joining:
        for id, data in both.bob.tombstones():
            joining.mark(id, data)
        joining.take(talk("garden", ["joined"]))
        return joining.finish(cursors={"joined": "1"}, most=100).added


GARDEN, SECRET = talk("garden").id, talk("secret").id
# What Bob does with each public method, with ids that Alice has too, and with those that she alone has.
ASKED: dict[str, list[Callable[[Both], Any]]] = {
    "apply": [lambda both: both.bob.apply([talk("garden", ["other"]), talk("secret", ["his"])], replace=True)],
    "attachment": [lambda both: both.bob.attachment(both.picture)],
    "attachment_info": [lambda both: both.bob.attachment_info(both.picture)],
    "changes_since": [lambda both: both.bob.changes_since(0)],
    "check": [lambda both: both.bob.check()],
    "conflicts": [lambda both: both.bob.conflicts(settled=True)],
    "count": [lambda both: both.bob.count(Selection(query=HERS))],
    "counts": [lambda both: both.bob.counts()],
    "cursor": [lambda both: both.bob.cursor("place")],
    "cursors": [lambda both: both.bob.cursors("")],
    "delete": [lambda both: both.bob.delete([GARDEN, talk("sea").id]), lambda both: both.bob.delete([SECRET])],
    "destroy": [lambda both: both.bob.destroy()],
    "document": [lambda both: both.bob.document(GARDEN), lambda both: both.bob.document(SECRET)],
    "documents": [
        lambda both: list(both.bob.documents()),
        lambda both: list(both.bob.documents(Selection(query=HERS))),
    ],
    "edit": [
        lambda both: both.bob.edit(GARDEN, "title", "His"),
        lambda both: both.bob.edit(GARDEN, "starred", True),
        lambda both: both.bob.edit(SECRET, "title", "His"),
        lambda both: both.bob.edit(GARDEN, CHOSEN + "m", "x"),
    ],
    "entries": [lambda both: list(both.bob.entries())],
    "erase": [lambda both: both.bob.erase([GARDEN, SECRET])],
    "facets": [lambda both: both.bob.facets()],
    "frames": [lambda both: [expand(data) for data, _ in both.bob.frames([SECRET]).values()]],
    "held": [lambda both: list(both.bob.held())],
    "joining": [join],
    "keep": [lambda both: both.bob.keep(io.BytesIO(b"his"))],
    "listed": [lambda both: both.bob.listed(GARDEN), lambda both: both.bob.listed(SECRET)],
    "listing": [lambda both: both.bob.listing(), lambda both: both.bob.listing(Selection(query=HERS))],
    "load": [lambda both: both.bob.load(SECRET), lambda both: both.bob.load(SECRET[:8])],
    "marked_since": [lambda both: both.bob.marked_since(0)],
    "named": [lambda both: list(both.bob.named())],
    "page": [lambda both: both.bob.page(limit=10)],
    "place": [lambda both: both.bob.place(SECRET, talk("secret", [HERS]).messages[0].id)],
    "receipt": [lambda both: both.bob.receipt(both.receipt)],
    "receipts": [lambda both: both.bob.receipts()],
    "reindex": [lambda both: both.bob.reindex().conversations and None],
    "revisions": [lambda both: both.bob.revisions([SECRET, GARDEN])],
    "search": [
        lambda both: both.bob.search(HERS),
        lambda both: both.bob.search("zeb*", group=True, hidden=True),
        lambda both: both.bob.search("from:anna"),
        lambda both: both.bob.search("has:attachment"),
        lambda both: both.bob.search(f"boats in:{HERS}"),
    ],
    "set_cursor": [lambda both: both.bob.set_cursor("place", "his")],
    "settle": [lambda both: both.bob.settle(talk("gone").id), lambda both: both.bob.settle(SECRET)],
    "take_in": [take_in],
    "take_receipts_of": [lambda both: both.bob.take_receipts_of(both.bob)],
    "tombstones": [lambda both: list(both.bob.tombstones())],
    "undo": [
        lambda both: [both.bob.undo(one.id) for one in both.bob.receipts()],
        lambda both: both.bob.undo(both.receipt),
    ],
    "unsettle": [lambda both: both.bob.unsettle(GARDEN, talk("garden", [HIS]).messages[0].id)],
    "window": [lambda both: both.bob.window(GARDEN), lambda both: both.bob.window(SECRET)],
}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.close()


def methods() -> set[str]:
    found = {name for name, _ in inspect.getmembers(Archive, inspect.isfunction) if not name.startswith("_")}
    return found - {"open", "close"}


def test_every_public_method_is_asked() -> None:
    assert methods() - {"opened"} == set(ASKED)


@pytest.mark.parametrize("method", sorted(ASKED))
def test_what_is_asked_of_one_archive_shows_and_changes_nothing_of_another(both: Both, method: str) -> None:
    before = everything(both.alice)
    for ask in ASKED[method]:
        try:
            answer = ask(both)
        except ChatkeepError as error:
            answer = error
        assert HERS not in repr(answer).replace(f"'{HERS}'", "") or isinstance(answer, ChatkeepError)
        assert both.picture not in repr(answer)
        assert everything(both.alice) == before


def test_the_question_would_tell_if_something_were_shared(both: Both) -> None:
    before = everything(both.alice)
    both.alice.edit(GARDEN, "starred", True)
    assert everything(both.alice) != before
    assert HERS in repr(both.alice.search(HERS))
    assert both.picture in repr(list(both.alice.held()))


def test_naming_the_hash_of_what_another_archive_holds_gives_nothing(both: Both) -> None:
    part = Part(type="attachment", sha256=both.picture, name="mine.png")
    take(both.bob, talk("thief", messages=(said("thief", 0, "", parts=(part,)),)))
    with pytest.raises(NotFound):
        both.bob.attachment(both.picture)
    assert both.picture not in dict(both.bob.held())
    assert (both.picture, 0, False) in list(both.bob.named())
    assert both.alice.attachment(both.picture).read_bytes() == f"a picture of {HERS}".encode()
    both.bob.delete([talk("thief").id])
    assert both.alice.attachment(both.picture).read_bytes() == f"a picture of {HERS}".encode()
