"""The control: clouds that lie must be found out, or the figures of all other tests mean nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.weather.skies import Sky, turned
from tests.weather.story import Story
from tests.weather.tally import Tally

from chatkeep.storage import Around, StoredObject


class Lying(Around):
    """Says that packs are stored, and afterwards they are gone, or other bytes lie there."""

    how = "drops"

    def put(self, name: str, data: bytes) -> StoredObject:
        stored = self.inner.put(name, turned(data) if self.how == "bends" and "/data/" in name else data)
        if self.how == "drops" and "/data/" in name:
            self.inner.delete(name)
        return stored

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        return [self.put(name, data) for name, data in objects.items()]


@pytest.mark.parametrize(("how", "found"), [("drops", "lost"), ("bends", "corrupt")])
def test_a_cloud_that_lies_is_found_out(sky: Sky, tmp_path: Path, how: str, found: str) -> None:
    class Liar(Lying):
        pass

    Liar.how = how
    tally = Tally()
    story = Story(sky, tmp_path, tally=tally, around=Liar)
    story.back_up()
    story.told[story.opened(story.laptop).snapshots()[-1].id] = dict(story.held)
    story.judge()
    assert tally.total(found) > 0
    assert tally.total("falsely reported") > 0


def test_a_second_thing_of_one_name_and_a_changed_letter_are_found_out(sky: Sky, tmp_path: Path) -> None:
    tally = Tally()
    story = Story(sky, tmp_path, tally=tally)
    story.back_up()
    story.judge()
    assert tally.bad() == 0
    sky.write("Letters/another.txt", b"somebody wrote outside of our folder")
    story.judge()
    assert tally.bad() == 1


@pytest.mark.parametrize("what", ["Vault/data/", "Vault/index/", "Vault/snapshots/"])
def test_an_object_that_was_made_twice_is_found_out(sky: Sky, tmp_path: Path, what: str) -> None:
    tally = Tally()
    story = Story(sky, tmp_path, tally=tally)
    story.back_up()
    story.judge()
    assert tally.total("duplicated") == 0
    sky.write_twice(f"{sky.top}/{next(name for name in sky.ours() if name.startswith(what))}")
    story.judge()
    assert tally.total("duplicated") == 1
