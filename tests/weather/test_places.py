"""What the person and other programs do in our folder, and feeds and lists that do not tell all at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.weather.skies import Device, GoogleSky, Sky
from tests.weather.story import Story, kinds

from chatkeep import vault
from chatkeep.providers.memory import Memory
from fakes.google_drive import FOLDER

CONFIG = "Vault/config"


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


def test_a_place_without_its_mark_is_left_as_it_is(sky: Sky, tmp_path: Path) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    mark = story.laptop.open().get(CONFIG)
    sky.remove(f"{sky.top}/{CONFIG}")
    before = sky.ours()
    for device in (story.laptop, Device(sky, tmp_path, name="fresh")):
        story.change()
        assert story.back_up(device) is None
        assert story.look(device) is None
        assert kinds(story.errors) == {"NotFound"}
        assert sky.ours() == before
    story.met(person=True, faults=2)
    story.laptop.open().put(CONFIG, mark)  # the control: the mark alone was what kept us from writing
    story.ends_well()


def test_a_place_with_the_mark_of_another_vault_is_left_as_it_is(sky: Sky, tmp_path: Path) -> None:
    story = Story(sky, tmp_path)
    story.back_up()
    strange = Memory()
    vault.create(strange, passphrase=None, hostname="somebody")
    mark = story.laptop.open().get(CONFIG)
    story.laptop.open().put(CONFIG, strange.get(CONFIG))
    before = sky.ours()
    fresh = Device(sky, tmp_path, name="fresh")
    assert story.back_up(fresh) is None
    assert story.look(fresh) is None
    assert kinds(story.errors) == {"Damaged"}
    assert sky.ours() == before
    story.met(person=True)
    story.laptop.open().put(CONFIG, mark)
    story.ends_well()


@pytest.mark.parametrize("sky", ["google-drive"], indirect=True)
@pytest.mark.parametrize("name", ["Chatkeep/Vault", "Chatkeep/Vault/data", "Chatkeep/Vault/snapshots"])
def test_two_folders_of_one_name_hold_one_vault(sky: GoogleSky, tmp_path: Path, name: str) -> None:
    story = Story(sky, tmp_path)
    for _ in range(3):
        story.change()
        story.back_up()
    drive = sky.drive
    first = drive.path(*name.split("/"))
    twin = drive.create({"name": first.name, "parents": [first.parent], "mimeType": FOLDER}, b"", first.app)
    inside = [file for file in drive.files.values() if file.parent == first.id]
    moved = inside[: (len(inside) + 1) // 2]
    for file in moved:
        drive.update(file, {}, None, "", parent=twin.id)
    assert moved
    with pytest.raises(KeyError):  # the control: who goes by the names of folders finds only half of it
        drive.path(*name.split("/"), moved[0].name)
    story.change()
    assert story.back_up() is not None, story.errors
    story.met()
    story.ends_well()
