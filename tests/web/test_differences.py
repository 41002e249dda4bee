"""The pages of what differs, of the trash, and of syncing: shown, settled, asked before what cannot be taken back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from archive.talks import take, talk
from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.connections import connecting, opening
from chatkeep.merge import version_names
from chatkeep.web import held

HOSTILE = "<script>alert(1)</script>"


def _page(client: Client, address: str) -> str:
    answer = client.get(address, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def _meets(archive: Archive, text: str) -> None:
    """Another machine's version of the same message comes by a sync."""
    with archive.joining(host="desktop-7") as joining:
        joining.take(talk("garden", [text]))
        joining.finish(cursors={}, most=0)


def _marked(archive: Archive) -> None:
    """A conversation that was deleted is back with a message that the deletion had not seen."""
    take(archive, talk("sea", ["boats"]))
    archive.delete([talk("sea").id])
    with archive.joining() as joining:
        joining.take(talk("sea", ["boats", "waves"]))
        joining.finish(cursors={}, most=0)


def test_both_versions_are_shown_as_text_and_one_is_chosen(keeper: Client, archive: Archive) -> None:
    take(archive, talk("garden", ["red peas"]))
    _meets(archive, HOSTILE)
    page = _page(keeper, "/differences/")
    assert "red peas" in page
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    (conflict,) = archive.conflicts()
    chosen = next(raw for raw, text in conflict.versions if text == "red peas")
    given = {"id": conflict.id, "message": conflict.message, "version": chosen, "do": "choose"}
    assert "Nothing differs" in keeper.post("/differences/settle", given, follow=True).content.decode()
    assert archive.load(conflict.id).messages[0].raw == chosen
    keeper.post("/differences/settle", {**given, "do": "undo"})
    assert len(archive.conflicts()) == 1
    keeper.post("/differences/settle", {**given, "do": "keep"})
    assert archive.conflicts() == []


def test_a_conversation_that_came_back_is_kept(keeper: Client, archive: Archive) -> None:
    _marked(archive)
    assert "About sea" in _page(keeper, "/differences/")
    keeper.post("/differences/settle", {"id": talk("sea").id, "do": "keep"})
    assert archive.conflicts() == []
    assert archive.count() == 1


def test_a_conversation_that_came_back_is_deleted_again_and_no_other_one_is(keeper: Client, archive: Archive) -> None:
    _marked(archive)
    take(archive, talk("garden", ["peas"]))
    assert keeper.post("/differences/settle", {"id": talk("garden").id, "do": "delete"}).status_code == 404
    keeper.post("/differences/settle", {"id": talk("sea").id, "do": "delete"})
    assert [one.id for one in archive.listing()] == [talk("garden").id]


def test_what_was_kept_is_not_deleted_by_a_page_that_is_still_open(keeper: Client, archive: Archive) -> None:
    _marked(archive)
    keeper.post("/differences/settle", {"id": talk("sea").id, "do": "keep"})
    assert keeper.post("/differences/settle", {"id": talk("sea").id, "do": "delete"}).status_code == 404
    assert archive.count() == 1


def test_what_makes_no_sense_is_refused(keeper: Client, archive: Archive) -> None:
    assert keeper.post("/differences/settle", {"id": "x", "do": "burn"}).status_code == 400
    take(archive, talk("garden", ["peas"]))
    assert keeper.post("/differences/settle", {"id": talk("garden").id, "do": "keep"}).status_code == 404


def test_strangers_settle_nothing(stranger: Client, archive: Archive) -> None:
    _marked(archive)
    assert stranger.get("/differences/").status_code in (302, 403)
    stranger.post("/differences/settle", {"id": talk("sea").id, "do": "delete"})
    assert archive.count() == 1


def test_deleting_for_good_asks_first(keeper: Client, archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]), talk("sea", ["boats"]))
    given = {"id": [talk("garden").id], "do": "delete"}
    page = keeper.post("/chats/together", given).content.decode()
    assert "for good?" in page
    assert "About garden" in page
    assert archive.count() == 2
    keeper.post("/chats/together", {**given, "sure": "1"})
    assert [one.title for one in archive.listing()] == ["About sea"]


@pytest.mark.usefixtures("keeper")
def test_a_sync_from_the_page_brings_what_the_other_machine_has_and_asks_about_many_deletions(
    keeper: Client, archive: Archive, work: Callable[[], None], tmp_path: Path
) -> None:
    connecting.connect(
        "folder", {"path": str(tmp_path / "stick")}, installation=held.means().installation_of("own"), name="stick"
    )
    take(archive, *(talk(f"talk {number}", ["peas"]) for number in range(6)))
    run = keeper.post("/backups/stick/do", {"do": "sync"})
    work()
    assert "Conversations sent" in _page(keeper, run.headers["Location"])
    _other_machine_deletes(tmp_path, [talk(f"talk {number}").id for number in range(4)])
    keeper.post("/backups/stick/do", {"do": "sync"})
    work()
    assert archive.count() == 6
    page = _page(keeper, "/backups/")
    assert "Delete them here too" in page
    assert re.search(r'name="accept" value="1"', page)
    keeper.post("/backups/stick/do", {"do": "sync", "accept": "1"})
    work()
    assert archive.count() == 2
    assert "Delete them here too" not in _page(keeper, "/backups/")


def _other_machine_deletes(folder: Path, ids: list[str]) -> None:
    with (
        opening.opened(opening.connection("stick"), held.means().installation_of("own")) as place,
        Archive.open(folder / "other", device="desktop-7") as other,
    ):
        operations.sync(other, place.vault, host="desktop-7", counting=place.counting)
        assert version_names(other.load(ids[0]))
        operations.delete(other, ids)
        operations.sync(other, place.vault, host="desktop-7", counting=place.counting)
