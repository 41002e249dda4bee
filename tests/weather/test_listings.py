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
from chatkeep.vault.objects import Objects
from chatkeep.vault.retention import Policy

ALL = Policy(last=100)
TIMES = 3
DAY_S = 25 * 3600

LEFT: dict[str, Callable[[list[StoredObject]], list[StoredObject]]] = {
    "one snapshot": lambda found: only(found, "Vault/snapshots/", keep=1),
    "no snapshot": lambda found: only(found, "Vault/snapshots/"),
    "one pack": lambda found: only(found, "Vault/data/", keep=1),
    "no pack": lambda found: only(found, "Vault/data/"),
    "no index": lambda found: only(found, "Vault/index/"),
    "all index objects but one": lambda found: [one for one in found if one.name != first(found, "Vault/index/")],
    "all but the last": lambda found: found[:-1],
    "four fifths": lambda found: found[: len(found) * 4 // 5],
    "half of all": lambda found: found[: len(found) // 2],
    "nothing": lambda found: [],
}


def only(found: list[StoredObject], prefix: str, *, keep: int = 0) -> list[StoredObject]:
    """All else, and so many of these."""
    these = sorted(one.name for one in found if one.name.startswith(prefix))[:keep]
    return [one for one in found if not one.name.startswith(prefix) or one.name in these]


def first(found: list[StoredObject], prefix: str) -> str:
    """The name of one of these; another one as soon as there are others."""
    return min((one.name for one in found if one.name.startswith(prefix)), default="")


class Short(Around):
    """Lists of it have only a part of what there is."""

    def __init__(self, inner: Storage, left: str) -> None:
        super().__init__(inner)
        self.left = LEFT[left]

    def listing(self, prefix: str = "") -> list[StoredObject]:
        return self.left(super().listing(prefix))

    def changes(self, cursor: str) -> Changes | None:
        return None


def tidied_by_short_lists(story: Story, left: str, *, known: bool = False) -> None:
    """Some runs; then lists are short. Machines that know nothing tidy by them for hours; known: the same for days."""
    for _ in range(4):
        story.change()
        assert story.back_up() is not None, story.errors
    story.around = lambda storage: Short(storage, left)
    for n in range(TIMES):
        device = story.laptop if known else Device(story.sky, story.folder, name=f"fresh-{n}")
        try:
            story.opened(device).tidy(ALL, host="laptop-1")
        except ChatkeepError as error:
            story.errors.append(error)
        story.sky.time.now += DAY_S if known else 3600
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


@pytest.mark.parametrize("left", LEFT)
def test_lists_that_are_short_for_days_cost_nothing_that_the_machine_knows(sky: Sky, tmp_path: Path, left: str) -> None:
    """It asks for each backup by its name. What the index names in vain is forgotten when lists are whole again."""
    story = Story(sky, tmp_path)
    tidied_by_short_lists(story, left, known=True)
    before = story.tally.bad()
    story.compare()
    assert story.tally.bad() == before
    for _ in range(2):
        story.opened(story.laptop).tidy(ALL, host="laptop-1")
        story.sky.time.now += DAY_S
    story.met(faults=TIMES)
    story.ends_well()


def test_unless_it_does_not_ask(sky: Sky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Objects, "add_unlisted_snapshots", Objects.known_snapshots)
    story = Story(sky, tmp_path, tally=Tally())
    tidied_by_short_lists(story, "no snapshot", known=True)
    story.judge()
    assert story.tally.total("lost") > 0
    assert story.tally.total("falsely reported") > 0
