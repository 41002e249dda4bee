"""What the person and other programs do in our folder, and feeds and lists that do not tell all at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.weather.skies import Sky
from tests.weather.story import Story


def test_a_feed_that_forgot_its_cursors_costs_a_listing_and_nothing_else(sky: Sky, tmp_path: Path) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    story.look()
    for _ in range(3):
        sky.forget_cursors()
        story.change()
        assert story.back_up() is not None, story.errors
        story.met()
    story.ends_well()


OBJECTS = ["Vault/data/", "Vault/index/", "Vault/snapshots/"]


@pytest.mark.parametrize("what", OBJECTS)
@pytest.mark.parametrize("how", ["damaged", "removed"])
def test_an_object_that_somebody_changed_or_took_is_never_given_as_good(
    sky: Sky, tmp_path: Path, what: str, how: str
) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    victim = next(name for name in sky.ours() if name.startswith(what))
    (sky.damage if how == "damaged" else sky.remove)(f"{sky.top}/{victim}")
    assert story.look() in (None, {}, story.held)
    report = story.opened(story.phone).check(read_data=True)
    seen = story.opened(story.phone).snapshots()
    if report.ok and seen:  # an index that went is made anew from the packs
        assert story.look() == story.held
    assert sky.others() == story.others
    story.met(person=not (report.ok and seen))


def test_a_folder_that_the_person_put_into_the_bin_is_told_and_nothing_is_made_of_its_absence(
    sky: Sky, tmp_path: Path
) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    sky.remove(sky.top)
    story.change()
    assert story.back_up() is None
    assert "not" in story.errors[-1].what
    assert sky.ours() == {}
    assert sky.others() == story.others
    story.met(person=True)
