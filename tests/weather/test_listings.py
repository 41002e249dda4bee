"""Lists that end too early without a word: what they leave out is not taken for gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.weather.skies import Device, Sky
from tests.weather.story import Story
from tests.weather.tally import Tally

from chatkeep.errors import ChatkeepError
from chatkeep.storage import Around, Changes, Storage, StoredObject
from chatkeep.vault import collect
from chatkeep.vault.retention import Policy

ALL = Policy(last=100)
TIMES = 3

LEFT: dict[str, Callable[[list[StoredObject]], list[StoredObject]]] = {
    "one snapshot": lambda found: only(found, "Vault/snapshots/", keep=1),
    "no snapshot": lambda found: only(found, "Vault/snapshots/"),
    "one pack": lambda found: only(found, "Vault/data/", keep=1),
    "no pack": lambda found: only(found, "Vault/data/"),
    "no index": lambda found: only(found, "Vault/index/"),
    "half of all": lambda found: found[: len(found) // 2],
    "nothing": lambda found: [],
}


def only(found: list[StoredObject], prefix: str, *, keep: int = 0) -> list[StoredObject]:
    """All else, and so many of these."""
    these = sorted(one.name for one in found if one.name.startswith(prefix))[:keep]
    return [one for one in found if not one.name.startswith(prefix) or one.name in these]


class Short(Around):
    """Lists of it have only a part of what there is."""

    def __init__(self, inner: Storage, left: str) -> None:
        super().__init__(inner)
        self.left = LEFT[left]

    def listing(self, prefix: str = "") -> list[StoredObject]:
        return self.left(super().listing(prefix))

    def changes(self, cursor: str) -> Changes | None:
        return None


def tidied_by_short_lists(story: Story, left: str) -> None:
    """Some runs; then machines that know nothing tidy some hours long by lists that are short."""
    for _ in range(4):
        story.change()
        assert story.back_up() is not None, story.errors
    story.around = lambda storage: Short(storage, left)
    for n in range(TIMES):
        fresh = Device(story.sky, story.folder, name=f"fresh-{n}")
        try:
            story.opened(fresh).tidy(ALL, host="laptop-1")
        except ChatkeepError as error:
            story.errors.append(error)
        story.sky.time.now += 3600
    story.around = lambda storage: storage


@pytest.mark.parametrize("left", LEFT)
def test_lists_that_are_short_for_some_hours_cost_nothing(sky: Sky, tmp_path: Path, left: str) -> None:
    story = Story(sky, tmp_path)
    tidied_by_short_lists(story, left)
    story.met(faults=TIMES)
    story.ends_well()


def test_without_the_day_that_packs_wait_such_lists_would_cost_what_they_leave_out(
    sky: Sky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "GRACE", timedelta(0))
    story = Story(sky, tmp_path, tally=Tally())
    tidied_by_short_lists(story, "one snapshot")
    story.judge()
    assert story.tally.total("lost") > 0
    assert story.tally.total("falsely reported") > 0
